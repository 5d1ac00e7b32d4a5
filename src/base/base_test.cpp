#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "base/glob.hpp"
#include "base/histogram.hpp"
#include "base/result.hpp"

namespace headroom::base {
namespace {

TEST(Glob, MatchesRunsSinglesAndClasses) {
  EXPECT_TRUE(glob_match("model.res.user.*", "model.res.user.read"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*.sale.*.read", "model.sale.line.read"));
  EXPECT_TRUE(glob_match("model.[a-s]ale.?ead", "model.sale.read"));
  EXPECT_FALSE(glob_match("model.[!s]ale.read", "model.sale.read"));
  EXPECT_FALSE(glob_match("model.res.user", "model.res.user.read"));
  EXPECT_FALSE(glob_match("model.[sale", "model.sale"));
}

TEST(Glob, TellsABracketThatIsNotClosed) {
  for (const char* glob : {"", "*", "a]", "[]]", "[!]a]", "[a][b]"})
    EXPECT_TRUE(glob_is_closed(glob)) << glob;
  for (const char* glob : {"[", "a[b", "[]", "[!]", "[a][b"}) EXPECT_FALSE(glob_is_closed(glob)) << glob;
}

TEST(Glob, ManyStarsDoNotExplode) {
  const std::string text(10'000, 'a');
  EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*b", text));
}

TEST(Clock, ReadsTheFormsThatItNames) {
  const UtcTime now = parse_time("2026-11-21T07:38:15.123456Z", utc_now()).value();
  EXPECT_EQ(to_iso(now), "2026-11-21T07:38:15.123456Z");
  EXPECT_EQ(parse_time("2026-11-21 08:38:15.123456+01:00", now).value(), now);
  EXPECT_EQ(to_iso(parse_time("2026-11-21", now).value()), "2026-11-21T00:00:00.000000Z");
  EXPECT_EQ(parse_time("10m", now).value(), now - std::chrono::minutes{10});
  for (const char* bad : {"", "yesterday", "2026-13-01", "2026-11-21T25:00", "10", "2026-11-21T07:38:15Zx"}) {
    EXPECT_FALSE(parse_time(bad, now)) << bad;
  }
}

TEST(Clock, ReadsDurations) {
  EXPECT_EQ(parse_duration("250ms").value(), Microseconds{250'000});
  EXPECT_EQ(parse_duration("0.2").value(), Microseconds{200'000});
  EXPECT_EQ(parse_duration("7d").value(), std::chrono::days{7});
  for (const char* bad : {"", "-1s", "1 s", "1y", "nan", "inf", "1e300d"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Histogram, QuantilesStayWithinAnEighth) {
  Histogram histogram;
  for (int i = 1; i <= 100'000; ++i) histogram.add(Microseconds{i});
  EXPECT_EQ(histogram.count(), 100'000U);
  for (const double q : {0.01, 0.5, 0.95, 0.99}) {
    const auto found = static_cast<double>(histogram.quantile(q).count());
    EXPECT_GE(found, q * 100'000 * 0.999);
    EXPECT_LE(found, q * 100'000 * 1.126);
  }
}

TEST(Histogram, GivesNoQuantileAboveTheLongestDuration) {
  Histogram histogram;
  for (const int value : {1'000'000, 1'000'001}) histogram.add(Microseconds{value});
  for (const double q : {0.5, 0.95, 0.99, 1.0}) EXPECT_EQ(histogram.quantile(q), Microseconds{1'000'001});
  Histogram other;
  other.add(Microseconds{2'000'000});
  histogram.merge(Histogram::decode(other.encode()).value());
  EXPECT_EQ(histogram.longest(), Microseconds{2'000'000});
  EXPECT_EQ(histogram.quantile(1.0), Microseconds{2'000'000});
}

TEST(Histogram, DoesNotGuessTheLongestDurationOfOneThatWasStoredWithoutIt) {
  Histogram histogram = Histogram::decode("100:1").value();
  const Microseconds edge = histogram.quantile(1.0);
  Histogram shorter;
  shorter.add(Microseconds{5});
  histogram.merge(shorter);
  EXPECT_EQ(histogram.longest(), std::nullopt);
  EXPECT_EQ(histogram.quantile(1.0), edge);
  EXPECT_EQ(Histogram::decode(histogram.encode()).value().longest(), std::nullopt);
}

TEST(Histogram, SurvivesStoring) {
  Histogram histogram;
  for (const int value : {0, 3, 3, 900, 70'000'000}) histogram.add(Microseconds{value});
  const Histogram back = Histogram::decode(histogram.encode()).value();
  EXPECT_EQ(back.encode(), histogram.encode());
  EXPECT_EQ(back.count(), 5U);
  EXPECT_EQ(Histogram::decode("").value().count(), 0U);
  for (const char* bad : {"x", "1:", "1:2,", "999:1", "1:2;3:4", "1:1,max:", "1:1,max:-1", ","})
    EXPECT_FALSE(Histogram::decode(bad)) << bad;
}

TEST(Error, KeepsItsCodeWhenContextIsAdded) {
  const Error error =
      Error(ErrorCode::kUnavailable, "connection refused").within("while writing to the store");
  EXPECT_EQ(error.message(), "while writing to the store: connection refused");
  EXPECT_TRUE(error.retryable());
  EXPECT_EQ(error.http_status(), 503);
}

}  // namespace
}  // namespace headroom::base
