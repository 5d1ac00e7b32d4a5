#include "perf/recorder.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "perf/resolver.hpp"

namespace headroom::perf {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kBatchCalls = 500;
constexpr std::size_t kBatchBytes = 1U << 20;
constexpr std::size_t kCountedMethods = 1'000;
constexpr std::size_t kKnownDatabases = 256;
constexpr milliseconds kForkPatience{200};
constexpr milliseconds kForkPatienceSqlite{3'000};  // longer than it waits for a lock
constexpr int kFailedLoginsPerSecond = 10;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kFirstPause = kSecond / 4;
constexpr std::int64_t kLongestPause = 2 * kSecond;
constexpr std::int64_t kRulesInterval = kSecond;
constexpr std::int64_t kCountsInterval = kSecond / 2;
constexpr std::int64_t kInfoInterval = 10 * kSecond;
constexpr std::int64_t kSweepInterval = 5 * kSecond;
constexpr std::int64_t kPruneInterval = 600 * kSecond;
constexpr Microseconds kPruneBudget = milliseconds{100};  // of one turn: records wait meanwhile

std::int64_t hours(UtcTime time) {
  return std::chrono::duration_cast<std::chrono::hours>(time.time_since_epoch()).count();
}

/// Errors that the same batch will meet again, however often it is sent.
bool permanent(base::ErrorCode code) {
  return code == base::ErrorCode::kInvalidArgument || code == base::ErrorCode::kTooLarge;
}

bool on_sqlite(const RecorderSettings& settings) {
  return settings.broker.starts_with("sqlite:");
}

Resolver::Settings resolver_settings(const RecorderSettings& settings) {
  return {settings.secrets, settings.body_limit, settings.host, static_cast<std::int32_t>(getpid())};
}

}  // namespace

Recorder::Recorder(RecorderSettings settings)
    : settings_(std::move(settings)),
      databases_(settings_.databases.begin(), settings_.databases.end()),
      rules_(std::make_shared<const std::vector<Rule>>(settings_.rules)),
      started_(base::utc_now()),
      resolver_(std::make_unique<Resolver>(resolver_settings(settings_))) {
  // Rules have to be obeyed within 2 s, and a killed process may lose a second.
  settings_.flush_interval =
      std::clamp<Microseconds>(settings_.flush_interval, milliseconds{10}, milliseconds{500});
}

Recorder::Recorder(RecorderSettings settings, std::shared_ptr<const std::vector<Rule>> rules)
    : Recorder(std::move(settings)) {
  rules_ = std::move(rules);
}

Recorder::~Recorder() {
  stop(milliseconds{100});
}

std::string Recorder::start(Microseconds patience) {
  if (!settings_.state.empty()) show_calls();
  // Processes that start together do not all sweep and prune at the same moment.
  const auto now = base::monotonic_ns();
  next_sweep_ns_ = now + kSecond + getpid() % 1'000 * (kSecond / 1'000);
  next_prune_ns_ = now + 60 * kSecond + getpid() % 540 * kSecond;
  const First first = patience.count() > 0 ? First::kWork : First::kWait;
  thread_ = std::thread([this, first] { run(first); });
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return rules_read_ || !store_error_.empty(); });
  return store_error_;
}

void Recorder::show_calls() {
  auto made = Scoreboard::create(settings_.state, settings_.host);
  if (!made) return error(made.error().message());
  scoreboard_ = std::move(*made);
  if (!settings_.take_stack) return;
  auto started = StackAnswers::start(*scoreboard_, settings_.take_stack);
  if (!started) return error(started.error().message());
  stacks_ = std::move(*started);
}

bool Recorder::flush(Microseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!thread_.joinable()) return false;
  const std::uint64_t wanted = submitted_;
  flush_wanted_ = std::max(flush_wanted_, wanted);
  changed_.notify_all();
  return changed_.wait_for(lock, timeout, [&] { return stored_ >= wanted || stopped_; }) && stored_ >= wanted;
}

