#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "headroom/blocking.hpp"
#include "headroom/explain.hpp"
#include "sql/postgres.hpp"

namespace headroom::cli {

/// Whom a look asks.
enum class Asked {
  kAll,       ///< every database that is configured
  kWhoWaits,  ///< those in which a call has been in a statement for a while
};

/// Asks the databases of `[perf.databases]` who waits for whom: over one connection each, at most once a
/// second however often it is asked, and five seconds after a failure. A look takes at most the time of one
/// timeout a database, and of kMostDatabases databases.
/// Threads: any; one look at a time.
class BlockingWatch {
 public:
  static constexpr std::chrono::seconds kPeriod{1};
  static constexpr std::chrono::seconds kAfterFailure{5};
  static constexpr std::chrono::milliseconds kTimeout{500};
  /// A call that is in a statement for less is not asked about.
  static constexpr base::Microseconds kLong = std::chrono::milliseconds{200};
  static constexpr std::size_t kMostDatabases = 16;

  explicit BlockingWatch(const Databases& databases);

  /// Never fails: what is wrong with a database is one of the view's problems, without its URL.
  [[nodiscard]] BlockingView look(const std::vector<perf::RunningCall>& running, Asked asked,
                                  std::int64_t now_ns);
  /// Ends the connections, until somebody looks again.
  void rest();

 private:
  struct Database {
    std::string url;
    std::optional<sql::PostgresConnection> connection;
    std::optional<base::Result<sql::BlockedSessions>> last;
    std::int64_t next_ns = 0;  ///< not asked before
  };

  static void ask(Database& database, std::int64_t now_ns);

  std::mutex mutex_;
  std::map<std::string, Database> databases_;
};

}  // namespace headroom::cli
