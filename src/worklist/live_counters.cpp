#include "worklist/live_counters.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <functional>
#include <iterator>
#include <map>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "worklist/boundaries.hpp"
#include "worklist/impl/cell_table.hpp"
#include "worklist/impl/class_index.hpp"
#include "worklist/impl/column_classes.hpp"
#include "worklist/impl/row_keys.hpp"
#include "worklist/impl/value_table.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::CellTable;
using impl::ClassCounts;
using impl::ColumnClasses;
using impl::kBlock;
using impl::ListBits;
using impl::NarrowArray;
using impl::ValueTable;

using Code = std::uint32_t;
using Slot = std::uint32_t;
using ClassNumber = std::uint32_t;  ///< of documents; 0: no document

/// When more than this part of the documents move, all are counted anew.
constexpr std::size_t kFewMove = 8;
/// Values that no document has any more are forgotten when there are so many more than documents.
constexpr std::size_t kIdleValues = 65'536;
/// Classes that lists left behind are forgotten when there are so many more than at the last recount.
constexpr std::size_t kIdleClasses = 4'096;
/// More security columns and holders a catalog does not have.
constexpr std::size_t kMostLevels = 16;

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

/// `work(thread)` in so many threads, of which this one is the first.
void in_parallel(unsigned threads, const std::function<void(unsigned)>& work) {
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
}

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

Range part_of(std::size_t size, unsigned part, unsigned parts) {
  return {size * part / parts, size * (part + 1U) / parts};
}

bool is_relative(const Criterion& criterion) {
  return std::any_of(criterion.conditions.begin(), criterion.conditions.end(), [](const Condition& one) {
    return std::any_of(one.operands.begin(), one.operands.end(),
                       [](const Operand& operand) { return std::holds_alternative<Moment>(operand); });
  });
}

}  // namespace

std::vector<TimedList> timed_lists(const Definitions& definitions, std::size_t catalog) {
  std::vector<TimedList> lists;
  for (const WorkList& list : definitions.lists) {
    if (list.catalog == catalog) lists.push_back({list.criteria, list.roles});
  }
  return lists;
}

struct LiveCounters::Impl {
  struct HeldColumn {
    explicit HeldColumn(Type held_type) : type(held_type), values(held_type) {}

    Type type;
    ValueTable values;
    NarrowArray codes;  ///< by slot; 0 is NULL, else one more than the place in `values`
    bool is_security = false;
    ColumnClasses classes;
    /// By code. Of a column with `times`, only where it was just brought up to date.
    std::vector<std::uint32_t> class_of_code;
    /// Criteria with today or now: the list and what it asks.
    std::vector<std::pair<std::size_t, Criterion>> moving;
    std::optional<Boundaries> times;  ///< where there are such
  };

  /// Documents that all lists treat alike.
  struct DocumentClass {
    std::vector<std::uint32_t> tuple;  ///< the classes of its values, by asked column
    std::vector<std::uint32_t> lists;
    bool tracked = false;  ///< its documents are in the levels
  };

  /// A security column or, behind them, a holder: documents by its value.
  struct Level {
    bool is_holder = false;
    std::size_t number = 0;  ///< of Catalog::security or Catalog::holders
    std::size_t column = 0;
    std::vector<ClassCounts> counts;  ///< by code; of the first level
    /// By code; the key is the document's class and its codes in the levels before. Of the others.
    std::vector<CellTable> cells;
  };

  /// What a column's values were called before the lists changed.
  struct Before {
    bool asked = false;
    std::size_t place = 0;  ///< in tuples
    std::vector<std::uint32_t> class_of_code;
    std::size_t classes = 1;
  };

  enum class Change : std::uint8_t { kLess, kMore };

  Impl(const Catalog& made_of, unsigned most_threads)
      : catalog(made_of), threads(std::max(1U, most_threads)), keys(made_of.columns[made_of.key].type) {
    for (const Column& column : catalog.columns) columns.emplace_back(column.type);
    for (const std::size_t security : order_of_levels(catalog)) {
      levels.push_back({false, security, catalog.security[security].column, {}, {}});
    }
    for (std::size_t i = 0; i < catalog.holders.size(); ++i)
      levels.push_back({true, i, catalog.holders[i].column, {}, {}});
    for (const Level& level : levels) columns[level.column].is_security = true;
    classes.resize(1);
    total.resize(1);
  }

  // Columns
  // -------------------------------------------------------------------------------------------------------

  /// Keys have values of their own: they are held as codes only where that is asked for.
  [[nodiscard]] bool is_held(std::size_t column) const {
    return column != catalog.key || columns[column].classes.is_asked() || columns[column].is_security;
  }

  [[nodiscard]] static std::optional<std::int64_t> time_of(const HeldColumn& column, Code code) {
    if (code == 0) return std::nullopt;
    return column.values.number(code - 1);
  }

  [[nodiscard]] Boundaries::Holds holder(const HeldColumn& column) const {
    return [this, &column](Slot slot) -> std::optional<std::int64_t> {
      if (class_of_slot[slot] == 0) return std::nullopt;
      return time_of(column, column.codes[slot]);
    };
  }

  [[nodiscard]] static std::uint32_t class_of_value(const HeldColumn& column, Code code) {
    return column.classes.class_of(code == 0 ? Value{} : column.values.value(code - 1));
  }

