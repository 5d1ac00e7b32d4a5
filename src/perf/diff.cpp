// Three steps: each side is added up by key into at most a hundred blocks of calls in the order of time
// (Tallies); the keys of both sides are joined into rows; each row gets its interval. What only B sends is
// held against the methods that send it.

#include "perf/diff.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "perf/diff_interval.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

constexpr std::array<std::string_view, 3> kGroupNames{"method", "table", "statement"};
constexpr std::array<std::string_view, 3> kMeasureNames{"time", "sql", "count"};
constexpr std::array<std::string_view, 7> kVerdictNames{"worse", "new",  "unclear", "few",
                                                        "same",  "gone", "better"};

template <typename Enum, std::size_t kSize>
std::optional<Enum> find_name(const std::array<std::string_view, kSize>& names, std::string_view wanted) {
  const auto found = std::find(names.begin(), names.end(), wanted);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

double seconds(Microseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

/// Sums of one key on one side.
struct Tally {
  std::uint64_t calls = 0;
  double time = 0;
  double sql = 0;
  double number = 0;
  std::vector<double> sums;   ///< of the measure, by block
  std::vector<double> sizes;  ///< calls by block

  explicit Tally(std::size_t blocks = 0) : sums(blocks), sizes(blocks) {}
  [[nodiscard]] Blocks blocks() const { return {sizes, sums}; }
};

std::size_t blocks_for(std::uint64_t calls) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(calls, BlockDraws::kBlocks));
}

double measured(const CallSample& call, Measure measure) {
  if (measure == Measure::kTime) return seconds(call.wall);
  return measure == Measure::kSql ? seconds(call.sql) : static_cast<double>(call.statements);
}

double measured(const StatementSample& part, Measure measure) {
  return measure == Measure::kCount ? part.count : seconds(part.time);
}

/// Adds a call up in a tally whose calls are counted over all `calls` of it.
void add_call(Tally& tally, const CallSample& call, std::uint64_t calls, Measure measure) {
  const std::size_t block = block_of(tally.calls, calls, tally.sums.size());
  ++tally.calls;
  tally.time += seconds(call.wall);
  tally.sql += seconds(call.sql);
  tally.number += call.statements;
  tally.sums[block] += measured(call, measure);
  tally.sizes[block] += 1;
}

/// One side by key. `names` says of which key each tally is.
struct Tallies {
  std::vector<std::string> names;
  std::vector<Tally> tallies;
  std::vector<const sql::Statement*> statements;  ///< of each tally; empty unless by statement
  Tally whole;
  /// Over which calls a row's averages are taken: those of the key, or all.
  bool over_all_calls = false;

  [[nodiscard]] const Tally& sized(const Tally& tally) const { return over_all_calls ? whole : tally; }
};

Tallies tally_methods(const CallSamples& samples, Measure measure) {
  Tallies side;
  side.names = samples.methods;
  std::vector<std::uint64_t> calls(samples.methods.size());
  for (const CallSample& call : samples.calls) ++calls[call.method];
  for (const std::uint64_t number : calls) side.tallies.emplace_back(blocks_for(number));
  for (const CallSample& call : samples.calls)
    add_call(side.tallies[call.method], call, calls[call.method], measure);
  return side;
}

/// Which keys a statement counts at: its tables, or itself.
struct StatementKeys {
  std::vector<std::string> names;
  std::vector<std::vector<std::size_t>> of_statement;
};

StatementKeys keys_by_table(const CallSamples& samples) {
  StatementKeys keys;
  std::unordered_map<std::string, std::size_t> known;
  for (const sql::Statement& statement : samples.statements) {
    auto& list = keys.of_statement.emplace_back();
    for (const std::string& table : statement.tables) {
      const auto [found, made] = known.try_emplace(table, keys.names.size());
      if (made) keys.names.push_back(table);
      list.push_back(found->second);
    }
  }
  return keys;
}

StatementKeys keys_by_fingerprint(const CallSamples& samples) {
  StatementKeys keys;
  for (const sql::Statement& statement : samples.statements) {
    keys.of_statement.push_back({keys.names.size()});
    keys.names.push_back(fmt::format("{:x}", statement.fingerprint));
  }
  return keys;
}

