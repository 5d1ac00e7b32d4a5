#include "perf/active_call.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace headroom::perf {

namespace {

Microseconds to_us(base::Nanoseconds time) {
  return std::chrono::duration_cast<Microseconds>(time);
}

std::size_t bytes_of(const Backtrace& backtrace) {
  return backtrace.size() * sizeof(Backtrace::value_type);
}

std::size_t bytes_of(const TextEvent& event) {
  std::size_t bytes = sizeof event;
  for (const auto& parameter : event.parameters) bytes += sizeof(std::string) + parameter.size();
  return bytes;
}

std::size_t bytes_of(const std::optional<Profile>& profile) {
  if (!profile) return 0;
  std::size_t bytes = profile->nodes.size() * sizeof(ProfileNode);
  for (const auto& frame : profile->frames) bytes += sizeof frame + frame.function.size() + frame.file.size();
  return bytes;
}

Body beginning_of(std::string_view body, std::uint64_t size, std::size_t limit) {
  const auto whole = std::max<std::uint64_t>(size, body.size());
  std::string text(body.substr(0, limit));
  const bool cut = text.size() < whole;
  return {std::move(text), whole, cut};
}

/// "report.sale.sale.execute" is a report, though it comes as a remote call.
CallKind kind_of(CallKind kind, std::string_view method) {
  if (kind != CallKind::kRpc) return kind;
  if (method.starts_with("report.")) return CallKind::kReport;
  if (method.starts_with("wizard.")) return CallKind::kWizard;
  return kind;
}

/// The session of calls that have no token.
std::string_view anonymous_session(CallKind kind) {
  switch (kind) {
    case CallKind::kLogin:
      return "login";
    case CallKind::kTask:
      return "task";
    case CallKind::kCron:
      return "cron";
    case CallKind::kRoute:
    case CallKind::kBus:
    case CallKind::kStatic:
      return "route";
    case CallKind::kRpc:
    case CallKind::kReport:
    case CallKind::kWizard:
      return "basic";
  }
  return "basic";
}

}  // namespace

std::string session_hash(std::string_view database, std::string_view token) {
  std::string input(database);
  input += '\0';
  input += token;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest.data());
  std::string hex;
  for (std::size_t i = 0; i < 8; ++i) fmt::format_to(std::back_inserter(hex), "{:02x}", digest[i]);
  return hex;
}

std::size_t FinishedCall::bytes() const {
  std::size_t bytes = sizeof *this + totals.size() * sizeof(TextTotal);
  for (const auto& total : totals) {
    bytes += bytes_of(total.backtrace);
    if (total.text.use_count() == 1) bytes += total.text->text.size();  // kept alive by this call alone
  }
  for (const auto& event : events) bytes += bytes_of(event);
  for (const auto& one : slow) bytes += bytes_of(one.event) + one.bound.size() + bytes_of(one.backtrace);
  for (const auto& attempt : record.attempts) bytes += sizeof attempt + attempt.error.size();
  bytes += bytes_of(record.exact_profile) + bytes_of(record.sampled_profile);
  bytes += record.request ? record.request->text.size() : 0;
  bytes += record.response ? record.response->text.size() : 0;
  return bytes + record.error.size() + record.summary.method.size();
}

ActiveCall::ActiveCall(Begin begin, CallLimits limits)
    : limits_(limits),
      start_ns_(begin.now_ns),
      start_cpu_ns_(begin.cpu_ns),
      thread_(begin.thread),
      dice_(begin.dice) {
  summary_.id = std::move(begin.id);
  summary_.start = begin.utc;
  describe(begin.kind, begin.method, begin.database);
}

void ActiveCall::describe(CallKind kind, std::string_view method, std::string_view database) {
  summary_.kind = kind_of(kind, method);
  summary_.method = method.substr(0, 1024);
  summary_.database = database.substr(0, 256);
  session_settled_ = false;
}

bool ActiveCall::claim(std::span<const Rule> rules, std::optional<std::int64_t> user_id,
                       std::string_view login, std::string_view token, UtcTime now) {
  claimed_ = true;
  token_ = token;
  session_settled_ = false;
  if (rules.empty() || verified_) return recording_;
  const Subject subject{summary_.database, summary_.method, user_id, login};
  decision_ = decide(rules, subject, now, dice_);
  recording_ = decision_.record;
  return recording_;
}

const Decision& ActiveCall::verify(std::span<const Rule> rules, std::optional<std::int64_t> user_id,
                                   std::string_view login, UtcTime now) {
  verified_ = true;
  summary_.user_id = user_id;
  summary_.user = login.substr(0, 256);
  settle_session();
  if (rules.empty()) {
    recording_ = false;
    decision_ = {};
    return decision_;
  }
  const Subject subject{summary_.database, summary_.method, user_id, login};
  decision_ = decide(rules, subject, now, dice_);
  follow_parent();
  recording_ = decision_.record;
  if (!decision_.db) events_.clear();  // kept while the method was not known
  return decision_;
}

void ActiveCall::session_started(std::string_view token) {
  token_ = token;
  session_settled_ = false;
}