bool Recorder::stop(Microseconds timeout) {
  if (!thread_.joinable()) return true;
  const auto began = base::monotonic_ns();
  if (stacks_) stacks_->stop();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (told_ && store_error_.empty()) ++submitted_;  // the farewell; a store that is away is not waited for
  }
  const bool whole = flush(timeout);
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  const auto left = timeout - Microseconds{(base::monotonic_ns() - began) / 1000};
  // The thread may hang in a library; an exiting process does not wait for the store's own deadlines.
  if (changed_.wait_for(lock, std::max<Microseconds>(left, milliseconds{50}), [this] { return stopped_; })) {
    lock.unlock();
    thread_.join();
    // Not destroyed: threads of the application may still be inside a call.
    if (scoreboard_) scoreboard_->retire();
  }
  return whole;
}

std::shared_ptr<const std::vector<Rule>> Recorder::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

RecorderStatus Recorder::status() const {
  const std::lock_guard lock(mutex_);
  return {process_info(), queue_.size(), counts_.size(), store_error_};
}

ProcessInfo Recorder::process_info() const {
  ProcessInfo info;
  info.host = settings_.host;
  info.process = getpid();
  info.role = settings_.role;
  info.version = settings_.version;
  info.started = started_;
  info.seen = base::utc_now();
  info.calls = calls_;
  info.records = records_;
  info.dropped_records = dropped_;
  info.errors = errors_;
  info.last_error = last_error_;
  info.rules_version = rules_version_;
  info.rules = settings_.rules;
  info.ended = ending_;
  return info;
}

void Recorder::count(const CallSummary& call, bool known) {
  // What an unauthenticated caller made up must not fill the table: neither names of methods nor of
  // databases.
  const bool keep_name = known || call.kind != CallKind::kRpc;
  CountKey key{call.database, keep_name ? call.method : "(unauthenticated)", call.kind, hours(call.start)};
  const std::lock_guard lock(mutex_);
  ++calls_;
  ++submitted_;
  if (known && databases_.size() < kKnownDatabases) databases_.insert(call.database);
  if (!databases_.contains(call.database)) std::get<0>(key).clear();
  auto found = counts_.find(key);
  if (found == counts_.end()) {
    if (counts_.size() >= kCountedMethods) key = {"(other)", "(other)", call.kind, std::get<3>(key)};
    found = counts_.try_emplace(key).first;
    found->second.database = std::get<0>(key);
    found->second.method = std::get<1>(key);
    found->second.kind = call.kind;
    found->second.hour = std::get<3>(key);
  }
  MethodCount& count = found->second;
  ++count.count;
  if (call.status != CallStatus::kOk && call.status != CallStatus::kWarning) ++count.errors;
  count.time += call.wall;
  count.sql += call.sql;
  count.statements += call.statements;
  count.histogram.add(call.wall);
}

void Recorder::submit(FinishedCall call) {
  const std::size_t bytes = call.bytes();
  std::deque<FinishedCall> dropped;  // destroyed after the lock is given back
  const std::lock_guard lock(mutex_);
  ++submitted_;
  queue_.push_back(std::move(call));
  queue_bytes_ += bytes;
  while (queue_bytes_ > settings_.buffer_limit && !queue_.empty()) {
    queue_bytes_ -= std::min(queue_bytes_, queue_.front().bytes());
    dropped.push_back(std::move(queue_.front()));
    queue_.pop_front();
    ++dropped_;
  }
  if (hurry_ || queue_bytes_ <= settings_.buffer_limit / 2) return;
  hurry_ = true;
  changed_.notify_all();
}

void Recorder::know_database(std::string_view database) {
  const std::lock_guard lock(mutex_);
  if (databases_.size() < kKnownDatabases) databases_.emplace(database);
}

bool Recorder::knows_database(std::string_view database) const {
  const std::lock_guard lock(mutex_);
  return databases_.contains(database);
}

bool Recorder::allow_failed_login(std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  if (rules_->empty()) return false;
  if (now_ns / kSecond != login_second_) {
    login_second_ = now_ns / kSecond;
    failed_logins_ = 0;
  }
  return ++failed_logins_ <= kFailedLoginsPerSecond;
}

