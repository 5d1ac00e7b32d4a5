#include "worklist/live_service.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace headroom::worklist {

namespace {

using base::fail;
using Clock = std::chrono::steady_clock;

/// Of counting for those who watch, before the log is read on.
constexpr std::chrono::milliseconds kTurn{5};
/// How late time may move documents.
constexpr std::chrono::milliseconds kTimeEvery{50};

bool is_same(const std::shared_ptr<const std::vector<Count>>& before, const std::vector<Count>& after) {
  return before != nullptr &&
         std::equal(before->begin(), before->end(), after.begin(), after.end(),
                    [](const Count& a, const Count& b) { return a.count == b.count && a.fate == b.fate; });
}

}  // namespace

Result<std::unique_ptr<LiveService>> LiveService::make(const Definitions& definitions,
                                                       LiveSourceOptions options) {
  auto source = LiveSource::make(definitions, std::move(options), base::utc_now());
  if (!source) return fail(std::move(source.error()));
  return std::unique_ptr<LiveService>(new LiveService(definitions, std::move(*source)));
}

LiveService::~LiveService() {
  stop();
}

void LiveService::start() {
  thread_ = std::thread([this] { run(); });
}

void LiveService::stop() {
  stopping_ = true;
  waker_.wake();
  if (thread_.joinable()) thread_.join();
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  take_orders();
  for (Question& question : questions_) question.answered(fail(ErrorCode::kUnavailable, "the service stops"));
  questions_.clear();
  watchers_.clear();
}

// From any thread
// ---------------------------------------------------------------------------------------------------------

bool LiveService::post(Order order) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return false;
    orders_.push_back(std::move(order));
  }
  waker_.wake();
  return true;
}

void LiveService::ask(LiveQuestion question, const Answered& answered) {
  if (++asked_ > kMostQuestions) {
    --asked_;
    return answered(fail(ErrorCode::kOverloaded, "too many wait for counts; ask again later"));
  }
  Question asked;
  asked.asked = std::move(question);
  asked.answered = answered;
  const bool is_posted = post([asked = std::move(asked)](LiveService& service) { service.begin(asked); });
  if (!is_posted) answered(fail(ErrorCode::kUnavailable, "the service stops"));
}

LiveService::Watcher LiveService::watch(std::shared_ptr<const User> user, Answered told) {
  if (++watching_ > kMostWatchers) {
    --watching_;
    told(fail(ErrorCode::kOverloaded, "too many watch their counts; come again later"));
    return 0;
  }
  Watcher watcher = 0;
  {
    const std::lock_guard lock(mutex_);
    watcher = ++last_watcher_;
  }
  (void)post([watcher, user = std::move(user), told = std::move(told)](LiveService& service) {
    Watched watched;
    watched.user = user;
    watched.told = told;
    watched.scopes = service.scopes_of(*user);
    service.watchers_.emplace(watcher, std::move(watched));
    service.round_.reset();
  });
  return watcher;
}

void LiveService::change(Watcher watcher, std::shared_ptr<const User> user) {
  (void)post([watcher, user = std::move(user)](LiveService& service) {
    const auto found = service.watchers_.find(watcher);
    if (found == service.watchers_.end()) return;
    found->second.user = user;
    found->second.scopes = service.scopes_of(*user);
    found->second.is_stale = true;
    service.round_.reset();
  });
}

void LiveService::unwatch(Watcher watcher) {
  if (watcher == 0) return;
  (void)post([watcher](LiveService& service) { service.watching_ -= service.watchers_.erase(watcher); });
}

void LiveService::rebuild() {
  (void)post([](LiveService& service) { service.source_->rebuild(Clock::now()); });
}

LiveStatus LiveService::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::size_t LiveService::watching() const {
  return watching_;
}

// On its own thread
// ---------------------------------------------------------------------------------------------------------

void LiveService::run() {
  while (!stopping_) {
    waker_.clear();
    take_orders();
    const Time now = Clock::now();
    source_->advance(now);
    move_time(now);
    {
      const std::lock_guard lock(mutex_);
      status_ = source_->status(now);
    }
    answer(now);
    if (!tell(now)) wait(now);
  }
}

void LiveService::take_orders() {
  std::vector<Order> orders;
  {
    const std::lock_guard lock(mutex_);
    orders.swap(orders_);
  }
  for (const Order& order : orders) order(*this);
}

void LiveService::move_time(Time now) {
  if (now < look_at_time_) return;
  look_at_time_ = now + kTimeEvery;
  const base::UtcTime utc = base::utc_now();
  const auto due = source_->next_moment();
  if (due && *due <= utc) source_->set_moment(utc);
}

