#include "worklist/live_counters.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "worklist/impl/document_classes.hpp"
#include "worklist/impl/documents.hpp"
#include "worklist/impl/grants.hpp"
#include "worklist/impl/held_column.hpp"
#include "worklist/impl/level_counts.hpp"
#include "worklist/impl/look_ups.hpp"
#include "worklist/impl/parallel.hpp"
#include "worklist/impl/reclassify.hpp"
#include "worklist/impl/recount.hpp"
#include "worklist/impl/timed_documents.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::ClassNumber;
using impl::Code;
using impl::Documents;
using impl::HeldColumn;
using impl::LookUpRows;
using impl::Slot;
using impl::Standing;
using impl::TimedCriterion;

/// Values that no document has any more are forgotten when there are so many more than documents.
constexpr std::size_t kIdleValues = 65'536;
/// Documents whose places in memory are fetched at once: what they take stays in the nearest cache.
constexpr std::size_t kTogether = 48;
/// Classes that lists left behind are forgotten when there are so many more than at the last recount.
constexpr std::size_t kIdleClasses = 4'096;

std::vector<HeldColumn> columns_of(const Catalog& catalog) {
  std::vector<HeldColumn> columns;
  for (const Column& column : catalog.columns) columns.emplace_back(column.type);
  return columns;
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
  /// A document on its way.
  struct Incoming {
    std::vector<Code> codes;  ///< by column
    Slot slot = Documents::kNone;
    ClassNumber number = 0;
  };

  Impl(const Catalog& made_of, unsigned most_threads)
      : catalog(made_of),
        threads(std::max(1U, most_threads)),
        columns(columns_of(made_of)),
        documents(made_of.columns[made_of.key].type, made_of.columns.size()),
        classes(columns),
        levels(impl::levels_of(made_of)),
        counts(levels.size()),
        times(columns, documents),
        look_ups(made_of),
        own_columns(made_of.own_columns()),
        incoming_scratch(kTogether, Incoming{std::vector<Code>(columns.size())}) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (wants_codes(i)) documents.hold(i);
    }
  }

  // Lists
  // -------------------------------------------------------------------------------------------------------

  /// Keys have values of their own: they are held as codes only where that is asked for.
  [[nodiscard]] bool wants_codes(std::size_t column) const {
    return column != catalog.key || columns[column].is_asked() || look_ups.are_by(column) ||
           std::any_of(levels.begin(), levels.end(),
                       [column](const impl::Level& level) { return level.column == column; });
  }

  [[nodiscard]] std::vector<std::optional<ColumnTest>> tests_of(
      std::size_t column, const std::vector<TimedCriterion>& timed) const {
    std::vector<std::optional<ColumnTest>> tests(role_of_list.size());
    for (std::size_t list = 0; list < lists.size(); ++list) {
      for (const ColumnTest& test : lists[list].tests) {
        if (test.column == column) tests[list] = test;
      }
    }
    for (const TimedCriterion& one : timed)
      tests[one.list] = resolve(columns[column].type(), one.criterion, now);
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
    const std::vector<impl::CalledBefore> before = impl::remember(columns, classes);
    lists = std::move(counted);
    set_roles();
    for (std::size_t i = 0; i < columns.size(); ++i) set_column(i, timed);
    classes.set_lists(lists.size());
    if (documents.size() == 0 || classes.size() > 2 * classes_of_recount + kIdleClasses) return recount();
    reclassify(before);
  }

  void set_column(std::size_t place, const std::vector<TimedList>& timed) {
    std::vector<TimedCriterion> criteria;
    for (std::size_t list = 0; list < timed.size(); ++list) {
      for (const Criterion& criterion : timed[list].criteria) {
        if (criterion.column == place && impl::is_timed(criterion)) criteria.push_back({list, criterion});
      }
    }
    columns[place].set_tests(tests_of(place, criteria), !criteria.empty());
    if (wants_codes(place)) {
      if (!documents.is_held(place)) hold_keys(place);
    } else {
      documents.drop(place);
    }
    times.set(place, std::move(criteria));
  }

  void hold_keys(std::size_t column) {
    documents.hold(column);
    for (Slot slot = 0; slot < documents.slots(); ++slot) {
      if (documents.is_there(slot))
        documents.set_code(slot, column, columns[column].code_of(documents.key(slot)));
    }
  }

  void reclassify(const std::vector<impl::CalledBefore>& before) {
    const impl::Moves moves = impl::rename_classes(before, columns, classes);
    const auto slots = impl::slots_that_move(moves, documents, threads);
    if (!slots) return recount();
    (void)move_all(*slots, [&moves](ClassNumber from) { return moves.of_class[from] == 0; });
  }

  void recount() {
    impl::recount({columns, documents, classes, levels, counts}, threads);
    classes_of_recount = classes.size();
  }

  // Documents
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] ClassNumber class_of_codes(Slot slot) {
    return classes.class_of([&](std::size_t column) { return documents.code(slot, column); });
  }

  /// Where a document of the class with these codes is counted.
  template <typename CodeOf>
  [[nodiscard]] Standing standing(ClassNumber number, CodeOf code_of) const {
    Standing standing{};
    if (!classes[number].tracked) return standing;
    standing[0] = number;
    for (std::size_t i = 0; i < levels.size(); ++i) standing[i + 1] = code_of(levels[i].column);
    return standing;
  }
  [[nodiscard]] Standing standing(Slot slot) const {
    return standing(documents.class_of(slot),
                    [&](std::size_t column) { return documents.code(slot, column); });
  }

  /// A document that was counted there is counted here.
  void move(const Standing& from, const Standing& to) {
    if (from[0] != 0) classes.subtract(from[0], 1);
    if (to[0] != 0) classes.add(to[0], 1);
    counts.move(from, to, classes.size());
  }

  /// Documents go to the class that their codes are of now. `is_counted`: whether those of the class that
  /// they leave are counted. How many were of another class.
  template <typename IsCounted>
  std::size_t move_all(std::span<const Slot> slots, IsCounted is_counted) {
    std::size_t moved = 0;
    for (std::size_t begin = 0; begin < slots.size(); begin += kTogether) {
      const auto some = slots.subspan(begin, std::min(kTogether, slots.size() - begin));
      for (const Slot slot : some) documents.prefetch(slot);
      for (const Slot slot : some) {
        counts.prefetch(standing(slot));
        counts.prefetch(
            standing(class_of_codes(slot), [&](std::size_t column) { return documents.code(slot, column); }));
      }
      for (const Slot slot : some) moved += move_one(slot, is_counted) ? 1 : 0;
    }
    return moved;
  }

  template <typename IsCounted>
  bool move_one(Slot slot, IsCounted is_counted) {
    const ClassNumber before = documents.class_of(slot);
    const Standing from = is_counted(before) ? standing(slot) : Standing{};
    documents.set_class(slot, class_of_codes(slot));
    move(from, standing(slot));
    return documents.class_of(slot) != before;
  }

  [[nodiscard]] base::Error wrong_value(std::size_t column, const Value& value) const {
    return {ErrorCode::kInvalidArgument,
            fmt::format("catalog '{}': column '{}': a value is {}; expected one of type {}", catalog.name,
                        catalog.columns[column].name, is_null(value) ? "NULL" : "of another type",
                        name(columns[column].type()))};
  }

  [[nodiscard]] Result<void> check(std::span<const Value> row) const {
    if (row.size() != own_columns) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("a document of catalog '{}' has {} values; expected {}", catalog.name,
                              row.size(), own_columns));
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (is_null(row[i]) ? i != catalog.key : impl::is_of(columns[i].type(), row[i])) continue;
      return fail(wrong_value(i, row[i]));
    }
    return {};
  }

  [[nodiscard]] Result<Code> code_of(std::size_t column, const Value& value) {
    const Code code = columns[column].code_of(value);
    if (code != HeldColumn::kNoRoom) return code;
    return fail(ErrorCode::kTooLarge,
                fmt::format("catalog '{}': column '{}' has more values than can be held", catalog.name,
                            catalog.columns[column].name));
  }

  Result<void> encode(std::span<const Value> row, Incoming& incoming) {
    if (auto checked = check(row); !checked) return checked;
    for (std::size_t i = 0; i < own_columns; ++i) {
      const auto code = documents.is_held(i) ? code_of(i, row[i]) : Result<Code>(0);
      if (!code) return fail(code.error());
      incoming.codes[i] = *code;
    }
    look_ups.fill(row, incoming.codes);
    return {};
  }

  /// What a document has that is not there.
  static Code nothing(std::size_t /*column*/) { return 0; }
  [[nodiscard]] auto codes_at(Slot slot) const {
    return [this, slot](std::size_t column) { return documents.code(slot, column); };
  }

  void forget_idle_values(std::size_t column) {
    if (columns[column].values() < 2 * (documents.size() + look_ups.rows_of(column)) + kIdleValues) return;
    std::vector<bool> used(columns[column].codes());
    look_ups.mark_used(column, used);
    for (Slot slot = 0; slot < documents.slots(); ++slot) {
      if (documents.is_there(slot)) used[documents.code(slot, column)] = true;
    }
    columns[column].forget_unused(used);
  }

  /// Codes and slots stay what they are until the next call.
  void make_way() {
    for (std::size_t i = 0; i < columns.size(); ++i) forget_idle_values(i);
    if (!documents.compact()) return;
    times.enter_anew();
    look_ups.forget_documents();
    for (Slot slot = 0; slot < documents.slots(); ++slot) {
      if (documents.is_there(slot)) look_ups.change(slot, nothing, codes_at(slot));
    }
  }

  Result<void> put(std::span<const Value> row) {
    make_way();
    Incoming& incoming = incoming_scratch.front();
    if (auto encoded = encode(row, incoming); !encoded) return encoded;
    incoming.slot = documents.seek(row[catalog.key]);
    incoming.number = class_of(incoming);
    return store(row[catalog.key], incoming);
  }

  Result<void> put_all(std::span<const std::vector<Value>> rows) {
    for (std::size_t begin = 0; begin < rows.size(); begin += kTogether) {
      if (auto put = put_some(rows.subspan(begin, std::min(kTogether, rows.size() - begin))); !put)
        return put;
    }
    return {};
  }

  /// At most kTogether. Each is stored as if it came alone; before that all look at what they will need, so
  /// that memory is waited for once.
  Result<void> put_some(std::span<const std::vector<Value>> rows) {
    make_way();
    Result<void> encoded;
    std::size_t size = 0;
    for (; size < rows.size(); ++size) {
      encoded = encode(rows[size], incoming_scratch[size]);
      if (!encoded) break;
      documents.prefetch_key(rows[size][catalog.key]);
    }
    for (std::size_t i = 0; i < size; ++i) {
      Incoming& incoming = incoming_scratch[i];
      incoming.slot = documents.seek(rows[i][catalog.key]);
      if (incoming.slot != Documents::kNone) documents.prefetch(incoming.slot);
    }
    for (std::size_t i = 0; i < size; ++i) look_at(incoming_scratch[i]);
    for (std::size_t i = 0; i < size; ++i) {
      if (auto stored = store(rows[i][catalog.key], incoming_scratch[i]); !stored) return stored;
    }
    return encoded;
  }

  [[nodiscard]] ClassNumber class_of(const Incoming& incoming) {
    return classes.class_of([&incoming](std::size_t column) { return incoming.codes[column]; });
  }

  void look_at(Incoming& incoming) {
    incoming.number = class_of(incoming);
    if (incoming.slot != Documents::kNone) counts.prefetch(standing(incoming.slot));
    counts.prefetch(
        standing(incoming.number, [&incoming](std::size_t column) { return incoming.codes[column]; }));
  }

  Result<void> store(const Value& key, const Incoming& incoming) {
    // It may have come with the rows before it.
    Slot slot = incoming.slot == Documents::kNone ? documents.find(key) : incoming.slot;
    const bool is_known = slot != Documents::kNone && documents.is_there(slot);
    if (!is_known) slot = documents.add(key);
    if (slot == Documents::kNone) return fail(ErrorCode::kTooLarge, "more documents than can be counted");
    const Standing from = is_known ? standing(slot) : Standing{};
    write(slot, is_known, incoming);
    move(from, standing(slot));
    for (const auto& [column, before] : left_scratch) times.change(slot, column, before);
    return {};
  }

  void write(Slot slot, bool is_known, const Incoming& incoming) {
    left_scratch.clear();
    const auto come = [&incoming](std::size_t column) { return incoming.codes[column]; };
    if (is_known) {
      look_ups.change(slot, codes_at(slot), come);
    } else {
      look_ups.change(slot, nothing, come);
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!documents.is_held(i)) continue;
      const Code before = is_known ? documents.code(slot, i) : 0;
      documents.set_code(slot, i, incoming.codes[i]);
      if (times.has(i) && before != incoming.codes[i]) left_scratch.emplace_back(i, before);
    }
    documents.set_class(slot, incoming.number);
  }

  [[nodiscard]] std::optional<std::vector<Value>> row(const Value& key) const {
    const Slot slot = documents.find(key);
    return slot == Documents::kNone ? std::nullopt : std::optional(row_at(slot));
  }

  [[nodiscard]] std::vector<Value> row_at(Slot slot) const {
    std::vector<Value> values;
    for (std::size_t i = 0; i < columns.size(); ++i)
      values.push_back(i == catalog.key ? documents.key(slot) : columns[i].value(documents.code(slot, i)));
    return values;
  }

  bool remove(const Value& key) {
    const Slot slot = documents.find(key);
    if (slot == Documents::kNone) return false;
    move(standing(slot), {});
    look_ups.change(slot, codes_at(slot), nothing);
    documents.remove(slot);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (times.has(i)) times.change(slot, i, documents.code(slot, i));
    }
    return true;
  }

  // Look-ups
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] Result<void> check_look_up(const LookUpRows& rows, std::span<const Value> row) const {
    if (row.size() != rows.columns().size() + 1) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("a look-up's row of catalog '{}' has {} values; expected {}", catalog.name,
                              row.size(), rows.columns().size() + 1));
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::size_t column = i == 0 ? rows.by() : rows.columns()[i - 1];
      if (!is_null(row[i]) && !impl::is_of(columns[column].type(), row[i]))
        return fail(wrong_value(column, row[i]));
    }
    return {};
  }

  Result<void> put_look_up(std::size_t look_up, std::span<const Value> row) {
    make_way();
    LookUpRows& rows = look_ups[look_up];
    if (auto checked = check_look_up(rows, row); !checked) return checked;
    if (is_null(row.front())) return {};
    std::vector<Code> codes;
    for (std::size_t i = 0; i < rows.columns().size(); ++i) {
      const auto code = code_of(rows.columns()[i], row[i + 1]);
      if (!code) return fail(code.error());
      codes.push_back(*code);
    }
    const std::uint32_t known = rows.find(row.front());
    if (known != LookUpRows::kNone && rows.has(known, codes)) return {};
    if (!rows.put(row.front(), codes))
      return fail(ErrorCode::kTooLarge, "more rows of a look-up than can be held");
    take_over(documents_by(rows.by(), row.front()), rows.columns(), codes);
    return {};
  }

  [[nodiscard]] std::vector<Slot> documents_by(std::size_t column, const Value& value,
                                               std::size_t most = Documents::kNone) const {
    return look_ups.documents(column, columns[column].find(value), most);
  }

  /// Documents have these codes in these columns from now on.
  void take_over(std::span<const Slot> slots, std::span<const std::size_t> of, std::span<const Code> codes) {
    for (std::size_t begin = 0; begin < slots.size(); begin += kTogether) {
      const auto some = slots.subspan(begin, std::min(kTogether, slots.size() - begin));
      for (const Slot slot : some) documents.prefetch(slot);
      for (const Slot slot : some) counts.prefetch(standing(slot));
      for (const Slot slot : some) take_over_one(slot, of, codes);
    }
  }

  void take_over_one(Slot slot, std::span<const std::size_t> of, std::span<const Code> codes) {
    const Standing from = standing(slot);
    left_scratch.clear();
    for (std::size_t i = 0; i < of.size(); ++i) {
      const Code before = documents.code(slot, of[i]);
      documents.set_code(slot, of[i], codes[i]);
      if (times.has(of[i]) && before != codes[i]) left_scratch.emplace_back(of[i], before);
    }
    documents.set_class(slot, class_of_codes(slot));
    move(from, standing(slot));
    for (const auto& [column, before] : left_scratch) times.change(slot, column, before);
  }

  bool remove_look_up(std::size_t look_up, const Value& key) {
    LookUpRows& rows = look_ups[look_up];
    const std::uint32_t place = rows.find(key);
    if (place == LookUpRows::kNone) return false;
    rows.remove(place);
    take_over(documents_by(rows.by(), key), rows.columns(), std::vector<Code>(rows.columns().size()));
    return true;
  }

  void clear_look_up(std::size_t look_up) {
    LookUpRows& rows = look_ups[look_up];
    rows.clear();
    std::vector<Slot> all;
    for (Slot slot = 0; slot < documents.slots(); ++slot) {
      if (documents.is_there(slot)) all.push_back(slot);
    }
    take_over(all, rows.columns(), std::vector<Code>(rows.columns().size()));
  }

  [[nodiscard]] std::vector<Value> look_up_row(const LookUpRows& rows, std::uint32_t place) const {
    std::vector<Value> row{rows.key(place)};
    for (std::size_t i = 0; i < rows.columns().size(); ++i)
      row.push_back(columns[rows.columns()[i]].value(rows.code(place, i)));
    return row;
  }

  /// Those of another one that had all that this one has. They were put once, and fit.
  void take_look_ups(const Impl& other) {
    for (std::size_t i = 0; i < look_ups.size(); ++i) {
      other.look_ups[i].visit(
          [&](std::uint32_t place) { (void)put_look_up(i, other.look_up_row(other.look_ups[i], place)); });
    }
  }

  // Counts
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::vector<std::uint32_t> class_counts(const Scope& scope) const {
    if (scope.everything) return {classes.totals().begin(), classes.totals().end()};
    return counts.count(impl::grants_of(scope, levels, columns), levels, classes.size());
  }

  [[nodiscard]] Result<std::vector<std::uint64_t>> count(const User& user) const {
    std::vector<std::uint64_t> counted(role_of_list.size());
    for (std::size_t role = 0; role < roles.size(); ++role) {
      const auto scope = scope_of(catalog, roles[role], user);
      if (!scope) return fail(scope.error());
      const auto by_class = class_counts(*scope);
      for (ClassNumber number = 1; number < by_class.size(); ++number) {
        if (by_class[number] == 0) continue;
        for (const std::uint32_t list : classes[number].lists) {
          if (role_of_list[list] == role) counted[list] += by_class[number];
        }
      }
    }
    return counted;
  }

  // Time
  // -------------------------------------------------------------------------------------------------------

  std::size_t advance(base::UtcTime to) {
    const base::UtcTime before = std::exchange(now, to);
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (times.has(i) && times.passed(i, before, now, slots))
        columns[i].renew_tests(tests_of(i, times.criteria(i)));
    }
    return move_all(slots, [](ClassNumber) { return true; });
  }

  const Catalog& catalog;
  unsigned threads;
  base::UtcTime now;
  std::vector<CountedList> lists;  ///< at `now`, but for criteria that move with it
  std::vector<std::set<std::string>> roles;
  std::vector<std::size_t> role_of_list;  ///< of `roles`
  std::vector<HeldColumn> columns;
  Documents documents;
  impl::DocumentClasses classes;
  std::size_t classes_of_recount = 0;
  std::vector<impl::Level> levels;
  impl::LevelCounts counts;
  impl::TimedDocuments times;
  impl::LookUps look_ups;
  std::size_t own_columns;
  std::vector<Incoming> incoming_scratch;
  std::vector<std::pair<std::size_t, Code>> left_scratch;  ///< column and what was left there
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
      if (!impl::is_timed(one))
        counted.back().tests.push_back(resolve(impl_->columns[one.column].type(), one, now));
    }
  }
  impl_->set_lists(std::move(counted), lists);
}

