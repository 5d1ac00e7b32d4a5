#pragma once

// How sure a growth is: bootstrap intervals of the ratio of two means.
//
// The values are those of calls, in the order of time. Calls that follow one another are alike (a cold cache,
// a busy minute), so whole blocks of consecutive calls are drawn, not single ones: drawing single calls would
// take them for independent and give intervals that are too narrow. At most `kBlocks` blocks a side keep the
// cost independent of the number of calls.
//
// The interval is BCa (bias-corrected and accelerated; Efron and Tibshirani, An Introduction to the
// Bootstrap, 14.3). Times of calls are skewed, and so is a ratio; plain percentiles of the resamples would
// miss on the side of the long tail. Rejected: Welch's t, which takes means of a few skewed values for
// normal; ranks (Mann-Whitney), which answer whether most calls are slower, and are blind to the few slow
// ones that cost the time.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace headroom::perf {

/// What B has more than A, as a part of A: 0.5 is half as much again. `high` is infinite where A may be
/// nothing.
struct GrowthInterval {
  double estimate = 0;
  double low = 0;
  double high = 0;
};

/// Draws of blocks, the same for every question with as many blocks, from a fixed seed: equal data give equal
/// answers.
/// Cost: memory of some 4 MiB; grows with the numbers of blocks that are asked for, to 80 MiB at worst.
class BlockDraws {
 public:
  static constexpr std::size_t kBlocks = 100;
  static constexpr std::size_t kResamples = 2000;

  enum class Side : std::uint8_t { kA, kB };

  /// How often each block is in each resample: `kResamples` numbers for block 0, then for block 1, ...
  [[nodiscard]] std::span<const float> counts(Side side, std::size_t blocks);

 private:
  std::map<std::pair<Side, std::size_t>, std::vector<float>> counts_;
};

/// The calls of one side in blocks: their number in each, and the sum of the value in question.
/// Shape: of equal length, 1 to BlockDraws::kBlocks.
struct Blocks {
  std::span<const double> sizes;
  std::span<const double> sums;
};

/// Which block of `blocks` takes the call number `index` of `calls`.
[[nodiscard]] constexpr std::size_t block_of(std::uint64_t index, std::uint64_t calls, std::size_t blocks) {
  return static_cast<std::size_t>(index * blocks / calls);
}

/// The growth of the mean from A to B, with the interval that holds the true one with probability
/// `confidence`. The mean of A must be over 0. Cost: 0.1 ms for 100 blocks a side.
[[nodiscard]] GrowthInterval growth_interval(BlockDraws& draws, const Blocks& a, const Blocks& b,
                                             double confidence);

}  // namespace headroom::perf
