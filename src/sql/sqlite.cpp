#include "sql/sqlite.hpp"

#include <sqlite3.h>

#include <chrono>
#include <memory>
#include <set>
#include <string_view>

#include <fmt/format.h>

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

using Clock = std::chrono::steady_clock;

/// Called by SQLite every thousand steps of its machine: not 0 interrupts it.
int is_late(void* deadline) {
  return Clock::now() > *static_cast<Clock::time_point*>(deadline) ? 1 : 0;
}

base::Error error_of(sqlite3* database) {
  const int code = sqlite3_errcode(database) & 0xFF;
  const std::string message = fmt::format("SQLite: {}", sqlite3_errmsg(database));
  if (code == SQLITE_INTERRUPT || code == SQLITE_BUSY || code == SQLITE_LOCKED)
    return {ErrorCode::kTimedOut, message};
  if (code == SQLITE_CANTOPEN || code == SQLITE_IOERR || code == SQLITE_NOMEM)
    return {ErrorCode::kUnavailable, message};
  if (code == SQLITE_PERM || code == SQLITE_AUTH || code == SQLITE_READONLY)
    return {ErrorCode::kDenied, message};
  return {ErrorCode::kInvalidArgument, message};
}

Result<Database> open_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!file.is_absolute() || !std::filesystem::is_regular_file(file, ignored)) {
    return fail(ErrorCode::kNotFound, "the database's URL names no file; expected sqlite:///absolute/path");
  }
  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  if (opened != SQLITE_OK) return fail(ErrorCode::kUnavailable, "the database's file cannot be opened");
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

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
Result<Statement> prepare(sqlite3* database, const std::string& sql, const char** tail) {
  constexpr int kMostFunctions = 64;
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  std::set<std::string> made_up;
  for (int attempt = 0; attempt <= kMostFunctions; ++attempt) {
    sqlite3_stmt* handle = nullptr;
    const int prepared =
        sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &handle, tail);
    Statement statement(handle);
    if (prepared == SQLITE_OK) return statement;
    const std::string name = missing_function(sqlite3_errmsg(database));
    if (name.empty() || !made_up.insert(name).second) break;
    const base::Error refused = error_of(database);
    const int made =
        sqlite3_create_function(database, name.c_str(), -1, kFlags, nullptr, stand_in, nullptr, nullptr);
    if (made != SQLITE_OK) return fail(refused);
  }
  return fail(error_of(database));
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
  if (stepped != SQLITE_DONE) return fail(error_of(database));
  return rows;
}

}  // namespace

Result<Plan> explain_in_sqlite(const std::filesystem::path& file, const ExplainQuestion& question,
                               const ExplainOptions& options) {
  if (options.analyze)
    return fail(ErrorCode::kUnsupported, "SQLite has no EXPLAIN ANALYZE; ask for the plain plan");
  const auto statement = check_explainable_in_sqlite(question.statement);
  if (!statement) return fail(statement.error());
  const auto database = open_file(file);
  if (!database) return fail(database.error());
  auto deadline = Clock::now() + options.timeout;
  sqlite3_busy_timeout(database->get(), static_cast<int>(options.timeout.count()));
  sqlite3_progress_handler(database->get(), 1000, is_late, &deadline);
  const auto rows = read_plan(database->get(), "EXPLAIN QUERY PLAN " + *statement);
  if (!rows) return fail(rows.error());
  Plan plan = parse_sqlite_plan(*rows);
  plan.generic = question.generic;
  plan.statement = *statement;
  return plan;
}

}  // namespace headroom::sql
