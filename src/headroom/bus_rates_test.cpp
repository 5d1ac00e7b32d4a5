#include "headroom/bus_rates.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace headroom::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kStart = 1'000 * kSecond;

TEST(BusRates, NeedsASecondLookAndThenSaysHowManyASecond) {
  BusRates rates;
  EXPECT_EQ(rates.look("a", 100, kStart), std::nullopt);
  EXPECT_EQ(rates.look("a", 110, kStart + kSecond / 2), std::nullopt) << "too soon";
  EXPECT_EQ(rates.look("a", 120, kStart + 2 * kSecond), 10.0);
  EXPECT_EQ(rates.look("a", 120, kStart + 2 * kSecond), 10.0) << "another one looks at the same time";
  EXPECT_EQ(rates.look("b", 5, kStart + 2 * kSecond), std::nullopt) << "each counter by itself";
}

TEST(BusRates, IsOfTheLastSecondsHoweverOftenOneLooks) {
  BusRates rates;
  std::int64_t now = kStart;
  for (int i = 0; i <= 60; ++i) (void)rates.look("a", 1'000 * static_cast<std::uint64_t>(i), now += kSecond);
  for (int i = 0; i < 12; ++i) (void)rates.look("a", 60'000, now += kSecond);
  EXPECT_EQ(rates.look("a", 60'000, now), 0.0) << "what was before is over";
}

TEST(BusRates, BeginsAnewWithTheCounterAndAfterALongPause) {
  BusRates rates;
  (void)rates.look("a", 100, kStart);
  EXPECT_EQ(rates.look("a", 3, kStart + 2 * kSecond), std::nullopt);
  EXPECT_EQ(rates.look("a", 7, kStart + 4 * kSecond), 2.0);
  EXPECT_EQ(rates.look("a", 700, kStart + 400 * kSecond), std::nullopt);
}

TEST(BusRates, IsBoundedAndForgetsFirstWhereNobodyLooks) {
  BusRates rates;
  for (std::size_t i = 0; i < BusRates::kMost; ++i) (void)rates.look(fmt::format("c{}", i), 1, kStart);
  (void)rates.look("c7", 1, kStart + 20 * kSecond);
  (void)rates.look("another", 1, kStart + 40 * kSecond);
  EXPECT_EQ(rates.size(), 2U);
  EXPECT_EQ(rates.look("c7", 21, kStart + 40 * kSecond), 1.0);
}

}  // namespace
}  // namespace headroom::cli
