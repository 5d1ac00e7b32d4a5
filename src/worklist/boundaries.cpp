#include "worklist/boundaries.hpp"

#include <algorithm>

namespace headroom::worklist {

namespace {

constexpr std::int64_t kHour = 3'600'000'000;
constexpr std::int64_t kDay = 24 * kHour;
/// Fewer are not worth a walk.
constexpr std::size_t kLeastLeft = 64;

base::UtcTime at(std::int64_t microseconds) {
  return base::UtcTime{base::Microseconds{microseconds}};
}

base::UtcTime midnight_after(base::UtcTime now) {
  return at((std::chrono::floor<std::chrono::days>(now).time_since_epoch().count() + 1) * kDay);
}

}  // namespace

Boundaries::Boundaries(Type type) : width_(type == Type::kTime ? kHour : 1) {}

std::int64_t Boundaries::bucket_of(std::int64_t value) const {
  const std::int64_t quotient = value / width_;
  return value % width_ < 0 ? quotient - 1 : quotient;
}

void Boundaries::put(std::int64_t value, std::uint32_t slot) {
  buckets_[bucket_of(value)].slots.push_back(slot);
}

void Boundaries::remove(std::int64_t value, const Holds& holds) {
  const auto found = buckets_.find(bucket_of(value));
  if (found == buckets_.end()) return;
  Bucket& bucket = found->second;
  ++bucket.left;
  if (bucket.left < kLeastLeft && bucket.left < bucket.slots.size()) return;
  if (bucket.left * 2 > bucket.slots.size()) forget_left(found->first, bucket, holds);
  if (bucket.slots.empty()) buckets_.erase(found);
}

void Boundaries::forget_left(std::int64_t number, Bucket& bucket, const Holds& holds) const {
  std::sort(bucket.slots.begin(), bucket.slots.end());
  bucket.slots.erase(std::unique(bucket.slots.begin(), bucket.slots.end()), bucket.slots.end());
  std::erase_if(bucket.slots, [&](std::uint32_t slot) {
    const auto value = holds(slot);
    return !value || bucket_of(*value) != number;
  });
  bucket.slots.shrink_to_fit();
  bucket.left = 0;
}

std::optional<std::int64_t> Boundaries::first_from(std::int64_t from, const Holds& holds) const {
  for (auto bucket = buckets_.lower_bound(bucket_of(from)); bucket != buckets_.end(); ++bucket) {
    std::optional<std::int64_t> first;
    for (const std::uint32_t slot : bucket->second.slots) {
      const auto value = holds(slot);
      if (!value || *value < from || bucket_of(*value) != bucket->first) continue;
      if (!first || *value < *first) first = value;
    }
    if (first) return first;
  }
  return std::nullopt;
}

void Boundaries::visit(std::int64_t from, std::int64_t to, const Holds& holds,
                       const std::function<void(std::uint32_t)>& told) const {
  for (auto bucket = buckets_.lower_bound(bucket_of(from)); bucket != buckets_.end(); ++bucket) {
    if (bucket->first > bucket_of(to)) return;
    for (const std::uint32_t slot : bucket->second.slots) {
      const auto value = holds(slot);
      if (value && *value >= from && *value <= to) told(slot);
    }
  }
}

std::size_t Boundaries::bytes() const {
  constexpr std::size_t kNode = 80;
  std::size_t bytes = buckets_.size() * kNode;
  for (const auto& [number, bucket] : buckets_) bytes += bucket.slots.capacity() * sizeof(std::uint32_t);
  return bytes;
}

std::optional<base::UtcTime> next_change(
    Type type, const Operand& operand, base::UtcTime now,
    const std::function<std::optional<std::int64_t>(std::int64_t from)>& first_from) {
  const auto* moment = std::get_if<Moment>(&operand);
  if (moment == nullptr) return std::nullopt;
  // The last day of a month and its midnight are where months are no straight line.
  const bool by_days = moment->base == Moment::Base::kToday || moment->unit >= Unit::kMonth;
  const std::int64_t told = now.time_since_epoch().count();
  const std::int64_t value = std::get<std::int64_t>(resolve(type, operand, now));
  if (type == Type::kDate && !by_days) {
    const std::int64_t offset = std::get<std::int64_t>(resolve(Type::kTime, operand, now)) - told;
    return at((value + 1) * kDay - offset);
  }
  std::optional<base::UtcTime> next;
  if (by_days) next = midnight_after(now);
  if (type == Type::kDate || moment->base == Moment::Base::kToday) return next;
  // A value is another part of the column than those below and those above: reaching it counts, and leaving.
  const auto first = first_from(value);
  if (!first) return next;
  const base::UtcTime reached = at(*first == value ? told + 1 : told + (*first - value));
  return next ? std::min(*next, reached) : reached;
}

}  // namespace headroom::worklist
