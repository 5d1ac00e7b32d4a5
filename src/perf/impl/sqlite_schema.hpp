#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "perf/impl/sqlite_database.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// "HDRM": what `PRAGMA application_id` says of our files.
inline constexpr std::int64_t kSqliteApplication = 0x4844524D;

/// The statements that bring a file from schema `i` to `i + 1`. A released step never changes.
[[nodiscard]] std::span<const char* const> schema_steps();

/// Runs the steps that the file lacks, in one transaction. Throws SqliteError.
void migrate(SqliteDatabase& database, std::span<const char* const> steps);

/// Makes an empty store at `path`, whole or not at all, also when several processes try at once: it is built
/// beside and linked into place. The file gets mode 0660, a missing folder 2770. Throws SqliteError.
void create_sqlite_file(const std::filesystem::path& path, std::span<const char* const> steps);

struct SqliteConnection {
  std::unique_ptr<SqliteDatabase> database;
  /// The file could be read only by leaving locks and -wal aside: what was read must not be kept open,
  /// because a writer would not know of it.
  bool snapshot = false;
};

/// Checks that the file is ours before anything could write to it, then connects. Throws SqliteError.
[[nodiscard]] SqliteConnection connect_sqlite_file(const std::filesystem::path& path, OpenMode mode,
                                                   std::span<const char* const> steps);

}  // namespace headroom::perf