StatementKeys statement_keys(const CallSamples& samples, GroupBy by) {
  return by == GroupBy::kTable ? keys_by_table(samples) : keys_by_fingerprint(samples);
}

Tallies tally_statements(const CallSamples& samples, const DiffOptions& options) {
  StatementKeys keys = statement_keys(samples, options.by);
  Tallies side;
  side.over_all_calls = true;
  const std::size_t blocks = blocks_for(samples.calls.size());
  side.tallies.assign(keys.names.size(), Tally(blocks));
  std::vector<std::uint64_t> last_call(keys.names.size());
  for (std::uint64_t i = 0; i < samples.calls.size(); ++i) {
    const std::size_t block = block_of(i, samples.calls.size(), blocks);
    for (const StatementSample& part : samples.parts_of(samples.calls[i])) {
      for (const std::size_t key : keys.of_statement[part.statement]) {
        Tally& tally = side.tallies[key];
        tally.calls += std::exchange(last_call[key], i + 1) == i + 1 ? 0 : 1;
        tally.time += seconds(part.time);
        tally.number += part.count;
        tally.sums[block] += measured(part, options.measure);
      }
    }
  }
  for (Tally& tally : side.tallies) tally.sql = tally.time;
  if (options.by == GroupBy::kFingerprint) {
    for (const sql::Statement& statement : samples.statements) side.statements.push_back(&statement);
  }
  side.names = std::move(keys.names);
  return side;
}

Tallies tally(const CallSamples& samples, const DiffOptions& options) {
  Tallies side = options.by == GroupBy::kMethod ? tally_methods(samples, options.measure)
                                                : tally_statements(samples, options);
  side.whole = Tally(blocks_for(samples.calls.size()));
  for (const CallSample& call : samples.calls)
    add_call(side.whole, call, samples.calls.size(), options.measure);
  return side;
}

/// Judges one row after the other with the same draws.
class Judge final {
 public:
  explicit Judge(const DiffOptions& options) : options_(options) {}

  Growth judge(const Tally& a, const Tally& b, const Tally& sizes_a, const Tally& sizes_b) {
    Growth growth;
    if (a.calls == 0 || b.calls == 0) {
      growth.verdict = a.calls == 0 ? Verdict::kNew : Verdict::kGone;
      return growth;
    }
    if (std::min(a.calls, b.calls) < kFewestCalls) return growth;
    if (is_nothing(a) && is_nothing(b)) {
      growth.change = 0;
      growth.verdict = Verdict::kSame;
      return growth;
    }
    if (is_nothing(a)) return growth;
    const GrowthInterval interval =
        growth_interval(draws_, {sizes_a.sizes, a.sums}, {sizes_b.sizes, b.sums}, kDiffConfidence);
    growth.change = interval.estimate;
    growth.low = interval.low;
    growth.high = interval.high;
    growth.verdict = verdict_of(interval);
    return growth;
  }

  /// True when what only B sends is surely more than the threshold of what the calls of a method had before.
  /// `sums` are what it adds in the blocks of `after`.
  bool adds_too_much(const Tally& before, const Tally& after, const std::vector<double>& sums) {
    if (std::min(before.calls, after.calls) < kFewestCalls || is_nothing(before)) return false;
    const GrowthInterval interval =
        growth_interval(draws_, before.blocks(), {after.sizes, sums}, kDiffConfidence);
    // From a growth to a part: twice as much is 1 more, and 2 as a part.
    return interval.low + 1 > options_.threshold;
  }

 private:
  static bool is_nothing(const Tally& tally) {
    return std::all_of(tally.sums.begin(), tally.sums.end(), [](double sum) { return sum <= 0; });
  }

  [[nodiscard]] Verdict verdict_of(const GrowthInterval& interval) const {
    if (interval.low > options_.threshold) return Verdict::kWorse;
    if (interval.high < -options_.threshold) return Verdict::kBetter;
    const bool within = interval.low >= -options_.threshold && interval.high <= options_.threshold;
    return within ? Verdict::kSame : Verdict::kUnclear;
  }

