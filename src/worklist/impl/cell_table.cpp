#include "worklist/impl/cell_table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace headroom::worklist::impl {

namespace {

constexpr std::size_t kLeastPlaces = 4;
/// A table of cells takes twice the room of a number in an array, and more than twice its time.
constexpr std::size_t kDenseShare = 4;

bool is_dense(std::size_t used, std::size_t classes) {
  return used * kDenseShare >= classes;
}

}  // namespace

// Cells
// ---------------------------------------------------------------------------------------------------------

std::size_t CellTable::home(const std::uint32_t* key) const {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (std::uint32_t i = 0; i < words_; ++i) hash = (hash ^ key[i]) * 0xff51afd7ed558ccd;
  hash ^= hash >> 32U;
  return static_cast<std::size_t>(((hash & 0xffffffffU) * places()) >> 32U);
}

std::size_t CellTable::place_of(const std::uint32_t* key) const {
  std::size_t place = home(key);
  while (cell(place)[words_] != 0 && std::memcmp(cell(place), key, words_ * sizeof(std::uint32_t)) != 0)
    place = place + 1 == places() ? 0 : place + 1;
  return place;
}

void CellTable::add(const std::uint32_t* key, std::uint32_t by) {
  if (places() == 0) reset(kLeastPlaces);
  std::size_t place = place_of(key);
  if (cell(place)[words_] == 0) {
    if ((used_ + 1U) * 8U > places() * 7U) {
      resize(std::max(places() + places() / 2, kLeastPlaces));
      place = place_of(key);
    }
    std::copy_n(key, words_, cell(place));
    ++used_;
  }
  cell(place)[words_] += by;
}

void CellTable::subtract(const std::uint32_t* key, std::uint32_t by) {
  if (places() == 0) return;
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
  while (true) {
    next = next + 1 == places() ? 0 : next + 1;
    if (cell(next)[words_] == 0) break;
    const std::size_t from_home = (next + places() - home(cell(next))) % places();
    const std::size_t from_hole = (next + places() - hole) % places();
    if (from_home < from_hole) continue;
    std::copy_n(cell(next), words_ + 1U, cell(hole));
    hole = next;
  }
  cell(hole)[words_] = 0;
}

void CellTable::reset(std::size_t places) {
  cells_.assign(places * (words_ + 1U), 0);
  used_ = 0;
}

void CellTable::resize(std::size_t places) {
  CellTable larger(words_);
  larger.reset(places);
  visit([&larger](const std::uint32_t* key, std::uint32_t count) {
    std::uint32_t* to = larger.cell(larger.place_of(key));
    std::copy_n(key, larger.words_, to);
    to[larger.words_] = count;
    ++larger.used_;
  });
  *this = std::move(larger);
}

void CellTable::assign(std::span<const std::uint32_t> keys, CellTable& scratch) {
  const std::size_t most = keys.size() / words_;
  scratch.reset(most + most / 4 + kLeastPlaces);
  for (std::size_t at = 0; at < keys.size(); at += words_) scratch.add(&keys[at], 1);
  // Bytes of its own: what was larger before is given back.
  CellTable exact(words_);
  exact.used_ = scratch.used_;
  if (exact.used_ > 0) {
    exact.cells_.assign((exact.used_ + exact.used_ / 4 + 1U) * (words_ + 1U), 0);
    scratch.visit([&exact](const std::uint32_t* key, std::uint32_t count) {
      std::uint32_t* to = exact.cell(exact.place_of(key));
      std::copy_n(key, exact.words_, to);
      to[exact.words_] = count;
    });
  }
  *this = std::move(exact);
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