std::size_t LiveCounters::advance(base::UtcTime now) {
  return impl_->advance(now);
}

std::optional<base::UtcTime> LiveCounters::next_change() const {
  return impl_->times.next_change(impl_->now);
}

Result<void> LiveCounters::put(std::span<const Value> row) {
  return impl_->put(row);
}

Result<void> LiveCounters::put_all(std::span<const std::vector<Value>> rows) {
  return impl_->put_all(rows);
}

bool LiveCounters::remove(const Value& key) {
  return impl_->remove(key);
}

void LiveCounters::clear() {
  const base::UtcTime now = impl_->now;
  std::vector<CountedList> lists = std::move(impl_->lists);
  std::vector<TimedList> timed(lists.size());
  for (std::size_t i = 0; i < impl_->columns.size(); ++i) {
    for (const TimedCriterion& one : impl_->times.criteria(i))
      timed[one.list].criteria.push_back(one.criterion);
  }
  const std::unique_ptr<Impl> before =
      std::exchange(impl_, std::make_unique<Impl>(impl_->catalog, impl_->threads));
  impl_->now = now;
  impl_->set_lists(std::move(lists), timed);
  impl_->take_look_ups(*before);
}

Result<void> LiveCounters::put_look_up(std::size_t look_up, std::span<const Value> row) {
  return impl_->put_look_up(look_up, row);
}

