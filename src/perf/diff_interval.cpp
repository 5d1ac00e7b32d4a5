#include "perf/diff_interval.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace headroom::perf {

namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere, which the standard's distributions do
/// not promise.
class Random final {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t bound) {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
    mixed ^= mixed >> 31U;
    return static_cast<std::size_t>(((mixed >> 32U) * bound) >> 32U);
  }

 private:
  std::uint64_t state_;
};

double normal_probability(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

/// The inverse of `normal_probability`, by bisection: 60 steps are cheap beside the resamples.
double normal_quantile(double probability) {
  double low = -9;
  double high = 9;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (normal_probability(middle) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

double total(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

/// The mean of the calls in each resample. Block by block, so that the inner loop is one that the compiler
/// turns into vector instructions.
std::vector<float> resampled_means(std::span<const float> counts, const Blocks& blocks) {
  constexpr std::size_t kResamples = BlockDraws::kResamples;
  std::vector<float> sums(kResamples, 0.0F);
  std::vector<float> sizes(kResamples, 0.0F);
  for (std::size_t block = 0; block < blocks.sums.size(); ++block) {
    const auto row = counts.subspan(block * kResamples, kResamples);
    const auto sum = static_cast<float>(blocks.sums[block]);
    const auto size = static_cast<float>(blocks.sizes[block]);
    for (std::size_t i = 0; i < kResamples; ++i) {
      sums[i] += row[i] * sum;
      sizes[i] += row[i] * size;
    }
  }
  for (std::size_t i = 0; i < kResamples; ++i) sums[i] /= sizes[i];
  return sums;
}

double growth(double a, double b) {
  if (a > 0) return b / a - 1;
  return b > 0 ? std::numeric_limits<double>::infinity() : 0;
}

/// How far the mean moves when each block is left out, relative to it: empirical influences, summed as
/// squares and cubes.
struct Influence {
  double squares = 0;
  double cubes = 0;
};

Influence influence(const Blocks& blocks) {
  const auto number = static_cast<double>(blocks.sums.size());
  const double sum = total(blocks.sums);
  const double size = total(blocks.sizes);
  Influence result;
  if (blocks.sums.size() < 2 || sum <= 0) return result;
  for (std::size_t i = 0; i < blocks.sums.size(); ++i) {
    const double without = (sum - blocks.sums[i]) / (size - blocks.sizes[i]);
    const double moved = (number - 1) * (1 - without * size / sum) / number;
    result.squares += moved * moved;
    result.cubes += moved * moved * moved;
  }
  return result;
}

/// The skewness of the ratio, as BCa takes it. A pulls the other way, being below the line.
double acceleration(const Blocks& a, const Blocks& b) {
  const Influence of_a = influence(a);
  const Influence of_b = influence(b);
  const double squares = of_a.squares + of_b.squares;
  return squares > 0 ? (of_b.cubes - of_a.cubes) / (6 * std::pow(squares, 1.5)) : 0;
}

/// The resamples below the estimate, ties half, as a normal deviate.
double bias(const std::vector<double>& sorted, double estimate) {
  const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), estimate);
  const double below = static_cast<double>(first - sorted.begin()) + static_cast<double>(last - first) / 2;
  const auto number = static_cast<double>(sorted.size());
  return normal_quantile(std::clamp(below / number, 0.5 / number, 1 - 0.5 / number));
}

double at_probability(const std::vector<double>& sorted, double probability) {
  const double place = probability * static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(place))];
}

}  // namespace

std::span<const float> BlockDraws::counts(Side side, std::size_t blocks) {
  auto& counts = counts_[{side, blocks}];
  if (!counts.empty()) return counts;
  counts.resize(blocks * kResamples);
  Random random(side == Side::kA ? 20261121 : 11212026);
  for (std::size_t resample = 0; resample < kResamples; ++resample) {
    for (std::size_t i = 0; i < blocks; ++i) counts[random.below(blocks) * kResamples + resample] += 1.0F;
  }
  return counts;
}

GrowthInterval growth_interval(BlockDraws& draws, const Blocks& a, const Blocks& b, double confidence) {
  const auto of_a = resampled_means(draws.counts(BlockDraws::Side::kA, a.sums.size()), a);
  const auto of_b = resampled_means(draws.counts(BlockDraws::Side::kB, b.sums.size()), b);
  std::vector<double> grown(BlockDraws::kResamples);
  for (std::size_t i = 0; i < grown.size(); ++i) grown[i] = growth(of_a[i], of_b[i]);
  std::sort(grown.begin(), grown.end());
  GrowthInterval interval;
  interval.estimate = growth(total(a.sums) / total(a.sizes), total(b.sums) / total(b.sizes));
  // The resamples are of single precision; a constant must not look biased by its rounding.
  if (grown.back() - grown.front() < 1e-5) return {interval.estimate, interval.estimate, interval.estimate};
  const double z0 = bias(grown, interval.estimate);
  const double skew = acceleration(a, b);
  const auto bound = [&](double probability) {
    const double z = z0 + normal_quantile(probability);
    return at_probability(grown, normal_probability(z0 + z / (1 - skew * z)));
  };
  interval.low = bound((1 - confidence) / 2);
  interval.high = bound((1 + confidence) / 2);
  return interval;
}

}  // namespace headroom::perf
