#include "sql/blocking.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "sql/statement.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kColumns = 12;
/// PostgreSQL gives names 63 bytes and keeps 1 KiB of a statement, unless it is told to keep more.
constexpr std::size_t kLongestText = 200;
constexpr std::size_t kLongestStatement = 2000;

/// Of the row that one waits for only its transaction is told; which table it is in tells the tuple lock that
/// the first in the queue holds meanwhile. `waitstart` is there since PostgreSQL 14.
std::string question() {
  return fmt::format(R"(WITH waiting AS MATERIALIZED (
  SELECT a.pid, pg_catalog.pg_blocking_pids(a.pid) AS blockers
  FROM pg_catalog.pg_stat_activity a WHERE a.wait_event_type = 'Lock' ORDER BY a.query_start LIMIT {0}),
locks AS MATERIALIZED (
  SELECT l.pid, l.granted, l.locktype,
    CASE WHEN l.relation IS NULL THEN NULL
      WHEN l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
      THEN l.relation::pg_catalog.regclass::text ELSE l.relation::text END AS relation,
    (pg_catalog.to_jsonb(l) ->> 'waitstart')::timestamptz AS since
  FROM pg_catalog.pg_locks l
  WHERE l.pid IN (SELECT pid FROM waiting) AND (NOT l.granted OR l.locktype = 'tuple')),
involved AS (SELECT pid FROM waiting UNION SELECT pg_catalog.unnest(blockers) FROM waiting)
SELECT i.pid, pg_catalog.array_to_string(w.blockers, ','), s.datname, s.usename, s.application_name,
  pg_catalog.host(s.client_addr), s.state, pg_catalog.left(s.query, {1}),
  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - s.xact_start),
  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - s.state_change),
  EXTRACT(epoch FROM pg_catalog.clock_timestamp() - coalesce(
    (SELECT pg_catalog.min(l.since) FROM locks l WHERE l.pid = i.pid AND NOT l.granted), s.query_start)),
  (SELECT pg_catalog.concat_ws(' ', l.locktype, l.relation) FROM locks l WHERE l.pid = i.pid AND NOT l.granted LIMIT 1)
    || coalesce((SELECT ', a row of ' || l.relation FROM locks l WHERE l.pid = i.pid AND l.granted LIMIT 1), '')
FROM involved i LEFT JOIN waiting w ON w.pid = i.pid LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = i.pid
ORDER BY s.xact_start NULLS LAST, i.pid LIMIT {0})",
                     kMostSessions, kLongestStatement);
}

/// Superusers have every role.
constexpr const char* kHidden = R"(SELECT current_user,
  CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN 0 ELSE
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
     WHERE a.datname = pg_catalog.current_database() AND NOT pg_catalog.pg_has_role(a.usesysid, 'USAGE')) END)";

std::string text(const std::optional<std::string>& value, std::size_t longest) {
  return value ? value->substr(0, longest) : std::string();
}

template <typename Number>
std::optional<Number> number(std::string_view digits) {
  Number value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// Not below zero: the server's clock may be set back.
std::optional<std::chrono::microseconds> span(const std::optional<std::string>& seconds) {
  const auto value = seconds ? number<double>(*seconds) : std::nullopt;
  if (!value || !(std::abs(*value) < 1e9)) return std::nullopt;
  return std::chrono::microseconds{static_cast<std::int64_t>(std::max(0.0, *value) * 1e6)};
}

/// A parallel worker's leader stands in the list once for each of its workers.
std::optional<std::vector<std::int32_t>> processes(std::string_view list) {
  std::set<std::int32_t> found;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const auto process = number<std::int32_t>(list.substr(0, end));
    if (!process) return std::nullopt;
    found.insert(*process);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return std::vector<std::int32_t>(found.begin(), found.end());
}

/// Values are bound into the text that the server has, and not everybody who looks may see them.
std::string without_values(const std::string& statement) {
  return statement.empty() ? statement : analyze(statement).normalized.substr(0, kLongestStatement);
}

std::optional<Session> read_session(const std::vector<std::optional<std::string>>& row) {
  if (row.size() != kColumns || !row[0]) return std::nullopt;
  const auto process = number<std::int32_t>(*row[0]);
  auto waits_for = processes(row[1].value_or(std::string()));
  if (!process || !waits_for) return std::nullopt;
  Session session;
  session.process = *process;
  session.waits_for = std::move(*waits_for);
  session.database = text(row[2], kLongestText);
  session.user = text(row[3], kLongestText);
  session.application = text(row[4], kLongestText);
  session.client = text(row[5], kLongestText);
  session.state = text(row[6], kLongestText);
  session.statement = session.state.empty() ? std::string() : without_values(text(row[7], kLongestStatement));
  session.transaction_age = span(row[8]);
  session.state_age = span(row[9]);
  if (session.waits_for.empty()) return session;
  session.waiting = span(row[10]);
  session.lock = text(row[11], kLongestText);
  return session;
}

/// Between the parts of one question the world goes on: a session may have got what it waited for.
void remove_uninvolved(std::vector<Session>& sessions) {
  std::set<std::int32_t> waited_for;
  for (const Session& session : sessions)
    waited_for.insert(session.waits_for.begin(), session.waits_for.end());
  std::erase_if(sessions, [&](const Session& session) {
    return session.waits_for.empty() && !waited_for.contains(session.process);
  });
}

Result<BlockedSessions> ask(PostgresConnection& connection, std::chrono::milliseconds timeout,
                            PostgresConnection::Clock::time_point deadline) {
  if (auto begun = begin_read_only(connection, timeout, deadline); !begun) return fail(begun.error());
  static const std::string sessions_question = question();
  const auto rows = connection.query(sessions_question, {}, deadline);
  if (!rows) return fail(rows.error());
  auto sessions = read_sessions(*rows);
  if (!sessions) return fail(sessions.error());
  const auto hidden = connection.query(kHidden, {}, deadline);
  if (!hidden) return fail(hidden.error());
  if (hidden->size() != 1 || hidden->front().size() != 2)
    return fail(ErrorCode::kProtocol, "the database's answer about its sessions is not as expected");
  return BlockedSessions{std::move(*sessions), text(hidden->front()[0], kLongestText),
                         number<std::uint64_t>(text(hidden->front()[1], kLongestText)).value_or(0)};
}

}  // namespace

Result<std::vector<Session>> read_sessions(const PostgresRows& rows) {
  std::vector<Session> sessions;
  for (const auto& row : rows) {
    auto session = read_session(row);
    if (!session)
      return fail(ErrorCode::kProtocol, "the database's answer about its sessions is not as expected");
    sessions.push_back(std::move(*session));
  }
  remove_uninvolved(sessions);
  return sessions;
}

Result<BlockedSessions> blocked_sessions(PostgresConnection& connection, std::chrono::milliseconds timeout) {
  // The server keeps the timeout of a statement; ours is for a server that does not answer at all.
  const auto deadline = PostgresConnection::Clock::now() + timeout + std::chrono::milliseconds{500};
  auto answer = ask(connection, timeout, deadline);
  const auto ended = connection.query("ROLLBACK", {}, deadline);
  if (answer && !ended) return fail(ended.error());
  return answer;
}

}  // namespace headroom::sql
