#include "worklist/count.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "worklist/impl/statements.hpp"

namespace headroom::worklist {

namespace {

using base::fail;

std::optional<std::uint64_t> whole(const std::optional<std::string>& text) {
  std::uint64_t number = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return number;
}

Result<void> read_one(const sql::PostgresRows& rows, Count& count) {
  const auto number = rows.size() == 1 && rows[0].size() == 1 ? whole(rows[0][0]) : std::nullopt;
  if (!number) return fail(ErrorCode::kProtocol, "the database's answer is no count");
  count.count = *number;
  return {};
}

Result<void> read_many(const sql::PostgresRows& rows, std::vector<Count>& counts) {
  for (const auto& row : rows) {
    const auto list = row.size() == 2 ? whole(row[0]) : std::nullopt;
    const auto number = row.size() == 2 ? whole(row[1]) : std::nullopt;
    if (!list || *list >= counts.size() || !number)
      return fail(ErrorCode::kProtocol, "the database's answer is no list with its count");
    counts[*list].count += *number;
  }
  return {};
}

/// Who takes cells of a group: its lists, or, where it has parts, these.
class Takers final {
 public:
  Takers(const Plan& plan, const Group& group) : plan_(plan), group_(group) {}

  [[nodiscard]] std::size_t size() const { return merged() ? group_.parts.size() : group_.lists.size(); }
  [[nodiscard]] std::size_t words() const { return (size() + 63) / 64; }
  /// What one asks of a column; null: nothing.
  [[nodiscard]] const ColumnTest* test(std::size_t place, std::size_t column) const {
    if (merged()) {
      for (const auto& test : plan_.parts[group_.parts[place]].tests) {
        if (test->column == column) return test.get();
      }
      return nullptr;
    }
    for (const ColumnTest& test : plan_.lists[group_.lists[place]].tests) {
      if (test.column == column) return &test;
    }
    return nullptr;
  }
  [[nodiscard]] std::size_t list(std::size_t place) const {
    return merged() ? plan_.parts[group_.parts[place]].list : group_.lists[place];
  }

 private:
  [[nodiscard]] bool merged() const { return !group_.parts.empty(); }

