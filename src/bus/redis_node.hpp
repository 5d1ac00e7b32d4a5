#pragma once

// What a node and a Redis server say to each other about the bus, without a connection: keys, scripts with
// their arguments, what the answers mean. lua/*.lua are the scripts.
//
//   headroom:bus:about         hash: version, shards, epoch and its stamp, identity of the server
//   headroom:bus:stream:N      what was published in the channels of a shard; every node reads it once
//   headroom:bus:channel:NAME  hash: offset of the newest message, life, bytes of its history, and when what
//                              is too old is dropped next
//   headroom:bus:history:NAME  list of "milliseconds data", the newest last
//   headroom:bus:id:NAME\nID   "life offset" of the message that was published with the id
//
// The entries of a stream are "stamp-0", "stamp-1" ... as long as an epoch lasts.
//
// A position's epoch is that of all channels and the channel's life: "k3j9x2m1q0ab.1764496000001". The first
// changes when the server's data is not proven to be what it was, the second when a channel was forgotten.

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/message.hpp"
#include "bus/rules.hpp"
#include "redis/pipeline.hpp"
#include "redis/reply.hpp"

namespace headroom::bus {

constexpr std::string_view kRedisAbout = "headroom:bus:about";

/// invalid_argument: the nodes that are there have another number of shards.
[[nodiscard]] Error other_shards(std::string_view have, std::size_t wanted);

/// What INFO tells of a server.
struct RedisServerFacts {
  std::string version;
  std::string run_id;
  std::string former;  ///< whose replica it was when it became a primary
  std::string policy;  ///< maxmemory-policy
  bool is_cluster = false;
  bool is_replica = false;
  bool is_loading = false;

  /// The same as long as the data in memory goes on from itself.
  [[nodiscard]] std::string identity() const { return run_id + ' ' + former; }
};

[[nodiscard]] RedisServerFacts read_redis_info(std::string_view info);
/// Errors: unsupported (a cluster, older than 7.0), invalid_argument (its policy evicts); unavailable (a
/// replica, still loading). The message says what to set.
[[nodiscard]] Result<void> check_redis_server(const RedisServerFacts& facts);

/// What all nodes have to have in common, and how long things are remembered.
struct RedisLayout {
  std::size_t shards = 16;
  std::size_t stream_length = 4'096;                    ///< entries of a shard, at least
  std::int64_t kept_ms = 0;                             ///< a channel's offset, after it was used last
  static constexpr std::int64_t kUnusedMs = 3'600'000;  ///< likewise, when nothing was published

  [[nodiscard]] std::size_t shard_of(std::string_view channel) const;
};

/// A day, or twice the longest history.
[[nodiscard]] std::int64_t redis_kept_ms(const ChannelRules& rules);

struct RedisScripts {
  redis::Script join;
  redis::Script publish;
  redis::Script look;
  RedisScripts();
};

/// Adds what makes the scripts known, so that none runs out of turn.
void add_script_load(redis::Pipeline& pipeline, const RedisScripts& scripts);

// Publishing and looking
// ---------------------------------------------------------------------------------------------------------

/// What is to be published, borrowed.
struct RedisPublication {
  const Publication* publication = nullptr;
  const ChannelRule* rule = nullptr;
};

/// One script for all. The messages of a channel stand next to each other.
void add_publish(redis::Pipeline& pipeline, const RedisScripts& scripts, const RedisLayout& layout,
                 std::span<const RedisPublication> together);
/// The answer to each of `count` messages. Errors: overloaded, unavailable, denied ... as the server says it;
/// protocol.
[[nodiscard]] std::vector<Result<Published>> redis_published(const redis::Reply& reply, std::size_t count);

/// A question about a channel; limit 0 without a position asks where it stands.
struct RedisInquiry {
  std::int64_t number = 0;
  std::chrono::steady_clock::time_point deadline{};
  std::string channel;
  bool has_since = false;
  Position since;
  std::size_t limit = 0;
  std::size_t bytes = 0;
  const ChannelRule* rule = nullptr;
};

void add_look(redis::Pipeline& pipeline, const RedisScripts& scripts, const RedisLayout& layout,
              const RedisInquiry& inquiry);
/// Errors: as redis_published.
[[nodiscard]] Result<HistoryPage> redis_page(const RedisInquiry& inquiry, const redis::Reply& reply);

/// The bus was deleted on the server, by hand: nothing was done, and a node has to begin it anew.
[[nodiscard]] bool is_no_epoch(const redis::Reply& reply);

// Reading
// ---------------------------------------------------------------------------------------------------------

struct RedisRow {
  std::string channel;
  std::string epoch;
  Message message;
};

struct RedisNews {
  /// Something may have been missed: everybody's position is to be compared.
  bool compare = false;
  bool available = false;  ///< the streams are being read
  std::vector<RedisRow> rows;
};

/// The name of a stream's entry, "stamp-number".
struct RedisEntryId {
  std::uint64_t stamp = 0;
  std::uint64_t number = 0;
  /// Whether nothing is missing between the two: the entries of an epoch are numbered without a gap, from 0.
  [[nodiscard]] bool is_next_of(const RedisEntryId& before) const {
    return stamp == before.stamp ? number == before.number + 1 : number == 0;
  }
};

/// The streams as a node reads them. It is seen when some entries were trimmed away before they were read.
class RedisReader final {
 public:
  /// `most`: entries of one stream in one answer.
  RedisReader(const RedisLayout& layout, std::size_t most);

  /// `fresh`: the epoch that is begun unless this server is proven to be what it was.
  void add_join(redis::Pipeline& pipeline, const RedisScripts& scripts, const RedisServerFacts& facts,
                const std::string& fresh) const;
  /// Errors: invalid_argument (another number of shards), unsupported (another version), those of the server.
  [[nodiscard]] Result<void> joined(const redis::Reply& reply);

  /// Two commands: whether the epoch is the same, and what is new, waited for at most `block`.
  void add_read(redis::Pipeline& pipeline, std::chrono::milliseconds block) const;
  /// Errors: conflict when another epoch has begun: join again.
  [[nodiscard]] Result<RedisNews> read(const redis::Reply& epoch, const redis::Reply& streams);

  [[nodiscard]] bool began() const { return !epoch_.empty(); }
  [[nodiscard]] const std::string& epoch() const { return epoch_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  /// Fewer entries in one answer: it was too large.
  void read_less() { most_ = most_ > 1 ? most_ / 2 : 1; }

  static constexpr std::string_view kVersion = "2";

 private:
  [[nodiscard]] Result<void> take_stream(const redis::Reply& stream, RedisNews& news);
  [[nodiscard]] Result<void> take_entry(RedisEntryId& read, const redis::Reply& entry, RedisNews& news);

  RedisLayout layout_;
  std::size_t most_;
  std::vector<std::string> keys_;
  std::vector<RedisEntryId> read_;  ///< of each stream the entry read last
  std::string epoch_;
  std::uint64_t entries_ = 0;
};

}  // namespace headroom::bus
