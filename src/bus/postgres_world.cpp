#include "bus/postgres_world.hpp"

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

testing::PostgresServer& shared_server() {
  static testing::PostgresServer server({"fsync = off", "full_page_writes = off"});
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

PostgresDatabase::PostgresDatabase() : PostgresDatabase(shared_server()) {}

PostgresDatabase::PostgresDatabase(testing::PostgresServer& server) : server_(server) {
  static std::atomic<int> number{0};
  name_ = fmt::format("test{}", ++number);
  SqlSession(server.url()).run("CREATE DATABASE " + name_ + " TEMPLATE template0");
  SqlSession(url()).run("SET client_min_messages = warning;" + postgres_schema());
}

PostgresBroker::Post HubThread::post() {
  return [queue = queue_](std::function<void()> function) {
    const std::lock_guard lock(queue->mutex);
    queue->functions.push_back(std::move(function));
    queue->filled.notify_one();
  };
}

bool HubThread::run_until(const std::function<bool()>& done, const std::function<void()>& idle) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::vector<std::function<void()>> functions;
    {
      std::unique_lock lock(queue_->mutex);
      queue_->filled.wait_for(lock, std::chrono::milliseconds{100},
                              [&] { return !queue_->functions.empty(); });
      functions.swap(queue_->functions);
    }
    for (const auto& function : functions) function();
    if (idle) idle();
  }
  return true;
}

PostgresNode::PostgresNode(const std::string& url, const std::string& name, const ChannelRules& rules) {
  PostgresBrokerOptions options;
  options.url = url;
  options.node = name;
  broker_ = std::move(PostgresBroker::make(std::move(options), rules, hub_.post()).value());
}

PostgresNode::~PostgresNode() = default;

bool PostgresNode::run_until(const std::function<bool()>& done) {
  return hub_.run_until(done, [this] { broker_->tick(read_clocks()); });
}

void PostgresNode::start() {
  broker_->start(*this, read_clocks());
  (void)subscribe("started");
}

Position PostgresNode::subscribe(const std::string& channel) {
  std::optional<Result<Position>> answer;
  broker_->subscribe(channel, read_clocks(),
                     [&](Result<Position> position) { answer = std::move(position); });
  if (!run_until([&] { return answer.has_value(); })) throw std::runtime_error("no answer");
  return answer->value();
}

Result<Published> PostgresNode::publish(const std::string& channel, const std::string& data,
                                        const std::string& id) {
  std::optional<Result<Published>> answer;
  broker_->publish({channel, data, id}, read_clocks(),
                   [&](Result<Published> published) { answer = std::move(published); });
  if (!run_until([&] { return answer.has_value(); })) throw std::runtime_error("no answer");
  return *answer;
}

Result<HistoryPage> PostgresNode::history(const std::string& channel, const HistoryQuery& query) {
  std::optional<Result<HistoryPage>> answer;
  broker_->history(channel, query, read_clocks(),
                   [&](Result<HistoryPage> page) { answer = std::move(page); });
  if (!run_until([&] { return answer.has_value(); })) throw std::runtime_error("no answer");
  return *answer;
}

std::vector<std::string> PostgresNode::told(const std::string& channel) const {
  std::vector<std::string> datas;
  const auto found = told_.find(channel);
  if (found == told_.end()) return datas;
  for (const auto& [offset, data] : found->second) datas.push_back(data);
  return datas;
}

std::size_t PostgresNode::count(const std::string& channel) const {
  const auto found = told_.find(channel);
  return found == told_.end() ? 0 : found->second.size();
}

void PostgresNode::message(std::string_view channel, std::string_view /*epoch*/, const Message& message,
                           const Now& /*now*/) {
  auto& messages = told_[std::string(channel)];
  disordered_ = disordered_ || (!messages.empty() && messages.rbegin()->first >= message.offset);
  messages.emplace(message.offset, *message.data);
}

void PostgresNode::moved(std::string_view /*channel*/, const Position& /*position*/, const Now& /*now*/) {}

void PostgresNode::state(BrokerState state, const Now& /*now*/) {
  state_ = state;
  if (state == BrokerState::kLost) ++losses_;
}

}  // namespace headroom::bus