  const Plan& plan_;
  const Group& group_;
};

/// Takers by bits, in their order.
using Bits = std::vector<std::uint64_t>;

/// By key and class: those that take documents of the class, or ask nothing of the key.
std::vector<std::vector<Bits>> taking(const Takers& takers, const Group& group) {
  std::vector<std::vector<Bits>> taking;
  for (const Key& key : group.keys) {
    taking.emplace_back(key.classes.classes, Bits(takers.words()));
    for (std::size_t place = 0; place < takers.size(); ++place) {
      const auto mark = [&](Bits& bits) { bits[place / 64] |= std::uint64_t{1} << (place % 64); };
      const ColumnTest* test = takers.test(place, key.column);
      if (test == nullptr) {
        std::for_each(taking.back().begin(), taking.back().end(), mark);
        continue;
      }
      for (const ClassId id : key.classes.accepted[key.tests.at(*test)]) mark(taking.back()[id]);
    }
  }
  return taking;
}

/// The class of a cell's key; nothing: the answer is none.
std::optional<ClassId> class_in(const Key& key, const std::optional<std::string>& text) {
  if (key.as_it_is) return class_of(key.classes, text ? Value{*text} : Value{});
  const auto id = whole(text);
  if (!id || *id >= key.classes.classes) return std::nullopt;
  return static_cast<ClassId>(*id);
}

void add(const Takers& takers, const Bits& chosen, std::uint64_t number, std::vector<Count>& counts) {
  for (std::size_t word = 0; word < chosen.size(); ++word) {
    for (std::uint64_t rest = chosen[word]; rest != 0; rest &= rest - 1)
      counts[takers.list(word * 64 + static_cast<std::size_t>(std::countr_zero(rest)))].count += number;
  }
}

/// Bits for all of them.
Bits everybody(const Takers& takers) {
  Bits bits(takers.words(), ~std::uint64_t{0});
  if (takers.size() % 64 != 0) bits.back() = (std::uint64_t{1} << (takers.size() % 64)) - 1;
  return bits;
}

Result<void> read_cells(const sql::PostgresRows& rows, const Plan& plan, const Group& group,
                        std::vector<Count>& counts) {
  const Takers takers(plan, group);
  const auto of_class = taking(takers, group);
  const Bits all = everybody(takers);
  for (const auto& row : rows) {
    const auto number = row.size() == group.keys.size() + 1 ? whole(row.back()) : std::nullopt;
    Bits chosen = all;
    for (std::size_t i = 0; number && i < group.keys.size(); ++i) {
      const auto id = class_in(group.keys[i], row[i]);
      if (!id) return fail(ErrorCode::kProtocol, "the database's answer is no cell with its count");
      for (std::size_t word = 0; word < chosen.size(); ++word) chosen[word] &= of_class[i][*id][word];
    }
    if (!number) return fail(ErrorCode::kProtocol, "the database's answer is no cell with its count");
    add(takers, chosen, *number, counts);
  }
  return {};
}

Result<void> read(const sql::PostgresRows& rows, const Plan& plan, const Statement& statement,
                  std::vector<Count>& counts) {
  if (statement.list) return read_one(rows, counts[*statement.list]);
  if (statement.group) return read_cells(rows, plan, plan.groups[*statement.group], counts);
  return read_many(rows, counts);
}

std::string subject(const Question& question, const Plan& plan, const Statement& statement) {
  if (!statement.list) return "while counting a group of lists";
  return fmt::format("while counting {}", question.definitions.lists[plan.lists[*statement.list].list].key());
}

Result<PlannedList> planned(const Question& question, std::size_t list) {
  auto plan = make_plan(question, first_passes());
  if (!plan) return fail(plan.error());
  return std::move(plan->lists[list]);
}

Result<Value> read_after(const Catalog& catalog, const std::string& after) {
  if (after.empty()) return Value{};
  auto key = parse_value(catalog.columns[catalog.key].type, after);
  if (!key) return fail(std::move(key.error()).within("the key after which the list goes on"));
  return key;
}

}  // namespace

Result<std::vector<Count>> count(sql::Reader& reader, const Question& question) {
  auto plan = make_plan(question);
  if (!plan) return fail(plan.error());
  return count(reader, question, *plan);
}

Result<std::vector<Count>> count(sql::Reader& reader, const Question& question, const Plan& plan) {
  std::vector<Count> counts;
  for (const PlannedList& list : plan.lists) counts.push_back({0, list.fate, list.why});
  for (const Statement& statement : plan.statements) {
    auto rows = reader.query(statement.text, statement.parameters);
    if (!rows) return fail(std::move(rows.error()).within(subject(question, plan, statement)));
    if (auto done = read(*rows, plan, statement, counts); !done)
      return fail(std::move(done.error()).within(subject(question, plan, statement)));
  }
  return counts;
}

Result<std::vector<std::string>> documents(sql::Reader& reader, const Question& question, std::size_t list,
                                           const Page& page) {
  const auto wanted = planned(question, list);
  if (!wanted) return fail(wanted.error());
  if (wanted->fate == Fate::kHidden) return fail(ErrorCode::kDenied, wanted->why);
  const Catalog& catalog = question.definitions.catalogs[question.definitions.lists[list].catalog];
  const auto after = read_after(catalog, page.after);
  if (!after) return fail(after.error());
  std::vector<std::string> keys;
  if (wanted->fate == Fate::kZero) return keys;
  const Statement statement = impl::documents_statement(question, *wanted, *after, page.limit);
  auto rows = reader.query(statement.text, statement.parameters);
  if (!rows) return fail(std::move(rows.error()).within("while reading documents"));
  for (auto& row : *rows) {
    if (!row.empty() && row[0]) keys.push_back(std::move(*row[0]));
  }
  return keys;
}

}  // namespace headroom::worklist