  const DiffOptions& options_;
  BlockDraws draws_;
};

DiffFigures figures(const Tally& tally, std::uint64_t per) {
  if (per == 0) return {};
  const auto calls = static_cast<double>(per);
  return {tally.calls, tally.time / calls, tally.sql / calls, tally.number / calls};
}

double measured(const DiffFigures& figures, Measure measure) {
  if (measure == Measure::kTime) return figures.time;
  return measure == Measure::kSql ? figures.sql : figures.number;
}

/// The keys of both sides, joined: for each row its place on either side, or `kNowhere`.
struct Joined {
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  std::array<std::size_t, 2> at{kNowhere, kNowhere};
};

std::vector<Joined> join(const Tallies& a, const Tallies& b) {
  std::vector<Joined> rows(a.names.size());
  std::unordered_map<std::string_view, std::size_t> known;
  for (std::size_t i = 0; i < a.names.size(); ++i) {
    rows[i].at[0] = i;
    known.emplace(a.names[i], i);
  }
  for (std::size_t i = 0; i < b.names.size(); ++i) {
    const auto found = known.find(b.names[i]);
    if (found == known.end()) {
      rows.push_back({{Joined::kNowhere, i}});
    } else {
      rows[found->second].at[1] = i;
    }
  }
  return rows;
}

void describe(DiffRow& row, const Tallies& side, std::size_t at) {
  row.name = side.names[at];
  if (side.statements.empty()) return;
  const sql::Statement& statement = *side.statements[at];
  row.fingerprint = statement.fingerprint;
  row.tables = statement.tables;
  if (!statement.normalized.empty()) row.name = statement.normalized;
}

DiffRow make_row(const Joined& joined, const std::array<const Tallies*, 2>& sides, const DiffOptions& options,
                 Judge& judge) {
  static const Tally kNothing;
  DiffRow row;
  std::array<const Tally*, 2> tallies{&kNothing, &kNothing};
  std::array<const Tally*, 2> sizes{&kNothing, &kNothing};
  for (std::size_t i = 2; i-- > 0;) {
    if (joined.at[i] != Joined::kNowhere) {
      tallies[i] = &sides[i]->tallies[joined.at[i]];
      describe(row, *sides[i], joined.at[i]);
    }
    sizes[i] = &sides[i]->sized(*tallies[i]);
    row.sides[i] = figures(*tallies[i], sizes[i]->calls);
  }
  row.growth = judge.judge(*tallies[0], *tallies[1], *sizes[0], *sizes[1]);
  const double more = measured(row.sides[1], options.measure) - measured(row.sides[0], options.measure);
  const std::uint64_t calls = sizes[1]->calls > 0 ? sizes[1]->calls : sizes[0]->calls;
  row.added = more * static_cast<double>(calls);
  return row;
}

/// By key of B and method of B: what the key adds to the method's calls, by block.
using Additions = std::map<std::pair<std::size_t, std::uint32_t>, std::vector<double>>;

/// What those keys of B add that are new.
Additions additions_of(const CallSamples& samples, const Tallies& methods, const std::vector<DiffRow*>& news,
                       const DiffOptions& options) {
  const StatementKeys keys = statement_keys(samples, options.by);
  Additions additions;
  std::vector<std::uint64_t> calls(methods.tallies.size());
  for (const CallSample& call : samples.calls) {
    const Tally& method = methods.tallies[call.method];
    const std::size_t block = block_of(calls[call.method]++, method.calls, method.sums.size());
    for (const StatementSample& part : samples.parts_of(call)) {
      for (const std::size_t key : keys.of_statement[part.statement]) {
        if (news[key] == nullptr) continue;
        std::vector<double>& sums = additions[{key, call.method}];
        sums.resize(method.sums.size());
        sums[block] += measured(part, options.measure);
      }
    }
  }
  return additions;
}

