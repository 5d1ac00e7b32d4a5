#include "worklist/count.hpp"

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
    auto read = statement.list ? read_one(*rows, counts[*statement.list]) : read_many(*rows, counts);
    if (!read) return fail(std::move(read.error()).within(subject(question, plan, statement)));
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
