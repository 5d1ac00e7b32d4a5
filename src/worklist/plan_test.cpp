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
       {std::pair{sql::Dialect::kPostgres, "postgres"}, std::pair{sql::Dialect::kSqlite, "sqlite"},
        std::pair{sql::Dialect::kMariaDb, "mariadb"}}) {
    for (const Way way : kAllWays) {
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

/// With values in place of what is bound.
std::string with_values(const Statement& statement) {
  std::string text = statement.text;
  for (std::size_t i = statement.parameters.size(); i > 0; --i) {
    const std::string place = fmt::format("${}", i);
    const auto& value = std::get<std::string>(statement.parameters[i - 1]);
    for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place))
      text.replace(at, place.size(), fmt::format("'{}'", value));
  }
  return text;
}

TEST(Plan, MakesTheQueryOfTheNoteOutOfTheListsOfTheNote) {
  const auto definitions = read_definitions(R"(
catalogs:
  catalog:
    table: catalog
    columns: {id: integer, portal_type: text, validation_state: text}
    security: []
lists:
  - {id: validated_foos, workflow: w, title: t, catalog: catalog, criteria: {validation_state: validated, portal_type: Foo}}
  - {id: draft_bars, workflow: w, title: t, catalog: catalog, criteria: {validation_state: draft, portal_type: Bar}}
  - {id: validated_bars, workflow: w, title: t, catalog: catalog, criteria: {validation_state: validated, portal_type: Bar}}
  - {id: validated_baz, workflow: w, title: t, catalog: catalog, criteria: {validation_state: validated, portal_type: Baz}}
)",
                                            "note.yaml", kNow);
  ASSERT_TRUE(definitions) << definitions.error().message();
  const User user = alice();
  const auto plan = make_plan({*definitions, user, kNow, sql::Dialect::kPostgres, Way::kMerged});
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_THAT(plan->statements, SizeIs(1));
  EXPECT_EQ(
      with_values(plan->statements.front()),
      R"(SELECT "t"."validation_state" AS "k0", "t"."portal_type" AS "k1", count(*) AS "n" FROM "catalog" AS "t" )"
      R"(WHERE ("t"."validation_state" = 'validated'::text AND "t"."portal_type" = ANY('{"Bar","Baz","Foo"}'::text[])) )"
      R"(OR ("t"."validation_state" = 'draft'::text AND "t"."portal_type" = 'Bar'::text) GROUP BY 1, 2)")
      << "the state first, whose value three lists share; then the types of those three at once";
}

/// Lists over two columns of security uids and an owner: what each leaves out depends on its roles.
Definitions of_several_roles(std::string_view lists) {
  return read_definitions(fmt::format(R"(
catalogs:
  sale:
    table: sale
    columns: {{id: integer, state: text, uid: integer, team: integer, owner: integer}}
    security: [{{column: uid}}, {{column: team, group: team}}, {{column: owner, role: Owner}}]
lists:
{})",
                                      lists),
                          "roles.yaml", kNow)
      .value();
}

TEST(Plan, LeavesOutOfSeveralListsOnlyWhatEachOfThemLeavesOut) {
  const Definitions definitions = of_several_roles(R"(
  - {id: any, workflow: w, title: t, catalog: sale, criteria: {state: draft}}
  - {id: clerk, workflow: w, title: t, catalog: sale, roles: [Clerk], criteria: {state: draft}}
)");
  User user;
  user.id = "7";
  user.security_uids = {{1, "Clerk", ""}, {1, "", ""}, {2, "", ""}, {5, "Clerk", "team"}};
  const auto plan = make_plan({definitions, user, kNow, sql::Dialect::kPostgres, Way::kMerged});
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_THAT(plan->statements, SizeIs(3)) << "a column each, and the columns before it";
  EXPECT_THAT(with_values(plan->statements[1]),
              HasSubstr(R"(("t"."uid" <> '1'::bigint) OR "t"."uid" IS NULL)"))
      << "of uid 1 and 2, which the one leaves out, the other one leaves out 1 alone";
  EXPECT_THAT(with_values(plan->statements[1]), HasSubstr(R"(AS "k0")"))
      << "so rows have to tell who may take them";
}

TEST(Plan, NeverRestrictsOneListByWhatAnotherLeavesOut) {
  const Definitions definitions = of_several_roles(R"(
  - {id: some, workflow: w, title: t, catalog: sale, roles: [Owner], criteria: {state: [a, b]}}
  - {id: others, workflow: w, title: t, catalog: sale, roles: [Owner], criteria: {state: {not_in: [b, c]}}}
)");
  const User user = alice();
  const auto plan = make_plan({definitions, user, kNow, sql::Dialect::kPostgres, Way::kMerged});
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_THAT(plan->statements, SizeIs(1));
  EXPECT_THAT(with_values(plan->statements.front()), HasSubstr(R"("t"."state" <> 'c'::text GROUP BY)"))
      << "a and b or anything but b and c: anything but c";
}

TEST(Plan, KeepsMergedStatementsWithinTheBoundsOfADatabase) {
  std::string lists;
  for (int i = 0; i < 6'000; ++i) {
    lists += fmt::format(
        "  - {{id: l{}, workflow: w, title: t, catalog: sale, roles: [Owner], criteria: {{state: s{}}}}}\n",
        i, i);
  }
  const Definitions definitions = of_several_roles(lists);
  const User user = alice();
  const auto plan = make_plan({definitions, user, kNow, sql::Dialect::kSqlite, Way::kMerged});
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_THAT(plan->statements, SizeIs(3));
  for (const Statement& statement : plan->statements) EXPECT_LE(statement.parameters.size(), 32'766U);
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
