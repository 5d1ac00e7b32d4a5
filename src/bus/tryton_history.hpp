#pragma once

// What one Tryton database notified of late, in order of arrival, for clients that were between two polls.

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "bus/tryton_payload.hpp"

namespace headroom::bus {

struct TrytonRetention {
  std::chrono::milliseconds age{300'000};
  std::size_t messages = 10'000;
  std::size_t bytes = 16UL << 20U;
  /// Of one channel, so that a busy one does not push out the others.
  std::size_t channel_messages = 1'000;
};

/// Guarantees: a message stays until it is too old, or, beyond a bound, until it is the oldest; what a bound
/// pushed out is counted. Threads: none. Cost: O(log n) a message, O(channels) to find the next.
class TrytonHistory {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Message = std::shared_ptr<const TrytonMessage>;

  explicit TrytonHistory(const TrytonRetention& limits) : limits_(limits) {}

  void append(Time now, Message message);
  /// The first message of these channels after the one of that id. One that is unknown, was forgotten or
  /// stands in another channel, or none: the oldest that is kept.
  [[nodiscard]] Message next(std::span<const std::string> channels,
                             const std::optional<std::string>& last) const;
  /// Drops what is too old.
  void expire(Time now);
  /// Drops everything of a channel.
  void forget(const std::string& channel);

  [[nodiscard]] std::size_t size() const { return messages_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Messages that a bound pushed out before their time.
  [[nodiscard]] std::uint64_t pushed_out() const { return pushed_out_; }

 private:
  using Number = std::uint64_t;
  struct Kept {
    Time arrived;
    Message message;
  };
  void erase(Number number);
  void push_out(Number number);

  TrytonRetention limits_;
  Number last_number_ = 0;
  std::map<Number, Kept> messages_;
  std::unordered_map<std::string, std::deque<Number>> channels_;
  std::unordered_map<std::string, Number> ids_;
  std::size_t bytes_ = 0;
  std::uint64_t pushed_out_ = 0;
};

}  // namespace headroom::bus
