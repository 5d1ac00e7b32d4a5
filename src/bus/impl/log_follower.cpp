#include "bus/impl/log_follower.hpp"

#include <algorithm>
#include <utility>

namespace headroom::bus {

namespace {

using sql::ReplicationConnection;

constexpr std::chrono::milliseconds kFirstBackoff{50};
constexpr std::chrono::milliseconds kLongestBackoff{1'000};

/// What the database lacks before a slot can be made; empty.
std::string missing_for_slot(const LogState& state) {
  if (state.wal_level != "logical")
    return "wal_level is " + state.wal_level +
           "; run: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL";
  if (!state.publication) return "the publication is missing; run: CREATE PUBLICATION headroom_bus";
  if (!state.may_replicate) return "the login may not read the log; run: ALTER ROLE ... REPLICATION";
  return {};
}

}  // namespace

void LogFollower::lead(std::int64_t term) {
  if (term == term_) return;
  term_ = term;
  connection_.reset();
  queue_.clear();
  step_ = term == 0 ? Step::kAway : Step::kState;
  retry_at_ = {};
  backoff_ = {};
  problem_.clear();
}

std::optional<Question> LogFollower::next(PostgresTime now) {
  if (step_ == Step::kState && now >= retry_at_) return Question{"SELECT * FROM headroom.log_state()", {}};
  if (step_ == Step::kFree)
    return Question{
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND "
        "active_pid IS "
        "NOT NULL",
        {state_.slot}};
  if (step_ == Step::kLose) return Question{"SELECT headroom.use_log($1, false)", {std::to_string(term_)}};
  if (step_ == Step::kBegin) return Question{"SELECT headroom.use_log($1, true)", {std::to_string(term_)}};
  return std::nullopt;
}

void LogFollower::answered(PostgresTime now, const Result<sql::PostgresRows>& rows) {
  // Without the right to end it, the server does within seconds.
  if (step_ == Step::kFree) return connect(now);
  if (!rows) return fail_later(now, rows.error());
  if (step_ == Step::kState) {
    const auto state = log_state(*rows);
    if (!state) return fail_later(now, state.error());
    learned(now, *state);
  } else if (step_ == Step::kLose) {
    state_.logged = false;
    connect(now);
  } else if (step_ == Step::kBegin) {
    command(now, Step::kStart);
  }
}

void LogFollower::learned(PostgresTime now, const LogState& state) {
  state_ = state;
  if (state.slot_state == "making")
    return fail_later(now, {base::ErrorCode::kConflict, "the slot is being made: it waits for transactions"});
  if (state.logged && state.is_gone()) {
    step_ = Step::kLose;
  } else if (state.process != 0) {
    step_ = Step::kFree;
  } else {
    connect(now);
  }
}

void LogFollower::connect(PostgresTime now) {
  if (const std::string missing = missing_for_slot(state_); state_.is_gone() && !missing.empty())
    return fail_later(now, {base::ErrorCode::kUnsupported, missing});
  sql::ReplicationOptions options;
  options.url = url_;
  options.application_name = "headroom log";
  auto opened = ReplicationConnection::open(std::move(options), now);
  if (!opened) return fail_later(now, opened.error());
  connection_.emplace(std::move(*opened));
  step_ = Step::kConnect;
}

void LogFollower::advance(PostgresTime now) {
  if (!connection_) return;
  connection_->advance(now);
  if (const auto answer = connection_->take_answer(); answer && !*answer)
    return fail_later(now, answer->error());
  if (connection_->state() == ReplicationConnection::State::kEnded)
    return fail_later(now, connection_->error());
  if (step_ == Step::kStream) return receive(now);
  const auto state = connection_->state();
  if (state == ReplicationConnection::State::kIdle || state == ReplicationConnection::State::kStreaming)
    go_on(now);
}

/// The command before has been done.
void LogFollower::go_on(PostgresTime now) {
  if (step_ == Step::kConnect) {
    if (state_.slot_state == "lost") return command(now, Step::kDrop);
    if (state_.is_gone()) return command(now, Step::kMake);
    if (state_.logged) return command(now, Step::kStart);
    step_ = Step::kBegin;
  } else if (step_ == Step::kDrop) {
    command(now, Step::kMake);
  } else if (step_ == Step::kMake) {
    step_ = Step::kBegin;
  } else if (step_ == Step::kStart) {
    step_ = Step::kStream;
    backoff_ = {};
    problem_.clear();
    queue_.begin(state_.prefix, state_.position);
    receive(now);
  }
}

void LogFollower::command(PostgresTime now, Step step) {
  step_ = step;
  if (step == Step::kDrop) connection_->drop_slot(now, state_.slot);
  if (step == Step::kMake) connection_->make_slot(now, {state_.slot});
  if (step == Step::kStart) connection_->stream(now, {state_.slot, {std::string(kLogPublication)}, 0});
}

void LogFollower::receive(PostgresTime now) {
  while (!queue_.is_full()) {
    const auto received = connection_->take();
    if (!received) break;
    if (const auto taken = queue_.take(received->bytes()); !taken) {
      // The slot would send it again for ever: whoever reads the problem has to decide.
      return fail_later(now, taken.error());
    }
  }
  connection_->confirm(queue_.confirmable(connection_->passed()));
}

/// A node that loses its slot's connection still leads, and so does not lose what is in the outbox.
void LogFollower::fail_later(PostgresTime now, const Error& error) {
  problem_ = error.message();
  connection_.reset();
  queue_.clear();
  if (step_ == Step::kAway) return;
  step_ = Step::kState;
  backoff_ = std::min(backoff_.count() == 0 ? kFirstBackoff : backoff_ * 2, kLongestBackoff);
  retry_at_ = now + backoff_;
}

sql::Waited LogFollower::waited() const {
  if (!connection_) return {};
  return {connection_->socket(), connection_->wants_read(), connection_->wants_write()};
}

PostgresTime LogFollower::wake_at() const {
  return connection_ ? connection_->wake_at() : PostgresTime::max();
}

PostgresTime LogFollower::ask_at() const {
  return step_ == Step::kState ? retry_at_ : PostgresTime::max();
}

}  // namespace headroom::bus
