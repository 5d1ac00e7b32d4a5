// The passes, one kind of finding each. To add one: a function here, its name in the list at the end, a test
// before and after in advice_test.cpp.

#include "perf/impl/advice_passes.hpp"

#include <algorithm>
#include <functional>
#include <tuple>

#include <fmt/format.h>

namespace headroom::perf::impl {

namespace {

constexpr std::uint32_t kLeastRepeats = 5;
constexpr Microseconds kSameRequestWithin = std::chrono::seconds{5};
constexpr std::uint64_t kLeastCalls = 5;
constexpr Microseconds kHealthyCommit = std::chrono::milliseconds{10};
constexpr Microseconds kSlowCommit = std::chrono::milliseconds{50};
constexpr std::size_t kCallsShown = 5;

/// Collects what becomes one finding. A call may add to it more than once, in a row.
class Group final {
 public:
  void add(const AdviceCall& call, Microseconds cost, Microseconds saving) {
    cost_ += cost;
    saving_ += saving;
    if (calls_.empty() || calls_.back().second != &call) calls_.emplace_back(Microseconds{0}, &call);
    calls_.back().first += cost;
  }

  [[nodiscard]] std::uint64_t number() const { return calls_.size(); }
  [[nodiscard]] Microseconds cost() const { return cost_; }
  [[nodiscard]] Microseconds saving() const { return saving_; }
  [[nodiscard]] Microseconds mean() const { return cost_ / std::max<std::int64_t>(1, std::ssize(calls_)); }

  /// A finding with its figures and calls; the words are still missing.
  [[nodiscard]] Finding finding(std::string kind, std::string method) const {
    Finding finding;
    finding.kind = std::move(kind);
    finding.method = std::move(method);
    finding.cost = cost_;
    finding.saving = saving_;
    finding.number = calls_.size();
    auto dearest = calls_;
    std::stable_sort(dearest.begin(), dearest.end(),
                     [](const auto& left, const auto& right) { return left.first > right.first; });
    for (const auto& [cost, call] : dearest) {
      if (finding.calls.size() == kCallsShown) break;
      finding.calls.push_back(fmt::format("{} {}", call->summary.session, call->summary.rank));
    }
    return finding;
  }