  [[nodiscard]] static std::uint32_t value_class(const HeldColumn& column, Code code) {
    return column.times ? class_of_value(column, code) : column.class_of_code[code];
  }

  static void renew_codes(HeldColumn& column) {
    column.class_of_code.resize(column.classes.is_asked() ? column.values.places() + 1 : 0);
    for (Code code = 0; code < column.class_of_code.size(); ++code) {
      // Places that are free have nothing to read.
      if (code == 0 || column.values.is_taken(code - 1))
        column.class_of_code[code] = class_of_value(column, code);
    }
  }

  /// ValueTable::kNone: there is no room.
  static Code code_of(HeldColumn& column, const Value& value) {
    if (is_null(value)) return 0;
    const std::size_t known = column.values.size();
    const std::uint32_t place = column.values.add(value);
    if (place == ValueTable::kNone) return ValueTable::kNone;
    const Code code = place + 1;
    if (column.values.size() > known && column.classes.is_asked()) {
      if (column.class_of_code.size() <= code) column.class_of_code.resize(code + 1U);
      column.class_of_code[code] = column.classes.class_of(value);
    }
    return code;
  }

  void forget_idle_values(HeldColumn& column) {
    if (column.values.size() < 2 * documents + kIdleValues) return;
    std::vector<bool> used(column.values.places());
    for (Slot slot = 0; slot < column.codes.size(); ++slot) {
      const Code code = class_of_slot[slot] == 0 ? 0 : column.codes[slot];
      if (code != 0) used[code - 1] = true;
    }
    for (std::uint32_t place = 0; place < used.size(); ++place) {
      if (!used[place] && column.values.is_taken(place)) column.values.remove(place);
    }
  }

  // Lists
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::vector<std::optional<ColumnTest>> tests_of(std::size_t column) const {
    std::vector<std::optional<ColumnTest>> tests(role_of_list.size());
    for (std::size_t list = 0; list < lists.size(); ++list) {
      for (const ColumnTest& test : lists[list].tests) {
        if (test.column == column) tests[list] = test;
      }
    }
    for (const auto& [list, criterion] : columns[column].moving)
      tests[list] = resolve(columns[column].type, criterion, now);
    return tests;
  }

  void set_roles() {
    roles.clear();
    role_of_list.clear();
    for (const CountedList& list : lists) {
      auto found = std::find(roles.begin(), roles.end(), list.roles);
      if (found == roles.end()) found = roles.insert(roles.end(), list.roles);
      role_of_list.push_back(static_cast<std::size_t>(found - roles.begin()));
    }
  }

