#include "sql/listener.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "sql/impl/libpq.hpp"

namespace headroom::sql {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::milliseconds kFirstBackoff{50};
constexpr std::chrono::milliseconds kLongestBackoff{1'000};

struct FreeNotification {
  void operator()(PGnotify* notification) const { PQfreemem(notification); }
};

}  // namespace

void PostgresListener::Finish::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

Result<PostgresListener> PostgresListener::create(PostgresListenerOptions options) {
  if (auto checked = check_postgres_url(options.url); !checked) return fail(std::move(checked.error()));
  return PostgresListener(std::move(options));
}

int PostgresListener::socket() const {
  return connection_ == nullptr ? -1 : PQsocket(connection_.get());
}

bool PostgresListener::wants_write() const {
  return state_ == State::kConnecting ? connect_writes_ : unsent_;
}

PostgresListener::Time PostgresListener::wake_at() const {
  return next_;
}

bool PostgresListener::is_free() const {
  return state_ == State::kListening && question_ == Question::kNone && !answer_;
}

void PostgresListener::advance(Time now) {
  if (state_ == State::kAway) {
    if (now >= next_) connect(now);
  } else if (state_ == State::kConnecting) {
    go_on(now);
  } else {
    receive(now);
  }
}

// Connecting
// ---------------------------------------------------------------------------------------------------------

void PostgresListener::connect(Time now) {
  connection_.reset(
      start_connection({options_.url, options_.database, options_.application_name, ConnectionKind::kPlain}));
  if (connection_ == nullptr) return lose(now, {ErrorCode::kUnavailable, "out of memory"});
  if (PQstatus(connection_.get()) == CONNECTION_BAD) return lose(now, connection_error(connection_.get()));
  state_ = State::kConnecting;
  connect_writes_ = true;
  next_ = now + options_.connect_within;
}

void PostgresListener::go_on(Time now) {
  const Handshake handshake = go_on_connecting(connection_.get(), connect_writes_);
  if (handshake == Handshake::kBroken) return lose(now, connection_error(connection_.get()));
  if (handshake == Handshake::kDone) return subscribe(now);
  if (now >= next_) lose(now, {ErrorCode::kTimedOut, "the database did not answer in time"});
}

void PostgresListener::subscribe(Time now) {
  state_ = State::kSubscribing;
  const std::string statement =
      options_.channel.empty() ? std::string("SELECT 1") : "LISTEN " + quoted_name(options_.channel);
  send(now, Question::kListen, statement, {});
}

void PostgresListener::leave(Time now) {
  lose(now, {ErrorCode::kUnavailable, "the session was left"});
}

void PostgresListener::lose(Time now, const base::Error& error) {
  if (state_ == State::kListening) ++losses_;
  backoff_ = std::min(state_ == State::kListening ? std::chrono::milliseconds{0}
                      : backoff_.count() == 0     ? kFirstBackoff
                                                  : backoff_ * 2,
                      kLongestBackoff);
  if (question_ == Question::kAsked) answer_ = fail(error);
  connection_.reset();
  state_ = State::kAway;
  question_ = Question::kNone;
  unsent_ = false;
  result_.reset();
  problem_ = error.message();
  next_ = now + backoff_;
}

// Connected
// ---------------------------------------------------------------------------------------------------------

void PostgresListener::ask(Time now, const std::string& statement,
                           const std::vector<std::string>& parameters) {
  send(now, Question::kAsked, statement, parameters);
}

void PostgresListener::send(Time now, Question question, const std::string& statement,
                            const std::vector<std::string>& parameters) {
  question_ = question;
  next_ = now + options_.answer_within;
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const int sent = PQsendQueryParams(connection_.get(), statement.c_str(), static_cast<int>(values.size()),
                                     nullptr, values.data(), nullptr, nullptr, 0);
  if (sent == 0) return lose(now, connection_error(connection_.get()));
  receive(now);
}

void PostgresListener::receive(Time now) {
  pg_conn* connection = connection_.get();
  if (PQconsumeInput(connection) == 0) return lose(now, connection_error(connection));
  const int unsent = PQflush(connection);
  if (unsent < 0) return lose(now, connection_error(connection));
  unsent_ = unsent > 0;
  take_notifications();
  if (question_ != Question::kNone) take_results(now);
  if (state_ == State::kAway || now < next_) return;
  if (question_ != Question::kNone)
    return lose(now, {ErrorCode::kTimedOut, "the database did not answer in time"});
  send(now, Question::kProbe, "SELECT 1", {});
}

void PostgresListener::take_notifications() {
  while (true) {
    const std::unique_ptr<PGnotify, FreeNotification> notification(PQnotifies(connection_.get()));
    if (notification == nullptr) return;
    payloads_.emplace_back(notification->extra);
  }
}

void PostgresListener::take_results(Time now) {
  while (PQisBusy(connection_.get()) == 0) {
    const ResultOwner result(PQgetResult(connection_.get()));
    if (result == nullptr) return finish_question(now);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK) {
      result_ = rows_of(result.get());
    } else if (status == PGRES_COMMAND_OK) {
      result_ = PostgresRows{};
    } else {
      result_ = fail(statement_error(result.get()));
    }
  }
  take_notifications();
}

void PostgresListener::finish_question(Time now) {
  const Question question = std::exchange(question_, Question::kNone);
  Result<PostgresRows> result = std::exchange(result_, std::nullopt)
                                    .value_or(fail(ErrorCode::kProtocol, "the database gave no answer"));
  next_ = now + options_.probe_every;
  if (question == Question::kAsked) {
    answer_ = std::move(result);
  } else if (!result) {
    return lose(now, result.error());
  } else if (question == Question::kListen) {
    state_ = State::kListening;
    backoff_ = std::chrono::milliseconds{0};
    problem_.clear();
  }
  take_notifications();
}

std::optional<Result<PostgresRows>> PostgresListener::take_answer() {
  return std::exchange(answer_, std::nullopt);
}

std::vector<std::string> PostgresListener::take_payloads() {
  return std::exchange(payloads_, {});
}

}  // namespace headroom::sql
