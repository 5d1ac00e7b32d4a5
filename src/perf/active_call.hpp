#pragma once

// One call while it runs, inside the application server. Everything here is on the call's own path: it counts
// and keeps references, and leaves parsing, redaction and coding to the recorder's thread (see resolve.hpp).
//
// Who is recorded is decided twice. `claim` says who the request pretends to be: when a rule may match,
// details are kept from then on, provisionally. `verify` comes once the server has authenticated the user: it
// decides, and what was kept for a claim that did not hold is dropped at the end. So a request that fails
// authentication never shows up in the trace of the user that it names.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "perf/record.hpp"
#include "perf/rule.hpp"
#include "perf/statement_texts.hpp"

namespace headroom::perf {

/// Lines "file:line function", innermost last; the strings are shared with every other backtrace that has the
/// frame.
using Backtrace = std::vector<std::shared_ptr<const std::string>>;

/// Statements of one text in one call; becomes a StatementTotal when the text is parsed.
struct TextTotal {
  std::shared_ptr<StatementText> text;
  std::uint32_t count = 0;
  base::Nanoseconds time{0};
  base::Nanoseconds longest{0};
  std::int64_t rows = 0;
  Backtrace backtrace;
};

struct TextEvent {
  std::shared_ptr<StatementText> text;
  base::Nanoseconds offset{0};
  base::Nanoseconds duration{0};
  std::int64_t rows = 0;
  std::vector<std::string> parameters;  ///< as SQL literals, not yet redacted
};

struct TextSlow {
  TextEvent event;
  std::string
      bound;  ///< the text that the driver sent, when it tells; else text and parameters are put together
  Backtrace backtrace;
};

/// A call that ended, before its texts are parsed and its secrets removed. It never leaves the process.
struct FinishedCall {
  CallRecord record;  ///< without statements, events and slow
  std::vector<TextTotal> totals;
  std::vector<TextEvent> events;
  std::vector<TextSlow> slow;
  std::vector<std::string> secrets;  ///< exact values to be removed wherever they stand

  [[nodiscard]] std::size_t bytes() const;  ///< roughly, for bounding the buffer
};

/// One execution of a statement, as a cursor remembers it between `execute` and its fetches.
struct StatementRun {
  static constexpr std::uint32_t kNone = 0xffffffff;
  std::uint32_t total = kNone;
  std::uint32_t event = kNone;
  std::uint32_t slow = kNone;
  base::Nanoseconds offset{0};
  base::Nanoseconds time{0};
  std::int64_t rows = 0;
};

/// What the cursor should hand in after a statement, because only it can get it.
struct Wanted {
  bool backtrace = false;   ///< the text ran for the second time: `keep_backtrace`
  bool slow = false;        ///< it passed the threshold: `keep_slow`
  bool parameters = false;  ///< every statement is kept: `keep_parameters`
};

/// Bounds of one call; what is beyond is counted in `dropped_details`.
struct CallLimits {
  std::size_t totals = 2'000;
  std::size_t events = 10'000;
  std::size_t slow = 100;
  std::size_t body = 256U << 10;  ///< raw bytes kept of each body, before redaction
};

/// Threads: one at a time (the caller holds the interpreter's lock). Times are CLOCK_MONOTONIC nanoseconds.
class ActiveCall {
 public:
  struct Begin {
    CallKind kind = CallKind::kRpc;
    std::string_view method;
    std::string_view database;
    std::string id;
    UtcTime utc{};
    std::int64_t now_ns = 0;
    std::optional<std::int64_t> cpu_ns;
    std::uint64_t thread = 0;
    std::uint64_t dice = 0;
  };
  ActiveCall(Begin begin, CallLimits limits);

  [[nodiscard]] const CallSummary& summary() const { return summary_; }
  [[nodiscard]] bool recording() const { return recording_; }
  [[nodiscard]] bool verified() const { return verified_; }
  [[nodiscard]] const Decision& decision() const { return decision_; }

  void describe(CallKind kind, std::string_view method, std::string_view database);
  /// Returns whether the call is recorded from now on; see the file's head.
  bool claim(std::span<const Rule> rules, std::optional<std::int64_t> user_id, std::string_view login,
             std::string_view token, UtcTime now);
  /// Returns the decision. `user_id` null: the application has no number for the user. `login` empty:
  /// unknown.
  const Decision& verify(std::span<const Rule> rules, std::optional<std::int64_t> user_id,
                         std::string_view login, UtcTime now);
  /// The token that a login gave out.
  void session_started(std::string_view token);

  /// Begins an attempt and ends the one before.
  void attempt(std::int64_t now_ns);
  /// Ends the attempt, if one is open. `error` is empty when it was not an error that rolled back.
  void attempt_failed(std::string error, std::int64_t now_ns);
  /// The error that the caller gets.
  void failed(CallStatus status, std::string error);

