#include "perf/live.hpp"

#include <gtest/gtest.h>

namespace headroom::perf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kSecondNs = 1'000'000'000;

MethodCount count(std::string method, std::uint64_t number, Microseconds time, std::int64_t hour = 7) {
  MethodCount made;
  made.database = "shop";
  made.method = std::move(method);
  made.hour = hour;
  made.count = number;
  made.time = time;
  made.sql = time / 2;
  return made;
}

TEST(LiveWindowTest, TellsRatesFromTwoLooks) {
  LiveWindow window(seconds(5));
  window.add({0, {count("read", 100, seconds(10)), count("search", 7, seconds(1))}});
  EXPECT_TRUE(window.busiest(10).empty()) << "one look tells nothing";
  window.add({2 * kSecondNs, {count("read", 110, seconds(11)), count("search", 7, seconds(1))}});
  const auto methods = window.busiest(10);
  ASSERT_EQ(methods.size(), 1U) << "only what had calls";
  EXPECT_EQ(methods[0].method, "read");
  EXPECT_EQ(methods[0].number, 10U);
  EXPECT_DOUBLE_EQ(methods[0].per_second, 5);
  EXPECT_DOUBLE_EQ(methods[0].busy, 0.5);
  EXPECT_EQ(methods[0].average, milliseconds(100));
  EXPECT_EQ(methods[0].sql_average, milliseconds(50));
  EXPECT_DOUBLE_EQ(window.per_second(), 5);
}

TEST(LiveWindowTest, PutsWhatTakesTheMostTimeFirstAndCutsTheList) {
  LiveWindow window(seconds(5));
  window.add({0, {}});
  window.add({kSecondNs,
              {count("many", 1000, milliseconds(100)), count("slow", 1, seconds(3)),
               count("middle", 2, seconds(1))}});
  const auto methods = window.busiest(2);
  ASSERT_EQ(methods.size(), 2U);
  EXPECT_EQ(methods[0].method, "slow");
  EXPECT_EQ(methods[1].method, "middle");
}

TEST(LiveWindowTest, AddsUpOverTheTurnOfAnHour) {
  LiveWindow window(seconds(5));
  window.add({0, {count("read", 100, seconds(10), 7)}});
  window.add({kSecondNs, {count("read", 103, seconds(10), 7), count("read", 4, seconds(1), 8)}});
  EXPECT_EQ(window.busiest(10).at(0).number, 7U);
}

TEST(LiveWindowTest, ForgetsWhatIsOlderThanTheWindow) {
  LiveWindow window(seconds(2));
  for (int second = 0; second <= 10; ++second) {
    const auto number = static_cast<std::uint64_t>(second < 5 ? second * 100 : 500 + (second - 5) * 2);
    window.add({second * kSecondNs, {count("read", number, seconds(second))}});
  }
  EXPECT_DOUBLE_EQ(window.per_second(), 2);
}

TEST(LiveWindowTest, BeginsAnewAfterNobodyLooked) {
  LiveWindow window(seconds(2));
  window.add({0, {count("read", 100, seconds(10))}});
  window.add({60 * kSecondNs, {count("read", 700, seconds(70))}});
  EXPECT_TRUE(window.busiest(10).empty());
  window.add({61 * kSecondNs, {count("read", 703, seconds(71))}});
  EXPECT_DOUBLE_EQ(window.per_second(), 3);
}

TEST(LiveWindowTest, TakesCountsThatShrankForNothingKnown) {
  LiveWindow window(seconds(5));
  window.add({0, {count("read", 100, seconds(10))}});
  window.add({kSecondNs, {count("read", 3, seconds(1))}});
  EXPECT_TRUE(window.busiest(10).empty());
  window.add({kSecondNs, {count("read", 9, seconds(1))}});
  EXPECT_TRUE(window.busiest(10).empty()) << "the same moment twice is one look";
}

}  // namespace
}  // namespace headroom::perf