void ActiveCall::run_inside(ActiveCall& parent) {
  parent_ = parent.summary_.id;
  if (!parent.verified_) return;  // what it claims to be must not pass on
  if (!parent.session_settled_) parent.settle_session();
  parent_session_ = parent.summary_.session;
  if (parent.recording_) parent_decision_ = parent.decision_;
  session_settled_ = false;
}

/// A rule that asked for the call around this one wants to know where its time went. What only some methods
/// are to keep (profiles, bodies) is not passed on.
void ActiveCall::follow_parent() {
  if (decision_.record || !parent_decision_.record) return;
  decision_ = {};
  decision_.record = true;
  decision_.query = parent_decision_.query;
  decision_.slower_than = parent_decision_.slower_than;
}

void ActiveCall::attempt(std::int64_t now_ns) {
  if (attempt_open_) end_attempt(now_ns, {});
  attempt_open_ = true;
  attempt_ns_ = now_ns;
  attempt_statements_ = summary_.statements;
}

void ActiveCall::attempt_failed(std::string error, std::int64_t now_ns) {
  // A rollback without an error is how read-only transactions end: the attempt succeeded.
  if (attempt_open_ && !error.empty()) end_attempt(now_ns, std::move(error));
}

void ActiveCall::end_attempt(std::int64_t now_ns, std::string error) {
  attempt_open_ = false;
  if (attempts_.size() >= 100) {
    ++dropped_;
    return;
  }
  attempts_.push_back({to_us(base::Nanoseconds{now_ns - attempt_ns_}),
                       summary_.statements - attempt_statements_, std::move(error)});
}

void ActiveCall::failed(CallStatus status, std::string error) {
  summary_.status = status;
  error_ = std::move(error);
}

std::uint32_t ActiveCall::total_of(const std::shared_ptr<StatementText>& text) {
  const auto [found, fresh] = index_.try_emplace(text.get(), static_cast<std::uint32_t>(totals_.size()));
  if (!fresh) return found->second;
  if (totals_.size() >= limits_.totals) {
    index_.erase(found);
    ++dropped_;
    return StatementRun::kNone;
  }
  totals_.push_back({text, 0, {}, {}, 0, {}});
  return found->second;
}

/// True once, when a second text of a fingerprint comes: lists of another length are other texts. A text that
/// is not parsed yet tells nothing; by the next call it is.
bool ActiveCall::fingerprint_repeats(const StatementText& text) {
  const auto fingerprint = text.fingerprint.load(std::memory_order_relaxed);
  return fingerprint != 0 && ++fingerprints_[fingerprint] == 2;
}

Wanted ActiveCall::wanted_of(const StatementRun& run) {
  Wanted wanted;
  const bool slow = decision_.query && to_us(run.time) >= *decision_.query && run.slow == StatementRun::kNone;
  if (slow && slow_.size() >= limits_.slow) ++dropped_;
  wanted.slow = slow && slow_.size() < limits_.slow;
  return wanted;
}

Wanted ActiveCall::executed(StatementRun& run, std::shared_ptr<StatementText> text, std::int64_t begin_ns,
                            std::int64_t end_ns, std::int64_t rows) {
  const base::Nanoseconds time{end_ns - begin_ns};
  sql_ += time;
  ++summary_.statements;
  run = {};
  if (rows > 0) summary_.rows += rows;
  if (!recording_ || !text) return {};
  run.offset = base::Nanoseconds{begin_ns - start_ns_};
  run.time = time;
  run.rows = std::max<std::int64_t>(rows, 0);
  run.total = total_of(text);
  bool repeated = false;
  if (run.total != StatementRun::kNone) {
    TextTotal& total = totals_[run.total];
    ++total.count;
    total.time += time;
    total.longest = std::max(total.longest, time);
    total.rows += run.rows;
    repeated = total.count == 2 || (total.count == 1 && fingerprint_repeats(*total.text));
  }
  if (decision_.db) {
    if (events_.size() < limits_.events) {
      run.event = static_cast<std::uint32_t>(events_.size());
      events_.push_back({std::move(text), run.offset, time, run.rows, {}});
    } else {
      ++dropped_;
    }
  }
  Wanted wanted = wanted_of(run);
  wanted.backtrace = repeated;
  wanted.parameters = run.event != StatementRun::kNone;
  return wanted;
}

Wanted ActiveCall::fetched(StatementRun& run, base::Nanoseconds time, std::int64_t rows) {
  sql_ += time;
  summary_.rows += rows;
  run.time += time;
  run.rows += rows;
  if (run.total == StatementRun::kNone) return {};
  TextTotal& total = totals_[run.total];
  total.time += time;
  total.longest = std::max(total.longest, run.time);
  total.rows += rows;
  if (run.event < events_.size()) {
    events_[run.event].duration = run.time;
    events_[run.event].rows = run.rows;
  }
  if (run.slow != StatementRun::kNone) {
    slow_[run.slow].event.duration = run.time;
    slow_[run.slow].event.rows = run.rows;
  }
  return wanted_of(run);
}