/// A statement that only B sends has no growth, but the methods that send it have: it is worse where it adds
/// too much to one that both sides called. `news` are its rows by key of B, and nullptr for the others.
void judge_new(const std::vector<DiffRow*>& news, const CallSamples& a, const CallSamples& b,
               const DiffOptions& options, Judge& judge) {
  const Tallies before = tally_methods(a, options.measure);
  const Tallies after = tally_methods(b, options.measure);
  std::unordered_map<std::string_view, const Tally*> known;
  for (std::size_t i = 0; i < before.names.size(); ++i) known.emplace(before.names[i], &before.tallies[i]);
  for (const auto& [where, sums] : additions_of(b, after, news, options)) {
    const auto& [key, method] = where;
    const auto found = known.find(after.names[method]);
    if (found == known.end() || news[key]->growth.verdict == Verdict::kWorse) continue;
    if (judge.adds_too_much(*found->second, after.tallies[method], sums))
      news[key]->growth.verdict = Verdict::kWorse;
  }
}

/// A method that only B calls has no growth, but B's calls together have: it is worse where it adds too much
/// to what a call of A took.
void judge_new_methods(const std::vector<DiffRow*>& news, const Tallies& a, const Tallies& b,
                       const CallSamples& samples, const DiffOptions& options, Judge& judge) {
  std::map<std::uint32_t, std::vector<double>> additions;
  const std::size_t blocks = b.whole.sums.size();
  for (std::uint64_t i = 0; i < samples.calls.size(); ++i) {
    const CallSample& call = samples.calls[i];
    if (news[call.method] == nullptr) continue;
    std::vector<double>& sums = additions[call.method];
    sums.resize(blocks);
    sums[block_of(i, samples.calls.size(), blocks)] += measured(call, options.measure);
  }
  for (const auto& [method, sums] : additions) {
    if (judge.adds_too_much(a.whole, b.whole, sums)) news[method]->growth.verdict = Verdict::kWorse;
  }
}

/// The rows of what only B has, by key of B; nullptr for the others.
std::vector<DiffRow*> new_rows(std::vector<DiffRow>& rows, const std::vector<Joined>& joined,
                               std::size_t keys) {
  std::vector<DiffRow*> news(keys);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].growth.verdict == Verdict::kNew) news[joined[i].at[1]] = &rows[i];
  }
  return news;
}

bool comes_first(const DiffRow& row) {
  return row.growth.verdict == Verdict::kWorse || row.growth.verdict == Verdict::kNew;
}

bool is_before(const DiffRow& left, const DiffRow& right) {
  if (comes_first(left) != comes_first(right)) return comes_first(left);
  if (left.added > right.added || left.added < right.added) return left.added > right.added;
  return std::tie(left.name, left.fingerprint) < std::tie(right.name, right.fingerprint);
}

DiffSide describe_side(const CallSamples& samples) {
  DiffSide side;
  side.calls = samples.calls.size();
  side.complete = samples.complete;
  if (samples.calls.empty()) return side;
  side.first = samples.calls.front().start;
  side.last = samples.calls.back().start;
  for (const CallSample& call : samples.calls) side.time += call.wall;
  return side;
}

// Selections
// ----------------------------------------------------------------------------------------------------

struct Range {
  std::optional<UtcTime> since;
  std::optional<UtcTime> until;
};

Result<Range> parse_range(std::string_view text, UtcTime now) {
  const std::size_t dots = text.find("..");
  Range range;
  const auto read = [now](std::string_view end, std::optional<UtcTime>& target) -> Result<void> {
    if (end.empty()) return {};
    const auto time = base::parse_time(end, now);
    if (!time) return fail(time.error());
    target = *time;
    return {};
  };
  if (auto since = read(text.substr(0, dots), range.since); !since) return fail(since.error());
  if (auto until = read(text.substr(dots + 2), range.until); !until) return fail(until.error());
  if (range.since && range.until && *range.since >= *range.until)
    return fail(ErrorCode::kInvalidArgument, "it ends before it begins");
  return range;
}

std::string names_of(const Releases& releases) {
  if (releases.empty()) return "there are none: [perf.releases] of headroom.toml names them";
  std::vector<std::string> names;
  for (const auto& [name, range] : releases) names.push_back("@" + name);
  return fmt::format("there are {}", fmt::join(names, ", "));
}

