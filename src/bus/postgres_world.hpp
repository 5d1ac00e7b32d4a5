#pragma once

// For tests: databases of one real PostgreSQL, and nodes on them.

#include <string>
#include <vector>

#include "bus/broker_node.hpp"
#include "bus/postgres_broker.hpp"
#include "tests/servers/postgresql.hpp"

struct pg_conn;

namespace headroom::bus {

/// A client of the database that waits for each answer. Errors: std::runtime_error with the server's text.
class SqlSession final {
 public:
  explicit SqlSession(const std::string& url);
  ~SqlSession();
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;

  /// The first column of the last statement's rows.
  std::vector<std::string> run(const std::string& statements);
  /// The SQLSTATE of a statement that has to fail; empty: it did not.
  std::string fails(const std::string& statement);
  /// That came until now.
  int notifications();

 private:
  pg_conn* connection_;
};

/// Of a server: it waits for no disk. What a killed process has written is there nevertheless: the kernel has
/// it.
[[nodiscard]] std::vector<std::string> without_disk(std::vector<std::string> more = {});

/// A database of its own with the schema headroom.
class PostgresDatabase final {
 public:
  /// On a server that all tests of the process share. The log takes one with wal_level = logical.
  explicit PostgresDatabase(PostgresSource source = PostgresSource::kOutbox);
  explicit PostgresDatabase(testing::PostgresServer& server);
  [[nodiscard]] std::string url(const std::string& user = "postgres") const {
    return server_.url(name_, user);
  }
  [[nodiscard]] testing::PostgresServer& server() const { return server_; }

 private:
  testing::PostgresServer& server_;
  std::string name_;
};

/// "small:" keeps 5 messages, "tight:" 1 KiB, "none:" nothing, all other channels 100,000 messages.
[[nodiscard]] const ChannelRules& world_rules();

/// Logins on a database's server, once: "app" may publish, "node" be a node that reads the log, "stranger"
/// nothing.
void make_logins(const PostgresDatabase& database);

/// Until publications go into the log of a database, as they do from then on.
void begin_log(const PostgresDatabase& database);

/// A node on a database, with the rules of `world_rules`.
class PostgresNode final : public BrokerNode {
 public:
  PostgresNode(const std::string& url, const std::string& name, PostgresBrokerOptions options = {});
  [[nodiscard]] PostgresBroker& broker() { return static_cast<PostgresBroker&>(BrokerNode::broker()); }
};

}  // namespace headroom::bus
