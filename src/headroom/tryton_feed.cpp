#include "headroom/tryton_feed.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

/// The line without a database's name: databases have one.
const std::string kList;

sql::PostgresListenerOptions options_of(const TrytonDatabase& database) {
  sql::PostgresListenerOptions options;
  options.url = database.url;
  options.database = database.name_in_url;
  options.channel = database.name.empty() ? "" : "bus";
  options.application_name = "headroom bus";
  return options;
}

Result<std::vector<std::string>> names_of(const Result<sql::PostgresRows>& rows) {
  if (!rows) return fail(rows.error());
  std::vector<std::string> names;
  for (const auto& row : *rows) names.push_back(row.front().value_or(""));
  return names;
}

}  // namespace

/// A descriptor that another thread makes readable.
struct TrytonFeed::Wake {
  Wake() : descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Wake() { ::close(descriptor); }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  void ring() const { (void)::eventfd_write(descriptor, 1); }
  void clear() const {
    eventfd_t ignored = 0;
    (void)::eventfd_read(descriptor, &ignored);
  }

  int descriptor;
};

struct TrytonFeed::Line {
  struct Question {
    std::string statement;
    std::vector<std::string> parameters;
    Time asked;
  };

  explicit Line(sql::PostgresListener made) : listener(std::move(made)) {}

  sql::PostgresListener listener;
  std::optional<Question> question;  ///< that waits for the connection
  bool told = false;
  std::string problem;
  bool is_done = false;  ///< the list was answered
};

TrytonFeed::TrytonFeed(TrytonAudience& audience) : audience_(audience), wake_(std::make_unique<Wake>()) {}

TrytonFeed::~TrytonFeed() {
  stop();
}

void TrytonFeed::start() {
  thread_ = std::thread([this] { run(); });
}

void TrytonFeed::stop() {
  post([](TrytonFeed& feed) { feed.stopping_ = true; });
  if (thread_.joinable()) thread_.join();
}

void TrytonFeed::post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  wake_->ring();
}

void TrytonFeed::open(const TrytonDatabase& database) {
  post([database](TrytonFeed& feed) {
    auto listener = sql::PostgresListener::create(options_of(database));
    if (!listener) return feed.audience_.changed(database.name, listener.error().message(), 0);
    feed.lines_.insert_or_assign(database.name, std::make_unique<Line>(std::move(*listener)));
  });
}

void TrytonFeed::close(const std::string& database) {
  post([database](TrytonFeed& feed) { feed.lines_.erase(database); });
}

void TrytonFeed::ask(const std::string& database, std::string statement,
                     std::vector<std::string> parameters) {
  post([database, statement = std::move(statement), parameters = std::move(parameters)](TrytonFeed& feed) {
    const auto line = feed.lines_.find(database);
    if (line == feed.lines_.end())
      return feed.audience_.answered(database, fail(ErrorCode::kUnavailable, "no such database"));
    line->second->question = {statement, parameters, std::chrono::steady_clock::now()};
  });
}

/// The database postgres is there for questions about the server.
void TrytonFeed::list(const std::string& uri) {
  open({kList, uri, "postgres"});
  ask(kList, "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate", {});
}

// The thread
// ---------------------------------------------------------------------------------------------------------

void TrytonFeed::run() {
  Time tick = std::chrono::steady_clock::now();
  while (!stopping_) {
    wait(tick);
    take_commands();
    const Time now = std::chrono::steady_clock::now();
    go_on(now);
    if (now < tick) continue;
    tick = now + kTick;
    audience_.ticked();
  }
  lines_.clear();
}

void TrytonFeed::wait(Time until) {
  std::vector<pollfd> descriptors{{wake_->descriptor, POLLIN, 0}};
  for (const auto& [name, line] : lines_) {
    const sql::PostgresListener& listener = line->listener;
    until = std::min(until, listener.wake_at());
    const auto events = static_cast<short>(listener.wants_write() ? POLLIN | POLLOUT : POLLIN);
    if (listener.socket() >= 0) descriptors.push_back({listener.socket(), events, 0});
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  (void)::poll(descriptors.data(), descriptors.size(),
               static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  wake_->clear();
}

void TrytonFeed::take_commands() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(commands_);
  }
  for (const Command& command : commands) command(*this);
}

void TrytonFeed::go_on(Time now) {
  for (const auto& [name, line] : lines_) {
    line->listener.advance(now);
    put_question(now, *line);
    hear(name, *line);
  }
  std::erase_if(lines_, [](const auto& entry) { return entry.second->is_done; });
}

void TrytonFeed::put_question(Time now, Line& line) {
  if (line.question && line.listener.is_free()) {
    const auto question = std::exchange(line.question, std::nullopt);
    line.listener.ask(now, question->statement, question->parameters);
  }
}

void TrytonFeed::hear(const std::string& name, Line& line) {
  if (auto payloads = line.listener.take_payloads(); !payloads.empty())
    audience_.notified(name, std::move(payloads));
  finish_question(name, line);
  if (name.empty()) return;
  if (line.told && line.problem == line.listener.problem()) return;
  if (!line.listener.is_listening() && line.listener.problem().empty()) return;
  line.told = true;
  line.problem = line.listener.problem();
  audience_.changed(name, line.problem, line.listener.losses());
}

void TrytonFeed::finish_question(const std::string& name, Line& line) {
  auto answer = line.listener.take_answer();
  if (!answer && line.question && std::chrono::steady_clock::now() - line.question->asked > kPatience) {
    line.question.reset();
    answer = fail(ErrorCode::kUnavailable, "no connection to the database");
  }
  if (!answer) return;
  if (name == kList) {
    audience_.listed(names_of(*answer));
    line.is_done = true;
  } else {
    audience_.answered(name, std::move(*answer));
  }
}

}  // namespace headroom::cli
