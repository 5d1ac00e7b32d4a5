#include "sql/sqlite.hpp"

#include <chrono>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "sql/impl/sqlite_file.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;

using Clock = std::chrono::steady_clock;

/// Applications give their own connections functions (trytond: EXTRACT, NOW, TRUNC with two arguments, ...).
/// For a plan it is enough that the name exists. Should SQLite call it all the same, it gets NULL.
void stand_in(sqlite3_context* context, int /*number*/, sqlite3_value** /*values*/) {
  sqlite3_result_null(context);
}

/// The name of the function that SQLite misses for so many arguments, out of its words; else empty.
std::string missing_function(std::string_view message) {
  static constexpr std::string_view kUnknown = "no such function: ";
  static constexpr std::string_view kArguments = "wrong number of arguments to function ";
  if (message.starts_with(kUnknown)) return std::string(message.substr(kUnknown.size()));
  if (!message.starts_with(kArguments) || !message.ends_with("()")) return {};
  message.remove_prefix(kArguments.size());
  message.remove_suffix(2);
  return std::string(message);
}

/// Prepares; a function that is not there is made up, for any number of arguments, and it is tried again.
Result<SqliteStatementOwner> prepare(sqlite3* database, const std::string& sql, const char** tail) {
  constexpr int kMostFunctions = 64;
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  std::set<std::string> made_up;
  for (int attempt = 0; attempt <= kMostFunctions; ++attempt) {
    sqlite3_stmt* handle = nullptr;
    const int prepared =
        sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &handle, tail);
    SqliteStatementOwner statement(handle);
    if (prepared == SQLITE_OK) return statement;
    const std::string name = missing_function(sqlite3_errmsg(database));
    if (name.empty() || !made_up.insert(name).second) break;
    const base::Error refused = sqlite_error(database);
    const int made =
        sqlite3_create_function(database, name.c_str(), -1, kFlags, nullptr, stand_in, nullptr, nullptr);
    if (made != SQLITE_OK) return fail(refused);
  }
  return fail(sqlite_error(database));
}

Result<std::vector<SqlitePlanRow>> read_plan(sqlite3* database, const std::string& sql) {
  const char* tail = nullptr;
  const auto statement = prepare(database, sql, &tail);
  if (!statement) return fail(statement.error());
  sqlite3_stmt* const handle = statement->get();
  if (handle == nullptr || sqlite3_stmt_isexplain(handle) != 2 || *tail != '\0')
    return fail(ErrorCode::kInvalidArgument, "only a single statement can be explained");
  std::vector<SqlitePlanRow> rows;
  int stepped = SQLITE_ROW;
  while ((stepped = sqlite3_step(handle)) == SQLITE_ROW) {
    const auto* detail = reinterpret_cast<const char*>(sqlite3_column_text(handle, 3));
    rows.push_back({sqlite3_column_int64(handle, 0), sqlite3_column_int64(handle, 1),
                    detail == nullptr ? std::string() : std::string(detail)});
  }
  if (stepped != SQLITE_DONE) return fail(sqlite_error(database));
  return rows;
}

}  // namespace

Result<Plan> explain_in_sqlite(const std::filesystem::path& file, const ExplainQuestion& question,
                               const ExplainOptions& options) {
  if (options.analyze)
    return fail(ErrorCode::kUnsupported, "SQLite has no EXPLAIN ANALYZE; ask for the plain plan");
  const auto statement = check_explainable_in_sqlite(question.statement);
  if (!statement) return fail(statement.error());
  const auto database = open_sqlite_file(file);
  if (!database) return fail(database.error());
  auto deadline = Clock::now() + options.timeout;
  keep_deadline(database->get(), deadline, options.timeout);
  const auto rows = read_plan(database->get(), "EXPLAIN QUERY PLAN " + *statement);
  if (!rows) return fail(rows.error());
  Plan plan = parse_sqlite_plan(*rows);
  plan.generic = question.generic;
  plan.statement = *statement;
  return plan;
}

}  // namespace headroom::sql
