#pragma once

#include <cstdint>
#include <filesystem>

#include "perf/impl/sqlite_database.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// Deletes what is too old or too much, in transactions of some 10 ms each. Throws SqliteError.
[[nodiscard]] Pruned prune_file(SqliteDatabase& database, const std::filesystem::path& path,
                                const Retention& retention, UtcTime now, Microseconds budget);

/// What the store takes on disk: the file and its -wal.
[[nodiscard]] std::uint64_t file_bytes(const std::filesystem::path& path);

}  // namespace headroom::perf
