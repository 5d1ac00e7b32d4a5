#pragma once

// What every connection over libpq needs: owners, and its errors as ours.

#include <libpq-fe.h>

#include <memory>
#include <string>

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
/// libpq's text without line ends.
[[nodiscard]] std::string one_line(const char* text);
/// Why the connection is none, or none any more.
[[nodiscard]] base::Error connection_error(pg_conn* connection);
/// By SQLSTATE: 57014 is query_canceled (statement_timeout), 55P03 lock_not_available, 42501 no right.
[[nodiscard]] base::Error statement_error(const PGresult* result);
[[nodiscard]] PostgresRows rows_of(const PGresult* result);

}  // namespace headroom::sql