bool LiveCounters::remove_look_up(std::size_t look_up, const Value& key) {
  return impl_->remove_look_up(look_up, key);
}

void LiveCounters::clear_look_up(std::size_t look_up) {
  impl_->clear_look_up(look_up);
}

std::optional<std::vector<Value>> LiveCounters::look_up_row(std::size_t look_up, const Value& key) const {
  const LookUpRows& rows = impl_->look_ups[look_up];
  const std::uint32_t place = rows.find(key);
  return place == LookUpRows::kNone ? std::nullopt : std::optional(impl_->look_up_row(rows, place));
}

void LiveCounters::visit_look_up(std::size_t look_up,
                                 const std::function<void(std::span<const Value>)>& told) const {
  const LookUpRows& rows = impl_->look_ups[look_up];
  rows.visit([&](std::uint32_t place) { told(impl_->look_up_row(rows, place)); });
}

std::optional<std::vector<std::vector<Value>>> LiveCounters::documents_of(std::size_t look_up,
                                                                          const Value& key,
                                                                          std::size_t most) const {
  const auto slots = impl_->documents_by(impl_->look_ups[look_up].by(), key, most + 1);
  if (slots.size() > most) return std::nullopt;
  std::vector<std::vector<Value>> rows;
  for (const Slot slot : slots) rows.push_back(impl_->row_at(slot));
  return rows;
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
  impl::in_parallel(impl_->threads, [&](unsigned) {
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
  Size size;
  size.documents = impl_->documents.size();
  size.classes = impl_->classes.size() - 1;
  size.bytes = impl_->documents.bytes() + impl_->classes.bytes() + impl_->counts.bytes() +
               impl_->times.bytes() + impl_->look_ups.bytes();
  for (std::size_t i = 0; i < impl_->look_ups.size(); ++i) size.look_up_rows += impl_->look_ups[i].size();
  for (const HeldColumn& column : impl_->columns) {
    size.values += column.values();
    size.bytes += column.bytes();
  }
  return size;
}

}  // namespace headroom::worklist
