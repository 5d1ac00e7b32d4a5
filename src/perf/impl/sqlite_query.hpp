#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/impl/sqlite_database.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// The order that was asked for last on a connection. Bound: kMostSorted numbers.
struct KeptOrder {
  Filter filter;
  CallOrder order;
  std::vector<std::int64_t> rows;
  std::uint64_t total = 0;
  /// SQLite's data_version, which tells what other connections wrote. What this one writes it does not tell:
  /// whoever writes on it drops what is kept.
  std::optional<std::int64_t> version;
};

// The questions of perf::Store, each in one read transaction. They throw SqliteError.

[[nodiscard]] std::vector<SessionRow> read_sessions(SqliteDatabase& database, const Filter& filter);
[[nodiscard]] std::vector<TotalRow> read_totals(SqliteDatabase& database, const Filter& filter,
                                                GroupBy group);
[[nodiscard]] CallPage read_calls(SqliteDatabase& database, const Filter& filter, const Page& page);
/// In another order than that of time, which is kept for the next page.
[[nodiscard]] CallPage read_sorted_calls(SqliteDatabase& database, const Filter& filter, const Page& page,
                                         const CallOrder& order, KeptOrder& kept);
[[nodiscard]] Batch read_records(SqliteDatabase& database, const std::vector<std::string>& ids);
[[nodiscard]] std::vector<MethodCount> read_counts(SqliteDatabase& database, const Filter& filter);
[[nodiscard]] CallSamples read_samples(SqliteDatabase& database, const Filter& filter, std::uint64_t most);
/// The processes seen since, newest first.
[[nodiscard]] std::vector<ProcessInfo> read_processes(SqliteDatabase& database, UtcTime since);

}  // namespace headroom::perf
