#pragma once

// Who waits for whose lock in a PostgreSQL server, as the server itself tells it.
//
// pg_blocking_pids() takes the lock manager's own locks for a moment, so it is called for sessions alone that
// wait for a lock; when none does, the question costs one look at the list of sessions.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sql/postgres.hpp"

namespace headroom::sql {

/// A session that waits for a lock, or that another one waits for. What the asking role may not see is empty.
struct Session {
  std::int32_t process = 0;  ///< of its backend; 0 stands for prepared transactions, which have none
  std::string database;
  std::string user;
  std::string application;  ///< application_name: whatever the client says
  std::string client;       ///< its address; empty for a unix socket
  std::string state;        ///< "active", "idle in transaction", ...
  std::string lock;         ///< that it waits for: "transactionid, a row of party", "relation party"
  std::string statement;    ///< the one that runs, or the last one, without values
  std::optional<std::chrono::microseconds> transaction_age;
  std::optional<std::chrono::microseconds> state_age;
  std::optional<std::chrono::microseconds> waiting;
  std::vector<std::int32_t> waits_for;  ///< each once; empty for one that only holds
};

/// The answer of one server.
struct BlockedSessions {
  std::vector<Session> sessions;  ///< the oldest transaction first; at most kMostSessions
  std::string role;               ///< that asked
  std::uint64_t hidden = 0;       ///< sessions of the database that this role may not look at
};

inline constexpr std::size_t kMostSessions = 500;

/// Asks once, in a read-only transaction with a timeout that the server keeps as well. Errors: those of
/// PostgresConnection; the connection is then to be thrown away.
[[nodiscard]] Result<BlockedSessions> blocked_sessions(PostgresConnection& connection,
                                                       std::chrono::milliseconds timeout);

/// The rows of the question, one a session; those that nobody waits for and that wait for nobody any more are
/// left out. Errors: protocol when a row is not as expected. Threads: pure, but see `analyze`.
[[nodiscard]] Result<std::vector<Session>> read_sessions(const PostgresRows& rows);

}  // namespace headroom::sql
