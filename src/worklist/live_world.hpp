#pragma once

// Databases of a real PostgreSQL whose log can be read, for the tests of what follows it.

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sql/postgres.hpp"
#include "sql/replication.hpp"
#include "tests/servers/postgresql.hpp"

namespace headroom::worklist {

inline testing::PostgresServer& shared_server() {
  static testing::PostgresServer made(
      {"wal_level = logical", "fsync = off", "full_page_writes = off", "max_replication_slots = 20"});
  return made;
}

/// Of the tables' owner.
class Session {
 public:
  explicit Session(const std::string& url)
      : connection_(
            sql::PostgresConnection::connect(url, std::chrono::steady_clock::now() + std::chrono::minutes{1})
                .value()) {}

  std::string run(const std::string& statement) {
    const auto rows =
        connection_.query(statement, {}, std::chrono::steady_clock::now() + std::chrono::minutes{1});
    if (!rows) throw std::runtime_error(fmt::format("{}: {}", rows.error().message(), statement));
    return rows->empty() ? "" : rows->front().front().value_or("");
  }
  sql::Lsn written() { return sql::parse_lsn(run("SELECT pg_current_wal_flush_lsn()")).value(); }

 private:
  sql::PostgresConnection connection_;
};

/// A database of its own.
class Database {
 public:
  explicit Database(testing::PostgresServer& server = shared_server()) : server_(server) {
    static int number = 0;  // of this process, whose server it is
    name_ = fmt::format("lists{}", ++number);
    Session(server.url()).run("CREATE DATABASE " + name_ + " TEMPLATE template0");
  }
  [[nodiscard]] std::string url(const std::string& user = "postgres") const {
    return server_.url(name_, user);
  }

 private:
  testing::PostgresServer& server_;
  std::string name_;
};

inline constexpr std::string_view kYaml = R"(
catalogs:
  sale:
    table: sale
    key: id
    columns:
      id: integer
      state: text
      note: {type: text, values: many}
      owner: integer
      uid: integer
    security:
      - {column: owner, role: Owner}
      - {column: uid}
lists:
  - {id: draft, workflow: sale, title: Drafts, catalog: sale, criteria: {state: draft}}
  - {id: noted, workflow: sale, title: Noted, catalog: sale, criteria: {note: {prefix: xx}}}
)";

}  // namespace headroom::worklist