void LiveService::wait(Time now) {
  Time until = source_->wake_at();
  for (const Question& question : questions_) until = std::min(until, question.asked.until);
  if (const auto due = source_->next_moment())
    until = std::min(until, std::max(look_at_time_, now + (*due - base::utc_now())));
  const std::array<sql::Waited, 2> waited = source_->waited();
  sql::wait(std::span<const sql::Waited>(waited), waker_, until);
}

// Questions
// ---------------------------------------------------------------------------------------------------------

void LiveService::begin(Question question) {
  *question.is_reached = !question.asked.after;
  if (question.asked.after) {
    auto waits = source_->wait_for(
        *question.asked.after, Clock::now(), question.asked.until,
        [is_reached = question.is_reached](bool was_reached) { *is_reached = was_reached; });
    if (!waits) {
      --asked_;
      return question.answered(fail(std::move(waits.error())));
    }
  }
  questions_.push_back(std::move(question));
}

bool LiveService::is_due(Time now, const Question& question) const {
  if (source_->counters(0) == nullptr || now >= question.asked.until) return true;
  return *question.is_reached && source_->is_whole();
}

void LiveService::answer(Time now) {
  for (auto question = questions_.begin(); question != questions_.end();) {
    if (!is_due(now, *question)) {
      ++question;
      continue;
    }
    answer_one(now, *question);
    question = questions_.erase(question);
    --asked_;
  }
}

void LiveService::answer_one(Time now, Question& question) const {
  const LiveStatus status = source_->status(now);
  if (source_->counters(0) == nullptr) {
    question.answered(fail(ErrorCode::kUnavailable, "nothing is counted in memory yet: " + status.text()));
  } else if (!*question.is_reached) {
    question.answered(
        fail(ErrorCode::kTimedOut, fmt::format("the counts did not reach {} in time: {}",
                                               sql::lsn_text(*question.asked.after), status.text())));
  } else if (!source_->is_whole()) {
    question.answered(fail(ErrorCode::kTimedOut, "a large transaction is being counted: " + status.text()));
  } else {
    auto counts = count_live(*source_, definitions_, *question.asked.user);
    if (!counts) return question.answered(fail(std::move(counts.error())));
    question.answered(LiveCounts{std::make_shared<const std::vector<Count>>(std::move(*counts)), status});
  }
}

// Watchers
// ---------------------------------------------------------------------------------------------------------

/// None when one can't be said: then counting says why.
std::vector<Scope> LiveService::scopes_of(const User& user) const {
  std::vector<Scope> scopes;
  for (const Catalog& catalog : definitions_.catalogs) {
    auto scope = scope_of(catalog, {}, user);
    if (!scope) return {};
    scopes.push_back(std::move(*scope));
  }
  return scopes;
}

/// Most changes concern few of those who watch: documents that they could not see before and can't see now
/// change none of their counts.
void LiveService::mark_stale() {
  if (!source_->is_whole() || marked_ == source_->version()) return;
  marked_ = source_->version();
  const auto touched = source_->take_touched();
  for (auto& [watcher, watched] : watchers_) {
    bool is_concerned = watched.scopes.empty();
    for (std::size_t i = 0; !is_concerned && i < watched.scopes.size(); ++i)
      is_concerned = touched[i].concern(watched.scopes[i]);
    watched.is_stale = watched.is_stale || is_concerned;
  }
}

/// Whether somebody still has to be counted for.
bool LiveService::tell(Time now) {
  mark_stale();
  const LiveStatus status = source_->status(now);
  const Round round{source_->version(), status.state, source_->is_whole()};
  if (round_ == round) return false;
  for (std::size_t seen = 0; seen < watchers_.size(); ++seen) {
    auto watched = watchers_.lower_bound(next_watched_);
    if (watched == watchers_.end()) watched = watchers_.begin();
    next_watched_ = watched->first + 1;
    tell_one(watched->second, status);
    if (Clock::now() - now >= kTurn && seen + 1 < watchers_.size()) return true;
  }
  round_ = round;
  return false;
}

void LiveService::tell_one(Watched& watched, const LiveStatus& status) {
  bool is_news = watched.state != status.state;
  if (source_->is_whole() && std::exchange(watched.is_stale, false)) {
    auto counts = count_live(*source_, definitions_, *watched.user);
    if (!counts) return watched.told(fail(std::move(counts.error())));
    if (!is_same(watched.counts, *counts)) {
      watched.counts = std::make_shared<const std::vector<Count>>(std::move(*counts));
      is_news = true;
    }
  }
  if (!is_news) return;
  watched.state = status.state;
  watched.told(LiveCounts{watched.counts, status});
}

}  // namespace headroom::worklist
