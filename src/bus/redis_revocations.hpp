#pragma once

// What is revoked, on all nodes, through Redis: a stream that keeps the newest, which every node reads from
// its beginning when it comes, and then as it grows.
//
//   headroom:bus:revoked  stream: "k" the revocation's key, "b" before when

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bus/exchange.hpp"
#include "bus/hub.hpp"

namespace headroom::bus {

/// Threads: one of its own does all that concerns Redis; what it hears is posted. Guarantees: every node
/// knows what was revoked half a second after Redis took it. What is revoked while Redis is away holds on
/// this node at once, and is told when Redis is back; a Redis that forgot is told all that its nodes know.
/// Bounds: Redis keeps the newest 10,000; as many wait.
class RedisRevocations final : public RevocationExchange {
 public:
  /// As RedisBroker::Post.
  using Post = std::function<void(std::function<void()>)>;

  /// Connects to nothing. Errors: invalid_argument (the URL).
  [[nodiscard]] static Result<std::unique_ptr<RedisRevocations>> make(std::string_view url, Post post);
  ~RedisRevocations() override;

  /// Once. The hub tells it, and is told by what is posted, while both are there. Threads: that of the hub.
  void start(Hub& hub);

  void announce(const Revocation& revocation) override;
  [[nodiscard]] RevocationCounts counts() const;

 private:
  struct Impl;
  explicit RedisRevocations(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::bus
