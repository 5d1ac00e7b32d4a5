#include "worklist/classes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "worklist/random_case.hpp"

namespace headroom::worklist {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ColumnTest in(std::vector<Value> values) {
  return {0, {{Operator::kIn, std::move(values)}}, false};
}

ColumnTest range(Operator operation, Value value) {
  return {0, {{operation, {std::move(value)}}}, false};
}

TEST(Classes, JoinValuesThatTheSameCriteriaAccept) {
  const std::vector<ColumnTest> tests{in({std::string("draft"), std::string("sent")}),
                                      in({std::string("draft"), std::string("paid"), std::string("sent")})};
  const ValueClasses classes = classify(Type::kText, tests);
  EXPECT_EQ(classes.classes, 3U) << "both, the second alone, neither";
  EXPECT_EQ(class_of(classes, std::string("draft")), class_of(classes, std::string("sent")));
  EXPECT_EQ(class_of(classes, std::string("other")), class_of(classes, Value{}));
  EXPECT_THAT(classes.accepted[0], ElementsAre(class_of(classes, std::string("draft"))));
}

TEST(Classes, CutAColumnAtTheBoundsOfItsRanges) {
  const std::vector<ColumnTest> tests{range(Operator::kBelow, 2.5), range(Operator::kFrom, 2.5)};
  const ValueClasses classes = classify(Type::kNumber, tests);
  EXPECT_EQ(class_of(classes, -1e9), class_of(classes, 2.4999));
  EXPECT_EQ(class_of(classes, 2.5), class_of(classes, 1e9));
  EXPECT_NE(class_of(classes, 2.5), class_of(classes, 2.4999));
}

TEST(Classes, TakeTheLongestPrefix) {
  ColumnTest short_one = range(Operator::kPrefix, std::string("IN"));
  ColumnTest long_one = range(Operator::kPrefix, std::string("INV"));
  const ValueClasses classes = classify(Type::kText, std::vector<ColumnTest>{short_one, long_one});
  const ClassId both = class_of(classes, std::string("INV/1"));
  EXPECT_THAT(classes.accepted[1], ElementsAre(both));
  EXPECT_THAT(classes.accepted[0], ElementsAre(both, class_of(classes, std::string("INX"))));
}

TEST(Classes, TellThatNoValueCanPass) {
  ColumnTest between{
      0, {{Operator::kAbove, {std::int64_t{3}}}, {Operator::kBelow, {std::int64_t{4}}}}, false};
  EXPECT_FALSE(is_possible(Type::kInteger, between));
  between.or_null = true;
  EXPECT_TRUE(is_possible(Type::kInteger, between));
  const ColumnTest number{0, {{Operator::kAbove, {3.0}}, {Operator::kBelow, {4.0}}}, false};
  EXPECT_TRUE(is_possible(Type::kNumber, number));
  EXPECT_FALSE(is_possible(Type::kBoolean, {0, {{Operator::kNotIn, {false, true}}}, false}));
  EXPECT_FALSE(is_possible(
      Type::kText,
      {0, {{Operator::kIn, {std::string("abc")}}, {Operator::kPrefix, {std::string("x")}}}, false}));
}

/// Every criterion of a random case, on every value of its column.
TEST(Classes, SayOfEveryValueWhatTheCriterionSays) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const RandomCase random = random_case(seed);
    const Documents documents = random.documents();
    for (std::size_t column = 0; column < random.catalog.columns.size(); ++column) {
      const Type type = random.catalog.columns[column].type;
      std::vector<ColumnTest> tests;
      for (const CaseList& list : random.lists) {
        for (const Criterion& one : list.criteria) {
          if (one.column == column) tests.push_back(resolve(type, one, random.now));
        }
      }
      const ValueClasses classes = classify(type, tests);
      for (const auto& document : documents) {
        const ClassId found = class_of(classes, document[column]);
        for (std::size_t i = 0; i < tests.size(); ++i) {
          const auto& accepted = classes.accepted[i];
          ASSERT_EQ(std::binary_search(accepted.begin(), accepted.end(), found),
                    holds(tests[i], document[column]) == Truth::kTrue)
              << "seed " << seed << ", " << to_text(type, random.catalog.columns[column].name, tests[i])
              << ", value " << to_text(type, document[column]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace headroom::worklist
