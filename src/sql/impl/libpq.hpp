#pragma once

// What every connection over libpq needs: owners, and its errors as ours.

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sql/rows.hpp"

namespace headroom::sql {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultOwner = std::unique_ptr<PGresult, ClearResult>;

/// libpq's own message about a URL that it cannot read may quote the part with the password.
/// Errors: invalid_argument.
[[nodiscard]] base::Result<void> check_postgres_url(const std::string& url);

// Connecting without waiting
// ---------------------------------------------------------------------------------------------------------

enum class ConnectionKind : std::uint8_t { kPlain, kReplication };

/// What a connection is to be.
struct ConnectionWish {
  const std::string& url;
  const std::string& database;  ///< in place of the one of the URL; empty keeps that
  const std::string& application_name;
  ConnectionKind kind = ConnectionKind::kPlain;
};

/// Begins a connection, which the caller owns; nothing when there is no memory for it.
[[nodiscard]] pg_conn* start_connection(const ConnectionWish& wish);

enum class Handshake : std::uint8_t { kGoesOn, kDone, kBroken };
/// Goes on as far as the socket allows. `writes` says what it waits for: to be writable, else to be readable.
[[nodiscard]] Handshake go_on_connecting(pg_conn* connection, bool& writes);

// Names and errors
// ---------------------------------------------------------------------------------------------------------

/// A name as it stands between the quotes of a statement.
[[nodiscard]] std::string quoted_name(std::string_view name);
/// libpq's text without line ends.
[[nodiscard]] std::string one_line(const char* text);
/// Why the connection is none, or none any more.
[[nodiscard]] base::Error connection_error(pg_conn* connection);
/// By SQLSTATE: 57014 is query_canceled (statement_timeout), 55P03 lock_not_available, 42501 no right.
[[nodiscard]] base::Error statement_error(const PGresult* result);
[[nodiscard]] PostgresRows rows_of(const PGresult* result);

}  // namespace headroom::sql
