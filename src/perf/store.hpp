#pragma once

// Where records live. Two implementations, SQLite and Redis, pass one conformance suite
// (store_conformance.hpp). Many processes write at once; readers are never blocked by writers.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "perf/record.hpp"
#include "perf/rule.hpp"
#include "perf/samples.hpp"

namespace headroom::perf {

using base::Result;

/// Which calls a report speaks of. Empty fields do not restrict.
struct Filter {
  std::string database;          ///< exact
  std::string databases;         ///< a glob, or exact as it stands
  std::string session;           ///< exact
  std::string user;              ///< login, or digits for an id
  std::string method;            ///< glob
  std::optional<UtcTime> since;  ///< start >= since
  std::optional<UtcTime> until;  ///< start < until
  Has has = Has::kNothing;       ///< all of these
  std::uint32_t most_repeated_at_least = 0;
  std::uint64_t rank = 0;  ///< the call of this rank (with `session`); 0 is all
  bool operator==(const Filter&) const = default;
};

/// Whether calls of this database are in, as far as their database goes.
[[nodiscard]] bool includes_database(const Filter& filter, std::string_view database);

/// Whether a filter's user, which is digits for an id, else a login, is this one. An empty one is everybody.
[[nodiscard]] inline bool is_user(std::string_view wanted, std::string_view login,
                                  std::optional<std::int64_t> user_id) {
  if (wanted.empty()) return true;
  const auto pattern = UserPattern::parse(wanted);
  return pattern.id ? pattern.id == user_id : pattern.login == login;
}

/// Which part of a long list. `limit` 0 is no limit where the report is bounded by itself, else 1,000.
struct Page {
  std::uint64_t offset = 0;
  std::uint64_t limit = 0;
};

/// What a list of calls is ordered by: numbers and times by size; method, status, kind, user and what was
/// kept
/// (`kHas`) by their text, byte by byte. A call without the value comes before those that have one.
enum class CallKey : std::uint8_t {
  kStart,
  kRank,
  kMethod,
  kWall,
  kStatements,
  kSql,
  kBytesIn,
  kBytesOut,
  kStatus,
  kCpu,
  kWait,  ///< connection_wait and lock_wait together
  kCommit,
  kRows,
  kRepeated,
  kAttempts,
  kKind,
  kHas,
  kUser,
  kHttpStatus,
};

struct CallOrder {
  CallKey key = CallKey::kStart;
  bool descending = false;
  bool operator==(const CallOrder&) const = default;
};

/// Of more calls than these only the first ones, by start, are put into an order that is asked for.
inline constexpr std::uint64_t kMostSorted = 200'000;

/// Names in lists (methods, users, databases, sessions) are cut after so many bytes: a store may hold longer
/// ones, and one of them may stand in each of a hundred thousand calls.
inline constexpr std::size_t kLongestShownName = 1024;

struct SessionRow {
  std::string database;
  std::string session;
  std::string user;
  std::optional<std::int64_t> user_id;
  UtcTime first{};
  UtcTime last{};
  std::uint64_t calls = 0;
  Microseconds time{0};
};

enum class GroupBy : std::uint8_t { kMethod, kTable, kFingerprint };

/// Calls by method, or statements by table or fingerprint. A statement counts at every table that it names.
struct TotalRow {
  std::string name;  ///< method or table; the normalised text for a fingerprint
  std::uint64_t fingerprint = 0;
  std::uint64_t number = 0;
  Microseconds time{0};
};

struct CallPage {
  std::vector<CallSummary> calls;  ///< by start, then rank, or as asked; names as `shown_name` cuts them
  std::uint64_t total = 0;         ///< without paging
};

/// The name as it is, or its first bytes (no more than kLongestShownName) with a mark that tells how long it
/// is.
[[nodiscard]] std::string shown_name(std::string_view name);

/// How much a store keeps.
struct Retention {
  Microseconds age = std::chrono::days{7};
  std::uint64_t bytes = 2ULL << 30;
  bool operator==(const Retention&) const = default;
};

/// Under this name stands in the counts what is beyond the bounds of `Store::append`.
inline constexpr std::string_view kOther = "(other)";

struct Pruned {
  std::uint64_t calls = 0;
  bool more = false;  ///< the time was up before all was done
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
};

struct StoreInfo {
  std::string url;   ///< without password
  std::string kind;  ///< "sqlite" or "redis"
  std::uint32_t schema = 0;
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  std::optional<UtcTime> oldest;
  /// The policy by which the server throws any key away when its memory is full; empty when it throws none.
  std::string evicting;
  std::vector<ProcessInfo> processes;  ///< not ended, seen within the last hour, newest first
};

/// Records: written in batches, read by the reports.
/// Errors of every method: unavailable or timed_out (retryable), protocol (corrupt or foreign data), denied,
/// io. Threads: one object is used by one thread at a time. Cost: stated where it is not O(answer).
class Store {
 public:
  virtual ~Store() = default;

