// Comparisons: intervals against known distributions, rows and verdicts over small histories, sides as users
// name them.

#include "perf/diff.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "perf/diff_interval.hpp"
#include "perf/memory_store.hpp"
#include "perf/report_sample.hpp"

namespace headroom::perf {
namespace {

using testing::HasSubstr;

const UtcTime kNow = base::parse_time("2026-11-21T12:00:00Z", {}).value();

/// Calls of one method whose wall times are given, each with a statement that takes a third of it.
CallSamples samples_of(const std::vector<double>& milliseconds, std::uint32_t statements = 1,
                       const std::string& method = "model.sale.sale.read") {
  CallSamples samples;
  samples.methods = {method};
  samples.statements = {{17, sql::StatementKind::kSelect, {"sale_sale"}, "SELECT 1"}};
  for (const double each : milliseconds) {
    const auto wall = Microseconds(std::llround(each * 1000));
    samples.calls.push_back({kNow, wall, wall / 3, 0, statements, samples.parts.size(), 1});
    samples.parts.push_back({0, statements, wall / 3});
  }
  return samples;
}

/// Skewed like times of calls are; `mean` milliseconds on average.
std::vector<double> skewed(std::mt19937_64& random, std::size_t number, double mean) {
  std::lognormal_distribution<double> draw(0, 0.8);
  std::vector<double> values(number);
  for (double& value : values) value = draw(random) * mean / std::exp(0.32);
  return values;
}

DiffRow only_row(const Diff& diff) {
  EXPECT_EQ(diff.rows.size(), 1U);
  return diff.rows.at(0);
}

GrowthInterval interval_of(const std::vector<double>& a, const std::vector<double>& b) {
  BlockDraws draws;
  const std::vector<double> sizes_a(a.size(), 1);
  const std::vector<double> sizes_b(b.size(), 1);
  return growth_interval(draws, {sizes_a, a}, {sizes_b, b}, kDiffConfidence);
}

TEST(GrowthInterval, HoldsTheTrueGrowthOfSkewedTimesAsOftenAsItSays) {
  std::mt19937_64 random(7);
  int held = 0;
  constexpr int kRounds = 150;
  for (int round = 0; round < kRounds; ++round) {
    const auto interval = interval_of(skewed(random, 60, 10), skewed(random, 80, 13));
    EXPECT_LE(interval.low, interval.estimate);
    EXPECT_GE(interval.high, interval.estimate);
    held += interval.low <= 0.3 && 0.3 <= interval.high ? 1 : 0;
  }
  EXPECT_GE(held, kRounds * 95 / 100);
}

TEST(GrowthInterval, IsAPointWhereNothingScatters) {
  const auto interval = interval_of(std::vector<double>(20, 8), std::vector<double>(30, 12));
  EXPECT_DOUBLE_EQ(interval.estimate, 0.5);
  EXPECT_DOUBLE_EQ(interval.low, 0.5);
  EXPECT_DOUBLE_EQ(interval.high, 0.5);
}

TEST(GrowthInterval, IsOpenAboveWhereTheFirstSideMayBeNothing) {
  std::vector<double> rare(20, 0);
  rare[3] = 5;
  const auto interval = interval_of(rare, std::vector<double>(20, 1));
  EXPECT_TRUE(std::isinf(interval.high));
}

TEST(GrowthInterval, IsTheSameEveryTime) {
  std::mt19937_64 random(3);
  const auto a = skewed(random, 40, 10);
  const auto b = skewed(random, 40, 10);
  EXPECT_EQ(interval_of(a, b).low, interval_of(a, b).low);
}

TEST(BlockDraws, CountAsManyBlocksAsThereAre) {
  BlockDraws draws;
  const auto counts = draws.counts(BlockDraws::Side::kB, 7);
  for (std::size_t resample = 0; resample < BlockDraws::kResamples; ++resample) {
    float sum = 0;
    for (std::size_t block = 0; block < 7; ++block) sum += counts[block * BlockDraws::kResamples + resample];
    ASSERT_EQ(sum, 7.0F);
  }
}

TEST(Diff, TellsAGrowthFromNoise) {
  std::mt19937_64 random(11);
  const auto before = samples_of(skewed(random, 400, 10));
  EXPECT_EQ(only_row(compare(before, samples_of(skewed(random, 500, 15)), {})).growth.verdict,
            Verdict::kWorse);
  EXPECT_EQ(only_row(compare(before, samples_of(skewed(random, 500, 6)), {})).growth.verdict,
            Verdict::kBetter);
  const Diff noise = compare(before, samples_of(skewed(random, 500, 10)), {});
  EXPECT_NE(only_row(noise).growth.verdict, Verdict::kWorse);
  EXPECT_FALSE(noise.is_worse());
}

TEST(Diff, AGrowthWithinTheThresholdIsNone) {
  const auto before = samples_of(std::vector<double>(50, 10));
  const auto after = samples_of(std::vector<double>(70, 11));
  EXPECT_EQ(only_row(compare(before, after, {GroupBy::kMethod, Measure::kTime, 0.2})).growth.verdict,
            Verdict::kSame);
  EXPECT_TRUE(compare(before, after, {GroupBy::kMethod, Measure::kTime, 0.05}).is_worse());
}

TEST(Diff, DoesNotJudgeAHandfulOfCalls) {
  const auto few = samples_of(std::vector<double>(7, 10));
  const Diff diff = compare(few, samples_of(std::vector<double>(100, 90)), {});
  EXPECT_EQ(only_row(diff).growth.verdict, Verdict::kFew);
  EXPECT_FALSE(only_row(diff).growth.change);
}

TEST(Diff, CountsPerCallSoThatSidesOfDifferentLengthCompare) {
  const Diff diff =
      compare(samples_of(std::vector<double>(50, 10), 3), samples_of(std::vector<double>(200, 20), 3), {});
  const DiffRow& row = only_row(diff);
  EXPECT_NEAR(*row.growth.change, 1.0, 1e-9);
  EXPECT_NEAR(row.sides[0].time, 0.010, 1e-9);
  EXPECT_NEAR(row.sides[1].time, 0.020, 1e-9);
  EXPECT_NEAR(row.added, 200 * 0.010, 1e-6);
  EXPECT_EQ(row.sides[1].calls, 200U);
  EXPECT_NEAR(row.sides[1].number, 3, 1e-9);
}

TEST(Diff, FindsAStatementThatRunsMoreOftenHoweverTheClockScatters) {
  std::mt19937_64 random(5);
  const auto before = samples_of(skewed(random, 30, 10), 2);
  const auto after = samples_of(skewed(random, 30, 10), 6);
  for (const GroupBy by : {GroupBy::kMethod, GroupBy::kTable, GroupBy::kFingerprint}) {
    const DiffRow& row = only_row(compare(before, after, {by, Measure::kCount, 0.1}));
    EXPECT_EQ(row.growth.verdict, Verdict::kWorse);
    EXPECT_NEAR(*row.growth.change, 2.0, 1e-9);
    EXPECT_NEAR(row.added, 4 * 30, 1e-6);
  }
}

/// Calls of a method, and after each `every` of them one of another that takes so long.
CallSamples with_method(std::size_t every, double milliseconds) {
  CallSamples samples = samples_of(std::vector<double>(200, 10), 20, "model.a.read");
  samples.methods.push_back("model.b.read");
  const CallSample known = samples.calls.front();
  std::vector<CallSample> calls;
  for (std::size_t i = 0; i < samples.calls.size(); ++i) {
    calls.push_back(known);
    if (i % every != 0) continue;
    calls.push_back(known);
    calls.back().method = 1;
    calls.back().wall = Microseconds(std::llround(milliseconds * 1000));
    calls.back().statements = 1;
  }
  samples.calls = std::move(calls);
  return samples;
}

const DiffRow& row_named(const Diff& diff, std::string_view name) {
  return *std::ranges::find(diff.rows, name, &DiffRow::name);
}

TEST(Diff, ANewMethodIsWorseWhereItAddsMoreThanTheThresholdToACall) {
  const CallSamples before = samples_of(std::vector<double>(200, 10), 20, "model.a.read");
  const Diff dear = compare(before, with_method(4, 20), {});
  EXPECT_EQ(dear.rows[0].name, "model.b.read");
  EXPECT_EQ(dear.rows[0].growth.verdict, Verdict::kWorse) << "4 ms a call more than 10";
  EXPECT_FALSE(dear.rows[0].growth.change) << "there is nothing that it grew from";
  EXPECT_NEAR(dear.rows[0].added, 50 * 0.020, 1e-9);
  EXPECT_TRUE(dear.is_worse());
  const Diff cheap = compare(before, with_method(4, 2), {});
  EXPECT_EQ(row_named(cheap, "model.b.read").growth.verdict, Verdict::kNew) << "0.4 ms a call";
  EXPECT_FALSE(cheap.is_worse());
  EXPECT_FALSE(compare(before, with_method(4, 20), {GroupBy::kMethod, Measure::kTime, 0.5}).is_worse());
  EXPECT_FALSE(compare(before, with_method(4, 20), {GroupBy::kMethod, Measure::kCount, 0.1}).is_worse())
      << "one statement in five calls";
}

TEST(Diff, ANewMethodThatIsCalledNowAndThenIsNoCertainty) {
  const CallSamples before = samples_of(std::vector<double>(200, 10), 20, "model.a.read");
  const Diff diff = compare(before, with_method(200, 1000), {});
  EXPECT_EQ(diff.rows[0].growth.verdict, Verdict::kNew) << "one call of a second";
}

TEST(Diff, NamesWhatIsGoneWithoutJudgingIt) {
  const Diff diff =
      compare(with_method(4, 20), samples_of(std::vector<double>(200, 10), 20, "model.a.read"), {});
  EXPECT_EQ(row_named(diff, "model.b.read").growth.verdict, Verdict::kGone);
  EXPECT_FALSE(diff.is_worse());
}

TEST(Diff, SaysWhatItDidNotJudge) {
  const CallSamples before = samples_of(std::vector<double>(200, 10), 20, "model.a.read");
  CallSamples few = with_method(40, 90);
  const Diff diff = compare(few, few, {});
  EXPECT_EQ(row_named(diff, "model.b.read").growth.verdict, Verdict::kFew);
  EXPECT_FALSE(diff.is_worse());
  EXPECT_THAT(
      diff_report(diff, {}).note,
      HasSubstr("0 of 2 methods worse by more than 10 %; 1 not judged: fewer than 8 calls on a side"));
  EXPECT_EQ(nlohmann::json::parse(diff_summary_json(diff))["few"], 1);
  const Diff whole = compare(before, before, {});
  EXPECT_THAT(diff_report(whole, {}).note, testing::Not(HasSubstr("judged")));
  EXPECT_EQ(nlohmann::json::parse(diff_summary_json(compare(before, with_method(4, 2), {})))["new"], 1);
}

/// The same calls, each of which also sends a statement that is not in `samples_of`.
CallSamples with_another(CallSamples samples, std::uint32_t count, std::chrono::microseconds time) {
  samples.statements.push_back({18, sql::StatementKind::kSelect, {"party_party"}, "SELECT 2"});
  std::vector<StatementSample> parts;
  for (CallSample& call : samples.calls) {
    const StatementSample before = samples.parts[call.first_part];
    call.first_part = parts.size();
    call.parts = 2;
    call.statements += count;
    parts.push_back(before);
    parts.push_back({1, count, time});
  }
  samples.parts = std::move(parts);
  return samples;
}

void without_another(CallSample& call, std::uint32_t count) {
  call.parts = 1;
  call.statements -= count;
}

TEST(Diff, ANewStatementIsWorseWhereItAddsMoreThanTheThreshold) {
  using std::chrono::microseconds;
  const auto before = samples_of(std::vector<double>(30, 10), 20);
  for (const GroupBy by : {GroupBy::kTable, GroupBy::kFingerprint}) {
    const Diff one = compare(before, with_another(before, 1, microseconds(100)), {by, Measure::kCount, 0.1});
    EXPECT_EQ(one.rows[0].growth.verdict, Verdict::kNew) << "one more than twenty";
    EXPECT_FALSE(one.is_worse());
    const Diff three =
        compare(before, with_another(before, 3, microseconds(100)), {by, Measure::kCount, 0.1});
    EXPECT_EQ(three.rows[0].growth.verdict, Verdict::kWorse) << "three more than twenty";
    EXPECT_FALSE(three.rows[0].growth.change);
    EXPECT_EQ(three.rows[0].sides[0].calls, 0U);
    EXPECT_TRUE(three.is_worse());
    EXPECT_EQ(nlohmann::json::parse(diff_summary_json(three))["worse"], 1);
    const Diff slow = compare(before, with_another(before, 1, microseconds(2000)), {by, Measure::kTime, 0.1});
    EXPECT_EQ(slow.rows[0].growth.verdict, Verdict::kWorse) << "2 ms more than 10";
    EXPECT_FALSE(
        compare(before, with_another(before, 1, microseconds(2000)), {by, Measure::kTime, 0.3}).is_worse());
  }
}

TEST(Diff, ANewStatementOfOneMethodIsNotLostAmongTheOthers) {
  CallSamples before = samples_of(std::vector<double>(500, 10), 20);
  before.methods.push_back("model.party.party.read");
  for (std::size_t i = 0; i < 20; ++i) before.calls[i * 25].method = 1;
  CallSamples after = with_another(before, 4, std::chrono::microseconds(100));
  for (CallSample& call : after.calls) {
    if (call.method == 0) without_another(call, 4);
  }
  const DiffOptions options{GroupBy::kFingerprint, Measure::kCount, 0.1};
  EXPECT_TRUE(compare(before, after, options).is_worse()) << "0.8 % of all statements, 20 % of the method's";
  after.methods[1] = "model.party.party.new";
  EXPECT_FALSE(compare(before, after, options).is_worse()) << "a method that is new may send what is new";
}

TEST(Diff, ANewStatementThatIsSentNowAndThenIsNoCertainty) {
  const CallSamples before = samples_of(std::vector<double>(100, 10), 5);
  CallSamples after = with_another(before, 60, std::chrono::microseconds(100));
  for (std::size_t i = 0; i < after.calls.size(); ++i) {
    if (i != 40) without_another(after.calls[i], 60);
  }
  EXPECT_FALSE(compare(before, after, {GroupBy::kFingerprint, Measure::kCount, 0.1}).is_worse());
}

TEST(Diff, CountsATableOnceForEveryStatementAndACallOnce) {
  CallSamples samples = samples_of(std::vector<double>(10, 9));
  samples.statements.push_back({18, sql::StatementKind::kSelect, {"party_party", "sale_sale"}, "SELECT 2"});
  samples.parts.clear();
  for (CallSample& call : samples.calls) {
    call.first_part = samples.parts.size();
    call.parts = 2;
    samples.parts.push_back({0, 1, std::chrono::milliseconds(2)});
    samples.parts.push_back({1, 3, std::chrono::milliseconds(5)});
  }
  const Diff diff = compare(samples, samples, {GroupBy::kTable, Measure::kTime, 0.1});
  ASSERT_EQ(diff.rows.size(), 2U);
  const DiffRow& sale = diff.rows[0].name == "sale_sale" ? diff.rows[0] : diff.rows[1];
  EXPECT_EQ(sale.sides[0].calls, 10U);
  EXPECT_NEAR(sale.sides[0].number, 4, 1e-9);
  EXPECT_NEAR(sale.sides[0].time, 0.007, 1e-9);
  EXPECT_EQ(sale.growth.verdict, Verdict::kSame);
}

TEST(Diff, TakesSidesWithoutCallsOrTimes) {
  EXPECT_TRUE(compare({}, {}, {}).rows.empty());
  const auto nothing = samples_of(std::vector<double>(20, 0));
  EXPECT_EQ(only_row(compare(nothing, nothing, {})).growth.verdict, Verdict::kSame);
  EXPECT_EQ(only_row(compare(nothing, samples_of(std::vector<double>(20, 5)), {})).growth.verdict,
            Verdict::kFew);
}

Selection selected(std::string_view text, const Releases& releases = {}) {
  MemoryStore store;
  (void)store.append(sample_batch());
  auto selection = parse_selection(store, text, {}, releases, kNow);
  EXPECT_TRUE(selection) << selection.error().message();
  return selection ? *selection : Selection{};
}

std::string refusal(std::string_view text, const Releases& releases = {}) {
  MemoryStore store;
  (void)store.append(sample_batch());
  const auto selection = parse_selection(store, text, {}, releases, kNow);
  return selection ? "accepted" : selection.error().message();
}

TEST(Selection, IsASessionARangeOrARelease) {
  EXPECT_EQ(selected("7b").filter.session, "7bcc");
  EXPECT_EQ(selected("7b").name, "shop/7bcc");
  const Filter range = selected("2026-11-21T07:00..1h").filter;
  EXPECT_EQ(range.since, kNow - std::chrono::hours(5));
  EXPECT_EQ(range.until, kNow - std::chrono::hours(1));
  EXPECT_FALSE(selected("..1h").filter.since);
  EXPECT_FALSE(selected("2h..").filter.until);
}

TEST(Selection, AReleaseHoldsUntilTheNextOne) {
  const Releases releases{{"1.4", "2026-11-01"}, {"1.5", "2026-11-15"}, {"test", "2026-11-02..2026-11-03"}};
  const auto day = [](int number) {
    return UtcTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / number});
  };
  EXPECT_EQ(selected("@1.4", releases).filter.since, day(1));
  EXPECT_EQ(selected("@1.4", releases).filter.until, day(2)) << "the next begins with the test";
  EXPECT_EQ(selected("@1.5", releases).filter.since, day(15));
  EXPECT_FALSE(selected("@1.5", releases).filter.until);
  EXPECT_EQ(selected("@test", releases).filter.until, day(3));
}

