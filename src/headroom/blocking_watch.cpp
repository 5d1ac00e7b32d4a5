#include "headroom/blocking_watch.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace headroom::cli {
namespace {

using base::fail;
using base::Result;

std::int64_t nanoseconds(std::chrono::nanoseconds span) {
  return span.count();
}

bool is_long_in_statement(const perf::RunningCall& call) {
  const bool in_database = call.activity == perf::Activity::kSql || call.activity == perf::Activity::kCommit;
  return in_database && call.activity_age >= BlockingWatch::kLong;
}

bool waits_in(const std::string& database, const std::vector<perf::RunningCall>& running) {
  return std::ranges::any_of(running, [&](const perf::RunningCall& call) {
    return call.summary.database == database && is_long_in_statement(call);
  });
}

bool is_postgres(const std::string& url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

void add_answer(const std::string& name, const Result<sql::BlockedSessions>& answer,
                const std::vector<perf::RunningCall>& running, BlockingView& view) {
  if (!answer) {
    view.problems.push_back(fmt::format("database '{}': {}", name, answer.error().message()));
    return;
  }
  ++view.answered;
  if (answer->hidden > 0) {
    view.problems.push_back(fmt::format(
        "database '{}': role \"{}\" may not see {} sessions of other roles; GRANT pg_read_all_stats "
        "TO \"{}\" shows them",
        name, answer->role, answer->hidden, answer->role));
  }
  std::ranges::move(join_calls(name, answer->sessions, running), std::back_inserter(view.parties));
}

}  // namespace

BlockingWatch::BlockingWatch(const Databases& databases) {
  for (const auto& [name, url] : databases) {
    if (is_postgres(url)) databases_[name].url = url;
  }
}

void BlockingWatch::ask(Database& database, std::int64_t now_ns) {
  if (now_ns < database.next_ns && database.last) return;
  if (!database.connection) {
    auto connected =
        sql::PostgresConnection::connect(database.url, sql::PostgresConnection::Clock::now() + kTimeout);
    if (!connected) {
      database.last = fail(std::move(connected.error()));
      database.next_ns = now_ns + nanoseconds(kAfterFailure);
      return;
    }
    database.connection.emplace(std::move(*connected));
  }
  database.last = sql::blocked_sessions(*database.connection, kTimeout);
  if (!*database.last) database.connection.reset();
  database.next_ns = now_ns + nanoseconds(*database.last ? kPeriod : kAfterFailure);
}

BlockingView BlockingWatch::look(const std::vector<perf::RunningCall>& running, Asked asked,
                                 std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  BlockingView view;
  std::size_t looked_at = 0;
  for (auto& [name, database] : databases_) {
    if (asked == Asked::kWhoWaits && !waits_in(name, running)) continue;
    if (++looked_at > kMostDatabases) {
      view.problems.push_back(fmt::format("only {} databases are asked at a time", kMostDatabases));
      break;
    }
    ask(database, now_ns);
    add_answer(name, *database.last, running, view);
  }
  return view;
}

void BlockingWatch::rest() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, database] : databases_) database.connection.reset();
}

}  // namespace headroom::cli
