#include "worklist/criterion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;

base::UtcTime at(std::string_view text) {
  return base::parse_time(text, {}).value();
}

std::string resolved(Type type, std::string_view text, std::string_view now) {
  return to_text(type, resolve(type, parse_operand(type, text).value(), at(now)));
}

Test test(Operator operation, std::vector<Value> values = {}) {
  return {operation, std::move(values)};
}

TEST(Value, IsReadAndWrittenByItsType) {
  for (const auto& [type, text] :
       std::vector<std::pair<Type, std::string>>{{Type::kInteger, "-9223372036854775808"},
                                                 {Type::kNumber, "0.25"},
                                                 {Type::kText, "a 'b' \"c\""},
                                                 {Type::kBoolean, "true"},
                                                 {Type::kDate, "2024-02-29"},
                                                 {Type::kTime, "2026-11-30 07:38:15.500000"}}) {
    const auto value = parse_value(type, text);
    ASSERT_TRUE(value) << value.error().message();
    EXPECT_EQ(to_text(type, *value), text);
  }
  EXPECT_EQ(to_text(Type::kTime, parse_value(Type::kTime, "2026-11-30T07:38+01:00").value()),
            "2026-11-30 06:38:00.000000");
}

TEST(Value, OfAnotherTypeIsRefusedWithWhatIsAccepted) {
  const std::vector<std::pair<Type, std::string>> refused{{Type::kInteger, "1.5"},
                                                          {Type::kInteger, ""},
                                                          {Type::kInteger, "9223372036854775808"},
                                                          {Type::kNumber, "nan"},
                                                          {Type::kNumber, "1e999"},
                                                          {Type::kNumber, "0.1234567890123456"},
                                                          {Type::kBoolean, "yes"},
                                                          {Type::kDate, "2025-02-29"},
                                                          {Type::kDate, "30.11.2026"},
                                                          {Type::kTime, "7d"},
                                                          {Type::kTime, "2026-11-30 25:00"},
                                                          {Type::kText, std::string("a\0b", 3)},
                                                          {Type::kText, "\xff"}};
  for (const auto& [type, text] : refused) {
    const auto value = parse_value(type, text);
    ASSERT_FALSE(value) << name(type) << " " << text;
    EXPECT_THAT(value.error().message(), HasSubstr("expected"));
  }
}

TEST(Moment, IsCountedFromTodayOrNow) {
  const std::string_view now = "2026-01-31 13:45:10.5";
  EXPECT_EQ(resolved(Type::kDate, "today", now), "2026-01-31");
  EXPECT_EQ(resolved(Type::kDate, "today - 1 week", now), "2026-01-24");
  EXPECT_EQ(resolved(Type::kDate, "today+1month", now), "2026-02-28");
  EXPECT_EQ(resolved(Type::kDate, "today - 2 years", now), "2024-01-31");
  EXPECT_EQ(resolved(Type::kDate, "now + 11 hours", now), "2026-02-01");
  EXPECT_EQ(resolved(Type::kTime, "today", now), "2026-01-31 00:00:00.000000");
  EXPECT_EQ(resolved(Type::kTime, "now - 90 minutes", now), "2026-01-31 12:15:10.500000");
  EXPECT_EQ(resolved(Type::kTime, "now + 1 month", now), "2026-02-28 13:45:10.500000");
  EXPECT_EQ(resolved(Type::kDate, "2026-05-01", now), "2026-05-01");
}

TEST(Moment, ThatIsNoneIsRefused) {
  for (const char* text : {"today 3 days", "today + 3", "today + -3 days", "tomorrow", "now + 3 fortnights",
                           "today + 2000 years", "today + 99999999999999999999 days", "todays"}) {
    EXPECT_FALSE(parse_operand(Type::kDate, text)) << text;
  }
  EXPECT_EQ(to_text(Type::kDate, parse_operand(Type::kDate, "today -  1   days").value()), "today - 1 day");
  EXPECT_EQ(to_text(Type::kText, parse_operand(Type::kText, "today").value()), "today") << "a text is a text";
}

TEST(Criterion, IsUnknownForNullExceptWhereNullIsAskedFor) {
  EXPECT_EQ(holds(test(Operator::kIn, {std::int64_t{1}}), Value{}), Truth::kUnknown);
  EXPECT_EQ(holds(test(Operator::kNotIn, {std::int64_t{1}}), Value{}), Truth::kUnknown);
  EXPECT_EQ(holds(test(Operator::kBelow, {std::int64_t{1}}), Value{}), Truth::kUnknown);
  EXPECT_EQ(holds(test(Operator::kPrefix, {std::string("a")}), Value{}), Truth::kUnknown);
  EXPECT_EQ(holds(test(Operator::kNull), Value{}), Truth::kTrue);
  EXPECT_EQ(holds(test(Operator::kNotNull), Value{}), Truth::kFalse);
  EXPECT_EQ(holds(test(Operator::kNotIn, {std::int64_t{1}}), std::int64_t{2}), Truth::kTrue);
}

TEST(Criterion, JoinsItsConditionsAsSqlJoinsThem) {
  ColumnTest both{
      0, {test(Operator::kFrom, {std::int64_t{1}}), test(Operator::kNotIn, {std::int64_t{3}})}, false};
  EXPECT_EQ(holds(both, std::int64_t{2}), Truth::kTrue);
  EXPECT_EQ(holds(both, std::int64_t{3}), Truth::kFalse);
  EXPECT_EQ(holds(both, Value{}), Truth::kUnknown);
  both.or_null = true;
  EXPECT_EQ(holds(both, Value{}), Truth::kTrue);
  EXPECT_EQ(holds(both, std::int64_t{0}), Truth::kFalse);
  const ColumnTest never{0, {test(Operator::kNull), test(Operator::kIn, {std::int64_t{1}})}, false};
  EXPECT_EQ(holds(never, Value{}), Truth::kUnknown);
  EXPECT_EQ(holds(never, std::int64_t{1}), Truth::kFalse);
}

}  // namespace
}  // namespace headroom::worklist
