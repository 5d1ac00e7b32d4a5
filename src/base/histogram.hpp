#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace headroom::base {

/// Counts durations in buckets whose width grows with the value: 8 buckets an octave from 1 us to 2.4 hours.
/// Guarantees: `quantile` is at most 12.5 % above the true value and never above the longest duration;
/// `merge` is exact. Cost: `add` a few ns; 1 KiB each. Threads: none, the owner locks.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 256;

  void add(Microseconds value);
  void merge(const Histogram& other);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// The longest duration that was added; nullopt when empty, or when a part that was stored without it is
  /// in.
  [[nodiscard]] std::optional<Microseconds> longest() const;
  /// The upper edge of the bucket that holds quantile `q` in [0, 1], or `longest` if that is less; zero when
  /// empty.
  [[nodiscard]] Microseconds quantile(double q) const;

  /// Sparse text form "bucket:count,...,max:microseconds", for storing.
  [[nodiscard]] std::string encode() const;
  /// The parts may stand in any order; without "max" the longest is unknown. Errors: invalid_argument when
  /// `text` was not made by `encode`.
  [[nodiscard]] static Result<Histogram> decode(std::string_view text);

 private:
  static constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();

  [[nodiscard]] bool read_part(std::string_view part);

  std::array<std::uint32_t, kBuckets> buckets_{};
  std::int64_t longest_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace headroom::base
