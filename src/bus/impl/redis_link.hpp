#pragma once

// A connection to the Redis server of a bus. Nothing is asked over it before it is known that the server can
// keep the bus, and that its messages go on from where they were, else they begin another epoch: so no
// message gets an offset of an epoch that is over.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "bus/redis_node.hpp"
#include "redis/connection.hpp"

namespace headroom::bus {

/// How often something made all connections of a node doubt what they know. Threads: any.
using RedisDoubts = std::atomic<std::uint64_t>;

class RedisLink final {
 public:
  /// `interrupt` and `doubts` outlive it. `most`: entries of a stream in one answer.
  RedisLink(const redis::Url& url, const RedisLayout& layout, std::size_t most,
            const redis::Interrupt& interrupt, RedisDoubts& doubts);

  /// Connects, checks and joins, when that is not done. Errors: those of the connection, check_redis_server
  /// and RedisReader::joined.
  [[nodiscard]] Result<void> ensure();
  /// Errors: those of the connection; whoever gets one calls `ensure` before the next.
  [[nodiscard]] Result<std::vector<redis::Reply>> run(const redis::Pipeline& pipeline);
  /// All links of the node join again before they ask anything.
  void doubt() { ++doubts_; }

  /// Whether the server is still what it was: a primary that became a replica and then a primary again has
  /// other data.
  static void add_watch(redis::Pipeline& pipeline) { pipeline.add({"INFO", "replication"}); }
  void watched(const redis::Reply& reply);

  [[nodiscard]] RedisReader& reader() { return reader_; }
  [[nodiscard]] const RedisReader& reader() const { return reader_; }
  [[nodiscard]] const RedisLayout& layout() const { return layout_; }
  [[nodiscard]] const RedisScripts& scripts() const { return scripts_; }
  [[nodiscard]] std::chrono::milliseconds timeout() const;
  /// How often it joined.
  [[nodiscard]] std::uint64_t joins() const { return joins_; }

 private:
  [[nodiscard]] Result<void> join();

  RedisLayout layout_;
  RedisScripts scripts_;
  redis::Connection connection_;
  RedisReader reader_;
  RedisServerFacts facts_;
  RedisDoubts& doubts_;
  std::uint64_t settled_doubts_ = 0;
  std::uint64_t joins_ = 0;
  bool joined_ = false;
};

/// What INFO tells over a connection. Errors: those of the connection and check_redis_server.
[[nodiscard]] Result<RedisServerFacts> ask_redis_facts(redis::Connection& connection);
/// Whether nodes that are there already have the same number of shards. Errors: those of the connection,
/// invalid_argument.
[[nodiscard]] Result<void> check_redis_shards(redis::Connection& connection, std::size_t shards);

}  // namespace headroom::bus
