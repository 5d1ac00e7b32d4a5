#include "worklist/impl/row_keys.hpp"

namespace headroom::worklist::impl {

namespace {

/// Pages that may be thin: a small catalog is not worth a table.
constexpr std::size_t kFreePages = 64;
/// A table costs as much as so many slots.
constexpr std::size_t kSlotsOfAnEntry = 4;

}  // namespace

RowKeys::RowKeys(Type type)
    : type_(type),
      paged_(type == Type::kInteger || type == Type::kDate || type == Type::kTime),
      table_(type) {}

std::uint32_t RowKeys::find(const Value& key) const {
  if (!paged_) return table_.find(key);
  if (!is_of(type_, key)) return kNone;
  const auto whole = std::get<std::int64_t>(key);
  const std::uint32_t page = pages_.find(page_of(whole));
  if (page == ValueTable::kNone) return kNone;
  return page * static_cast<std::uint32_t>(kPage) + place_of(whole);
}

std::uint32_t RowKeys::add(const Value& key) {
  if (!paged_) return table_.add(key);
  const auto whole = std::get<std::int64_t>(key);
  const std::uint32_t page = pages_.add(page_of(whole));
  if (pages_.size() * kPage > kNone) return kNone;
  return page * static_cast<std::uint32_t>(kPage) + place_of(whole);
}

void RowKeys::remove(std::uint32_t slot) {
  if (!paged_) table_.remove(slot);
}

std::size_t RowKeys::slots() const {
  return paged_ ? pages_.size() * kPage : table_.places();
}

Value RowKeys::key(std::uint32_t slot) const {
  if (!paged_) return table_.value(slot);
  return pages_.number(static_cast<std::uint32_t>(slot / kPage)) * static_cast<std::int64_t>(kPage) +
         static_cast<std::int64_t>(slot % kPage);
}

std::size_t RowKeys::bytes() const {
  return pages_.bytes() + table_.bytes();
}

bool RowKeys::is_thin(std::size_t documents) const {
  return paged_ && pages_.size() * kPage > kSlotsOfAnEntry * documents + kFreePages * kPage;
}

void RowKeys::make_table(const std::vector<std::uint32_t>& taken) {
  for (const std::uint32_t slot : taken) table_.add(key(slot));
  paged_ = false;
  pages_ = ValueTable(Type::kInteger);
}

}  // namespace headroom::worklist::impl
