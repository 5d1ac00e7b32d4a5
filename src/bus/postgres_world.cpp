#include "bus/postgres_world.hpp"

#include <libpq-fe.h>

#include <atomic>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

namespace headroom::bus {

std::vector<std::string> without_disk(std::vector<std::string> more) {
  more.insert(more.end(), {"fsync = off", "full_page_writes = off"});
  return more;
}

namespace {

testing::PostgresServer& shared_server() {
  static testing::PostgresServer server(without_disk());
  return server;
}

/// Every database has a slot of its own, and they stay.
testing::PostgresServer& logical_server() {
  static testing::PostgresServer server(
      without_disk({"wal_level = logical", "max_replication_slots = 100", "max_wal_senders = 100"}));
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

const ChannelRules& world_rules() {
  static const ChannelRules made = [] {
    ChannelRule all;
    all.history_messages = 100'000;
    all.history_bytes = 64U << 20U;
    ChannelRule small = all;
    small.prefix = "small:";
    small.history_messages = 5;
    ChannelRule tight = all;
    tight.prefix = "tight:";
    tight.history_bytes = 1'024;
    ChannelRule none = all;
    none.prefix = "none:";
    none.history_messages = 0;
    return ChannelRules::make({all, small, tight, none}).value();
  }();
  return made;
}

void make_logins(const PostgresDatabase& database) {
  SqlSession(database.url())
      .run(
          "DO $$ BEGIN CREATE ROLE app LOGIN IN ROLE headroom_publisher; CREATE ROLE stranger LOGIN;"
          " CREATE ROLE node LOGIN REPLICATION IN ROLE headroom_node;"
          " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
}

void begin_log(const PostgresDatabase& database) {
  PostgresBrokerOptions options;
  options.source = PostgresSource::kLog;
  PostgresNode node(database.url(), "first", options);
  node.start();
  if (!node.run_until([&] { return node.broker().counts().reads_log; }))
    throw std::runtime_error("the log is not read: " + node.broker().counts().problem);
}

PostgresNode::PostgresNode(const std::string& url, const std::string& name, PostgresBrokerOptions options)
    : BrokerNode([&](const HubThread::Post& post) {
        options.url = url;
        options.node = name;
        return std::move(PostgresBroker::make(std::move(options), world_rules(), post).value());
      }) {}

}  // namespace headroom::bus
