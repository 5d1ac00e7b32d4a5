#include "worklist/live_counters.hpp"

#include <algorithm>
#include <limits>

namespace headroom::worklist {

namespace {

using base::fail;

constexpr std::size_t kMostSlots = std::numeric_limits<std::uint32_t>::max() - 1;

/// Security uids first: the first level is the one that needs no exclusion, and most documents are seen by
/// their uid.
std::vector<std::size_t> order_of_levels(const Catalog& catalog) {
  std::vector<std::size_t> order;
  for (const bool of_user : {false, true}) {
    for (std::size_t i = 0; i < catalog.security.size(); ++i) {
      if (catalog.security[i].role.empty() != of_user) order.push_back(i);
    }
  }
  return order;
}

}  // namespace

std::vector<CountedList> counted_lists(const Definitions& definitions, std::size_t catalog,
                                       base::UtcTime now) {
  std::vector<CountedList> lists;
  for (const WorkList& list : definitions.lists) {
    if (list.catalog != catalog) continue;
    CountedList counted{{}, list.roles};
    for (const Criterion& criterion : list.criteria) {
      const Type type = definitions.catalogs[catalog].columns[criterion.column].type;
      counted.tests.push_back(resolve(type, criterion, now));
    }
    lists.push_back(std::move(counted));
  }
  return lists;
}

std::size_t LiveCounters::HashCodes::operator()(const std::vector<Code>& codes) const {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (const Code code : codes) {
    hash = (hash ^ code) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

LiveCounters::LiveCounters(const Catalog& catalog) : catalog_(catalog), columns_(catalog.columns.size()) {
  for (const std::size_t security : order_of_levels(catalog)) levels_.push_back({security, {}, {}});
}

// Definitions
// ---------------------------------------------------------------------------------------------------------

void LiveCounters::set_lists(std::vector<CountedList> lists) {
  lists_ = std::move(lists);
  classify_columns();
  recount();
}

void LiveCounters::classify_columns() {
  asked_.clear();
  tests_.assign(lists_.size(), {});
  const bool held_keys = is_held(catalog_.key);
  for (std::size_t i = 0; i < columns_.size(); ++i) classify_column(i);
  if (!held_keys && is_held(catalog_.key)) hold_keys();
}

void LiveCounters::classify_column(std::size_t place) {
  std::map<ColumnTest, std::size_t> places;
  std::vector<ColumnTest> tests;
  std::vector<std::optional<std::size_t>> test_of_list(lists_.size());
  for (std::size_t list = 0; list < lists_.size(); ++list) {
    for (const ColumnTest& test : lists_[list].tests) {
      if (test.column != place) continue;
      const auto [found, added] = places.emplace(test, tests.size());
      if (added) tests.push_back(test);
      test_of_list[list] = found->second;
    }
  }
  ColumnValues& column = columns_[place];
  column.asked = !tests.empty();
  if (!column.asked) return;
  asked_.push_back(place);
  for (std::size_t list = 0; list < lists_.size(); ++list) tests_[list].push_back(test_of_list[list]);
  column.classes = classify(catalog_.columns[place].type, tests);
  column.class_of_code.clear();
  for (const Value& value : column.values)
    column.class_of_code.push_back(worklist::class_of(column.classes, value));
}

void LiveCounters::hold_keys() {
  ColumnValues& column = columns_[catalog_.key];
  for (const auto& [key, slot] : slots_) column.code_of_slot[slot] = code_of(column, key);
}

void LiveCounters::recount() {
  known_classes_.clear();
  classes_.clear();
  total_.clear();
  for (Level& level : levels_) {
    level.counts.clear();
    level.cells.clear();
  }
  for (const auto& [key, slot] : slots_) {
    class_of_slot_[slot] = class_of_slot(slot);
    apply(slot, Change::kMore);
  }
}

// Documents
// ---------------------------------------------------------------------------------------------------------

LiveCounters::Code LiveCounters::code_of(ColumnValues& column, const Value& value) {
  if (is_null(value)) return 0;
  const auto [found, added] = column.codes.emplace(value, static_cast<Code>(column.values.size()));
  if (!added) return found->second;
  column.values.push_back(value);
  if (column.asked) column.class_of_code.push_back(worklist::class_of(column.classes, value));
  return found->second;
}

std::uint32_t LiveCounters::class_of_slot(Slot slot) {
  std::vector<ClassId> classes;
  classes.reserve(asked_.size());
  for (const std::size_t column : asked_) {
    const ColumnValues& values = columns_[column];
    classes.push_back(values.class_of_code[values.code_of_slot[slot]]);
  }
  const auto found = known_classes_.find(classes);
  return found == known_classes_.end() ? make_class(classes) : found->second;
}

std::uint32_t LiveCounters::make_class(const std::vector<ClassId>& classes) {
  DocumentClass made;
  for (std::size_t list = 0; list < lists_.size(); ++list) {
    bool accepted = true;
    for (std::size_t i = 0; i < asked_.size() && accepted; ++i) {
      const auto& test = tests_[list][i];
      if (!test) continue;
      const auto& ids = columns_[asked_[i]].classes.accepted[*test];
      accepted = std::binary_search(ids.begin(), ids.end(), classes[i]);
    }
    if (accepted) made.lists.push_back(static_cast<std::uint32_t>(list));
  }
  const auto id = static_cast<std::uint32_t>(classes_.size());
  classes_.push_back(std::move(made));
  total_.push_back(0);
  known_classes_.emplace(classes, id);
  return id;
}

Result<void> LiveCounters::put(std::span<const Value> row) {
  const auto found = slots_.find(row[catalog_.key]);
  Slot slot = 0;
  if (found != slots_.end()) {
    slot = found->second;
    apply(slot, Change::kLess);
  } else if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
    slots_.emplace(row[catalog_.key], slot);
  } else {
    if (class_of_slot_.size() >= kMostSlots)
      return fail(ErrorCode::kTooLarge, "more documents than can be counted");
    slot = static_cast<Slot>(class_of_slot_.size());
    class_of_slot_.push_back(0);
    for (ColumnValues& column : columns_) column.code_of_slot.push_back(0);
    slots_.emplace(row[catalog_.key], slot);
  }
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (is_held(i)) columns_[i].code_of_slot[slot] = code_of(columns_[i], row[i]);
  }
  class_of_slot_[slot] = class_of_slot(slot);
  apply(slot, Change::kMore);
  return {};
}

bool LiveCounters::remove(const Value& key) {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return false;
  apply(found->second, Change::kLess);
  free_.push_back(found->second);
  slots_.erase(found);
  return true;
}

void LiveCounters::clear() {
  slots_.clear();
  free_.clear();
  class_of_slot_.clear();
  for (ColumnValues& column : columns_) column = {};
  classify_columns();
  recount();
}

std::optional<std::vector<Value>> LiveCounters::row(const Value& key) const {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return std::nullopt;
  std::vector<Value> values;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    values.push_back(is_held(i) ? columns_[i].values[columns_[i].code_of_slot[found->second]] : key);
  return values;
}

LiveCounters::Code LiveCounters::code_at(const Level& level, Slot slot) const {
  return columns_[catalog_.security[level.security].column].code_of_slot[slot];
}

void LiveCounters::apply(Slot slot, Change change) {
  const std::uint32_t document_class = class_of_slot_[slot];
  if (classes_[document_class].lists.empty()) return;
  const auto by = static_cast<std::uint32_t>(static_cast<std::int32_t>(change));
  total_[document_class] += static_cast<std::uint64_t>(static_cast<std::int64_t>(change));
  std::vector<Code> cell{document_class};
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    Level& level = levels_[i];
    const Code code = code_at(level, slot);
    if (code != 0 && i == 0) {
      if (level.counts.size() <= code) level.counts.resize(code + 1);
      auto& counts = level.counts[code];
      if (counts.size() <= document_class) counts.resize(document_class + 1);
      counts[document_class] += by;
    } else if (code != 0) {
      if (level.cells.size() <= code) level.cells.resize(code + 1);
      auto& count = level.cells[code][cell];
      count += by;
      if (count == 0) level.cells[code].erase(cell);
    }
    cell.push_back(code);
  }
}

