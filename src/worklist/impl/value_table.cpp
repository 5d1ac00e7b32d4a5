#include "worklist/impl/value_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

namespace headroom::worklist::impl {

namespace {

constexpr std::size_t kLeastEntries = 16;
/// Texts stand in pages, at multiples of 4 bytes: 18 bits of a reference are the place there, 14 the page.
constexpr std::size_t kGrain = 4;
constexpr unsigned kPlaceBits = 18;
constexpr std::size_t kPageBytes = kGrain << kPlaceBits;
constexpr std::size_t kMostPages = std::size_t{1} << (32U - kPlaceBits);
constexpr std::size_t kLeastDropped = std::size_t{1} << 20U;

std::size_t room_of(std::string_view text) {
  return (sizeof(std::uint32_t) + text.size() + kGrain - 1) / kGrain * kGrain;
}

}  // namespace

bool is_of(Type type, const Value& value) {
  switch (type) {
    case Type::kText:
      return std::holds_alternative<std::string>(value);
    case Type::kBoolean:
      return std::holds_alternative<bool>(value);
    case Type::kNumber:
      return std::holds_alternative<double>(value);
    default:
      return std::holds_alternative<std::int64_t>(value);
  }
}

ValueTable::Held ValueTable::held(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return {0, *text};
  if (const auto* flag = std::get_if<bool>(&value)) return {*flag ? 1 : 0, {}};
  // 0 and -0 are one number.
  if (const auto* real = std::get_if<double>(&value))
    return {std::bit_cast<std::int64_t>(*real == 0 ? 0.0 : *real), {}};
  return {std::get<std::int64_t>(value), {}};
}

std::uint64_t ValueTable::hash(const Held& held) const {
  std::uint64_t bits = is_text() ? std::hash<std::string_view>{}(held.text)
                                 : static_cast<std::uint64_t>(held.number) + 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31U);
}

ValueTable::Held ValueTable::at(std::uint32_t place) const {
  if (is_text()) return {0, text_at(references_[place])};
  return {numbers_[place], {}};
}

bool ValueTable::is_at(std::uint32_t place, const Held& wanted) const {
  return is_text() ? text_at(references_[place]) == wanted.text : numbers_[place] == wanted.number;
}

std::size_t ValueTable::home(const Held& held) const {
  return static_cast<std::size_t>(((hash(held) >> 32U) * table_.size()) >> 32U);
}

std::size_t ValueTable::entry_of(const Held& wanted) const {
  std::size_t entry = home(wanted);
  while (table_[entry] != 0 && !is_at(table_[entry] - 1, wanted))
    entry = entry + 1 == table_.size() ? 0 : entry + 1;
  return entry;
}

std::uint32_t ValueTable::find(const Value& value) const {
  if (table_.empty() || !is_of(type_, value)) return kNone;
  const std::uint32_t found = table_[entry_of(held(value))];
  return found == 0 ? kNone : found - 1;
}

std::uint32_t ValueTable::add(const Value& value) {
  const Held wanted = held(value);
  if ((size() + 1) * 8 > table_.size() * 7)
    resize_table(std::max(table_.size() + table_.size() / 2, kLeastEntries));
  const std::size_t entry = entry_of(wanted);
  if (table_[entry] != 0) return table_[entry] - 1;
  const auto place = free_.empty() ? static_cast<std::uint32_t>(places_) : free_.back();
  if (place >= kNone - 1) return kNone;
  if (is_text()) {
    const std::uint32_t reference = keep_text(wanted.text);
    if (reference == kNone) return kNone;
    if (place == places_) references_.resize(places_ + 1);
    references_.set(place, reference);
  } else {
    if (place == places_) numbers_.resize(places_ + 1);
    numbers_.set(place, wanted.number);
  }
  if (free_.empty()) {
    ++places_;
    taken_.push_back(true);
  } else {
    free_.pop_back();
    taken_[place] = true;
  }
  table_[entry] = place + 1;
  return place;
}

