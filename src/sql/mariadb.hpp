#pragma once

// A connection to MariaDB with a deadline on every wait, over the non-blocking calls of its C client.

#include <chrono>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "sql/rows.hpp"

struct st_mysql;

namespace headroom::sql {

/// One connection, used by one thread at a time. What misses its deadline breaks the connection: the server
/// is told by its end.
/// Errors of every method: timed_out, unavailable (no server, or the connection broke), not_found (no such
/// database), denied (password, rights), too_large (over Reader::kMostRows), invalid_argument (the server's
/// refusal, in its words). No message holds the URL or a password. Not bounded: the look-up of a host's name,
/// by the system's resolver.
class MariaDbConnection final {
 public:
  using Clock = std::chrono::steady_clock;

  /// `url`: mariadb://user:password@host:port/database?options, as parse_mariadb_url reads it.
  [[nodiscard]] static base::Result<MariaDbConnection> connect(const std::string& url,
                                                               Clock::time_point deadline);

  /// Runs one statement as it stands, in utf8mb4. After timed_out and too_large the connection is of no more
  /// use.
  [[nodiscard]] base::Result<PostgresRows> query(const std::string& statement, Clock::time_point deadline);
  /// How many warnings the last statement left; SHOW WARNINGS tells them.
  [[nodiscard]] unsigned warnings() const;

 private:
  struct Close {
    void operator()(st_mysql* connection) const;
  };

  explicit MariaDbConnection(st_mysql* connection) : connection_(connection) {}
  [[nodiscard]] base::Result<void> send(const std::string& statement, Clock::time_point deadline);
  [[nodiscard]] base::Result<PostgresRows> read_rows(Clock::time_point deadline);

  std::unique_ptr<st_mysql, Close> connection_;
};

}  // namespace headroom::sql