std::string_view ActiveCall::text(const StatementRun& run) const {
  return run.total != StatementRun::kNone ? std::string_view(totals_[run.total].text->text)
                                          : std::string_view();
}

void ActiveCall::keep_backtrace(const StatementRun& run, Backtrace backtrace) {
  if (run.total != StatementRun::kNone) totals_[run.total].backtrace = std::move(backtrace);
}

void ActiveCall::keep_parameters(const StatementRun& run, std::vector<std::string> parameters) {
  if (run.event < events_.size()) events_[run.event].parameters = std::move(parameters);
}

void ActiveCall::keep_slow(StatementRun& run, std::string bound, std::vector<std::string> parameters,
                           Backtrace backtrace) {
  if (run.total == StatementRun::kNone) return;
  run.slow = static_cast<std::uint32_t>(slow_.size());
  TextEvent event{totals_[run.total].text, run.offset, run.time, run.rows, std::move(parameters)};
  slow_.push_back({std::move(event), std::move(bound), std::move(backtrace)});
}

void ActiveCall::keep_request(std::string_view body, std::uint64_t size) {
  if (recording_ && decision_.io) request_ = beginning_of(body, size, limits_.body);
}

void ActiveCall::keep_response(std::string_view body, std::uint64_t size) {
  if (recording_ && decision_.io) response_ = beginning_of(body, size, limits_.body);
}

void ActiveCall::keep_profile(Profile profile) {
  profiles_.push_back(std::move(profile));
}

void ActiveCall::settle_status(int http_status) {
  summary_.http_status = http_status;
  if (summary_.status == CallStatus::kOk && http_status >= 400) {
    summary_.status = CallStatus::kHttpError;
    error_ = fmt::format("HTTP {}", http_status);
  }
}

void ActiveCall::settle_session() {
  session_settled_ = true;
  // A token that nobody checked may be made up as well.
  const bool has_token = !token_.empty() && verified_;
  if (has_token) {
    summary_.session = session_hash(summary_.database, token_);
  } else if (!parent_session_.empty()) {
    summary_.session = parent_session_;
  } else {
    summary_.session = fmt::format("{}:{}", anonymous_session(summary_.kind), summary_.database);
  }
}

bool ActiveCall::wanted(const End& end) const {
  if (summary_.kind == CallKind::kLogin && !verified_) return end.keep_failed_login;
  return recording_ && verified_ && decision_.record && summary_.wall >= decision_.slower_than;
}

std::optional<FinishedCall> ActiveCall::end(const End& end) {
  if (attempt_open_) end_attempt(end.now_ns, summary_.status == CallStatus::kOk ? std::string() : error_);
  settle_status(end.http_status);
  summary_.wall = to_us(base::Nanoseconds{end.now_ns - start_ns_});
  if (start_cpu_ns_ && end.cpu_ns) summary_.cpu = to_us(base::Nanoseconds{*end.cpu_ns - *start_cpu_ns_});
  summary_.connection_wait = to_us(connection_wait_);
  summary_.lock_wait = to_us(lock_wait_);
  summary_.commit = to_us(commit_);
  summary_.sql = to_us(sql_);
  summary_.attempts = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(attempts_.size()));
  if (!wanted(end)) return std::nullopt;
  // Else a stranger could fill the store with sessions, one for each name.
  if (!verified_ && !end.database_exists) summary_.database.clear();
  if (!session_settled_) settle_session();

  FinishedCall finished;
  CallRecord& record = finished.record;
  record.error = std::move(error_);
  record.address = std::move(address_);
  record.thread = thread_;
  record.parent = std::move(parent_);
  record.cache_hits = cache_hits_;
  record.cache_misses = cache_misses_;
  record.cache_clears = cache_clears_;
  if (memory_at_start_ >= 0 && end.memory >= 0) record.memory_growth = end.memory - memory_at_start_;
  record.attempts = std::move(attempts_);
  if (!token_.empty()) finished.secrets.push_back(std::move(token_));
  const bool conflict = record.attempts.size() > 1 || summary_.status == CallStatus::kConcurrency;
  if (conflict) summary_.has = summary_.has | Has::kConflict;
  // A failed login is one line in the list and nothing more: it proves nothing about the user that it names.
  if (recording_ && verified_) {
    record.dropped_details = dropped_;
    finished.totals = std::move(totals_);
    finished.events = std::move(events_);
    finished.slow = std::move(slow_);
    record.request = std::move(request_);
    record.response = std::move(response_);
    for (auto& profile : profiles_) {
      const bool exact = profile.kind == Profile::Kind::kExact;
      (exact ? record.exact_profile : record.sampled_profile) = std::move(profile);
      summary_.has = summary_.has | (exact ? Has::kProfile : Has::kSample);
    }
    if (!finished.events.empty()) summary_.has = summary_.has | Has::kDb;
    if (!finished.slow.empty()) summary_.has = summary_.has | Has::kQuery;
    if (record.request || record.response) summary_.has = summary_.has | Has::kIo;
  }
  record.summary = summary_;
  return finished;
}

}  // namespace headroom::perf