  void set_lists(std::vector<CountedList> counted, const std::vector<TimedList>& timed) {
    std::vector<Before> before = remember();
    lists = std::move(counted);
    set_roles();
    asked.clear();
    for (std::size_t i = 0; i < columns.size(); ++i) set_column(i, timed);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].classes.is_asked()) asked.push_back(i);
    }
    if (documents == 0 || classes.size() > 2 * classes_of_recount + kIdleClasses) return recount();
    reclassify(before);
  }

  [[nodiscard]] std::vector<Before> remember() {
    std::vector<Before> before(columns.size());
    for (std::size_t i = 0; i < asked.size(); ++i) {
      HeldColumn& column = columns[asked[i]];
      if (column.times) renew_codes(column);
      before[asked[i]] = {true, i, std::move(column.class_of_code), column.classes.size()};
    }
    return before;
  }

  void set_column(std::size_t place, const std::vector<TimedList>& timed) {
    HeldColumn& column = columns[place];
    const bool was_held = is_held(place);
    column.moving.clear();
    for (std::size_t list = 0; list < timed.size(); ++list) {
      for (const Criterion& criterion : timed[list].criteria) {
        if (criterion.column == place && is_relative(criterion)) column.moving.emplace_back(list, criterion);
      }
    }
    column.classes.set(column.type, tests_of(place));
    if (!was_held && is_held(place)) hold_keys(column);
    set_times(column);
    renew_codes(column);
  }

  void hold_keys(HeldColumn& column) {
    column.codes.resize(class_of_slot.size());
    for (Slot slot = 0; slot < class_of_slot.size(); ++slot) {
      if (class_of_slot[slot] != 0) column.codes.set(slot, code_of(column, keys.key(slot)));
    }
  }

  void set_times(HeldColumn& column) {
    if (column.moving.empty()) {
      column.times.reset();
      return;
    }
    if (column.times) return;
    column.times.emplace(column.type);
    for (Slot slot = 0; slot < class_of_slot.size(); ++slot) {
      const auto value = class_of_slot[slot] == 0 ? std::nullopt : time_of(column, column.codes[slot]);
      if (value) column.times->put(*value, slot);
    }
  }

  // Document classes
  // -------------------------------------------------------------------------------------------------------

  void set_layout() {
    std::vector<std::size_t> sizes;
    for (const std::size_t column : asked) sizes.push_back(columns[column].classes.size());
    index.reset(sizes);
  }

  [[nodiscard]] std::vector<std::uint32_t> lists_of(const std::vector<std::uint32_t>& tuple) const {
    ListBits bits((role_of_list.size() + 63) / 64, ~std::uint64_t{0});
    for (std::size_t i = 0; i < asked.size(); ++i) columns[asked[i]].classes.narrow(tuple[i], bits);
    std::vector<std::uint32_t> found;
    for (std::size_t word = 0; word < bits.size(); ++word) {
      for (std::uint64_t rest = bits[word]; rest != 0; rest &= rest - 1) {
        const auto list =
            static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
        if (list < role_of_list.size()) found.push_back(list);
      }
    }
    return found;
  }

  /// A tuple whose numbers outgrew their bits makes the index larger.
  void enter(const std::vector<std::uint32_t>& tuple, ClassNumber number) {
    for (std::size_t i = 0; i < tuple.size(); ++i) {
      if (index.has_room(i, tuple[i])) continue;
      set_layout();
      for (ClassNumber known = 1; known < classes.size(); ++known) {
        if (index.find(classes[known].tuple) == 0) index.add(classes[known].tuple, known);
      }
      return;
    }
    index.add(tuple, number);
  }

  ClassNumber make_class(std::vector<std::uint32_t> tuple) {
    DocumentClass made;
    made.lists = lists_of(tuple);
    made.tracked = !made.lists.empty();
    made.tuple = std::move(tuple);
    const auto number = static_cast<ClassNumber>(classes.size());
    classes.push_back(std::move(made));
    total.push_back(0);
    enter(classes.back().tuple, number);
    return number;
  }

  [[nodiscard]] bool has_room(const std::vector<std::uint32_t>& tuple) const {
    for (std::size_t i = 0; i < tuple.size(); ++i) {
      if (!index.has_room(i, tuple[i])) return false;
    }
    return true;
  }

  ClassNumber class_of_document(Slot slot) {
    tuple_scratch.clear();
    for (const std::size_t column : asked)
      tuple_scratch.push_back(value_class(columns[column], columns[column].codes[slot]));
    const ClassNumber found = has_room(tuple_scratch) ? index.find(tuple_scratch) : 0;
    return found == 0 ? make_class(tuple_scratch) : found;
  }

  // Documents
  // -------------------------------------------------------------------------------------------------------

  void apply(Slot slot, ClassNumber number, Change change) {
    if (!classes[number].tracked) return;
    total[number] += change == Change::kMore ? 1U : ~std::uint64_t{0};
    std::array<std::uint32_t, kMostLevels + 1> key{number};
    for (std::size_t i = 0; i < levels.size(); ++i) {
      Level& level = levels[i];
      const Code code = columns[level.column].codes[slot];
      key[i + 1] = code;
      if (code == 0) continue;
      if (i == 0) {
        if (level.counts.size() <= code) level.counts.resize(code + 1U);
        if (change == Change::kMore) {
          level.counts[code].add(number, classes.size());
        } else {
          level.counts[code].subtract(number);
        }
      } else {
        if (level.cells.size() <= code)
          level.cells.resize(code + 1U, CellTable(static_cast<std::uint32_t>(i) + 1U));
        if (change == Change::kMore) {
          level.cells[code].add(key.data(), 1);
        } else {
          level.cells[code].subtract(key.data(), 1);
        }
      }
    }
  }

  /// False: it is there already.
  bool move(Slot slot) {
    const ClassNumber from = class_of_slot[slot];
    const ClassNumber to = class_of_document(slot);
    if (from == to) return false;
    apply(slot, from, Change::kLess);
    class_of_slot.set(slot, to);
    apply(slot, to, Change::kMore);
    return true;
  }

  [[nodiscard]] Result<void> check(std::span<const Value> row) const {
    if (row.size() != columns.size()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("a document of catalog '{}' has {} values; expected {}", catalog.name,
                              row.size(), columns.size()));
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (is_null(row[i]) ? i != catalog.key : impl::is_of(columns[i].type, row[i])) continue;
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("catalog '{}': column '{}': a value is {}; expected one of type {}",
                              catalog.name, catalog.columns[i].name,
                              is_null(row[i]) ? "NULL" : "of another type", name(columns[i].type)));
    }
    return {};
  }

  Result<void> encode(std::span<const Value> row) {
    codes_scratch.assign(columns.size(), 0);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!is_held(i)) continue;
      codes_scratch[i] = code_of(columns[i], row[i]);
      if (codes_scratch[i] == ValueTable::kNone) {
        return fail(ErrorCode::kTooLarge,
                    fmt::format("catalog '{}': column '{}' has more values than can be held", catalog.name,
                                catalog.columns[i].name));
      }
    }
    return {};
  }

  void resize(std::size_t slots) {
    class_of_slot.resize(slots);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (is_held(i)) columns[i].codes.resize(slots);
    }
  }

  /// RowKeys::kNone: no slot is left.
  Slot new_slot(const Value& key) {
    if (keys.is_thin(documents)) make_table();
    const Slot slot = keys.add(key);
    if (slot != impl::RowKeys::kNone && keys.slots() > class_of_slot.size()) resize(keys.slots());
    return slot;
  }

  /// Slots become those of a table: all documents move together.
  void make_table() {
    std::vector<Slot> taken;
    for (Slot slot = 0; slot < class_of_slot.size(); ++slot) {
      if (class_of_slot[slot] != 0) taken.push_back(slot);
    }
    keys.make_table(taken);
    for (Slot to = 0; to < taken.size(); ++to) {
      class_of_slot.set(to, class_of_slot[taken[to]]);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (is_held(i)) columns[i].codes.set(to, columns[i].codes[taken[to]]);
      }
    }
    resize(taken.size());
    for (HeldColumn& column : columns) {
      column.times.reset();
      set_times(column);
    }
  }

  Result<void> put(std::span<const Value> row) {
    if (auto checked = check(row); !checked) return checked;
    for (HeldColumn& column : columns) forget_idle_values(column);
    if (auto encoded = encode(row); !encoded) return encoded;
    const Value& key = row[catalog.key];
    Slot slot = keys.find(key);
    const bool known = slot < class_of_slot.size() && class_of_slot[slot] != 0;
    if (known) {
      apply(slot, class_of_slot[slot], Change::kLess);
    } else {
      slot = new_slot(key);
      if (slot == impl::RowKeys::kNone)
        return fail(ErrorCode::kTooLarge, "more documents than can be counted");
      ++documents;
    }
    store(slot, known);
    const ClassNumber number = class_of_document(slot);
    class_of_slot.set(slot, number);
    apply(slot, number, Change::kMore);
    enter_times(slot);
    return {};
  }

  void store(Slot slot, bool known) {
    left_scratch.clear();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      HeldColumn& column = columns[i];
      if (!is_held(i)) continue;
      const Code before = known ? column.codes[slot] : 0;
      column.codes.set(slot, codes_scratch[i]);
      if (column.times && before != codes_scratch[i]) left_scratch.emplace_back(i, time_of(column, before));
    }
  }

  void enter_times(Slot slot) {
    for (const auto& [place, left] : left_scratch) {
      HeldColumn& column = columns[place];
      if (left) column.times->remove(*left, holder(column));
      if (const auto value = time_of(column, column.codes[slot])) column.times->put(*value, slot);
    }
  }

  [[nodiscard]] std::optional<std::vector<Value>> row(const Value& key) const {
    const Slot slot = keys.find(key);
    if (slot >= class_of_slot.size() || class_of_slot[slot] == 0) return std::nullopt;
    std::vector<Value> values;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Code code = is_held(i) ? columns[i].codes[slot] : 0;
      values.push_back(i == catalog.key ? key : code == 0 ? Value{} : columns[i].values.value(code - 1));
    }
    return values;
  }

  bool remove(const Value& key) {
    const Slot slot = keys.find(key);
    if (slot >= class_of_slot.size() || class_of_slot[slot] == 0) return false;
    apply(slot, class_of_slot[slot], Change::kLess);
    class_of_slot.set(slot, 0);
    --documents;
    keys.remove(slot);
    for (HeldColumn& column : columns) {
      if (!column.times) continue;
      if (const auto left = time_of(column, column.codes[slot])) column.times->remove(*left, holder(column));
    }
    return true;
  }

  // New lists over the documents that are there
  // -------------------------------------------------------------------------------------------------------

  struct Moves {
    std::vector<std::vector<std::uint8_t>> of_code;  ///< by column; empty: none
    std::vector<std::uint8_t> of_class;              ///< documents that no list wanted before

    [[nodiscard]] bool none() const {
      const auto is_empty = [](const auto& one) { return one.empty(); };
      return std::all_of(of_code.begin(), of_code.end(), is_empty) &&
             std::count(of_class.begin(), of_class.end(), 0) == std::ssize(of_class);
    }
  };

  /// For each class that values had, the one that most of them have now; the others move.
  [[nodiscard]] std::vector<std::uint32_t> follow(const HeldColumn& column, const Before& before,
                                                  std::vector<std::uint8_t>& moved) const {
    std::vector<std::map<std::uint32_t, std::size_t>> votes(before.classes);
    const auto old_class = [&before](Code code) { return before.asked ? before.class_of_code[code] : 0U; };
    for (Code code = 0; code < column.class_of_code.size(); ++code) {
      if (code == 0 || column.values.is_taken(code - 1)) ++votes[old_class(code)][column.class_of_code[code]];
    }
    std::vector<std::uint32_t> now_class(before.classes);
    for (std::size_t i = 0; i < votes.size(); ++i) {
      const auto most =
          std::max_element(votes[i].begin(), votes[i].end(),
                           [](const auto& left, const auto& right) { return left.second < right.second; });
      if (most != votes[i].end()) now_class[i] = most->first;
    }
    for (Code code = 0; code < column.class_of_code.size(); ++code) {
      if (column.class_of_code[code] == now_class[old_class(code)]) continue;
      moved.resize(column.class_of_code.size());
      moved[code] = 1;
    }
    return now_class;
  }

  void reclassify(const std::vector<Before>& before) {
    Moves moves;
    moves.of_code.resize(columns.size());
    std::vector<std::vector<std::uint32_t>> now_class;
    for (const std::size_t column : asked)
      now_class.push_back(follow(columns[column], before[column], moves.of_code[column]));
    set_layout();
    moves.of_class.resize(classes.size());
    for (ClassNumber number = 1; number < classes.size(); ++number) {
      DocumentClass& known = classes[number];
      std::vector<std::uint32_t> tuple;
      for (std::size_t i = 0; i < asked.size(); ++i) {
        const Before& was = before[asked[i]];
        tuple.push_back(now_class[i][was.asked ? known.tuple[was.place] : 0]);
      }
      known.tuple = std::move(tuple);
      known.lists = lists_of(known.tuple);
      moves.of_class[number] = !known.tracked && !known.lists.empty() ? 1 : 0;
      known.tracked = known.tracked || !known.lists.empty();
      if (index.find(known.tuple) == 0) index.add(known.tuple, number);
    }
    const auto slots = slots_that_move(moves);
    if (!slots) return recount();
    for (const Slot slot : *slots) {
      const ClassNumber from = class_of_slot[slot];
      if (moves.of_class[from] == 0) apply(slot, from, Change::kLess);
      const ClassNumber to = class_of_document(slot);
      class_of_slot.set(slot, to);
      apply(slot, to, Change::kMore);
    }
  }

  /// Nothing: too many.
  [[nodiscard]] std::optional<std::vector<Slot>> slots_that_move(const Moves& moves) const {
    if (moves.none()) return std::vector<Slot>();
    std::vector<std::vector<Slot>> found(threads);
    std::atomic<std::size_t> count = 0;
    in_parallel(threads, [&](unsigned thread) {
      const Range part = part_of(blocks(), thread, threads);
      std::vector<std::uint8_t> marked(kBlock);
      std::vector<std::uint32_t> numbers(kBlock);
      for (std::size_t block = part.begin; block < part.end && count <= documents / kFewMove; ++block) {
        const std::size_t before = found[thread].size();
        mark_moves(block, moves, marked, numbers);
        for (std::size_t i = 0; i < kBlock; ++i) {
          if (marked[i] != 0) found[thread].push_back(static_cast<Slot>(block * kBlock + i));
        }
        count += found[thread].size() - before;
      }
    });
    if (count > documents / kFewMove) return std::nullopt;
    for (unsigned thread = 1; thread < threads; ++thread)
      found[0].insert(found[0].end(), found[thread].begin(), found[thread].end());
    return std::move(found[0]);
  }

  void mark_moves(std::size_t block, const Moves& moves, std::vector<std::uint8_t>& marked,
                  std::vector<std::uint32_t>& numbers) const {
    const std::size_t size = size_of_block(block);
    std::fill(marked.begin(), marked.end(), 0);
    for (const std::size_t column : asked) {
      const auto& moved = moves.of_code[column];
      if (moved.empty()) continue;
      columns[column].codes.read(block, numbers.data());
      for (std::size_t i = 0; i < size; ++i) marked[i] |= moved[numbers[i]];
    }
    class_of_slot.read(block, numbers.data());
    for (std::size_t i = 0; i < size; ++i) {
      const auto there = static_cast<std::uint8_t>(numbers[i] != 0 ? 1 : 0);
      marked[i] = static_cast<std::uint8_t>((marked[i] | moves.of_class[numbers[i]]) & there);
    }
  }

  // Counting all anew
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::size_t blocks() const { return (class_of_slot.size() + kBlock - 1) / kBlock; }
  [[nodiscard]] std::size_t size_of_block(std::size_t block) const {
    return std::min(kBlock, class_of_slot.size() - block * kBlock);
  }

  void recount() {
    for (HeldColumn& column : columns) {
      if (column.times) renew_codes(column);
    }
    set_layout();
    classes.resize(1);
    total.assign(1, 0);
    if (index.is_array()) {
      class_all();
    } else {
      for (Slot slot = 0; slot < class_of_slot.size(); ++slot) {
        if (class_of_slot[slot] != 0) class_of_slot.set(slot, class_of_document(slot));
      }
    }
    classes_of_recount = classes.size();
    count_totals();
    for (std::size_t i = 0; i < levels.size(); ++i) count_level(i);
  }

  /// By code, what it adds to a document's place in the index.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> place_tables() const {
    std::vector<std::vector<std::uint32_t>> tables;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      tables.push_back(columns[asked[i]].class_of_code);
      for (std::uint32_t& one : tables.back()) one <<= index.shift(i);
    }
    return tables;
  }

  /// The place in the index of each document of a block.
  void read_places(std::size_t block, const std::vector<std::vector<std::uint32_t>>& tables,
                   std::vector<std::uint32_t>& codes, std::vector<std::uint32_t>& places) const {
    const std::size_t size = size_of_block(block);
    std::fill(places.begin(), places.end(), 0);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      columns[asked[i]].codes.read(block, codes.data());
      for (std::size_t k = 0; k < size; ++k) places[k] |= tables[i][codes[k]];
    }
  }

  /// `work(block, numbers of its classes, places of its documents)` for each block.
  void walk(const std::function<void(unsigned thread, std::size_t block, const std::uint32_t* numbers,
                                     const std::uint32_t* places)>& work) const {
    const auto tables = place_tables();
    in_parallel(threads, [&](unsigned thread) {
      const Range part = part_of(blocks(), thread, threads);
      std::vector<std::uint32_t> codes(kBlock);
      std::vector<std::uint32_t> places(kBlock);
      for (std::size_t block = part.begin; block < part.end; ++block) {
        read_places(block, tables, codes, places);
        class_of_slot.read(block, codes.data());
        work(thread, block, codes.data(), places.data());
      }
    });
  }

  void class_all() {
    std::vector<std::vector<std::uint8_t>> seen(threads, std::vector<std::uint8_t>(index.places()));
    walk([&](unsigned thread, std::size_t block, const std::uint32_t* numbers, const std::uint32_t* places) {
      const std::size_t size = size_of_block(block);
      for (std::size_t i = 0; i < size; ++i) {
        if (numbers[i] != 0) seen[thread][places[i]] = 1;
      }
    });
    for (std::size_t place = 0; place < index.places(); ++place) {
      const bool any =
          std::any_of(seen.begin(), seen.end(), [place](const auto& one) { return one[place] != 0; });
      if (!any) continue;
      std::vector<std::uint32_t> tuple;
      for (std::size_t i = 0; i < asked.size(); ++i) tuple.push_back(index.number(i, place));
      make_class(std::move(tuple));
    }
    class_of_slot.reserve(static_cast<std::uint32_t>(classes.size()));
    walk([this](unsigned, std::size_t block, const std::uint32_t* numbers, const std::uint32_t* places) {
      const std::size_t size = size_of_block(block);
      for (std::size_t i = 0; i < size; ++i) {
        if (numbers[i] != 0) class_of_slot.set(block * kBlock + i, index.at(places[i]));
      }
    });
  }

  void count_totals() {
    std::vector<std::uint32_t> numbers(kBlock);
    for (std::size_t block = 0; block < blocks(); ++block) {
      class_of_slot.read(block, numbers.data());
      for (std::size_t i = 0; i < size_of_block(block); ++i) total[numbers[i]] += 1;
    }
    for (ClassNumber number = 0; number < classes.size(); ++number) {
      if (!classes[number].tracked) total[number] = 0;
    }
  }

  /// What a level counts, sorted by its codes: keys stand one behind the other, those of code c from
  /// begin[c] to begin[c + 1].
  struct Sorted {
    std::unique_ptr<std::uint32_t[]> keys;
    std::vector<std::size_t> begin;
  };

  /// `told(slot, class, code)` of the documents of a thread's part that the level counts.
  template <typename Told>
  void visit_part(const Level& level, unsigned thread, Told told) const {
    const Range part = part_of(blocks(), thread, threads);
    std::vector<std::uint32_t> numbers(kBlock);
    std::vector<std::uint32_t> codes(kBlock);
    for (std::size_t block = part.begin; block < part.end; ++block) {
      class_of_slot.read(block, numbers.data());
      columns[level.column].codes.read(block, codes.data());
      const std::size_t size = size_of_block(block);
      for (std::size_t i = 0; i < size; ++i) {
        if (codes[i] != 0 && tracked_scratch[numbers[i]] != 0)
          told(static_cast<Slot>(block * kBlock + i), numbers[i], codes[i]);
      }
    }
  }

  [[nodiscard]] Sorted sort_level(std::size_t place) const {
    const Level& level = levels[place];
    const std::size_t codes = columns[level.column].values.places() + 1;
    const std::size_t words = place + 1;
    std::vector<std::vector<std::size_t>> next(threads, std::vector<std::size_t>(codes));
    in_parallel(threads, [&](unsigned thread) {
      visit_part(level, thread, [&](Slot, ClassNumber, Code code) { ++next[thread][code]; });
    });
    Sorted sorted{nullptr, std::vector<std::size_t>(codes + 1)};
    std::size_t end = 0;
    for (Code code = 0; code < codes; ++code) {
      sorted.begin[code] = end;
      for (auto& of_thread : next) end += std::exchange(of_thread[code], end);
    }
    sorted.begin[codes] = end;
    sorted.keys = std::make_unique_for_overwrite<std::uint32_t[]>(end * words);
    in_parallel(threads, [&](unsigned thread) {
      visit_part(level, thread, [&](Slot slot, ClassNumber number, Code code) {
        std::uint32_t* key = sorted.keys.get() + next[thread][code]++ * words;
        *key = number;
        for (std::size_t i = 0; i < place; ++i) key[i + 1] = columns[levels[i].column].codes[slot];
      });
    });
    return sorted;
  }

  void count_level(std::size_t place) {
    tracked_scratch.assign(classes.size(), 0);
    for (ClassNumber number = 1; number < classes.size(); ++number)
      tracked_scratch[number] = classes[number].tracked ? 1 : 0;
    Level& level = levels[place];
    const std::size_t words = place + 1;
    const Sorted sorted = sort_level(place);
    const std::size_t codes = sorted.begin.size() - 1;
    level.counts.clear();
    level.cells.clear();
    if (place == 0) {
      level.counts.resize(codes);
    } else {
      level.cells.resize(codes, CellTable(static_cast<std::uint32_t>(words)));
    }
    std::atomic<Code> next = 0;
    in_parallel(threads, [&](unsigned) {
      std::vector<std::uint32_t> counts(classes.size());
      CellTable cells(static_cast<std::uint32_t>(words));
      for (Code code = next++; code < codes; code = next++) {
        const std::span<const std::uint32_t> of_code(sorted.keys.get() + sorted.begin[code] * words,
                                                     (sorted.begin[code + 1] - sorted.begin[code]) * words);
        if (place == 0) {
          level.counts[code].assign(of_code, counts);
        } else {
          level.cells[code].assign(of_code, cells);
        }
      }
    });
  }

  // Counts
  // -------------------------------------------------------------------------------------------------------

  /// Which codes of a level grant; and these codes.
  struct Granted {
    std::vector<std::uint8_t> is_granted;
    std::vector<Code> codes;

    void add(std::uint32_t place) {
      if (place == ValueTable::kNone || is_granted[place + 1U] != 0) return;
      is_granted[place + 1U] = 1;
      codes.push_back(place + 1U);
    }
  };

  /// By level: what a scope grants.
  struct Grants {
    std::vector<Granted> plain;   ///< of holders: the user, where the role is asked for
    std::vector<Granted> behind;  ///< what has to be seen of what a holder holds
  };

  [[nodiscard]] Grants grants_of(const Scope& scope) const {
    Grants grants;
    for (const Level& level : levels) {
      grants.plain.push_back({std::vector<std::uint8_t>(columns[level.column].values.places() + 1), {}});
      grants.behind.push_back(
          {scope_holds(scope) ? grants.plain.back().is_granted : std::vector<std::uint8_t>(), {}});
    }
    for (const Grant& grant : scope.grants) {
      for (std::size_t i = 0; i < levels.size(); ++i) add_grant(grant, i, grants);
    }
    return grants;
  }

  [[nodiscard]] static bool scope_holds(const Scope& scope) {
    return std::any_of(scope.grants.begin(), scope.grants.end(),
                       [](const Grant& grant) { return grant.held.has_value(); });
  }

  void add_grant(const Grant& grant, std::size_t place, Grants& grants) const {
    const Level& level = levels[place];
    const ValueTable& values = columns[level.column].values;
    if (level.is_holder) {
      if (grant.held && grant.held->holder == level.number)
        grants.plain[place].add(values.find(grant.held->user));
      return;
    }
    if (grant.security != level.number) return;
    Granted& granted = grant.held ? grants.behind[place] : grants.plain[place];
    for (const Value& value : grant.values) granted.add(values.find(value));
  }

  /// What no level before the one at `place` grants.
  void add_level(std::size_t place, const Grants& grants, std::vector<std::uint32_t>& counts) const {
    for (const Code code : grants.plain[place].codes) {
      if (code >= levels[place].cells.size()) continue;
      levels[place].cells[code].visit([&](const std::uint32_t* key, std::uint32_t count) {
        bool seen = !levels[place].is_holder;
        for (std::size_t i = 0; i < place; ++i) {
          if (grants.plain[i].is_granted[key[i + 1]] != 0) return;
          seen = seen || (!levels[i].is_holder && grants.behind[i].is_granted[key[i + 1]] != 0);
        }
        if (seen) counts[*key] += count;
      });
    }
  }

  [[nodiscard]] std::vector<std::uint32_t> class_counts(const Scope& scope) const {
    if (scope.everything) return {total.begin(), total.end()};
    std::vector<std::uint32_t> counts(classes.size());
    const Grants grants = grants_of(scope);
    for (const Code code : grants.plain.front().codes) {
      if (code < levels.front().counts.size()) levels.front().counts[code].add_to(counts.data());
    }
    for (std::size_t i = 1; i < levels.size(); ++i) add_level(i, grants, counts);
    return counts;
  }

  [[nodiscard]] Result<std::vector<std::uint64_t>> count(const User& user) const {
    std::vector<std::uint64_t> counts(role_of_list.size());
    for (std::size_t role = 0; role < roles.size(); ++role) {
      const auto scope = scope_of(catalog, roles[role], user);
      if (!scope) return fail(scope.error());
      const auto by_class = class_counts(*scope);
      for (ClassNumber number = 1; number < by_class.size(); ++number) {
        if (by_class[number] == 0) continue;
        for (const std::uint32_t list : classes[number].lists) {
          if (role_of_list[list] == role) counts[list] += by_class[number];
        }
      }
    }
    return counts;
  }

  // Time
  // -------------------------------------------------------------------------------------------------------

  /// Where the times of a column's criteria were and where they are: what lies between may have changed.
  [[nodiscard]] static std::vector<std::pair<std::int64_t, std::int64_t>> passed(const HeldColumn& column,
                                                                                 base::UtcTime before,
                                                                                 base::UtcTime now) {
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;
    for (const auto& [list, criterion] : column.moving) {
      for (const Condition& condition : criterion.conditions) {
        for (const Operand& operand : condition.operands) {
          const auto from = std::get<std::int64_t>(resolve(column.type, operand, before));
          const auto to = std::get<std::int64_t>(resolve(column.type, operand, now));
          if (from != to) spans.emplace_back(std::min(from, to), std::max(from, to));
        }
      }
    }
    std::sort(spans.begin(), spans.end());
    std::vector<std::pair<std::int64_t, std::int64_t>> united;
    for (const auto& span : spans) {
      if (!united.empty() && span.first <= united.back().second) {
        united.back().second = std::max(united.back().second, span.second);
      } else {
        united.push_back(span);
      }
    }
    return united;
  }

  std::size_t advance(base::UtcTime to) {
    const base::UtcTime before = std::exchange(now, to);
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      HeldColumn& column = columns[i];
      if (!column.times) continue;
      const auto spans = passed(column, before, now);
      if (spans.empty()) continue;
      column.classes.renew(column.type, tests_of(i));
      for (const auto& [from, until] : spans)
        column.times->visit(from, until, holder(column), [&slots](Slot slot) { slots.push_back(slot); });
    }
    return static_cast<std::size_t>(
        std::count_if(slots.begin(), slots.end(), [this](Slot slot) { return move(slot); }));
  }

  [[nodiscard]] std::optional<base::UtcTime> next_change() const {
    std::optional<base::UtcTime> next;
    for (const HeldColumn& column : columns) {
      for (const auto& [list, criterion] : column.moving) {
        for (const Condition& condition : criterion.conditions) {
          for (const Operand& operand : condition.operands) {
            const auto one = worklist::next_change(column.type, operand, now, [&](std::int64_t from) {
              return column.times->first_from(from, holder(column));
            });
            if (one && (!next || *one < *next)) next = one;
          }
        }
      }
    }
    return next;
  }

  const Catalog& catalog;
  unsigned threads;
  base::UtcTime now;
  std::vector<CountedList> lists;  ///< at `now`, but for criteria that move with it
  std::vector<std::set<std::string>> roles;
  std::vector<std::size_t> role_of_list;  ///< of `roles`
  std::vector<HeldColumn> columns;
  std::vector<std::size_t> asked;  ///< columns that lists ask for
  impl::RowKeys keys;
  std::size_t documents = 0;
  NarrowArray class_of_slot;
  impl::ClassIndex index;
  std::vector<DocumentClass> classes;
  std::size_t classes_of_recount = 0;
  std::vector<std::uint64_t> total;  ///< by document class
  std::vector<Level> levels;
  std::vector<std::uint32_t> tuple_scratch;
  std::vector<Code> codes_scratch;
  std::vector<std::pair<std::size_t, std::optional<std::int64_t>>> left_scratch;
  std::vector<std::uint8_t> tracked_scratch;
};

