#pragma once

#include <string>
#include <vector>

#include "perf/impl/sqlite_database.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

// The questions of perf::Store, each in one read transaction. They throw SqliteError.

[[nodiscard]] std::vector<SessionRow> read_sessions(SqliteDatabase& database, const Filter& filter);
[[nodiscard]] std::vector<TotalRow> read_totals(SqliteDatabase& database, const Filter& filter,
                                                GroupBy group);
[[nodiscard]] CallPage read_calls(SqliteDatabase& database, const Filter& filter, const Page& page);
[[nodiscard]] Batch read_records(SqliteDatabase& database, const std::vector<std::string>& ids);
[[nodiscard]] std::vector<MethodCount> read_counts(SqliteDatabase& database, const Filter& filter);
[[nodiscard]] CallSamples read_samples(SqliteDatabase& database, const Filter& filter, std::uint64_t most);
/// The processes seen since, newest first.
[[nodiscard]] std::vector<ProcessInfo> read_processes(SqliteDatabase& database, UtcTime since);

}  // namespace headroom::perf
