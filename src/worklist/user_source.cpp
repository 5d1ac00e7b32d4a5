#include "worklist/user_source.hpp"

#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "sql/token.hpp"
#include "worklist/impl/sql_text.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::SqlText;

std::optional<std::int64_t> whole(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// SQLite compares a number and a text only where a column's type says how. MariaDB would find the text '7x'
/// by the number 7; by a text it does not (sql::Reader refuses the comparison that it only warns of).
sql::Parameter id_parameter(const std::string& id, sql::Dialect dialect) {
  const auto number = whole(id);
  if (dialect == sql::Dialect::kSqlite && number) return *number;
  return id;
}

std::string_view placeholder(sql::Dialect dialect) {
  return dialect == sql::Dialect::kPostgres ? "$1" : "?1";
}

std::string rows_of(const UserSource& users) {
  return users.query.empty() ? SqlText::quoted_table(users.table) : "(" + users.query + "\n)";
}

/// In the order of their texts, each once.
std::set<std::string> conditions_of(const Definitions& definitions) {
  std::set<std::string> conditions;
  for (const WorkList& list : definitions.lists) {
    if (!list.guard.condition.empty()) conditions.insert(list.guard.condition);
  }
  return conditions;
}

Result<sql::PostgresRows> ask(sql::Reader& reader, const std::string& statement, const std::string& id,
                              std::string_view part) {
  if (statement.empty()) return sql::PostgresRows{};
  std::vector<sql::Parameter> parameters;
  // Only a parameter that the statement names can be bound.
  if (statement.find(placeholder(reader.dialect())) != std::string::npos)
    parameters.push_back(id_parameter(id, reader.dialect()));
  auto rows = reader.query(statement, parameters);
  if (!rows) return fail(std::move(rows.error()).within(fmt::format("users: {}", part)));
  return rows;
}

Result<std::set<std::string>> ask_texts(sql::Reader& reader, const std::string& statement,
                                        const std::string& id, std::string_view part) {
  auto rows = ask(reader, impl::user_statement(statement, placeholder(reader.dialect())), id, part);
  if (!rows) return fail(rows.error());
  std::set<std::string> texts;
  for (auto& row : *rows) {
    if (!row.empty() && row.front()) texts.insert(std::move(*row.front()));
  }
  return texts;
}

std::string text_at(const std::vector<std::optional<std::string>>& row, std::size_t column) {
  return column < row.size() ? row[column].value_or("") : "";
}

Result<std::set<SecurityUid>> ask_uids(sql::Reader& reader, const UserSource& source, const std::string& id) {
  auto rows = ask(reader, impl::user_statement(source.security_uids, placeholder(reader.dialect())), id,
                  "security_uids");
  if (!rows) return fail(rows.error());
  if (rows->size() > kMostSecurityUids) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("user '{}' has more than {} security uids", id, kMostSecurityUids));
  }
  std::set<SecurityUid> uids;
  for (const auto& row : *rows) {
    if (row.empty() || !row.front()) continue;
    const auto uid = whole(*row.front());
    if (!uid) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("users: security_uids: '{:.60}' is no whole number", *row.front()));
    }
    uids.insert({*uid, text_at(row, 1), text_at(row, 2)});
  }
  return uids;
}

bool is_true(const std::optional<std::string>& answer) {
  return answer && (*answer == "t" || *answer == "1");
}

Result<void> ask_conditions(sql::Reader& reader, const Definitions& definitions, User& user) {
  auto rows = ask(reader, impl::conditions_statement(definitions, placeholder(reader.dialect())), user.id,
                  "a guard's condition");
  if (!rows) return fail(rows.error());
  if (rows->empty()) return fail(ErrorCode::kNotFound, fmt::format("there is no user '{:.60}'", user.id));
  std::size_t place = 1;
  for (const std::string& condition : conditions_of(definitions)) {
    if (place < rows->front().size() && is_true(rows->front()[place])) user.conditions.insert(condition);
    ++place;
  }
  return {};
}

}  // namespace

namespace impl {

std::string user_statement(const std::string& statement, std::string_view user) {
  std::string text;
  std::size_t end = 0;
  for (const sql::Token& token : sql::tokenize(statement)) {
    if (token.kind != sql::TokenKind::kPlaceholder) continue;
    const auto start = static_cast<std::size_t>(token.text.data() - statement.data());
    text += statement.substr(end, start - end);
    text += user;
    end = start + token.text.size();
  }
  return text + statement.substr(end);
}

std::string conditions_statement(const Definitions& definitions, std::string_view user) {
  const UserSource& users = definitions.users;
  std::string columns = "1";
  for (const std::string& condition : conditions_of(definitions))
    columns += fmt::format(", ({}\n) IS TRUE", condition);
  return fmt::format("SELECT {} FROM {} AS \"user\" WHERE \"user\".{} = {}", columns, rows_of(users),
                     SqlText::quoted(users.key), user);
}

}  // namespace impl

Result<User> load_user(sql::Reader& reader, const Definitions& definitions, const std::string& id) {
  const UserSource& source = definitions.users;
  User user;
  user.id = id;
  if (source.has_rows()) {
    if (auto asked = ask_conditions(reader, definitions, user); !asked) return fail(asked.error());
  }
  for (const auto& [statement, target, part] :
       {std::tuple{&source.roles, &user.roles, "roles"}, std::tuple{&source.groups, &user.groups, "groups"},
        std::tuple{&source.permissions, &user.permissions, "permissions"}}) {
    auto texts = ask_texts(reader, *statement, id, part);
    if (!texts) return fail(texts.error());
    *target = std::move(*texts);
  }
  auto uids = ask_uids(reader, source, id);
  if (!uids) return fail(uids.error());
  user.security_uids = std::move(*uids);
  return user;
}

Result<void> load_conditions(sql::Reader& reader, const Definitions& definitions, User& user) {
  if (conditions_of(definitions).empty()) return {};
  return ask_conditions(reader, definitions, user);
}

Result<std::vector<std::string>> find_users(sql::Reader& reader, const Definitions& definitions,
                                            const std::string& beginning, std::size_t most) {
  const UserSource& users = definitions.users;
  if (!users.has_rows())
    return fail(ErrorCode::kConflict, "users of the definitions has no table or query to search");
  const std::string id = fmt::format("CAST(\"user\".{} AS TEXT)", SqlText::quoted(users.key));
  const std::string given = fmt::format("CAST({} AS TEXT)", placeholder(reader.dialect()));
  auto rows =
      reader.query(fmt::format("SELECT DISTINCT {} FROM {} AS \"user\" WHERE substr({}, 1, length({})) = {} "
                               "ORDER BY 1 LIMIT {}",
                               id, rows_of(users), id, given, given, most),
                   {beginning});
  if (!rows) return fail(std::move(rows.error()).within("users"));
  std::vector<std::string> found;
  for (auto& row : *rows) {
    if (row.front()) found.push_back(std::move(*row.front()));
  }
  return found;
}

}  // namespace headroom::worklist
