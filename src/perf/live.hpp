#pragma once

// What is going on now: rates out of counts that only grow.
//
// Every process counts every call, recorded or not, and brings the counts to the store a few times a second.
// The difference between two looks is the traffic in between. A window of a few seconds smooths it: the
// counts of one process arrive in lumps, and a number that jumps at every look can't be read.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "perf/record.hpp"

namespace headroom::perf {

/// One look at the counts.
struct LiveSample {
  std::int64_t at_ns = 0;           ///< on the monotonic clock
  std::vector<MethodCount> counts;  ///< of the current and the last hour
};

/// One method, over the window.
struct MethodRate {
  std::string database;
  std::string method;
  CallKind kind = CallKind::kRpc;
  std::uint64_t number = 0;  ///< calls that ended
  std::uint64_t errors = 0;
  double per_second = 0;
  double busy = 0;  ///< how many of them ran at once, on average: seconds spent per second
  Microseconds average{0};
  Microseconds sql_average{0};
};

/// The looks of the last seconds. Threads: none.
class LiveWindow {
 public:
  explicit LiveWindow(Microseconds span) : span_(span) {}

  /// Forgets the looks that are older than the window, but for one at its edge, and all when nobody looked
  /// for more than twice its span. One that is older than the last is not taken.
  void add(LiveSample sample);
  /// Methods with calls in the window, the most time first, then by name; at most `most`. Nothing before
  /// there are two looks. Cost: O(counts).
  [[nodiscard]] std::vector<MethodRate> busiest(std::size_t most) const;
  /// Calls a second over all methods.
  [[nodiscard]] double per_second() const;

 private:
  [[nodiscard]] std::vector<MethodRate> rates() const;

  Microseconds span_;
  std::deque<LiveSample> samples_;
};

}  // namespace headroom::perf