TEST(Selection, SaysWhatIsWrong) {
  EXPECT_THAT(refusal(""), HasSubstr("FROM..TO"));
  EXPECT_THAT(refusal("soon.."), HasSubstr("'soon..'"));
  EXPECT_THAT(refusal("1h..2h"), HasSubstr("ends before it begins"));
  EXPECT_THAT(refusal("@1.4"), HasSubstr("[perf.releases]"));
  EXPECT_THAT(refusal("@1.6", {{"1.5", "2026-11-15"}}), HasSubstr("there are @1.5"));
  EXPECT_THAT(refusal("@1.5", {{"1.5", "yesterday"}}), HasSubstr("[perf.releases] 1.5"));
  EXPECT_THAT(refusal("zz"), HasSubstr("no session"));
}

TEST(Diff, ReadsBothSidesOutOfAStore) {
  MemoryStore store;
  (void)store.append(sample_batch());
  const auto result = diff(store, selected("shop/71"), selected("7b"), {});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->sides[0].calls, 3U);
  EXPECT_EQ(result->sides[1].name, "shop/7bcc");
  EXPECT_THAT(diff(store, selected("..2020-01-01"), selected("7b"), {}).error().message(),
              HasSubstr("no recorded call matches '..2020-01-01'"));
}

TEST(DiffReport, ShowsRowsAndSumsThemUpInWords) {
  const Diff diff =
      compare(samples_of(std::vector<double>(50, 10), 3), samples_of(std::vector<double>(50, 20), 3),
              {GroupBy::kFingerprint, Measure::kTime, 0.1});
  const Report report = diff_report(diff, {});
  const auto rows = nlohmann::json::parse(to_json(report.table));
  EXPECT_EQ(rows[0]["statement"], "SELECT 1");
  EXPECT_EQ(rows[0]["verdict"], "worse");
  EXPECT_NEAR(rows[0]["change"].get<double>(), 1.0, 1e-3);
  EXPECT_EQ(rows[0]["fingerprint"], "11");
  EXPECT_THAT(report.note, HasSubstr("+100 % (+100 % to +100 %): worse"));
  EXPECT_THAT(report.note, HasSubstr("1 of 1 statements worse by more than 10 %"));
  const auto summary = nlohmann::json::parse(diff_summary_json(diff));
  EXPECT_EQ(summary["worse"], 1);
  EXPECT_EQ(summary["a"]["calls"], 50);
}

TEST(Threshold, IsAPartOrAPercentage) {
  EXPECT_DOUBLE_EQ(parse_threshold("10%").value(), 0.1);
  EXPECT_DOUBLE_EQ(parse_threshold("0.25").value(), 0.25);
  for (const char* text : {"", "%", "10", "-1%", "x", "1e9%", "nan", "5 %%"})
    EXPECT_FALSE(parse_threshold(text)) << text;
}

}  // namespace
}  // namespace headroom::perf