/// The start of the release that follows `time`, if there is one.
Result<std::optional<UtcTime>> next_release(const Releases& releases, UtcTime time, UtcTime now) {
  std::optional<UtcTime> next;
  for (const auto& [name, text] : releases) {
    const auto start = text.substr(0, text.find(".."));
    if (start.empty()) continue;
    const auto at = base::parse_time(start, now);
    if (!at) return fail(base::Error(at.error()).within(fmt::format("[perf.releases] {}", name)));
    if (*at > time && (!next || *at < *next)) next = *at;
  }
  return next;
}

Result<Range> release_range(const std::string& name, const Releases& releases, UtcTime now) {
  const auto found = releases.find(name);
  if (found == releases.end())
    return fail(ErrorCode::kNotFound, fmt::format("no release '@{}'; {}", name, names_of(releases)));
  const auto in_release = [&name](const base::Error& error) {
    return fail(base::Error(error).within(fmt::format("[perf.releases] {}", name)));
  };
  if (found->second.find("..") != std::string::npos) {
    auto range = parse_range(found->second, now);
    if (!range) return in_release(range.error());
    return range;
  }
  const auto since = base::parse_time(found->second, now);
  if (!since) return in_release(since.error());
  const auto until = next_release(releases, *since, now);
  if (!until) return fail(until.error());
  return Range{*since, *until};
}

/// The part of the side that also lies within `common`.
void restrict_range(Filter& filter, const Range& range) {
  if (range.since && (!filter.since || *filter.since < *range.since)) filter.since = range.since;
  if (range.until && (!filter.until || *filter.until > *range.until)) filter.until = range.until;
}

// Words
// ---------------------------------------------------------------------------------------------------------

std::string percent(double growth) {
  return std::isfinite(growth) ? fmt::format("{:+.0f} %", growth * 100) : "any";
}

std::string in_words(const Growth& growth) {
  if (!growth.change) return std::string(name(growth.verdict));
  return fmt::format("{} ({} to {}): {}", percent(*growth.change), percent(growth.low), percent(growth.high),
                     name(growth.verdict));
}

std::string per_call(const DiffSide& side) {
  const double average = side.calls == 0 ? 0 : seconds(side.time) / static_cast<double>(side.calls);
  return fmt::format("{} {} calls of {:.3f} s", side.name, side.calls, average);
}

std::string_view words_of(Measure measure) {
  if (measure == Measure::kTime) return "time";
  return measure == Measure::kSql ? "SQL time" : "statements";
}

std::ptrdiff_t number_of(const Diff& diff, Verdict verdict) {
  return std::ranges::count_if(diff.rows,
                               [verdict](const DiffRow& row) { return row.growth.verdict == verdict; });
}

/// What the rest of the note, and the exit status, say nothing about.
std::string not_judged(const Diff& diff) {
  auto few = number_of(diff, Verdict::kFew);
  if (std::min(diff.sides[0].calls, diff.sides[1].calls) < kFewestCalls)
    few += number_of(diff, Verdict::kNew);
  if (few == 0) return {};
  return fmt::format("; {} not judged: fewer than {} calls on a side, or nothing on A", few, kFewestCalls);
}

std::string note_of(const Diff& diff) {
  const auto worse = number_of(diff, Verdict::kWorse);
  std::string note = fmt::format("A is {}, B {}; {} per call {}; {} of {} {}s worse by more than {:.3g} %",
                                 per_call(diff.sides[0]), per_call(diff.sides[1]),
                                 words_of(diff.options.measure), in_words(diff.whole), worse,
                                 diff.rows.size(), name(diff.options.by), diff.options.threshold * 100);
  note += not_judged(diff);
  for (const DiffSide& side : diff.sides) {
    if (!side.complete) note += fmt::format("; of {} only the first {} calls", side.name, kMostCompared);
  }
  return note;
}

std::string side_json(const DiffSide& side) {
  return fmt::format(R"({{"name":{},"calls":{},"first":"{}","last":"{}","time":{},"complete":{}}})",
                     json_text(side.name), side.calls, base::to_iso(side.first), base::to_iso(side.last),
                     json_number(seconds(side.time)), side.complete);
}

// The table
// -----------------------------------------------------------------------------------------------------

