#include "sql/impl/sqlite_file.hpp"

#include <fmt/format.h>

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using Clock = std::chrono::steady_clock;

/// Called by SQLite every thousand steps of its machine: not 0 interrupts it.
int is_late(void* deadline) {
  return Clock::now() > *static_cast<Clock::time_point*>(deadline) ? 1 : 0;
}

}  // namespace

base::Error sqlite_error(sqlite3* database) {
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

base::Result<SqliteOwner> open_sqlite_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!file.is_absolute() || !std::filesystem::is_regular_file(file, ignored)) {
    return fail(ErrorCode::kNotFound, "the database's URL names no file; expected sqlite:///absolute/path");
  }
  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  SqliteOwner database(handle);
  if (opened != SQLITE_OK) return fail(ErrorCode::kUnavailable, "the database's file cannot be opened");
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

void keep_deadline(sqlite3* database, Clock::time_point& deadline, std::chrono::milliseconds timeout) {
  sqlite3_busy_timeout(database, static_cast<int>(timeout.count()));
  sqlite3_progress_handler(database, 1000, is_late, &deadline);
}

}  // namespace headroom::sql