 private:
  Microseconds cost_{0};
  Microseconds saving_{0};
  std::vector<std::pair<Microseconds, const AdviceCall*>> calls_;
};

const StatementInfo* info_of(const AdviceMaterial& material, std::uint64_t fingerprint) {
  const auto found = material.statements.find(fingerprint);
  return found == material.statements.end() ? nullptr : &found->second;
}

void describe_statement(const AdviceMaterial& material, std::uint64_t fingerprint, Finding& finding) {
  finding.fingerprint = fingerprint;
  const StatementInfo* info = info_of(material, fingerprint);
  if (info == nullptr) return;
  finding.statement = info->normalized;
  if (!info->tables.empty()) finding.table = info->tables.front();
}

/// "a select on party_party", as far as that is known.
std::string words_for(const AdviceMaterial& material, std::uint64_t fingerprint) {
  const StatementInfo* info = info_of(material, fingerprint);
  if (info == nullptr) return "one statement";
  if (info->tables.empty()) return fmt::format("one {}", sql::name(info->kind));
  return fmt::format("one {} on {}", sql::name(info->kind), info->tables.front());
}

std::string milliseconds(Microseconds duration) {
  return fmt::format("{:.4g} ms", static_cast<double>(duration.count()) / 1e3);
}

/// "once", "12 times"
std::string times(std::uint64_t number) {
  return number == 1 ? "once" : fmt::format("{} times", number);
}

std::string calls(std::uint64_t number) {
  return number == 1 ? "1 call" : fmt::format("{} calls", number);
}

bool writes(const StatementInfo* info) {
  if (info == nullptr) return true;  // it may
  switch (info->kind) {
    case sql::StatementKind::kSelect:
    case sql::StatementKind::kSet:
    case sql::StatementKind::kTransaction:
      return false;
    default:
      return true;
  }
}

bool is_work(const StatementInfo* info) {
  return info == nullptr ||
         (info->kind != sql::StatementKind::kTransaction && info->kind != sql::StatementKind::kSet);
}

/// Calls by method, in a fixed order.
template <typename Use>
std::map<std::string, Group> group_by_method(const AdviceMaterial& material, Use use) {
  std::map<std::string, Group> groups;
  for (const AdviceCall& call : material.calls) use(groups[call.summary.method], call);
  std::erase_if(groups, [](const auto& entry) { return entry.second.number() == 0; });
  return groups;
}

/// Of a statement, those executions that gave a call what it had.
const ReadAgain* read_again(const AdviceCall& call, std::uint64_t fingerprint) {
  const auto found = std::ranges::find(call.read_again, fingerprint, &ReadAgain::fingerprint);
  return found == call.read_again.end() ? nullptr : &*found;
}

// Passes
// --------------------------------------------------------------------------------------------------------

/// N+1: a call that sends the same statement again and again. Where it mostly asked for the same, one
/// statement for all would not help; find_reads_again tells that.
void find_repeated_statements(const AdviceMaterial& material, std::vector<Finding>& findings) {
  struct Repeated {
    Group group;
    StatementTotal most;
  };
  std::map<std::tuple<std::string, std::uint64_t>, Repeated> groups;
  for (const AdviceCall& call : material.calls) {
    for (const StatementTotal& total : call.statements) {
      if (total.count < kLeastRepeats || !is_work(info_of(material, total.fingerprint))) continue;
      const ReadAgain* again = read_again(call, total.fingerprint);
      if (again != nullptr && again->count * 2 >= total.count) continue;
      Repeated& repeated = groups[{call.summary.method, total.fingerprint}];
      repeated.group.add(call, total.time, total.time - total.longest);
      if (total.count > repeated.most.count) repeated.most = total;
    }
  }
  for (const auto& [key, repeated] : groups) {
    const auto& [method, fingerprint] = key;
    Finding finding = repeated.group.finding("repeated_statement", method);
    describe_statement(material, fingerprint, finding);
    finding.backtrace = repeated.most.backtrace;
    finding.words = fmt::format("{} sends {} up to {} in one call (N+1), in {}.", method,
                                words_for(material, fingerprint), times(repeated.most.count),
                                calls(repeated.group.number()));
    finding.remedy =
        "Read the records in one list, so that one statement fetches them all; in Tryton: browse the ids "
        "together, and set a getter for many records at once.";
    finding.basis = "one statement for all is taken to cost as much as the slowest of those it replaces";
    findings.push_back(std::move(finding));
  }
}

/// A call that reads what it has: the same rows with the same values, and nothing wrote them meanwhile.
void find_reads_again(const AdviceMaterial& material, std::vector<Finding>& findings) {
  struct Again {
    Group group;
    std::uint32_t most = 0;
    std::string backtrace;
  };
  std::map<std::tuple<std::string, std::uint64_t>, Again> groups;
  for (const AdviceCall& call : material.calls) {
    for (const ReadAgain& one : call.read_again) {
      Again& again = groups[{call.summary.method, one.fingerprint}];
      again.group.add(call, one.time, one.time);
      if (one.count <= again.most) continue;
      again.most = one.count;
      const auto total = std::ranges::find(call.statements, one.fingerprint, &StatementTotal::fingerprint);
      if (total != call.statements.end()) again.backtrace = total->backtrace;
    }
  }
  for (const auto& [key, again] : groups) {
    const auto& [method, fingerprint] = key;
    Finding finding = again.group.finding("read_again", method);
    describe_statement(material, fingerprint, finding);
    finding.backtrace = again.backtrace;
    finding.words =
        fmt::format("{} sends {} again with the same values, up to {} in one call, in {}.", method,
                    words_for(material, fingerprint), times(again.most), calls(again.group.number()));
    finding.remedy =
        "Keep what was read for the length of the call: hand the records on instead of their ids; in Tryton, "
        "look for a write or a change of context that empties the cache of the transaction.";
    finding.basis =
        "the executions after the first, each with as many rows as before, and no statement of the call that "
        "wrote its tables between";
    findings.push_back(std::move(finding));
  }
}

/// The client asks the same thing again within seconds, and nothing was written by it.
void find_repeated_calls(const AdviceMaterial& material, std::vector<Finding>& findings) {
  std::map<std::tuple<std::string, std::string, std::uint64_t>, const AdviceCall*> last;
  std::map<std::string, Group> groups;
  for (const AdviceCall& call : material.calls) {
    const bool reads = std::none_of(
        call.statements.begin(), call.statements.end(),
        [&](const StatementTotal& total) { return writes(info_of(material, total.fingerprint)); });
    if (call.request == 0 || !reads || call.summary.status != CallStatus::kOk) continue;
    const AdviceCall*& before = last[{call.summary.session, call.summary.method, call.request}];
    if (before != nullptr && call.summary.start - before->summary.start <= kSameRequestWithin)
      groups[call.summary.method].add(call, call.summary.wall, call.summary.wall);
    before = &call;
  }
  for (const auto& [method, group] : groups) {
    Finding finding = group.finding("repeated_call", method);
    finding.words = fmt::format("{} was called {} with the same arguments as less than {} s before.", method,
                                times(group.number()), kSameRequestWithin / std::chrono::seconds{1});
    finding.remedy =
        "Keep the answer in the client, or ask once for all that is needed; a view that refreshes itself "
        "is a usual cause.";
    finding.basis = "the whole time of each repetition";
    findings.push_back(std::move(finding));
  }
}

/// A method whose calls go on missing the application's caches.
void find_cache_misses(const AdviceMaterial& material, std::vector<Finding>& findings) {
  struct Split {
    Group with;
    Group without;
    std::uint64_t misses = 0;
    std::uint64_t hits = 0;
  };
  std::map<std::string, Split> methods;
  for (const AdviceCall& call : material.calls) {
    Split& split = methods[call.summary.method];
    (call.cache_misses > 0 ? split.with : split.without).add(call, call.summary.wall, {});
    split.misses += call.cache_misses;
    split.hits += call.cache_hits;
  }
  for (const auto& [method, split] : methods) {
    if (split.with.number() < kLeastCalls || split.misses <= split.hits / 4) continue;
    Finding finding = split.with.finding("cache_misses", method);
    const bool known = split.without.number() >= 3 && split.with.mean() > split.without.mean();
    finding.cost =
        known ? (split.with.mean() - split.without.mean()) * static_cast<std::int64_t>(split.with.number())
              : Microseconds{0};
    finding.saving = known ? std::optional(finding.cost) : std::nullopt;
    finding.words = fmt::format("{} misses the application's caches in {}: {} misses against {} hits.",
                                method, calls(split.with.number()), split.misses, split.hits);
    finding.remedy =
        "Something clears the cache, or each process fills its own: look for writes that clear it, raise its "
        "size, or share it between the processes.";
    finding.basis = known ? "the calls that missed took that much longer than those that did not"
                          : "no saving can be told: hardly a call went without a miss";
    findings.push_back(std::move(finding));
  }
}

/// The database takes long to make a transaction last.
void find_slow_commits(const AdviceMaterial& material, std::vector<Finding>& findings) {
  const auto groups = group_by_method(material, [](Group& group, const AdviceCall& call) {
    const Microseconds commit = call.summary.commit;
    if (commit >= kSlowCommit) group.add(call, commit, commit - kHealthyCommit);
  });
  for (const auto& [method, group] : groups) {
    Finding finding = group.finding("slow_commit", method);
    finding.words = fmt::format("Commits of {} took {} on average in {}.", method, milliseconds(group.mean()),
                                calls(group.number()));
    finding.remedy =
        "Look at the disk of the database (fsync, write cache), at deferred constraints and triggers, and at "
        "synchronous replicas.";
    finding.basis = fmt::format("a healthy commit is taken to cost {}", milliseconds(kHealthyCommit));
    findings.push_back(std::move(finding));
  }
}

/// Work that was done again because another transaction was in the way.
void find_retries(const AdviceMaterial& material, std::vector<Finding>& findings) {
  std::map<std::string, std::uint64_t> lost_attempts;
  const auto groups = group_by_method(material, [&](Group& group, const AdviceCall& call) {
    Microseconds lost{0};
    for (const Attempt& attempt : call.attempts) {
      if (attempt.error.empty() || call.attempts.size() < 2) continue;
      lost += attempt.duration;
      ++lost_attempts[call.summary.method];
    }
    if (lost > Microseconds{0}) group.add(call, lost, lost);
  });
  for (const auto& [method, group] : groups) {
    Finding finding = group.finding("retries", method);
    finding.words = fmt::format("{} lost {} to concurrent writes in {} and was run again.", method,
                                times(lost_attempts[method]), calls(group.number()));
    finding.remedy =
        "'headroom conflict' names the tables and the probable partner: make both transactions shorter, or "
        "write the contended row last.";
    finding.basis = "the time of the attempts that failed";
    findings.push_back(std::move(finding));
  }
}

/// One kind of waiting, and what is said of it.
struct WaitKind {
  std::string_view name;
  Microseconds CallSummary::*wait;
  std::string_view what_for;
  std::string_view remedy;
};

void find_waits(const AdviceMaterial& material, const WaitKind& kind, std::vector<Finding>& findings) {
  const auto groups = group_by_method(material, [&](Group& group, const AdviceCall& call) {
    const Microseconds wait = call.summary.*kind.wait;
    if (wait >= std::chrono::milliseconds{5}) group.add(call, wait, wait);
  });
  for (const auto& [method, group] : groups) {
    Finding finding = group.finding(std::string(kind.name), method);
    finding.words = fmt::format("{} waited {} on average for {}, in {}.", method, milliseconds(group.mean()),
                                kind.what_for, calls(group.number()));
    finding.remedy = kind.remedy;
    finding.basis = "the whole wait";
    findings.push_back(std::move(finding));
  }
}

void find_connection_waits(const AdviceMaterial& material, std::vector<Finding>& findings) {
  find_waits(material,
             {"connection_wait", &CallSummary::connection_wait, "a connection to the database",
              "Let the pool keep more connections, or shorten the calls that hold them."},
             findings);
}

void find_lock_waits(const AdviceMaterial& material, std::vector<Finding>& findings) {
  find_waits(material,
             {"lock_wait", &CallSummary::lock_wait, "SQLite's write lock",
              "SQLite lets one transaction write at a time: shorten them, or move to PostgreSQL."},
             findings);
}

/// Who sent something, and how often.
using Senders = std::map<std::string, std::uint64_t>;

/// Of those who sent it, the one that did so most often; of equals the first by name.
const std::string& most_frequent(const Senders& senders) {
  return std::ranges::max_element(senders, {}, [](const auto& sender) { return sender.second; })->first;
}

/// "model.a sends", "model.a and 2 other methods send"
std::string sends(const Senders& senders) {
  const std::string& most = most_frequent(senders);
  if (senders.size() == 1) return most + " sends";
  const std::size_t others = senders.size() - 1;
  return fmt::format("{} and {} other method{} send", most, others, others == 1 ? "" : "s");
}

/// What to do about a slow statement whose plan, if there was one, reads no large table as a whole.
void tell_without_scan(PlanAnswer answer, Finding& finding) {
  finding.basis = "no saving can be told without its plan";
  switch (answer) {
    case PlanAnswer::kNoDatabase:
      finding.remedy = "'headroom explain' shows its plan, once [perf.databases] names the database.";
      return;
    case PlanAnswer::kNotAsked:
      finding.remedy =
          "'headroom explain' shows its plan; here only those of dearer statements were looked at.";
      return;
    case PlanAnswer::kNone:
      finding.remedy = "The database gave no plan of it; 'headroom explain' says why.";
      return;
    case PlanAnswer::kSeen:
      finding.remedy =
          "Its plan reads no large table as a whole ('headroom explain' shows it): look at how many rows it "
          "moves, and for what it may have waited.";
      finding.basis = "no saving can be told from its plan";
      return;
  }
}

/// A plan that reads a table from one end to the other: what an index would have to serve.
void tell_scan(const TableScan& scan, Finding& finding) {
  const std::string& condition = scan.condition;
  finding.kind = "missing_index";
  finding.table = (scan.is_alias ? "alias " : "") + scan.table;
  finding.words += fmt::format(" Its plan reads {} {}{}.", scan.is_alias ? "all of" : "the whole table",
                               finding.table, condition.empty() ? "" : " for " + condition);
  finding.remedy = fmt::format(
      "An index on {} that serves {} would spare the reading.",
      scan.is_alias ? "the table behind " + finding.table : finding.table,
      condition.empty() ? "what the statement asks, if it does not ask for all rows," : condition);
  finding.basis = "no saving can be told before the index is there; half of the cost is a guess";
}

/// Statements over the rule's threshold, by fingerprint; with their plan where one was looked at.
void find_slow_statements(const AdviceMaterial& material, std::vector<Finding>& findings) {
  struct Slow {
    Group group;
    const SlowStatement* longest = nullptr;
    Senders senders;
    std::uint64_t executions = 0;
  };
  std::map<std::uint64_t, Slow> groups;
  for (const AdviceCall& call : material.calls) {
    for (const SlowStatement& statement : call.slow) {
      Slow& slow = groups[statement.fingerprint];
      slow.group.add(call, statement.duration, {});
      ++slow.executions;
      ++slow.senders[call.summary.method];
      if (slow.longest == nullptr || slow.longest->duration < statement.duration) slow.longest = &statement;
    }
  }
  for (const auto& [fingerprint, slow] : groups) {
    Finding finding = slow.group.finding("slow_statement", most_frequent(slow.senders));
    describe_statement(material, fingerprint, finding);
    finding.saving = std::nullopt;
    finding.backtrace = slow.longest->backtrace;
    finding.words = fmt::format("{} {} that is slow: {}, at worst {}.", sends(slow.senders),
                                words_for(material, fingerprint), times(slow.executions),
                                milliseconds(slow.longest->duration));
    const auto plan = material.plans.find(fingerprint);
    tell_without_scan(plan == material.plans.end() ? PlanAnswer::kNoDatabase : plan->second, finding);
    const auto scan = material.scans.find(fingerprint);
    if (scan != material.scans.end()) tell_scan(scan->second, finding);
    findings.push_back(std::move(finding));
  }
}

}  // namespace

const std::vector<AdvicePass>& advice_passes() {
  static const std::vector<AdvicePass> kPasses{
      find_repeated_statements, find_reads_again,  find_repeated_calls,
      find_cache_misses,        find_slow_commits, find_retries,
      find_connection_waits,    find_lock_waits,   find_slow_statements};
  return kPasses;
}

}  // namespace headroom::perf::impl