LiveCounters::LiveCounters(const Catalog& catalog, unsigned threads)
    : impl_(std::make_unique<Impl>(catalog, threads)) {
  impl_->set_lists({}, {});
}

LiveCounters::~LiveCounters() = default;

void LiveCounters::set_lists(std::vector<CountedList> lists) {
  impl_->set_lists(std::move(lists), {});
}

void LiveCounters::set_lists(const std::vector<TimedList>& lists, base::UtcTime now) {
  // Documents that time moved since are not looked for among those that stay.
  impl_->now = now;
  std::vector<CountedList> counted;
  for (const TimedList& list : lists) {
    counted.push_back({{}, list.roles});
    for (const Criterion& one : list.criteria) {
      if (!is_relative(one))
        counted.back().tests.push_back(resolve(impl_->columns[one.column].type, one, now));
    }
  }
  impl_->set_lists(std::move(counted), lists);
}

std::size_t LiveCounters::advance(base::UtcTime now) {
  return impl_->advance(now);
}

std::optional<base::UtcTime> LiveCounters::next_change() const {
  return impl_->next_change();
}

Result<void> LiveCounters::put(std::span<const Value> row) {
  return impl_->put(row);
}

bool LiveCounters::remove(const Value& key) {
  return impl_->remove(key);
}