  void waited_for_connection(base::Nanoseconds time) { connection_wait_ += time; }
  void waited_for_lock(base::Nanoseconds time) { lock_wait_ += time; }
  void committed(base::Nanoseconds time) { commit_ += time; }
  void cache_hit(std::uint32_t number) { cache_hits_ += number; }
  void cache_missed(std::uint32_t number) { cache_misses_ += number; }
  void cache_cleared() { ++cache_clears_; }

  /// A statement was executed. `text` is null when the call does not record; `rows` below 0: unknown.
  [[nodiscard]] Wanted executed(StatementRun& run, std::shared_ptr<StatementText> text, std::int64_t begin_ns,
                                std::int64_t end_ns, std::int64_t rows);
  /// Rows were fetched from it. `rows` counts only where `executed` could not tell.
  [[nodiscard]] Wanted fetched(StatementRun& run, base::Nanoseconds time, std::int64_t rows);
  /// The text of an execution that this call recorded; empty for any other.
  [[nodiscard]] std::string_view text(const StatementRun& run) const;
  void keep_backtrace(const StatementRun& run, Backtrace backtrace);
  void keep_parameters(const StatementRun& run, std::vector<std::string> parameters);
  void keep_slow(StatementRun& run, std::string bound, std::vector<std::string> parameters,
                 Backtrace backtrace);

  /// `size` is that of the whole, where `body` is only its beginning.
  void keep_request(std::string_view body, std::uint64_t size = 0);
  void keep_response(std::string_view body, std::uint64_t size = 0);
  void set_address(std::string_view address) { address_ = address; }
  void set_bytes_in(std::uint64_t bytes) { summary_.bytes_in = bytes; }
  void set_bytes_out(std::uint64_t bytes) { summary_.bytes_out = bytes; }
  /// `parent` runs this call inside itself, as an application does with its tasks when no worker takes them.
  /// The call then belongs to the parent's session, and is recorded wherever the parent is.
  void run_inside(ActiveCall& parent);
  /// Resident memory when recording began; the growth is told at the end.
  void set_memory(std::int64_t resident) { memory_at_start_ = resident; }
  [[nodiscard]] bool memory_wanted() const { return recording_ && memory_at_start_ < 0; }
  void keep_profile(Profile profile);

  struct End {
    std::int64_t now_ns = 0;
    std::optional<std::int64_t> cpu_ns;
    std::int64_t memory = -1;  ///< resident bytes, below 0: unknown
    int http_status = 0;
    bool keep_failed_login = false;
    bool database_exists = true;  ///< false: a failed login may have made its name up, which is not kept
  };
  /// Completes `summary` and gives the record, if the rules want it. Once.
  [[nodiscard]] std::optional<FinishedCall> end(const End& end);

 private:
  void end_attempt(std::int64_t now_ns, std::string error);
  void settle_status(int http_status);
  void settle_session();
  void follow_parent();
  [[nodiscard]] bool wanted(const End& end) const;
  std::uint32_t total_of(const std::shared_ptr<StatementText>& text);
  [[nodiscard]] bool fingerprint_repeats(const StatementText& text);
  [[nodiscard]] Wanted wanted_of(const StatementRun& run);

  CallSummary summary_;
  CallLimits limits_;
  std::int64_t start_ns_;
  std::optional<std::int64_t> start_cpu_ns_;
  std::uint64_t thread_;
  std::uint64_t dice_;
  bool recording_ = false;
  bool claimed_ = false;
  bool verified_ = false;
  bool session_settled_ = false;  ///< hashing its token is dear
  Decision decision_;
  std::string token_;
  base::Nanoseconds connection_wait_{0};
  base::Nanoseconds lock_wait_{0};
  base::Nanoseconds commit_{0};
  base::Nanoseconds sql_{0};
  std::uint32_t cache_hits_ = 0;
  std::uint32_t cache_misses_ = 0;
  std::uint32_t cache_clears_ = 0;
  std::int64_t memory_at_start_ = -1;
  std::uint32_t dropped_ = 0;
  bool attempt_open_ = false;
  std::int64_t attempt_ns_ = 0;
  std::uint32_t attempt_statements_ = 0;
  std::vector<Attempt> attempts_;
  std::string error_;
  std::string address_;
  std::string parent_;
  std::string parent_session_;
  Decision parent_decision_;
  std::unordered_map<const StatementText*, std::uint32_t> index_;
  std::unordered_map<std::uint64_t, std::uint32_t> fingerprints_;  ///< texts by fingerprint
  std::vector<TextTotal> totals_;
  std::vector<TextEvent> events_;
  std::vector<TextSlow> slow_;
  std::vector<Profile> profiles_;
  std::optional<Body> request_;
  std::optional<Body> response_;
};

/// 16 hex digits that stand for a session token: SHA-256 over database and token, cut.
[[nodiscard]] std::string session_hash(std::string_view database, std::string_view token);

}  // namespace headroom::perf