Microseconds rounded(double seconds_of) {
  return Microseconds(std::llround(seconds_of * 1e6));
}

std::vector<Column> columns_of(const DiffOptions& options) {
  const bool counts = options.measure == Measure::kCount;
  const bool methods = options.by == GroupBy::kMethod;
  const bool statements = options.by == GroupBy::kFingerprint;
  std::vector<Column> columns{{std::string(name(options.by)), statements ? Format::kLongText : Format::kText},
                              {"verdict", Format::kText},
                              {"change", Format::kRatio},
                              {"low", Format::kRatio, Shown::kWhereItFits},
                              {"high", Format::kRatio, Shown::kWhereItFits},
                              {"added", counts ? Format::kNumber : Format::kSeconds},
                              {"calls_a", Format::kCount, Shown::kWhereItFits},
                              {"calls_b", Format::kCount, Shown::kWhereItFits},
                              {"time_a", Format::kSeconds},
                              {"time_b", Format::kSeconds}};
  if (methods) columns.push_back({"sql_a", Format::kSeconds, Shown::kWhereItFits});
  if (methods) columns.push_back({"sql_b", Format::kSeconds, Shown::kWhereItFits});
  columns.push_back({"number_a", Format::kNumber});
  columns.push_back({"number_b", Format::kNumber});
  if (statements) columns.push_back({"tables", Format::kText, Shown::kWhereItFits});
  if (statements) columns.push_back({"fingerprint", Format::kText, Shown::kWhereItFits});
  return columns;
}

Cell ratio_cell(const Growth& growth, double value) {
  if (!growth.change || !std::isfinite(value)) return {};
  return value;
}

std::vector<Cell> cells_of(const DiffRow& row, const DiffOptions& options) {
  const Growth& growth = row.growth;
  const auto& [a, b] = row.sides;
  std::vector<Cell> cells{row.name, std::string(name(growth.verdict)),
                          ratio_cell(growth, growth.change.value_or(0)), ratio_cell(growth, growth.low),
                          ratio_cell(growth, growth.high)};
  cells.push_back(options.measure == Measure::kCount ? Cell(row.added) : Cell(rounded(row.added)));
  cells.emplace_back(static_cast<std::int64_t>(a.calls));
  cells.emplace_back(static_cast<std::int64_t>(b.calls));
  cells.emplace_back(rounded(a.time));
  cells.emplace_back(rounded(b.time));
  if (options.by == GroupBy::kMethod) cells.emplace_back(rounded(a.sql));
  if (options.by == GroupBy::kMethod) cells.emplace_back(rounded(b.sql));
  cells.emplace_back(a.number);
  cells.emplace_back(b.number);
  if (options.by != GroupBy::kFingerprint) return cells;
  cells.emplace_back(fmt::format("{}", fmt::join(row.tables, ",")));
  cells.emplace_back(fmt::format("{:x}", row.fingerprint));
  return cells;
}

}  // namespace

std::string_view name(GroupBy by) {
  return kGroupNames[static_cast<std::size_t>(by)];
}
std::string_view name(Measure measure) {
  return kMeasureNames[static_cast<std::size_t>(measure)];
}
std::string_view name(Verdict verdict) {
  return kVerdictNames[static_cast<std::size_t>(verdict)];
}
std::optional<GroupBy> group_by(std::string_view name) {
  return find_name<GroupBy>(kGroupNames, name);
}
std::optional<Measure> measure(std::string_view name) {
  return find_name<Measure>(kMeasureNames, name);
}

bool Diff::is_worse() const {
  return whole.verdict == Verdict::kWorse || std::any_of(rows.begin(), rows.end(), [](const DiffRow& row) {
           return row.growth.verdict == Verdict::kWorse;
         });
}

