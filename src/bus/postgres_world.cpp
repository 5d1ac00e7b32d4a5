#include "bus/postgres_world.hpp"

#include <libpq-fe.h>

#include <atomic>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

testing::PostgresServer& shared_server() {
  static testing::PostgresServer server({"fsync = off", "full_page_writes = off"});
  return server;
}

/// Every database has a slot of its own, and they stay.
testing::PostgresServer& logical_server() {
  static testing::PostgresServer server({"fsync = off", "full_page_writes = off", "wal_level = logical",
                                         "max_replication_slots = 100", "max_wal_senders = 100"});
  return server;
}

}  // namespace

SqlSession::SqlSession(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
  if (PQstatus(connection_) == CONNECTION_OK) return;
  const std::string text = PQerrorMessage(connection_);
  PQfinish(connection_);
  throw std::runtime_error(text);
}

SqlSession::~SqlSession() {
  PQfinish(connection_);
}

std::vector<std::string> SqlSession::run(const std::string& statements) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection_, statements.c_str()),
                                                              PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(connection_));
  std::vector<std::string> values;
  for (int i = 0; i < PQntuples(result.get()); ++i) values.emplace_back(PQgetvalue(result.get(), i, 0));
  return values;
}

std::string SqlSession::fails(const std::string& statement) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection_, statement.c_str()),
                                                              PQclear);
  const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  return state == nullptr ? "" : state;
}

int SqlSession::notifications() {
  run("SELECT 1");
  int count = 0;
  while (PGnotify* notification = PQnotifies(connection_)) {
    PQfreemem(notification);
    ++count;
  }
  return count;
}

PostgresDatabase::PostgresDatabase(PostgresSource source)
    : PostgresDatabase(source == PostgresSource::kLog ? logical_server() : shared_server()) {}

PostgresDatabase::PostgresDatabase(testing::PostgresServer& server) : server_(server) {
  static std::atomic<int> number{0};
  name_ = fmt::format("test{}", ++number);
  SqlSession(server.url()).run("CREATE DATABASE " + name_ + " TEMPLATE template0");
  SqlSession(url()).run("SET client_min_messages = warning;" + postgres_schema());
}

void begin_log(const PostgresDatabase& database, const ChannelRules& rules) {
  PostgresBrokerOptions options;
  options.source = PostgresSource::kLog;
  PostgresNode node(database.url(), "first", rules, options);
  node.start();
  if (!node.run_until([&] { return node.broker().counts().reads_log; }))
    throw std::runtime_error("the log is not read: " + node.broker().counts().problem);
}

PostgresNode::PostgresNode(const std::string& url, const std::string& name, const ChannelRules& rules,
                           PostgresBrokerOptions options)
    : BrokerNode([&](const HubThread::Post& post) {
        options.url = url;
        options.node = name;
        return std::move(PostgresBroker::make(std::move(options), rules, post).value());
      }) {}

}  // namespace headroom::bus
