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

/// Lists by bits, in the order of Group::lists.
using Bits = std::vector<std::uint64_t>;

/// By key and class: the lists that take documents of the class, or ask nothing of the key.
std::vector<std::vector<Bits>> takers(const Plan& plan, const Group& group) {
  std::vector<std::vector<Bits>> takers;
  const std::size_t words = (group.lists.size() + 63) / 64;
  for (const Key& key : group.keys) {
    takers.emplace_back(key.classes.classes, Bits(words));
    for (std::size_t place = 0; place < group.lists.size(); ++place) {
      const auto mark = [&](Bits& bits) { bits[place / 64] |= std::uint64_t{1} << (place % 64); };
      const auto& tests = plan.lists[group.lists[place]].tests;
      const auto test = std::find_if(tests.begin(), tests.end(),
                                     [&key](const ColumnTest& one) { return one.column == key.column; });
      if (test == tests.end()) {
        std::for_each(takers.back().begin(), takers.back().end(), mark);
        continue;
      }
      for (const ClassId id : key.classes.accepted[key.tests.at(*test)]) mark(takers.back()[id]);
    }
  }
  return takers;
}

/// The class of a cell's key; nothing: the answer is none.
std::optional<ClassId> class_in(const Key& key, const std::optional<std::string>& text) {
  if (key.as_it_is) return class_of(key.classes, text ? Value{*text} : Value{});
  const auto id = whole(text);
  if (!id || *id >= key.classes.classes) return std::nullopt;
  return static_cast<ClassId>(*id);
}

void add(const Group& group, const Bits& lists, std::uint64_t number, std::vector<Count>& counts) {
  for (std::size_t word = 0; word < lists.size(); ++word) {
    for (std::uint64_t rest = lists[word]; rest != 0; rest &= rest - 1)
      counts[group.lists[word * 64 + static_cast<std::size_t>(std::countr_zero(rest))]].count += number;
  }
}

Result<void> read_cells(const sql::PostgresRows& rows, const Plan& plan, const Group& group,
                        std::vector<Count>& counts) {
  const auto of_class = takers(plan, group);
  for (const auto& row : rows) {
    const auto number = row.size() == group.keys.size() + 1 ? whole(row.back()) : std::nullopt;
    Bits lists((group.lists.size() + 63) / 64, ~std::uint64_t{0});
    for (std::size_t i = 0; number && i < group.keys.size(); ++i) {
      const auto id = class_in(group.keys[i], row[i]);
      if (!id) return fail(ErrorCode::kProtocol, "the database's answer is no cell with its count");
      for (std::size_t word = 0; word < lists.size(); ++word) lists[word] &= of_class[i][*id][word];
    }
    if (!number) return fail(ErrorCode::kProtocol, "the database's answer is no cell with its count");
    add(group, lists, *number, counts);
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
