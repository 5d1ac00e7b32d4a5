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

/// The whole text as a number, or nullopt.
template <typename Number>
std::optional<Number> parse(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void Histogram::add(Microseconds value) {
  const auto microseconds = std::max<std::int64_t>(value.count(), 0);
  auto& bucket = buckets_[bucket_of(static_cast<std::uint64_t>(microseconds))];
  if (bucket != std::numeric_limits<std::uint32_t>::max()) ++bucket;
  ++count_;
  longest_ = std::max(longest_, microseconds);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t sum = std::uint64_t{buckets_[i]} + other.buckets_[i];
    buckets_[i] =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
  }
  count_ += other.count_;
  longest_ = std::max(longest_, other.longest_);
}

std::optional<Microseconds> Histogram::longest() const {
  if (count_ == 0 || longest_ == kUnknown) return std::nullopt;
  return Microseconds{longest_};
}

Microseconds Histogram::quantile(double q) const {
  if (count_ == 0) return Microseconds{0};
  const auto wanted = std::max<std::int64_t>(1, std::llround(q * static_cast<double>(count_)));
  std::int64_t seen = 0;
  std::size_t bucket = 0;
  for (; bucket + 1 < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) break;
  }
  return Microseconds{std::min(static_cast<std::int64_t>(upper_edge(bucket)), longest_)};
}

std::string Histogram::encode() const {
  std::string text;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (buckets_[i] != 0)
      fmt::format_to(std::back_inserter(text), "{}{}:{}", text.empty() ? "" : ",", i, buckets_[i]);
  }
  if (const auto known = longest()) fmt::format_to(std::back_inserter(text), ",max:{}", known->count());
  return text;
}

bool Histogram::read_part(std::string_view part) {
  const std::size_t colon = part.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view value = part.substr(colon + 1);
  if (part.substr(0, colon) == "max") {
    longest_ = parse<std::int64_t>(value).value_or(-1);
    return longest_ >= 0;
  }
  const auto bucket = parse<std::size_t>(part.substr(0, colon));
  const auto number = parse<std::uint32_t>(value);
  if (!bucket || !number || *bucket >= kBuckets) return false;
  buckets_[*bucket] += *number;
  count_ += *number;
  return true;
}

Result<Histogram> Histogram::decode(std::string_view text) {
  Histogram histogram;
  if (text.empty()) return histogram;
  histogram.longest_ = kUnknown;
  std::string_view rest = text;
  for (;;) {
    const std::size_t comma = rest.find(',');
    if (!histogram.read_part(rest.substr(0, comma)))
      return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no histogram", text.substr(0, 60)));
    if (comma == std::string_view::npos) return histogram;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace headroom::base