void Recorder::error(std::string_view what) {
  const auto now = base::monotonic_ns();
  const std::lock_guard lock(mutex_);
  ++errors_;
  last_error_ = what;
  if (last_log_ns_ != 0 && now - last_log_ns_ < 60 * kSecond) return;
  last_log_ns_ = now;
  unlogged_ = last_error_;
}

/// Nobody may be reading what stderr is, so only what it takes at once is written; else the next turn tries
/// again.
void Recorder::log_error() {
  constexpr std::size_t kLongest = 1'000;  // a pipe that takes anything takes that without waiting
  {
    const std::lock_guard lock(mutex_);
    if (unlogged_.empty()) return;
  }
  pollfd stream{STDERR_FILENO, POLLOUT, 0};
  if (poll(&stream, 1, 0) == 0) return;
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = std::exchange(unlogged_, {});
  }
  text = fmt::format("headroom: {:.{}}\n", text, kLongest);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void Recorder::run(First first) {
  if (first == First::kWork) work();
  log_error();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait_for(lock, settings_.flush_interval, [this] {
      return stopping_ || ((hurry_ || flush_wanted_ > stored_) && base::monotonic_ns() >= next_try_ns_);
    });
    hurry_ = false;
    const bool last = stopping_;
    lock.unlock();
    if (!last) work();
    log_error();
    lock.lock();
  }
  stopped_ = true;
  changed_.notify_all();
}

void Recorder::work() {
  const std::lock_guard busy(work_mutex_);
  try {
    if (scoreboard_) scoreboard_->beat();
    ship();
    poll_rules();
    keep_house();
  } catch (const std::exception& exception) {
    error(exception.what());
    drop_pending();
  }
}

void Recorder::ship() {
  for (;;) {
    if (!pending_) take();
    if (!pending_) return;
    if (!ensure_store() || !write()) return;
  }
}