Diff compare(const CallSamples& a, const CallSamples& b, const DiffOptions& options) {
  Diff result;
  result.options = options;
  result.sides = {describe_side(a), describe_side(b)};
  const Tallies tallies_a = tally(a, options);
  const Tallies tallies_b = tally(b, options);
  Judge judge(options);
  result.whole = judge.judge(tallies_a.whole, tallies_b.whole, tallies_a.whole, tallies_b.whole);
  const std::vector<Joined> joined = join(tallies_a, tallies_b);
  for (const Joined& one : joined)
    result.rows.push_back(make_row(one, {&tallies_a, &tallies_b}, options, judge));
  const std::vector<DiffRow*> news = new_rows(result.rows, joined, tallies_b.names.size());
  const bool any_new = std::ranges::any_of(news, [](const DiffRow* row) { return row != nullptr; });
  if (any_new && options.by == GroupBy::kMethod)
    judge_new_methods(news, tallies_a, tallies_b, b, options, judge);
  if (any_new && options.by != GroupBy::kMethod) judge_new(news, a, b, options, judge);
  std::sort(result.rows.begin(), result.rows.end(), is_before);
  return result;
}

Result<Selection> parse_selection(Store& store, std::string_view text, const Filter& common,
                                  const Releases& releases, UtcTime now) {
  Selection selection{std::string(text), common};
  const bool is_release = text.starts_with('@');
  if (is_release || text.find("..") != std::string_view::npos) {
    const auto range =
        is_release ? release_range(std::string(text.substr(1)), releases, now) : parse_range(text, now);
    if (!range) return fail(base::Error(range.error()).within(fmt::format("'{}'", text)));
    restrict_range(selection.filter, *range);
    return selection;
  }
  if (text.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "a side is missing: expected a session, FROM..TO, or @RELEASE; 'headroom session' lists the "
                "sessions");
  }
  const auto session = find_session(store, text, common);
  if (!session) return fail(session.error());
  selection.name = fmt::format("{}/{}", session->database, session->session);
  selection.filter.database = session->database;
  selection.filter.session = session->session;
  return selection;
}

Result<Diff> diff(Store& store, const Selection& a, const Selection& b, const DiffOptions& options) {
  std::array<CallSamples, 2> samples;
  const std::array<const Selection*, 2> sides{&a, &b};
  for (std::size_t i = 0; i < 2; ++i) {
    auto read = store.samples(sides[i]->filter, kMostCompared);
    if (!read) return fail(read.error());
    if (read->calls.empty())
      return fail(ErrorCode::kNotFound, fmt::format("no recorded call matches '{}'", sides[i]->name));
    samples[i] = std::move(*read);
  }
  Diff result = compare(samples[0], samples[1], options);
  result.sides[0].name = a.name;
  result.sides[1].name = b.name;
  return result;
}

Report diff_report(const Diff& diff, const Page& page) {
  Report report;
  report.table.columns = columns_of(diff.options);
  for (const DiffRow& row : diff.rows) report.table.rows.push_back(cells_of(row, diff.options));
  cut_to_page(report, page);
  bound_texts(report);
  report.note = note_of(diff);
  return report;
}

std::string diff_summary_json(const Diff& diff) {
  const bool judged = diff.whole.change.has_value();
  return fmt::format(
      R"({{"by":"{}","measure":"{}","threshold":{},"confidence":{},"worse":{},"few":{},"new":{},)"
      R"("verdict":"{}","change":{},"low":{},"high":{},"a":{},"b":{}}})",
      name(diff.options.by), name(diff.options.measure), json_number(diff.options.threshold), kDiffConfidence,
      number_of(diff, Verdict::kWorse), number_of(diff, Verdict::kFew), number_of(diff, Verdict::kNew),
      name(diff.whole.verdict), judged ? json_number(*diff.whole.change) : "null",
      judged ? json_number(diff.whole.low) : "null", judged ? json_number(diff.whole.high) : "null",
      side_json(diff.sides[0]), side_json(diff.sides[1]));
}

Result<double> parse_threshold(std::string_view text) {
  std::string_view digits = text;
  const bool is_percent = digits.ends_with('%');
  if (is_percent) digits.remove_suffix(1);
  while (digits.ends_with(' ')) digits.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool read = error == std::errc{} && end == digits.data() + digits.size() && value >= 0;
  if (!read || value > (is_percent ? 1000 : 1)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("threshold '{}': expected for example 10%, or 0.1", text));
  }
  return is_percent ? value / 100 : value;
}

}  // namespace headroom::perf
