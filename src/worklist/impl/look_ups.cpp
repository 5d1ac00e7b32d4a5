#include "worklist/impl/look_ups.hpp"

#include <algorithm>

namespace headroom::worklist::impl {

namespace {

std::vector<std::size_t> columns_of(const Catalog& catalog, std::size_t look_up) {
  std::vector<std::size_t> columns;
  for (std::size_t i = 0; i < catalog.columns.size(); ++i) {
    if (catalog.columns[i].look_up == look_up) columns.push_back(i);
  }
  return columns;
}

}  // namespace

// Rows
// ---------------------------------------------------------------------------------------------------------

LookUpRows::LookUpRows(const Catalog& catalog, std::size_t look_up)
    : by_(catalog.look_ups[look_up].by),
      type_(catalog.columns[by_].type),
      columns_(columns_of(catalog, look_up)),
      keys_(type_),
      codes_(columns_.size()) {}

bool LookUpRows::has(std::uint32_t place, std::span<const Code> codes) const {
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes_.get(place, i) != codes[i]) return false;
  }
  return true;
}

bool LookUpRows::put(const Value& key, std::span<const Code> codes) {
  const std::uint32_t place = keys_.add(key);
  if (place == kNone) return false;
  if (codes_.size() < keys_.places()) codes_.resize(keys_.places());
  for (std::size_t i = 0; i < codes.size(); ++i) codes_.set(place, i, codes[i]);
  return true;
}

void LookUpRows::clear() {
  keys_ = ValueTable(type_);
  codes_ = NarrowRows(columns_.size());
}

void LookUpRows::mark_used(std::size_t column, std::vector<bool>& used) const {
  visit([&](std::uint32_t place) { used[codes_.get(place, column)] = true; });
}

// Dependants
// ---------------------------------------------------------------------------------------------------------

void Dependants::change(Slot slot, Code before, Code now) {
  if (before == now) return;
  if (before != 0) leave(slot, before);
  if (now != 0) enter(slot, now);
}

void Dependants::enter(Slot slot, Code code) {
  if (first_.size() <= code) first_.resize(code + 1U);
  const std::size_t links = 2 * (std::size_t{slot} + 1);
  if (links_.size() < links) links_.resize(links);
  const Link behind = first_[code];
  if (behind != 0) set_previous(behind - 1, slot + 1);
  set_next(slot, behind);
  set_previous(slot, 0);
  first_[code] = slot + 1;
}

void Dependants::leave(Slot slot, Code code) {
  const Link before = previous(slot);
  const Link behind = next(slot);
  if (before != 0) set_next(before - 1, behind);
  if (before == 0) first_[code] = behind;
  if (behind != 0) set_previous(behind - 1, before);
}

void Dependants::clear() {
  first_ = {};
  links_ = {};
}

std::vector<Slot> Dependants::documents(Code code, std::size_t most) const {
  std::vector<Slot> found;
  for (Link link = code < first_.size() ? first_[code] : 0; link != 0 && found.size() < most;
       link = next(link - 1))
    found.push_back(link - 1);
  return found;
}

// All of a catalog
// ---------------------------------------------------------------------------------------------------------

LookUps::LookUps(const Catalog& catalog) : own_columns_(catalog.own_columns()) {
  places_.resize(catalog.columns.size() - own_columns_);
  for (std::size_t i = 0; i < catalog.look_ups.size(); ++i) {
    const LookUpRows& rows = rows_.emplace_back(catalog, i);
    if (!are_by(rows.by())) dependants_.emplace_back(rows.by());
    for (std::size_t column = 0; column < rows.columns().size(); ++column)
      places_[rows.columns()[column] - own_columns_] = {i, column};
  }
}

bool LookUps::are_by(std::size_t column) const {
  return std::any_of(dependants_.begin(), dependants_.end(),
                     [column](const Dependants& one) { return one.column() == column; });
}

void LookUps::fill(std::span<const Value> document, std::vector<Code>& codes) const {
  for (const LookUpRows& rows : rows_) {
    const std::uint32_t place = rows.find(document[rows.by()]);
    for (std::size_t i = 0; i < rows.columns().size(); ++i) codes[rows.columns()[i]] = rows.code(place, i);
  }
}

void LookUps::forget_documents() {
  for (Dependants& one : dependants_) one.clear();
}

std::vector<Slot> LookUps::documents(std::size_t column, Code code, std::size_t most) const {
  const auto found = std::find_if(dependants_.begin(), dependants_.end(),
                                  [column](const Dependants& one) { return one.column() == column; });
  return found == dependants_.end() ? std::vector<Slot>() : found->documents(code, most);
}

const LookUps::Place* LookUps::place_of(std::size_t column) const {
  return column < own_columns_ ? nullptr : &places_[column - own_columns_];
}

std::size_t LookUps::rows_of(std::size_t column) const {
  const Place* place = place_of(column);
  return place == nullptr ? 0 : rows_[place->look_up].size();
}

void LookUps::mark_used(std::size_t column, std::vector<bool>& used) const {
  if (const Place* place = place_of(column)) rows_[place->look_up].mark_used(place->column, used);
}

std::size_t LookUps::bytes() const {
  std::size_t bytes = 0;
  for (const LookUpRows& one : rows_) bytes += one.bytes();
  for (const Dependants& one : dependants_) bytes += one.bytes();
  return bytes;
}

}  // namespace headroom::worklist::impl
