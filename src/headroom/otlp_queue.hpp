#pragma once

// What is sent when: the decisions of the OTLP exporter, without a clock or a socket.
//
// Calls come from the store, since other processes record them. A call is stored when it has ended, but is
// found by its start; so the look-out reaches `kLookBack` behind the newest start that was seen, and ids that
// were taken are remembered that long. A call that ran longer than that is not sent.
//
// The queue holds ids: the records are read when they are sent. It is bounded; when it is full the oldest are
// dropped and counted, since what happens now is worth more to who watches. A batch that the receiver could
// not take (no answer, 429, 502, 503, 504: OTLP's list) stays, and is tried again after a pause that doubles
// to a minute, or as long as Retry-After says. One that it refuses is dropped and counted: it would be
// refused again.

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "perf/record.hpp"

namespace headroom::cli {

/// How an attempt to send ended.
struct OtlpOutcome {
  enum class Kind : std::uint8_t { kTaken, kRefused, kRetry };
  Kind kind = Kind::kRetry;
  std::uint64_t rejected = 0;           ///< spans that a receiver which took the rest did not take
  std::chrono::seconds retry_after{0};  ///< 0: it did not say
  std::string error;                    ///< one line; empty when all was taken
};

/// Reads a receiver's answer. `body` is looked at for `partialSuccess`. Threads: pure.
[[nodiscard]] OtlpOutcome otlp_outcome(int status, std::string_view retry_after, std::string_view body);

/// Threads: one.
class OtlpQueue final {
 public:
  static constexpr std::chrono::minutes kLookBack{2};
  static constexpr std::size_t kBatch = 100;
  static constexpr std::chrono::seconds kLongestPause{60};

  struct Counts {
    std::uint64_t sent = 0;      ///< calls that the receiver took
    std::uint64_t dropped = 0;   ///< calls that the full queue pushed out
    std::uint64_t refused = 0;   ///< calls that the receiver refused
    std::uint64_t rejected = 0;  ///< spans in batches that it took otherwise
    std::uint64_t retries = 0;
  };

  /// Calls that began before `start` are not sent.
  OtlpQueue(std::size_t most, base::UtcTime start) : most_(most), start_(start), newest_(start) {}

  /// From when on the store is to be asked.
  [[nodiscard]] base::UtcTime look_from() const;
  /// Takes those that were not taken before.
  void offer(const std::vector<perf::CallSummary>& calls);
  /// The ids to send now; none while the queue is empty or pausing.
  [[nodiscard]] std::vector<std::string> next(base::UtcTime now) const;
  /// The first `number` ids were sent, of which `found` were still in the store.
  void finished(std::size_t number, std::size_t found, const OtlpOutcome& outcome, base::UtcTime now);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t size() const { return ids_.size(); }

 private:
  std::size_t most_;
  base::UtcTime start_;
  base::UtcTime newest_;
  std::deque<std::string> ids_;
  std::map<std::string, base::UtcTime> seen_;  ///< ids within the look-back, by start
  std::chrono::seconds pause_{0};
  base::UtcTime not_before_{};
  Counts counts_;
};

}  // namespace headroom::cli
