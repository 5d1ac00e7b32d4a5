#pragma once

// What the recorder knows of one call: plain values, filled inside the application server, read by the
// reports. A record is made once, closed once, and never changed after it was handed to a store.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/histogram.hpp"
#include "perf/profile.hpp"
#include "perf/rule.hpp"
#include "sql/statement.hpp"

namespace headroom::perf {

using base::Microseconds;
using base::UtcTime;

enum class CallKind : std::uint8_t { kRpc, kLogin, kTask, kCron, kRoute, kReport, kWizard, kBus, kStatic };
enum class CallStatus : std::uint8_t {
  kOk,
  kUserError,
  kWarning,
  kConcurrency,
  kException,
  kHttpError,
  kKilled
};

/// "rpc", "login", ...; "ok", "user_error", ...; the inverse functions give nullopt for an unknown name.
[[nodiscard]] std::string_view name(CallKind kind);
[[nodiscard]] std::string_view name(CallStatus status);
[[nodiscard]] std::optional<CallKind> call_kind(std::string_view name);
[[nodiscard]] std::optional<CallStatus> call_status(std::string_view name);

/// One run of the transaction inside a call; a call has more than one when the server retried it.
struct Attempt {
  Microseconds duration{0};
  std::uint32_t statements = 0;
  /// Class and text of the error that ended it, redacted; empty for the attempt that succeeded.
  std::string error;
};

/// The statements of a call that share a fingerprint.
struct StatementTotal {
  std::uint64_t fingerprint = 0;
  std::uint32_t count = 0;
  Microseconds time{0};
  Microseconds longest{0};
  std::int64_t rows = 0;
  /// Where it was first sent from, innermost frame last, one frame a line; empty when it ran once.
  std::string backtrace;
};

/// One statement in order, kept for calls under a `db` rule.
struct StatementEvent {
  std::uint64_t fingerprint = 0;
  Microseconds offset{0};  ///< from the start of the call
  Microseconds duration{0};
  std::int64_t rows = 0;
  std::string parameters;  ///< JSON, redacted and cut
};

/// One statement over the `query` threshold.
struct SlowStatement {
  std::uint64_t fingerprint = 0;
  Microseconds offset{0};
  Microseconds duration{0};
  std::int64_t rows = 0;
  std::string sql;        ///< with the values bound, redacted
  std::string backtrace;  ///< as in StatementTotal
};

/// A request or response body, decoded, redacted and cut; `size` is that of the whole, decoded.
struct Body {
  std::string text;
  std::uint64_t size = 0;
  bool cut = false;  ///< `text` is only the beginning
};

/// What a record carries beyond its row in the `call` report; a bit each, so that a store can filter by it.
enum class Has : std::uint16_t {
  kNothing = 0,
  kProfile = 1,    ///< `exact_profile`
  kSample = 2,     ///< `sampled_profile`
  kDb = 4,         ///< `events`
  kQuery = 8,      ///< `slow`
  kIo = 16,        ///< `request` or `response`
  kConflict = 32,  ///< more than one attempt, or status concurrency, or a serialization failure
};
[[nodiscard]] constexpr Has operator|(Has a, Has b) {
  return static_cast<Has>(static_cast<std::uint16_t>(a) | static_cast<std::uint16_t>(b));
}
[[nodiscard]] constexpr bool includes(Has all, Has wanted) {
  return (static_cast<std::uint16_t>(all) & static_cast<std::uint16_t>(wanted)) ==
         static_cast<std::uint16_t>(wanted);
}

/// The part of a call that every report needs: one row of `call`.
struct CallSummary {
  /// Unique over all processes and machines; a batch that is written twice stores it once.
  std::string id;
  std::string database;
  /// A hash of the session token (16 hex digits), or "basic:DATABASE", and so with login, task, cron and
  /// route, for calls without one; a call that another one ran inside itself has the session of that one.
  /// Sessions are keyed by (database, session).
  std::string session;
  /// 1, 2, ... within its session, given by the store in order of arrival; 0 before it is stored.
  std::uint64_t rank = 0;
  CallKind kind = CallKind::kRpc;
  CallStatus status = CallStatus::kOk;
  std::string method;
  std::optional<std::int64_t> user_id;
  std::string user;  ///< login; empty when unknown
  UtcTime start{};
  Microseconds wall{0};
  std::optional<Microseconds> cpu;  ///< unknown under gevent
  Microseconds connection_wait{0};
  Microseconds lock_wait{0};  ///< SQLite's write lock
  Microseconds commit{0};
  Microseconds sql{0};
  std::uint32_t statements = 0;
  /// The largest count of one fingerprint in this call: N+1 candidates have many.
  std::uint32_t most_repeated = 0;
  std::int64_t rows = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint32_t attempts = 1;
  int http_status = 0;  ///< 0 outside HTTP
  Has has = Has::kNothing;
};

/// Everything that is known of one call.
struct CallRecord {
  CallSummary summary;
  std::string error;    ///< class and text, redacted; empty when status is ok
  std::string address;  ///< the client's, as the application sees it behind proxies
  std::string host;
  std::int32_t process = 0;
  std::uint64_t thread = 0;
  std::string parent;  ///< id of the call that ran this one inside itself, or empty
  std::uint32_t cache_hits = 0;
  std::uint32_t cache_misses = 0;
  std::uint32_t cache_clears = 0;
  std::optional<std::int64_t> memory_growth;  ///< bytes of resident memory gained
  /// Details that a bound of the recorder left out (statements beyond 10,000 events and the like).
  std::uint32_t dropped_details = 0;
  std::vector<Attempt> attempts;
  std::vector<StatementTotal> statements;
  std::vector<StatementEvent> events;
  std::vector<SlowStatement> slow;
  std::optional<Profile> exact_profile;
  std::optional<Profile> sampled_profile;
  std::optional<Body> request;
  std::optional<Body> response;
};

/// A statement's text, stored once per store and referred to by fingerprint.
using StatementInfo = sql::Statement;

/// Counts of one method in one hour, for everybody, traced or not. Stores add them up.
struct MethodCount {
  std::string database;
  std::string method;
  CallKind kind = CallKind::kRpc;
  std::int64_t hour = 0;  ///< hours since the epoch
  std::uint64_t count = 0;
  std::uint64_t errors = 0;
  Microseconds time{0};
  Microseconds sql{0};
  std::uint64_t statements = 0;
  base::Histogram histogram;  ///< of wall time
};

/// One process that records, as `headroom status` shows it. A newer entry of the same (host, process)
/// replaces it.
struct ProcessInfo {
  std::string host;
  std::int32_t process = 0;
  std::string role;  ///< "trytond", "trytond-worker", "uwsgi", ...
  std::string version;
  UtcTime started{};
  UtcTime seen{};
  std::uint64_t calls = 0;            ///< all calls, traced or not
  std::uint64_t records = 0;          ///< records handed to the store
  std::uint64_t dropped_records = 0;  ///< lost because the buffer was full
  std::uint64_t errors = 0;           ///< inside the recorder itself
  std::string last_error;
  std::uint64_t rules_version = 0;  ///< the version of the rules that it obeys
  std::vector<Rule> rules;          ///< of its own configuration file; those of the store are not among them
  bool ended = false;               ///< its last word: a store forgets the process
};

/// What a process hands to the store at once.
struct Batch {
  /// Fingerprints used by `calls` that this process has not yet sent to this store; known ones are ignored.
  std::vector<StatementInfo> statements;
  std::vector<CallRecord> calls;
  std::vector<MethodCount> counts;
  std::optional<ProcessInfo> process;
};

}  // namespace headroom::perf
