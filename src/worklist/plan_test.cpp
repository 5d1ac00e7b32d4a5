// Golden files: testdata/plan_DIALECT_WAY.txt holds what each pass says of testdata/small.yaml.
// `HEADROOM_REWRITE_GOLDEN=1 worklist_test` (in this folder) rewrites them.

#include "worklist/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const base::UtcTime kNow = base::parse_time("2026-12-24 12:00", {}).value();

std::string read_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Definitions small() {
  return read_definitions(read_file("testdata/small.yaml"), "small.yaml",
                          base::parse_time("2026-11-30", {}).value())
      .value();
}

User alice() {
  User user;
  user.id = "7";
  for (const std::int64_t uid : {3, 5, 8}) user.security_uids.insert({uid, "", ""});
  return user;
}

std::string told(const ExplainedPlan& explained) {
  std::string text;
  for (const PassNote& note : explained.notes)
    text += fmt::format("--- {}: {}\n{}", note.name, note.purpose, note.text);
  return text;
}

TEST(Plan, IsExplainedPassByPass) {
  const Definitions definitions = small();
  const User user = alice();
  for (const auto& [dialect, dialect_name] :
       {std::pair{sql::Dialect::kPostgres, "postgres"}, std::pair{sql::Dialect::kSqlite, "sqlite"}}) {
    for (const Way way : {Way::kEach, Way::kJoin, Way::kCells}) {
      const auto explained = explain_plan({definitions, user, kNow, dialect, way});
      ASSERT_TRUE(explained) << explained.error().message();
      const std::string file = fmt::format("testdata/plan_{}_{}.txt", dialect_name, name(way));
      const std::string text = told(*explained);
      if (std::getenv("HEADROOM_REWRITE_GOLDEN") != nullptr) std::ofstream(file) << text;
      EXPECT_EQ(text, read_file(file)) << file;
    }
  }
}

TEST(Plan, AsksOneStatementForAllListsOfOneScope) {
  const Definitions definitions = small();
  const User user = alice();
  const auto plan = make_plan({definitions, user, kNow, sql::Dialect::kPostgres, Way::kJoin});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->statements, SizeIs(2)) << "those that everybody may see, and those of owners";
  for (const Statement& statement : plan->statements) {
    EXPECT_THAT(statement.text, Not(HasSubstr("draft"))) << "values are bound";
  }
}

TEST(Plan, AsksNothingForAUserWhoMaySeeNothing) {
  std::string text = read_file("testdata/small.yaml");
  const std::size_t at = text.find("      - {column: owner, role: Owner}\n");
  text.erase(at, text.find('\n', at) - at + 1);
  text.erase(text.find("  - {id: mine"));
  const auto definitions = read_definitions(text, "small.yaml", kNow - std::chrono::days{30});
  ASSERT_TRUE(definitions) << definitions.error().message();
  User stranger;
  stranger.id = "9";
  const auto plan = make_plan({*definitions, stranger, kNow, sql::Dialect::kPostgres, Way::kJoin});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->statements, SizeIs(0));
  for (const PlannedList& list : plan->lists) EXPECT_EQ(list.fate, Fate::kZero);
}

TEST(Plan, RefusesAUserWhoseIdIsNoneOfTheColumns) {
  const Definitions definitions = small();
  User user = alice();
  user.id = "alice";
  const auto plan = make_plan({definitions, user, kNow, sql::Dialect::kPostgres, Way::kJoin});
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message(),
              HasSubstr("the user's id, which column 'owner' of catalog 'sale' holds: 'alice' is not of type "
                        "integer"));
}

TEST(User, IsReadFromJson) {
  const auto user = read_user(
      R"({"id": 7, "roles": ["Owner"], "groups": ["g"], "security_uids": [1, {"uid": 2, "role": "Clerk", "group": "team"}]})");
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->id, "7");
  EXPECT_THAT(user->security_uids, SizeIs(2));
  for (const char* wrong : {"[]", "{}", R"({"id": ""})", R"({"id": 1.5})", R"({"id": 1, "role": []})",
                            R"({"id": 1, "roles": "Owner"})", R"({"id": 1, "security_uids": ["1"]})",
                            R"({"id": 1, "security_uids": [{"role": "a"}]})",
                            R"({"id": 1, "security_uids": [18446744073709551615]})", "{"}) {
    const auto refused = read_user(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message(), HasSubstr("the user"));
  }
}

TEST(User, IsLetThroughAGuardByOneOfEachThatItNames) {
  Guard guard{{"Clerk", "Manager"}, {"sales"}, {}, {}};
  User user;
  EXPECT_THAT(refusal(guard, user), HasSubstr("one of the roles Clerk, Manager"));
  user.roles = {"Manager"};
  EXPECT_THAT(refusal(guard, user), HasSubstr("one of the groups sales"));
  user.groups = {"sales"};
  EXPECT_EQ(refusal(guard, user), "");
  guard.condition = "department = 'sales'";
  EXPECT_THAT(refusal(guard, user), HasSubstr("condition does not hold: department = 'sales'"));
  user.conditions = {guard.condition};
  EXPECT_EQ(refusal(guard, user), "");
}

TEST(User, SeesWhatOneOfTheColumnsGrantsAndOnlyInTheRolesThatAreAskedFor) {
  const Definitions definitions = small();
  const Catalog& catalog = definitions.catalogs.front();
  User user = alice();
  user.security_uids.insert({9, "Clerk", ""});
  const std::size_t owner = catalog.find("owner").value();
  const std::size_t uid = catalog.find("security_uid").value();
  const auto sees = [&](const std::set<std::string>& roles, Value owned_by, Value security) {
    std::vector<Value> row(catalog.columns.size());
    row[owner] = std::move(owned_by);
    row[uid] = std::move(security);
    return is_visible(catalog, scope_of(catalog, roles, user).value(), row);
  };
  EXPECT_TRUE(sees({}, std::int64_t{7}, {}));
  EXPECT_TRUE(sees({}, {}, std::int64_t{3}));
  EXPECT_TRUE(sees({}, {}, std::int64_t{9}));
  EXPECT_FALSE(sees({}, {}, {}));
  EXPECT_FALSE(sees({"Owner"}, {}, std::int64_t{3}));
  EXPECT_TRUE(sees({"Clerk"}, std::int64_t{7}, std::int64_t{9}));
  EXPECT_FALSE(sees({"Clerk"}, std::int64_t{7}, std::int64_t{3}));
}

}  // namespace
}  // namespace headroom::worklist
