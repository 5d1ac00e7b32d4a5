#pragma once

// What changed between two sets of calls: two sessions, the same hours of two days, two releases.
//
// All is counted per call, so that sides of different length compare. A method's row is about its own calls;
// a table's or statement's is spread over all calls of the side, so that a statement which runs twice as
// often in every call has doubled. Whether a change is one is told by an interval over the calls
// (diff_interval.hpp).

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perf/report.hpp"
#include "perf/samples.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// What is judged: wall time of methods and SQL time of tables and statements; SQL time; number of
/// statements.
enum class Measure : std::uint8_t { kTime, kSql, kCount };

/// `worse` and `better`: the whole interval lies beyond the threshold; `same`: within it; `unclear`: it
/// crosses; `few`: too few calls to judge, or nothing on A to grow from; `new` and `gone`: on one side only.
/// What is on side B only is `worse`, without a change, when it surely adds more than the threshold: a table
/// or statement to what the calls of a method took before, a method to what a call of A took, of whatever
/// method.
enum class Verdict : std::uint8_t { kWorse, kNew, kUnclear, kFew, kSame, kGone, kBetter };

/// "method", "table", "statement"; "time", "sql", "count"; "worse", ... The inverse functions give nullopt
/// for an unknown name.
[[nodiscard]] std::string_view name(GroupBy by);
[[nodiscard]] std::string_view name(Measure measure);
[[nodiscard]] std::string_view name(Verdict verdict);
[[nodiscard]] std::optional<GroupBy> group_by(std::string_view name);
[[nodiscard]] std::optional<Measure> measure(std::string_view name);

struct DiffOptions {
  GroupBy by = GroupBy::kMethod;
  Measure measure = Measure::kTime;
  /// A growth up to this is none: 0.1 is 10 %.
  double threshold = 0.1;
};

/// How sure the intervals are. High, since hundreds of rows are judged at once: among 100 that did not
/// change, one is outside of its interval by chance, and hardly ever by more than the threshold too.
inline constexpr double kDiffConfidence = 0.99;
/// Below so many calls on a side nothing is judged: that few values do not tell how they scatter.
inline constexpr std::uint64_t kFewestCalls = 8;
/// The calls of a side that are compared.
inline constexpr std::uint64_t kMostCompared = 250'000;

struct Growth {
  Verdict verdict = Verdict::kFew;
  /// Nothing when it was not judged. `high` is infinite where A may be nothing.
  std::optional<double> change;
  double low = 0;
  double high = 0;
};

/// One side of a row, per call; seconds.
struct DiffFigures {
  std::uint64_t calls = 0;  ///< of the method; else those that used the table or statement
  double time = 0;
  double sql = 0;
  double number = 0;
};

struct DiffRow {
  std::string name;                 ///< method, table, or normalised text
  std::vector<std::string> tables;  ///< of a statement
  std::uint64_t fingerprint = 0;    ///< of a statement
  Growth growth;
  /// What B spent more than A would have for as many calls: seconds, or statements.
  double added = 0;
  std::array<DiffFigures, 2> sides;
};

struct DiffSide {
  std::string name;
  std::uint64_t calls = 0;
  UtcTime first{};
  UtcTime last{};
  Microseconds time{0};
  bool complete = true;
};

struct Diff {
  DiffOptions options;
  std::array<DiffSide, 2> sides;
  Growth whole;               ///< of all calls together
  std::vector<DiffRow> rows;  ///< worse and new ones first, then by `added`
  /// What a CI job asks: whether a row, or the whole, is worse.
  [[nodiscard]] bool is_worse() const;
};

/// Compares two sets of calls. Equal samples and options give equal answers. Threads: pure.
/// Cost: 0.1 s for 100,000 calls with 8 statements each and 400 fingerprints.
[[nodiscard]] Diff compare(const CallSamples& a, const CallSamples& b, const DiffOptions& options);

/// The releases of the configuration: name to the time of its deployment, from which it holds until the next
/// one, or to a range "FROM..TO".
using Releases = std::map<std::string, std::string>;

/// One side, as the user names it.
struct Selection {
  std::string name;
  Filter filter;
};

/// Reads "71" or "shop/71" (a session), "FROM..TO" (times as in `base::parse_time`; either may be empty),
/// "@NAME" (a release). `common` restricts the side further.
/// Errors: invalid_argument, not_found, conflict; those of the store.
[[nodiscard]] Result<Selection> parse_selection(Store& store, std::string_view text, const Filter& common,
                                                const Releases& releases, UtcTime now);

/// Reads both sides and compares them. Errors: not_found when a side has no call; those of the store.
[[nodiscard]] Result<Diff> diff(Store& store, const Selection& a, const Selection& b,
                                const DiffOptions& options);

/// The rows as a table, with a note that sums the comparison up in words.
[[nodiscard]] Report diff_report(const Diff& diff, const Page& page);
/// The whole as JSON: sides, growth, options.
[[nodiscard]] std::string diff_summary_json(const Diff& diff);

/// Reads "10%", "10 %" or "0.1". Errors: invalid_argument unless it is from 0 to 1000 %.
[[nodiscard]] Result<double> parse_threshold(std::string_view text);

}  // namespace headroom::perf