  /// All or nothing; records whose id is known already are skipped, so a batch may be sent again after an
  /// error. Counts: of an hour that has very many databases and methods already (some thousands), further
  /// ones are added up as "(other)", so that names which an attacker invents can't fill the store.
  [[nodiscard]] virtual Result<void> append(const Batch& batch) = 0;
  /// Newest last-call first. Only database, session, user, since and until of the filter apply (a session is
  /// in when its span overlaps).
  [[nodiscard]] virtual Result<std::vector<SessionRow>> sessions(const Filter& filter) = 0;
  /// Unordered. Cost: rollups when only database and session are given, else O(calls that match).
  [[nodiscard]] virtual Result<std::vector<TotalRow>> totals(const Filter& filter, GroupBy group) = 0;
  /// A page of the calls in an order; equal ones keep that of their start. Cost: of an order other than the
  /// usual one O(calls that match) for its first page; SQLite keeps the last one, until somebody writes.
  [[nodiscard]] virtual Result<CallPage> calls(const Filter& filter, const Page& page,
                                               const CallOrder& order) = 0;
  [[nodiscard]] Result<CallPage> calls(const Filter& filter, const Page& page) {
    return calls(filter, page, CallOrder{});
  }
  /// Whole records by id, in the order asked, with the StatementInfo of every fingerprint in them.
  /// Unknown ids are left out. `Batch::counts` and `process` stay empty.
  [[nodiscard]] virtual Result<Batch> load(const std::vector<std::string>& ids) = 0;
  /// The always-on counts of everybody, hours within [since, until) of the filter; its database and method
  /// apply.
  [[nodiscard]] virtual Result<std::vector<MethodCount>> counts(const Filter& filter) = 0;
  /// The first `most` calls that match, reduced to what comparisons need. Cost: about 2 us a call in SQLite.
  [[nodiscard]] virtual Result<CallSamples> samples(const Filter& filter, std::uint64_t most) = 0;
  [[nodiscard]] virtual Result<StoreInfo> info() = 0;
};

/// What an administrator does to a store, and the rules that every recording process polls.
class StoreControl {
 public:
  static constexpr Microseconds kNoBudget = Microseconds::max();

  virtual ~StoreControl() = default;

  /// Cost: O(1) when `known_version` is current (then `rules` is empty); called every second by every
  /// process.
  [[nodiscard]] virtual Result<RuleSet> rules(std::uint64_t known_version) = 0;
  /// Stores the rule under a new id, which it returns.
  [[nodiscard]] virtual Result<std::string> add_rule(const Rule& rule) = 0;
  /// Errors: not_found.
  [[nodiscard]] virtual Result<void> remove_rule(std::string_view id) = 0;
  /// What `set_retention` left in the store, for everybody who prunes it; else the defaults.
  [[nodiscard]] virtual Result<Retention> retention() = 0;
  [[nodiscard]] virtual Result<void> set_retention(const Retention& retention) = 0;
  /// Deletes what is older than the age, then the oldest until it fits the size: calls, and the counts of the
  /// hours before them. In small transactions, of which none begins once the budget is spent; then there is
  /// `more`, and the next call goes on.
  [[nodiscard]] virtual Result<Pruned> prune(const Retention& retention, UtcTime now,
                                             Microseconds budget) = 0;
  [[nodiscard]] Result<Pruned> prune(const Retention& retention, UtcTime now) {
    return prune(retention, now, kNoBudget);
  }
};

struct OpenStore {
  std::unique_ptr<Store> store;
  std::unique_ptr<StoreControl> control;
};

enum class OpenMode : std::uint8_t {
  kRead,    ///< needs no right to write
  kChange,  ///< writes, but only into a store that is there
  kWrite,   ///< makes a SQLite file that is missing (mode 0660)
};

/// Opens "sqlite:///absolute/path", "redis://...", "rediss://..." or "unix://...".
/// Errors: invalid_argument (names the schemes accepted), not_found, protocol (foreign, corrupt or newer
/// file: left untouched), unavailable, denied.
[[nodiscard]] Result<OpenStore> open_store(std::string_view url, OpenMode mode);

/// The URL without its password, for messages.
[[nodiscard]] std::string without_password(std::string_view url);

}  // namespace headroom::perf
