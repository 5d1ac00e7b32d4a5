#include "worklist/impl/cell_table.hpp"

#include <algorithm>
#include <utility>

namespace headroom::worklist::impl {

namespace {

constexpr std::size_t kLeastPlaces = 4;
/// A table of cells takes twice the room of a number in an array, and more than twice its time.
constexpr std::size_t kDenseShare = 4;

bool is_dense(std::size_t used, std::size_t classes) {
  return used * kDenseShare >= classes;
}

/// Of a table that is made for so many cells.
std::size_t places_for(std::size_t used) {
  return used * 10 / 7 + kLeastPlaces;
}

}  // namespace

// Cells
// ---------------------------------------------------------------------------------------------------------

std::size_t CellTable::home(const std::uint32_t* key) const {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (std::uint32_t i = 0; i < words_; ++i) hash = (hash ^ key[i]) * 0xff51afd7ed558ccd;
  hash ^= hash >> 32U;
  return static_cast<std::size_t>(((hash & 0xffffffffU) * places_) >> 32U);
}

std::size_t CellTable::place_of(const std::uint32_t* key) const {
  std::size_t place = home(key);
  while (cell(place)[words_] != 0 && !is_at(place, key)) place = behind(place);
  return place;
}

/// There is room for one more.
void CellTable::put(const std::uint32_t* key, std::uint32_t by) {
  std::uint32_t* const to = cell(place_of(key));
  if (to[words_] == 0) {
    std::copy_n(key, words_, to);
    ++used_;
  }
  to[words_] += by;
}

void CellTable::add(const std::uint32_t* key, std::uint32_t by) {
  if ((used_ + 1U) * std::size_t{4} > places_ * std::size_t{3})
    resize(std::max(places_ + places_ / std::size_t{2}, kLeastPlaces));
  put(key, by);
}

void CellTable::subtract(const std::uint32_t* key, std::uint32_t by) {
  if (places_ == 0) return;
  const std::size_t place = place_of(key);
  std::uint32_t& count = cell(place)[words_];
  if (count == 0) return;
  count -= std::min(count, by);
  if (count == 0) erase(place);
}

/// Those behind it that would not be found across the hole move up.
void CellTable::erase(std::size_t place) {
  --used_;
  std::size_t hole = place;
  std::size_t next = place;
  const auto from = [this](std::size_t begin, std::size_t end) {
    return end >= begin ? end - begin : end + places_ - begin;
  };
  while (true) {
    next = behind(next);
    if (cell(next)[words_] == 0) break;
    if (from(home(cell(next)), next) < from(hole, next)) continue;
    std::copy_n(cell(next), words_ + 1U, cell(hole));
    hole = next;
  }
  cell(hole)[words_] = 0;
}

void CellTable::reset(std::size_t places) {
  cells_.assign(places * (words_ + 1U), 0);
  places_ = static_cast<std::uint32_t>(places);
  used_ = 0;
}

void CellTable::resize(std::size_t places) {
  CellTable other(words_);
  other.reset(places);
  visit([&other](const std::uint32_t* key, std::uint32_t count) { other.put(key, count); });
  *this = std::move(other);
}

void CellTable::assign(std::span<const std::uint32_t> keys) {
  *this = CellTable(words_);
  if (keys.empty()) return;
  reset(places_for(keys.size() / words_));
  for (std::size_t at = 0; at < keys.size(); at += words_) put(&keys[at], 1);
  // Where keys come again and again, much of it is empty.
  if (places_for(used_) * 5 / 4 < places_) resize(places_for(used_));
}

// Classes
// ---------------------------------------------------------------------------------------------------------

void ClassCounts::add(std::uint32_t document_class, std::size_t classes) {
  if (dense_.empty()) {
    sparse_.add(&document_class, 1);
    if (is_dense(sparse_.size(), classes)) make_dense(classes);
    return;
  }
  if (dense_.size() <= document_class) dense_.resize(classes);
  ++dense_[document_class];
}

void ClassCounts::subtract(std::uint32_t document_class) {
  if (dense_.empty()) return sparse_.subtract(&document_class, 1);
  --dense_[document_class];
}

void ClassCounts::make_dense(std::size_t classes) {
  dense_.assign(classes, 0);
  sparse_.visit([this](const std::uint32_t* key, std::uint32_t count) { dense_[*key] = count; });
  sparse_ = CellTable(1);
}

void ClassCounts::assign(std::span<const std::uint32_t> classes, std::vector<std::uint32_t>& scratch) {
  std::size_t used = 0;
  for (const std::uint32_t one : classes) used += scratch[one]++ == 0 ? 1 : 0;
  dense_.clear();
  dense_.shrink_to_fit();
  sparse_ = CellTable(1);
  if (is_dense(used, scratch.size())) {
    dense_ = scratch;
    std::fill(scratch.begin(), scratch.end(), 0);
    return;
  }
  for (const std::uint32_t one : classes) {
    if (scratch[one] != 0) sparse_.add(&one, std::exchange(scratch[one], 0));
  }
}

void ClassCounts::add_to(std::uint32_t* counts) const {
  for (std::size_t i = 0; i < dense_.size(); ++i) counts[i] += dense_[i];
  sparse_.visit([counts](const std::uint32_t* key, std::uint32_t count) { counts[*key] += count; });
}

}  // namespace headroom::worklist::impl
