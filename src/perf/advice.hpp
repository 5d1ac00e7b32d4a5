#pragma once

// What is worth changing, in plain words: findings over the calls of a session, worst first, each with what
// it costs, what a change would save, and the evidence to check it by.
//
// Each kind of finding is one pure function over the same material (advice_passes.cpp lists them). A saving
// is an estimate and says what it rests on; where none can honestly be told there is none. Of what is read
// and never used those rows are found that the call had already; not columns: what Python does with a value
// leaves no trace in a record (docs/decisions/0005).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perf/report.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// Executions of a SELECT that gave a call what it had read before.
struct ReadAgain {
  std::uint64_t fingerprint = 0;
  std::uint32_t count = 0;
  Microseconds time{0};
};

/// A call with what the passes read of it.
struct AdviceCall {
  CallSummary summary;
  std::vector<Attempt> attempts;
  std::vector<StatementTotal> statements;
  std::vector<SlowStatement> slow;
  std::vector<ReadAgain> read_again;  ///< by fingerprint; empty unless all statements were kept in order
  std::uint32_t cache_hits = 0;
  std::uint32_t cache_misses = 0;
  /// Equal for requests that ask the same; 0 when the body was not kept, or cut.
  std::uint64_t request = 0;
};

/// What the plan of a slow statement says: a table that is read from one end to the other.
struct TableScan {
  std::string table;
  std::string condition;  ///< what an index would have to serve; empty when there is none
  /// The database told only what the statement calls it, and the statement not what that is.
  bool is_alias = false;
};

/// What became of the question for the plan of a slow statement.
enum class PlanAnswer : std::uint8_t {
  kNoDatabase,  ///< no URL of its database is known
  kNotAsked,    ///< dearer ones were asked for, and they are enough
  kNone,        ///< the database did not give it
  kSeen,
};

struct AdviceMaterial {
  std::vector<AdviceCall> calls;  ///< by start
  std::map<std::uint64_t, StatementInfo> statements;
  /// Of slow statements, by fingerprint; kNoDatabase where there is none.
  std::map<std::uint64_t, PlanAnswer> plans;
  /// By fingerprint, where a plan was looked at and holds one.
  std::map<std::uint64_t, TableScan> scans;
  Microseconds time{0};     ///< of all calls
  std::uint64_t total = 0;  ///< calls that match; more than `calls` when only the dearest were read
};

struct Finding {
  /// "repeated_statement", "read_again", "repeated_call", "cache_misses", "slow_commit", "retries",
  /// "connection_wait", "lock_wait", "missing_index", "slow_statement".
  std::string kind;
  std::string words;   ///< what is the matter, in a sentence
  std::string remedy;  ///< what to do, in a sentence
  std::string basis;   ///< what the saving rests on
  Microseconds cost{0};
  std::optional<Microseconds> saving;  ///< nothing when it can't be told
  std::uint64_t number = 0;            ///< calls with it
  std::string method;
  std::string table;
  std::uint64_t fingerprint = 0;
  std::string statement;           ///< normalised text
  std::string backtrace;           ///< the line that sent it, innermost frame last
  std::vector<std::string> calls;  ///< some of them, the dearest first: "session call"
};

/// Reads the calls that match: their summaries, and whole the 2,000 that took longest.
/// Errors: those of the store. Cost: some 50 us a call.
[[nodiscard]] Result<AdviceMaterial> gather_advice(Store& store, const Filter& filter);

/// The findings, most saving first; one without a saving stands where half its cost would put it. What costs
/// less than a thousandth of all, or a millisecond, is left out. Threads: pure.
[[nodiscard]] std::vector<Finding> advise(const AdviceMaterial& material);

/// The findings as a table, and as paragraphs in its text.
[[nodiscard]] Report advice_report(const AdviceMaterial& material, const std::vector<Finding>& findings,
                                   const Page& page);

/// A slow statement, and the database that it was sent to.
struct SlowOfDatabase {
  std::string database;
  SlowStatement slow;
};

/// The slow statements by fingerprint, dearest first: each with its most expensive execution. For whoever
/// explains them.
[[nodiscard]] std::vector<SlowOfDatabase> dearest_slow_statements(const AdviceMaterial& material,
                                                                  std::size_t most);

}  // namespace headroom::perf
