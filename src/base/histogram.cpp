#include "base/histogram.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace headroom::base {

namespace {

constexpr unsigned kSubBits = 3;  // 8 buckets an octave

/// Values below 8 us have a bucket of their own; above, the top three bits below the leading one choose it.
std::size_t bucket_of(std::uint64_t value) {
  if (value < (1U << kSubBits)) return static_cast<std::size_t>(value);
  const auto octave = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
  const auto sub = (value >> octave) & ((1U << kSubBits) - 1);
  return std::min<std::size_t>(((octave + 1) << kSubBits) + sub, Histogram::kBuckets - 1);
}

std::uint64_t upper_edge(std::size_t bucket) {
  if (bucket < (1U << kSubBits)) return bucket;
  const auto octave = (bucket >> kSubBits) - 1;
  const auto sub = bucket & ((1U << kSubBits) - 1);
  return ((((1ULL << kSubBits) + sub + 1) << octave)) - 1;
}

}  // namespace

void Histogram::add(Microseconds value) {
  auto& bucket = buckets_[bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0)))];
  if (bucket != std::numeric_limits<std::uint32_t>::max()) ++bucket;
  ++count_;
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t sum = std::uint64_t{buckets_[i]} + other.buckets_[i];
    buckets_[i] =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
  }
  count_ += other.count_;
}

Microseconds Histogram::quantile(double q) const {
  if (count_ == 0) return Microseconds{0};
  const auto wanted = std::max<std::int64_t>(1, std::llround(q * static_cast<double>(count_)));
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return Microseconds{static_cast<std::int64_t>(upper_edge(i))};
  }
  return Microseconds{static_cast<std::int64_t>(upper_edge(kBuckets - 1))};
}

std::string Histogram::encode() const {
  std::string text;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (buckets_[i] != 0)
      fmt::format_to(std::back_inserter(text), "{}{}:{}", text.empty() ? "" : ",", i, buckets_[i]);
  }
  return text;
}

Result<Histogram> Histogram::decode(std::string_view text) {
  Histogram histogram;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::size_t bucket = 0;
    std::uint32_t number = 0;
    const auto [colon, first_error] = std::from_chars(at, end, bucket);
    if (first_error != std::errc{} || colon == end || *colon != ':' || bucket >= kBuckets) break;
    const auto [stop, second_error] = std::from_chars(colon + 1, end, number);
    if (second_error != std::errc{} || (stop != end && (*stop != ',' || stop + 1 == end))) break;
    histogram.buckets_[bucket] += number;
    histogram.count_ += number;
    at = stop == end ? end : stop + 1;
    if (at == end) return histogram;
  }
  if (text.empty()) return histogram;
  return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no histogram", text.substr(0, 60)));
}

}  // namespace headroom::base
