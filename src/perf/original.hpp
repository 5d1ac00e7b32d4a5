#pragma once

// Import of what tryton-perf-analyzer (2016) left in Redis. Its layout:
//   s:SESSION  m:n:SESSION  t:n:SESSION  t:t:SESSION  c:SESSION:RANK  x:p:  x:db:  x:io:  q:SESSION

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// What an import did so far.
struct ImportCounts {
  std::uint64_t sessions = 0;
  std::uint64_t calls = 0;      ///< those that were known already included
  std::uint64_t new_calls = 0;  ///< those that were not
  std::uint64_t slow_statements = 0;
  std::uint64_t profiles = 0;
  std::uint64_t bodies = 0;
  /// What could not be read or has no place here, by a short reason.
  std::map<std::string, std::uint64_t> left_out;
};

/// Called after each batch; `total` is the number of sessions found.
using ImportProgress = std::function<void(const ImportCounts& done, std::uint64_t total)>;

/// Reads the original analyzer's records from the Redis server at `url` (only reading, with SCAN) and appends
/// them to `target`, at most 100 calls at a time. The layout has no database name: `database` is given to
/// all. Guarantees: importing twice stores once. Values that are damaged are skipped and counted. Bodies,
/// statements and backtraces are redacted. Shape: sessions keep a hexadecimal id; others get a hash. A call
/// keeps its rank where no earlier call is missing. The statements per table that no call explains are those
/// of the session's last call, in the sums only; they are left out when the target had calls of the session
/// before. Errors: those of the server and of `target`; invalid_argument for the URL.
[[nodiscard]] Result<ImportCounts> import_original(std::string_view url, const std::string& database,
                                                   Store& target, const ImportProgress& progress = {});

/// The flat profile that pstats prints, as a tree of one level. Its columns have milliseconds, no callers.
/// Returns nothing when there is no line of a function in it. Cost: O(text), at most 100,000 functions.
[[nodiscard]] std::optional<Profile> profile_from_pstats(std::string_view text);

/// One msgpack map of numbers and strings, without nesting. Numbers come as text; `nullopt` for anything
/// else.
[[nodiscard]] std::optional<std::map<std::string, std::string>> flat_msgpack(std::string_view bytes);

/// "2016-03-02@14:05:06.123456", which is UTC.
[[nodiscard]] std::optional<UtcTime> original_time(std::string_view text);

}  // namespace headroom::perf