void LiveCounters::clear() {
  const base::UtcTime now = impl_->now;
  std::vector<CountedList> lists = std::move(impl_->lists);
  std::vector<TimedList> timed(lists.size());
  for (const Impl::HeldColumn& column : impl_->columns) {
    for (const auto& [list, criterion] : column.moving) timed[list].criteria.push_back(criterion);
  }
  impl_ = std::make_unique<Impl>(impl_->catalog, impl_->threads);
  impl_->now = now;
  impl_->set_lists(std::move(lists), timed);
}

std::optional<std::vector<Value>> LiveCounters::row(const Value& key) const {
  return impl_->row(key);
}

Result<std::vector<std::uint64_t>> LiveCounters::count(const User& user) const {
  return impl_->count(user);
}

Result<std::vector<std::vector<std::uint64_t>>> LiveCounters::count(std::span<const User> users) const {
  std::vector<Result<std::vector<std::uint64_t>>> counted(users.size());
  std::atomic<std::size_t> next = 0;
  in_parallel(impl_->threads, [&](unsigned) {
    for (std::size_t i = next++; i < users.size(); i = next++) counted[i] = impl_->count(users[i]);
  });
  std::vector<std::vector<std::uint64_t>> counts;
  for (auto& one : counted) {
    if (!one) return fail(std::move(one.error()));
    counts.push_back(std::move(*one));
  }
  return counts;
}

LiveCounters::Size LiveCounters::size() const {
  Size size{impl_->documents, impl_->classes.size() - 1, 0, 0};
  size.bytes = impl_->keys.bytes() + impl_->class_of_slot.bytes() + impl_->index.bytes();
  for (const Impl::HeldColumn& column : impl_->columns) {
    size.values += column.values.size();
    size.bytes += column.values.bytes() + column.codes.bytes();
    if (column.times) size.bytes += column.times->bytes();
  }
  for (const Impl::Level& level : impl_->levels) {
    for (const ClassCounts& one : level.counts) size.bytes += sizeof one + one.bytes();
    for (const CellTable& one : level.cells) size.bytes += sizeof one + one.bytes();
  }
  return size;
}

}  // namespace headroom::worklist
