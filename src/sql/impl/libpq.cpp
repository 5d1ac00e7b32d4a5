#include "sql/impl/libpq.hpp"

#include <poll.h>

#include <array>

#include <fmt/format.h>

namespace headroom::sql {

using base::ErrorCode;
using base::fail;

namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

}  // namespace

/// What stands in the URL comes before what is preferred here: the later of two values holds. The first
/// dbname is read as a URL, a second one never.
pg_conn* start_connection(const ConnectionWish& wish) {
  std::array<const char*, 11> keywords{
      "keepalives_idle", "keepalives_interval",       "keepalives_count", "tcp_user_timeout",
      "dbname",          "fallback_application_name", "client_encoding"};
  std::array<const char*, 11> values{
      "10", "5", "3", "15000", wish.url.c_str(), wish.application_name.c_str(), "UTF8"};
  std::size_t count = 7;
  const auto add = [&](const char* keyword, const char* value) {
    keywords.at(count) = keyword;
    values.at(count++) = value;
  };
  if (!wish.database.empty()) add("dbname", wish.database.c_str());
  if (wish.kind == ConnectionKind::kReplication) add("replication", "database");
  constexpr int kExpandUrl = 1;
  pg_conn* connection = PQconnectStartParams(keywords.data(), values.data(), kExpandUrl);
  // libpq would print what a server says as it goes away.
  if (connection != nullptr)
    PQsetNoticeProcessor(
        connection, [](void*, const char*) {}, nullptr);
  return connection;
}

namespace {

/// PQconnectPoll takes a socket that is not ready for a broken one.
bool is_ready_to_poll(pg_conn* connection, bool writes) {
  pollfd descriptor{PQsocket(connection), static_cast<short>(writes ? POLLOUT : POLLIN), 0};
  return ::poll(&descriptor, 1, 0) > 0;
}

}  // namespace

Handshake go_on_connecting(pg_conn* connection, bool& writes) {
  while (is_ready_to_poll(connection, writes)) {
    const PostgresPollingStatusType polled = PQconnectPoll(connection);
    if (polled == PGRES_POLLING_FAILED) return Handshake::kBroken;
    if (polled == PGRES_POLLING_OK)
      return PQsetnonblocking(connection, 1) == 0 ? Handshake::kDone : Handshake::kBroken;
    writes = polled == PGRES_POLLING_WRITING;
  }
  return Handshake::kGoesOn;
}

std::string quoted_name(std::string_view name) {
  std::string text = "\"";
  for (const char character : name) text.append(character == '"' ? 2 : 1, character);
  return text + '"';
}

std::string one_line(const char* text) {
  std::string line(text == nullptr ? "" : text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  for (char& character : line) {
    if (character == '\n' || character == '\t') character = ' ';
  }
  return line;
}

base::Result<void> check_postgres_url(const std::string& url) {
  char* problem = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(url.c_str(), &problem));
  PQfreemem(problem);
  if (options != nullptr) return {};
  return fail(ErrorCode::kInvalidArgument,
              "the database's URL can't be read; expected postgresql://user:password@host:port/database");
}

base::Error connection_error(pg_conn* connection) {
  const std::string message = one_line(PQerrorMessage(connection));
  const bool refused = message.find("authentication failed") != std::string::npos ||
                       message.find("no password supplied") != std::string::npos ||
                       message.find("no pg_hba.conf entry") != std::string::npos;
  return {refused ? ErrorCode::kDenied : ErrorCode::kUnavailable,
          message.empty() ? std::string("the connection to the database broke") : message};
}

base::Error statement_error(const PGresult* result) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  const std::string message =
      fmt::format("PostgreSQL: {}", one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
  if (state == "57014" || state == "55P03") return {ErrorCode::kTimedOut, message};
  if (state == "42501" || state == "25006") return {ErrorCode::kDenied, message};
  if (state.starts_with("08") || state.starts_with("57P")) return {ErrorCode::kUnavailable, message};
  return {ErrorCode::kInvalidArgument, message};
}

PostgresRows rows_of(const PGresult* result) {
  PostgresRows rows;
  for (int row = 0; row < PQntuples(result); ++row) {
    auto& values = rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        values.emplace_back();
      } else {
        values.emplace_back(std::string(PQgetvalue(result, row, column),
                                        static_cast<std::size_t>(PQgetlength(result, row, column))));
      }
    }
  }
  return rows;
}

}  // namespace headroom::sql
