#include "sql/impl/libpq.hpp"

#include <string_view>

#include <fmt/format.h>

namespace headroom::sql {

using base::ErrorCode;
using base::fail;

namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

}  // namespace

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