/// Entries behind it that would not be found across the hole move up.
void ValueTable::remove(std::uint32_t place) {
  std::size_t hole = entry_of(at(place));
  std::size_t next = hole;
  while (true) {
    next = next + 1 == table_.size() ? 0 : next + 1;
    if (table_[next] == 0) break;
    const std::size_t from_home = (next + table_.size() - home(at(table_[next] - 1))) % table_.size();
    const std::size_t from_hole = (next + table_.size() - hole) % table_.size();
    if (from_home < from_hole) continue;
    table_[hole] = table_[next];
    hole = next;
  }
  table_[hole] = 0;
  free_.push_back(place);
  taken_[place] = false;
  if (is_text()) drop_text(place);
}

Value ValueTable::value(std::uint32_t place) const {
  if (is_text()) return std::string(text_at(references_[place]));
  if (type_ == Type::kBoolean) return numbers_[place] != 0;
  if (type_ == Type::kNumber) return std::bit_cast<double>(numbers_[place]);
  return numbers_[place];
}

std::size_t ValueTable::bytes() const {
  std::size_t bytes =
      (free_.capacity() + table_.capacity()) * sizeof(std::uint32_t) + numbers_.bytes() + references_.bytes();
  for (const auto& page : texts_) bytes += page.capacity();
  return bytes;
}

void ValueTable::enter(std::uint32_t place) {
  table_[entry_of(at(place))] = place + 1;
}

void ValueTable::resize_table(std::size_t entries) {
  std::vector<std::uint32_t> before(entries);
  before.swap(table_);
  for (const std::uint32_t entry : before) {
    if (entry != 0) enter(entry - 1);
  }
}

// Texts
// ---------------------------------------------------------------------------------------------------------

std::uint32_t ValueTable::keep_text(std::string_view text) {
  const std::size_t room = room_of(text);
  if (texts_.empty() || texts_.back().size() + room > std::max(kPageBytes, texts_.back().capacity())) {
    if (texts_.size() == kMostPages) return kNone;
    texts_.emplace_back().reserve(std::max(kPageBytes, room));
  }
  std::vector<char>& page = texts_.back();
  const std::size_t begin = page.size();
  const auto length = static_cast<std::uint32_t>(text.size());
  page.resize(begin + room);
  std::memcpy(page.data() + begin, &length, sizeof length);
  std::memcpy(page.data() + begin + sizeof length, text.data(), text.size());
  text_bytes_ += room;
  return static_cast<std::uint32_t>((texts_.size() - 1) << kPlaceBits | begin / kGrain);
}

std::string_view ValueTable::text_at(std::uint32_t reference) const {
  const char* begin =
      texts_[reference >> kPlaceBits].data() + (reference & ((1U << kPlaceBits) - 1U)) * kGrain;
  std::uint32_t length = 0;
  std::memcpy(&length, begin, sizeof length);
  return {begin + sizeof length, length};
}

void ValueTable::drop_text(std::uint32_t place) {
  dropped_bytes_ += room_of(text_at(references_[place]));
  if (dropped_bytes_ > kLeastDropped && dropped_bytes_ * 2 > text_bytes_) compact_texts();
}

void ValueTable::compact_texts() {
  std::vector<std::vector<char>> before;
  before.swap(texts_);
  text_bytes_ = 0;
  dropped_bytes_ = 0;
  for (const std::uint32_t entry : table_) {
    if (entry == 0) continue;
    const std::uint32_t reference = references_[entry - 1];
    const char* begin =
        before[reference >> kPlaceBits].data() + (reference & ((1U << kPlaceBits) - 1U)) * kGrain;
    std::uint32_t length = 0;
    std::memcpy(&length, begin, sizeof length);
    references_.set(entry - 1, keep_text({begin + sizeof length, length}));
  }
}

}  // namespace headroom::worklist::impl