/// Moves what waits into `pending_`, if there is anything.
void Recorder::take() {
  std::vector<FinishedCall> calls;
  std::map<CountKey, MethodCount> counts;
  Batch batch;
  const auto now = base::monotonic_ns();
  {
    const std::lock_guard lock(mutex_);
    const bool all = flush_wanted_ > stored_ || stopping_;
    std::size_t bytes = 0;
    while (!queue_.empty() && calls.size() < kBatchCalls && bytes < kBatchBytes) {
      const std::size_t one = queue_.front().bytes();
      bytes += one;
      queue_bytes_ -= std::min(queue_bytes_, one);
      calls.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    if (all || now >= next_counts_ns_) {
      counts.swap(counts_);
      next_counts_ns_ = now + kCountsInterval;
    }
    pending_upto_ = queue_.empty() && counts_.empty() ? submitted_ : stored_;
    records_ += calls.size();
    const bool anything = !calls.empty() || !counts.empty() || (ending_ && !farewell_);
    if ((all && anything) || now >= next_info_ns_) {
      batch.process = process_info();
      told_ = true;
      farewell_ = ending_;
      next_info_ns_ = now + kInfoInterval;
    }
    if (calls.empty() && counts.empty() && !batch.process) {
      stored_ = pending_upto_;
      changed_.notify_all();
      return;
    }
  }
  for (auto& call : calls) resolver_->add(std::move(call), batch);
  for (auto& [key, count] : counts) batch.counts.push_back(std::move(count));
  pending_ = std::move(batch);
}

bool Recorder::ensure_store() {
  if (store_.store) return true;
  if (base::monotonic_ns() < next_try_ns_) return false;
  if (!settings_.store_refused.empty()) {
    store_failed(base::Error(base::ErrorCode::kUnavailable, settings_.store_refused));
    return false;
  }
  auto opened = open_store(settings_.broker, OpenMode::kWrite);
  if (!opened) {
    store_failed(opened.error());
    return false;
  }
  store_ = std::move(*opened);
  return true;
}

bool Recorder::write() {
  const auto written = store_.store->append(*pending_);
  if (!written && permanent(written.error().code())) {
    error(written.error().message());
    drop_pending();
    return true;
  }
  if (!written) {
    store_failed(written.error());
    return false;
  }
  pending_.reset();
  pause_ns_ = 0;
  const std::lock_guard lock(mutex_);
  store_error_.clear();
  stored_ = pending_upto_;
  changed_.notify_all();
  return true;
}

void Recorder::drop_pending() {
  if (!pending_) return;
  const std::size_t calls = pending_->calls.size();
  pending_.reset();
  const std::lock_guard lock(mutex_);
  dropped_ += calls;
  stored_ = pending_upto_;
  changed_.notify_all();
}

void Recorder::store_failed(const base::Error& failure) {
  store_ = {};
  resolver_->forget_told();
  pause_ns_ = std::clamp(pause_ns_ * 2, kFirstPause, kLongestPause);
  next_try_ns_ = base::monotonic_ns() + pause_ns_;
  error(failure.message());
  const std::lock_guard lock(mutex_);
  store_error_ = failure.message();
  changed_.notify_all();
}

void Recorder::poll_rules() {
  const auto now = base::monotonic_ns();
  if (now < next_rules_ns_ || !ensure_store()) return;
  next_rules_ns_ = now + kRulesInterval;
  auto read = store_.control->rules(rules_version_);
  if (!read) return store_failed(read.error());
  std::shared_ptr<const std::vector<Rule>> merged;
  if (read->version != rules_version_) {
    std::vector<Rule> all = settings_.rules;
    std::ranges::move(read->rules, std::back_inserter(all));
    merged = std::make_shared<const std::vector<Rule>>(std::move(all));
    next_info_ns_ = 0;  // tell at once that this process obeys
  }
  const std::lock_guard lock(mutex_);
  if (merged) rules_ = std::move(merged);
  rules_version_ = read->version;
  rules_read_ = true;
  changed_.notify_all();
}

void Recorder::keep_house() {
  const auto now = base::monotonic_ns();
  if (!store_.store) return;
  if (settings_.killed_calls && !settings_.state.empty() && now >= next_sweep_ns_) {
    next_sweep_ns_ = now + kSweepInterval;
    if (const auto swept = sweep_scoreboards(settings_.state, *store_.store); !swept)
      store_failed(swept.error());
  }
  if (store_.control && now >= next_prune_ns_) {
    prune(now);
  }
}

/// A step of pruning; when its time is up before all is done, the next turn goes on.
void Recorder::prune(std::int64_t now) {
  next_prune_ns_ = now + kPruneInterval;
  const auto retention = store_.control->retention();
  if (!retention) return store_failed(retention.error());
  const auto pruned = store_.control->prune(*retention, base::utc_now(), kPruneBudget);
  if (!pruned) return store_failed(pruned.error());
  if (pruned->more) {
    next_prune_ns_ = 0;
    return;
  }
  resolver_->forget_told();  // the store may have pruned texts, or have been made anew
}

void Recorder::before_fork() {
  // A store that hangs must not hold up the fork. The child leaves the thread's things alone in either case;
  // what is risked beyond the wait is a library's own lock, which none holds while it waits for a network or
  // a file.
  forked_between_work_ = work_mutex_.try_lock_for(on_sqlite(settings_) ? kForkPatienceSqlite : kForkPatience);
  if (forked_between_work_) store_ = {};
  mutex_.lock();
  texts_.mutex().lock();
}

void Recorder::abandon() {
  if (scoreboard_) scoreboard_->abandon();
  if (stacks_) stacks_->abandon();
}

RecorderSettings Recorder::settings_of_child() const {
  RecorderSettings settings = settings_;
  settings.databases = {databases_.begin(), databases_.end()};
  if (on_sqlite(settings_) && !forked_between_work_) {
    settings.store_refused = "forked while the store was written for seconds: this process can't record";
  }
  return settings;
}

void Recorder::after_fork() {
  texts_.mutex().unlock();
  const bool between_work = forked_between_work_;
  mutex_.unlock();
  if (between_work) work_mutex_.unlock();
}

}  // namespace headroom::perf
