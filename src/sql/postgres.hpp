#pragma once

// A connection to PostgreSQL with a deadline on every wait, over libpq's non-blocking calls; and plans asked
// over it.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sql/explain.hpp"
#include "sql/rows.hpp"

struct pg_conn;

namespace headroom::sql {

/// One connection, used by one thread at a time. What misses its deadline breaks the connection: the server
/// is told by its end.
/// Errors of every method: timed_out, unavailable (no server, or the connection broke), denied (password,
/// rights), invalid_argument (the server's refusal, in its words). No message holds the URL or a password.
/// Not bounded: the look-up of a host's name, which libpq does by the system's resolver.
class PostgresConnection final {
 public:
  using Clock = std::chrono::steady_clock;

  /// `url`: postgresql://user:password@host:port/database?options
  [[nodiscard]] static Result<PostgresConnection> connect(const std::string& url, Clock::time_point deadline);

  /// Runs one statement (the extended protocol takes no more), with text parameters.
  [[nodiscard]] Result<PostgresRows> query(const std::string& statement,
                                           const std::vector<std::string>& parameters,
                                           Clock::time_point deadline);

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };

  explicit PostgresConnection(pg_conn* connection) : connection_(connection) {}
  [[nodiscard]] Result<void> send_all(Clock::time_point deadline);
  [[nodiscard]] Result<void> wait_for_result(Clock::time_point deadline);

  std::unique_ptr<pg_conn, Finish> connection_;
};

/// Begins a read-only transaction with bounds for each statement and each wait for a lock, which the server
/// keeps; ROLLBACK ends it. Errors: those of PostgresConnection.
[[nodiscard]] Result<void> begin_read_only(PostgresConnection& connection, std::chrono::milliseconds timeout,
                                           PostgresConnection::Clock::time_point deadline);

/// Asks the server for the plan of a statement, in a read-only transaction that is rolled back, with a
/// timeout that the server keeps as well.
/// A generic question is prepared with its placeholders and planned for any values
/// (plan_cache_mode = force_generic_plan); the server must be able to tell their types.
/// Errors: as `explain`.
[[nodiscard]] Result<Plan> explain_in_postgres(const std::string& url, const ExplainQuestion& question,
                                               const ExplainOptions& options);

}  // namespace headroom::sql
