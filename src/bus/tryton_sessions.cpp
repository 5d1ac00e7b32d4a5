#include "bus/tryton_sessions.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace headroom::bus {

// The index on create_uid finds the rows, so hashes are made of those users' sessions only. What a search
// path could replace has its schema; the table is found as trytond finds it.
const std::string_view kTrytonSessionStatement =
    "SELECT create_uid, digest FROM (SELECT create_uid, create_date, pg_catalog.encode(pg_catalog.sha256("
    "pg_catalog.convert_to(key, 'UTF8')), 'hex') AS digest FROM ir_session"
    " WHERE create_uid = ANY ($1::pg_catalog.int4[])) AS session"
    " WHERE digest = ANY ($2::pg_catalog.text[])"
    " AND pg_catalog.abs(EXTRACT(EPOCH FROM LOCALTIMESTAMP - create_date)) < $3::pg_catalog.float8";

std::vector<std::string> tryton_session_parameters(std::span<const TrytonSession> sessions,
                                                   std::chrono::seconds age) {
  std::set<std::int32_t> users;
  std::vector<std::string_view> digests;
  for (const TrytonSession& session : sessions) {
    users.insert(session.user);
    digests.push_back(session.digest);
  }
  return {fmt::format("{{{}}}", fmt::join(users, ",")), fmt::format("{{{}}}", fmt::join(digests, ",")),
          std::to_string(age.count())};
}

std::set<TrytonSession> read_tryton_sessions(std::span<const std::vector<std::optional<std::string>>> rows) {
  std::set<TrytonSession> found;
  for (const auto& row : rows) {
    if (row.size() != 2 || !row[0] || !row[1]) continue;
    TrytonSession session;
    const auto read = std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), session.user);
    if (read.ec != std::errc()) continue;
    session.digest = *row[1];
    found.insert(std::move(session));
  }
  return found;
}

}  // namespace headroom::bus
