#pragma once

// What `headroom status` says: gathered as values, judged here, printed elsewhere.

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "headroom/configuration.hpp"
#include "perf/report.hpp"
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
  /// The bus of the service of this configuration, as it says; nothing when [bus] is not enabled.
  struct Bus {
    std::string error;  ///< why it did not say anything; empty when it did
    std::int64_t connections = 0;
    std::int64_t most_connections = 0;
    std::int64_t channels = 0;
    std::int64_t users = 0;
  };
  std::optional<Bus> bus;
  /// Each one line about something that needs attention.
  std::vector<std::string> problems;
};

/// A process that was not seen for so long has stopped, or cannot reach the store.
inline constexpr base::Microseconds kSilentAfter = std::chrono::minutes{1};

/// A rule that processes have from their own configuration file; the store knows nothing of it.
struct FileRule {
  perf::Rule rule;
  std::size_t processes = 0;
  std::vector<std::string> hosts;  ///< each once

  /// "3 processes on app1, app2".
  [[nodiscard]] std::string where() const;
};

/// The rules of the configuration files of the processes that are not silent, equal ones together. Threads:
/// pure.
[[nodiscard]] std::vector<FileRule> file_rules(const std::vector<perf::ProcessInfo>& processes,
                                               base::UtcTime now);

/// Whether one of them is not silent.
[[nodiscard]] bool anything_records(const std::vector<perf::ProcessInfo>& processes, base::UtcTime now);

/// What is wrong: processes that dropped records, had errors, are silent, run another version or do not obey
/// the current rules yet; a store beyond its size. Threads: pure.
[[nodiscard]] std::vector<std::string> find_problems(const Status& status, base::UtcTime now);

/// Fills what the store knows: its own state, the retention and the rules in force.
/// Errors: those of the store; `status` is then as it was.
[[nodiscard]] base::Result<void> ask_store(perf::OpenStore& open, Status& status);

/// For a pipe: one row, with the processes, the running calls and the warnings as parts.
[[nodiscard]] perf::Report status_report(const Status& status, base::UtcTime now);
[[nodiscard]] std::string status_text(const Status& status, base::UtcTime now);
[[nodiscard]] std::string status_json(const Status& status, base::UtcTime now);

/// A running call as status and the API show it.
[[nodiscard]] nlohmann::json running_json(const perf::RunningCall& call);

}  // namespace headroom::cli
