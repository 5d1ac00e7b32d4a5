#pragma once

// The broker over Redis: several nodes share one server, each reads every message once. A channel's offset is
// given by a script that also keeps the message, so it is the same on all nodes; docs/bus-redis.md is the
// guide, redis_node.hpp says what is kept where.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bus/broker.hpp"
#include "bus/rules.hpp"

namespace headroom::bus {

struct RedisBrokerOptions {
  std::string url;  ///< as redis::parse_url reads it; holds a password
  /// Streams over which the channels are spread; the same on all nodes.
  std::size_t shards = 16;
  /// Of a shard, for nodes that are late; who is later compares with the channels' histories.
  std::size_t stream_length = 4'096;
  std::size_t queued_publishes = 20'000;
  std::size_t queued_inquiries = 50'000;
  std::chrono::milliseconds answer_within{10'000};
};

constexpr std::size_t kMostRedisShards = 256;

/// Counts since the start, and what is there now.
struct RedisBrokerCounts {
  bool reading = false;
  std::uint64_t entries = 0;    ///< read
  std::uint64_t published = 0;  ///< by this node
  std::uint64_t losses = 0;     ///< of the connection that reads
  std::string epoch;            ///< of all channels
  std::uint64_t epochs = 0;     ///< that began while it ran
  std::size_t queued = 0;       ///< publications and questions that wait
  std::string problem;          ///< why it can't read; empty
};

/// Threads: two of its own, one reads, one publishes and asks; answers and news are posted.
/// Guarantees: a publication is answered after Redis has it. A lost connection is tried again at once and
/// then at most 0.75 s apart; what was published meanwhile is read then. A publication with an id that was
/// under way is sent again, one without is answered `unavailable`: it may have been kept.
class RedisBroker final : public Broker {
 public:
  /// Runs a function on the hub's thread, soon, in the order of the calls of each thread. May be called while
  /// the broker is destroyed, and what it was given runs after that without effect.
  using Post = std::function<void(std::function<void()>)>;

  /// Connects to nothing. The rules outlive it. Errors: invalid_argument (URL, number of shards).
  [[nodiscard]] static Result<std::unique_ptr<RedisBroker>> make(const RedisBrokerOptions& options,
                                                                 const ChannelRules& rules, Post post);
  ~RedisBroker() override;

  void start(BrokerListener& listener, const Now& now) override;
  void publish(Publication publication, const Now& now, Done<Published> done) override;
  void subscribe(std::string_view channel, const Now& now, Done<Position> done) override;
  void unsubscribe(std::string_view channel, const Now& now) override;
  void history(std::string_view channel, const HistoryQuery& query, const Now& now,
               Done<HistoryPage> done) override;
  void tick(const Now& now) override;
  [[nodiscard]] RedisBrokerCounts counts() const;

 private:
  struct Impl;
  explicit RedisBroker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Asks the server, once, whether it can keep the bus. Changes nothing there.
/// Errors: invalid_argument and unsupported when something has to be set otherwise (a policy that evicts, a
/// cluster, an old server, another number of shards), denied; unavailable and timed_out when it can't be
/// reached now. The message never shows the password.
[[nodiscard]] Result<void> check_redis_broker(const RedisBrokerOptions& options);

}  // namespace headroom::bus
