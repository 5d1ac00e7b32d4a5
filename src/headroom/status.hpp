#pragma once

// What `headroom status` says: gathered as values, judged here, printed elsewhere.

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.hpp"
#include "headroom/configuration.hpp"
#include "perf/scoreboard.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

struct Status {
  std::string version;
  std::string configuration;  ///< its file; empty for the defaults
  StoreChoice choice;
  perf::StoreInfo store;
  /// Why the store could not be read; empty when it was.
  std::string store_error;
  perf::Retention retention;
  std::uint64_t rules_version = 0;
  std::uint64_t rules = 0;
  /// The calls that run now on this machine, oldest first.
  std::vector<perf::RunningCall> running;
  /// Each one line about something that needs attention.
  std::vector<std::string> problems;
};

/// A process that was not seen for so long has stopped, or cannot reach the store.
inline constexpr base::Microseconds kSilentAfter = std::chrono::minutes{1};

/// What is wrong: processes that dropped records, had errors, are silent, run another version or do not obey
/// the current rules yet; a store beyond its size. Threads: pure.
[[nodiscard]] std::vector<std::string> find_problems(const Status& status, base::UtcTime now);

[[nodiscard]] std::string status_text(const Status& status, base::UtcTime now);
[[nodiscard]] std::string status_json(const Status& status, base::UtcTime now);

/// A running call as status and the API show it.
[[nodiscard]] nlohmann::json running_json(const perf::RunningCall& call);

}  // namespace headroom::cli