// Counts
// ---------------------------------------------------------------------------------------------------------

std::vector<LiveCounters::Code> LiveCounters::granted_codes(const Scope& scope, const Level& level) const {
  std::vector<Code> codes;
  const ColumnValues& column = columns_[catalog_.security[level.security].column];
  for (const Grant& grant : scope.grants) {
    if (grant.security != level.security) continue;
    for (const Value& value : grant.values) {
      if (const auto found = column.codes.find(value); found != column.codes.end())
        codes.push_back(found->second);
    }
  }
  std::sort(codes.begin(), codes.end());
  return codes;
}

void LiveCounters::add_first_level(const std::vector<Code>& granted,
                                   std::vector<std::uint64_t>& counts) const {
  for (const Code code : granted) {
    if (code >= levels_.front().counts.size()) continue;
    const auto& by_class = levels_.front().counts[code];
    for (std::size_t i = 0; i < by_class.size(); ++i) counts[i] += by_class[i];
  }
}

void LiveCounters::add_level(std::size_t place, const std::vector<std::vector<Code>>& granted,
                             std::vector<std::uint64_t>& counts) const {
  const auto is_counted_before = [&](const std::vector<Code>& cell) {
    for (std::size_t i = 0; i < place; ++i) {
      if (std::binary_search(granted[i].begin(), granted[i].end(), cell[i + 1])) return true;
    }
    return false;
  };
  for (const Code code : granted[place]) {
    if (code >= levels_[place].cells.size()) continue;
    for (const auto& [cell, count] : levels_[place].cells[code]) {
      if (!is_counted_before(cell)) counts[cell.front()] += count;
    }
  }
}

std::vector<std::uint64_t> LiveCounters::class_counts(const Scope& scope) const {
  if (scope.everything) return total_;
  std::vector<std::uint64_t> counts(classes_.size());
  std::vector<std::vector<Code>> granted;
  for (const Level& level : levels_) granted.push_back(granted_codes(scope, level));
  add_first_level(granted.front(), counts);
  for (std::size_t i = 1; i < levels_.size(); ++i) add_level(i, granted, counts);
  return counts;
}

Result<std::vector<std::uint64_t>> LiveCounters::count(const User& user) const {
  std::map<std::set<std::string>, std::vector<std::size_t>> lists_of;
  for (std::size_t i = 0; i < lists_.size(); ++i) lists_of[lists_[i].roles].push_back(i);
  std::vector<std::uint64_t> counts(lists_.size());
  for (const auto& [roles, lists] : lists_of) {
    const auto scope = scope_of(catalog_, roles, user);
    if (!scope) return fail(scope.error());
    const auto by_class = class_counts(*scope);
    for (std::size_t i = 0; i < classes_.size(); ++i) {
      if (by_class[i] == 0) continue;
      for (const std::uint32_t list : classes_[i].lists) {
        if (lists_[list].roles == roles) counts[list] += by_class[i];
      }
    }
  }
  return counts;
}

LiveCounters::Size LiveCounters::size() const {
  Size size{slots_.size(), classes_.size(), 0};
  for (const ColumnValues& column : columns_) size.values += column.values.size() - 1;
  return size;
}

}  // namespace headroom::worklist
