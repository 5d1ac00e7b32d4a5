#include "worklist/boundaries.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace headroom::worklist {
namespace {

using ::testing::Optional;

constexpr std::int64_t kHour = 3'600'000'000;

base::UtcTime time(std::string_view text) {
  return base::parse_time(text, {}).value();
}

Operand operand(Type type, std::string_view text) {
  return parse_operand(type, text).value();
}

std::optional<std::int64_t> nothing(std::int64_t /*from*/) {
  return std::nullopt;
}

TEST(Boundaries, FindWhatLiesBetweenTwoValuesAsAWalkOverAllDoes) {
  std::mt19937_64 engine(3);
  const auto below = [&engine](std::uint64_t end) { return static_cast<std::int64_t>(engine() % end); };
  Boundaries boundaries(Type::kTime);
  std::vector<std::optional<std::int64_t>> values(200);
  const Boundaries::Holds holds = [&values](std::uint32_t slot) { return values[slot]; };
  for (int round = 0; round < 20'000; ++round) {
    const auto slot = static_cast<std::uint32_t>(below(values.size()));
    const auto left = std::exchange(
        values[slot], below(5) == 0 ? std::nullopt : std::optional(below(50 * kHour) - 20 * kHour));
    if (left) boundaries.remove(*left, holds);
    if (values[slot]) boundaries.put(*values[slot], slot);
    if (round % 100 != 0) continue;
    const std::int64_t from = below(50 * kHour) - 20 * kHour;
    const std::int64_t to = from + below(3 * kHour);
    std::set<std::uint32_t> expected;
    std::optional<std::int64_t> first;
    for (std::uint32_t i = 0; i < values.size(); ++i) {
      if (!values[i] || *values[i] < from) continue;
      if (*values[i] <= to) expected.insert(i);
      first = first ? std::min(*first, *values[i]) : *values[i];
    }
    std::set<std::uint32_t> found;
    boundaries.visit(from, to, holds, [&found](std::uint32_t one) { found.insert(one); });
    ASSERT_EQ(found, expected) << "round " << round;
    ASSERT_EQ(boundaries.first_from(from, holds), first) << "round " << round;
  }
  EXPECT_LT(boundaries.bytes(), 100'000U) << "what documents left is forgotten";
}

TEST(NextChange, IsAtTheMidnightInUtcForToday) {
  const auto now = time("2026-11-30 12:00");
  for (const Type type : {Type::kDate, Type::kTime}) {
    EXPECT_THAT(next_change(type, operand(type, "today - 3 days"), now, nothing),
                Optional(time("2026-12-01 00:00")));
  }
}

TEST(NextChange, OfNowIsWhereADocumentIsReachedOrLeft) {
  const auto now = time("2026-11-30 12:00");
  const Operand two_hours_ago = operand(Type::kTime, "now - 2 hours");
  const std::int64_t ten = time("2026-11-30 10:00").time_since_epoch().count();
  const auto at_ten = [ten](std::int64_t from) { return from <= ten ? std::optional(ten) : std::nullopt; };
  EXPECT_THAT(next_change(Type::kTime, two_hours_ago, now, at_ten), Optional(now + base::Microseconds{1}))
      << "it is there, and will be behind";
  EXPECT_THAT(next_change(Type::kTime, two_hours_ago, time("2026-11-30 11:30"), at_ten), Optional(now));
  EXPECT_EQ(next_change(Type::kTime, two_hours_ago, now + base::Microseconds{1}, at_ten), std::nullopt);
}

TEST(NextChange, OfADateIsWhenItsDayEnds) {
  EXPECT_THAT(
      next_change(Type::kDate, operand(Type::kDate, "now + 2 hours"), time("2026-11-30 12:00"), nothing),
      Optional(time("2026-11-30 22:00")));
  EXPECT_THAT(
      next_change(Type::kDate, operand(Type::kDate, "now - 2 hours"), time("2026-11-30 01:00"), nothing),
      Optional(time("2026-11-30 02:00")));
}

TEST(NextChange, OfMonthsIsAtTheMidnightWhereTheyAreNoStraightLine) {
  const auto now = time("2026-03-29 12:00");
  EXPECT_THAT(next_change(Type::kTime, operand(Type::kTime, "now - 1 month"), now, nothing),
              Optional(time("2026-03-30 00:00")));
  EXPECT_EQ(next_change(Type::kTime, operand(Type::kTime, "2026-01-01 10:00"), now, nothing), std::nullopt);
}

}  // namespace
}  // namespace headroom::worklist
