#pragma once

// SQLite's C interface for files that are only read, behind owners.

#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "base/result.hpp"

namespace headroom::sql {

struct CloseSqlite {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeSqlite {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using SqliteOwner = std::unique_ptr<sqlite3, CloseSqlite>;
using SqliteStatementOwner = std::unique_ptr<sqlite3_stmt, FinalizeSqlite>;

/// What it says of its last call, as our error.
[[nodiscard]] base::Error sqlite_error(sqlite3* database);
/// Opens a file read-only, defensively. Errors: not_found, unavailable.
[[nodiscard]] base::Result<SqliteOwner> open_sqlite_file(const std::filesystem::path& file);
/// From now on what runs beyond the deadline is interrupted, and locks are waited for no longer than
/// `timeout`. `deadline` outlives the database.
void keep_deadline(sqlite3* database, std::chrono::steady_clock::time_point& deadline,
                   std::chrono::milliseconds timeout);

}  // namespace headroom::sql
