#pragma once

// For tests: databases of one real PostgreSQL, and nodes on them.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

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

/// A database of its own with the schema headroom.
class PostgresDatabase final {
 public:
  /// On a server that all tests of the process share.
  PostgresDatabase();
  explicit PostgresDatabase(testing::PostgresServer& server);
  [[nodiscard]] std::string url(const std::string& user = "postgres") const {
    return server_.url(name_, user);
  }
  [[nodiscard]] testing::PostgresServer& server() const { return server_; }

 private:
  testing::PostgresServer& server_;
  std::string name_;
};

/// What is posted, run on the test's thread.
class HubThread final {
 public:
  [[nodiscard]] PostgresBroker::Post post();
  /// Runs what comes until `done`; false after a minute. `idle` is called a few times a second.
  bool run_until(const std::function<bool()>& done, const std::function<void()>& idle = {});

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable filled;
    std::vector<std::function<void()>> functions;
  };
  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
};

/// A node: its broker, and everything that it was told.
class PostgresNode final : public BrokerListener {
 public:
  PostgresNode(const std::string& url, const std::string& name, const ChannelRules& rules);
  ~PostgresNode() override;

  bool run_until(const std::function<bool()>& done);
  /// Until it reads the stream.
  void start();
  Position subscribe(const std::string& channel);
  Result<Published> publish(const std::string& channel, const std::string& data, const std::string& id = "");
  Result<HistoryPage> history(const std::string& channel, const HistoryQuery& query);
  [[nodiscard]] PostgresBroker& broker() { return *broker_; }
  /// Data of a channel in the order told, each offset once.
  [[nodiscard]] std::vector<std::string> told(const std::string& channel) const;
  [[nodiscard]] std::size_t count(const std::string& channel) const;
  /// Whether an offset came after a greater one.
  [[nodiscard]] bool disordered() const { return disordered_; }
  [[nodiscard]] int losses() const { return losses_; }
  [[nodiscard]] bool available() const { return state_ == BrokerState::kAvailable; }

  void message(std::string_view channel, std::string_view epoch, const Message& message,
               const Now& now) override;
  void moved(std::string_view channel, const Position& position, const Now& now) override;
  void state(BrokerState state, const Now& now) override;

 private:
  HubThread hub_;
  std::map<std::string, std::map<std::uint64_t, std::string>> told_;
  BrokerState state_ = BrokerState::kAvailable;
  int losses_ = 0;
  bool disordered_ = false;
  std::unique_ptr<PostgresBroker> broker_;
};

}  // namespace headroom::bus
