#pragma once

// Presence of several nodes, and who is in which channel, through Redis. Each node tells the others its
// changes, and keeps what it says in a hash that ends with its lease; a node that comes later reads those. A
// heartbeat of a client reaches nothing of it.
//
//   headroom:bus:presence         stream: what the nodes said
//   headroom:bus:presence:nodes   set: the nodes
//   headroom:bus:presence:NODE    hash: its users who are online or away, and the number of its last word
//   headroom:bus:presence.number  of the stream's last entry, so that it is seen when one was missed
//   headroom:bus:members ...      likewise, of users in channels

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/exchange.hpp"
#include "bus/presence.hpp"

namespace headroom::bus {

constexpr std::string_view kRedisPresence = "headroom:bus:presence";
constexpr std::string_view kRedisMembers = "headroom:bus:members";

struct RedisPresenceOptions {
  std::string url;   ///< as redis::parse_url reads it
  std::string node;  ///< another for every process that ever ran
  std::int64_t lease_ns = PresenceLimits().lease_ns;
  std::string key = std::string(kRedisPresence);  ///< with which all of its keys begin
};

/// Threads: one of its own does all that concerns Redis; what it hears is posted. Guarantees: what is said
/// while Redis is away is said when it is back, as one account of everybody who is there then. Bounds: those
/// of PresenceWords.
class RedisPresence final : public PresenceExchange {
 public:
  /// As RedisBroker::Post.
  using Post = std::function<void(std::function<void()>)>;

  /// Connects to nothing. Errors: invalid_argument (the URL).
  [[nodiscard]] static Result<std::unique_ptr<RedisPresence>> make(const RedisPresenceOptions& options,
                                                                   Post post);
  /// Ends without a word, as a crash does: the node's users are offline after its lease.
  ~RedisPresence() override;

  /// Once. The table tells it, and is told by what is posted, while both are there. Threads: that of the hub.
  void start(PresenceTable& table);
  /// Tells the others that the node ends in good order, when Redis is there, within its URL's timeout.
  /// Nothing is announced after it. Threads: any.
  void leave();

  void announce(const PresenceWord& word, const Now& now) override;
  /// What all nodes keep is read again.
  void ask(std::string_view node, const Now& now) override;
  [[nodiscard]] ExchangeCounts counts() const;

 private:
  struct Impl;
  explicit RedisPresence(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::bus
