// Counting in PostgreSQL, compared with counting in memory and with what PostgreSQL's row-level security
// shows each user. worklist_cases (random_cases.cpp) does the same with as many cases as one wants.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "tests/servers/postgresql.hpp"
#include "worklist/case_database.hpp"
#include "worklist/cost.hpp"
#include "worklist/count.hpp"
#include "worklist/database_check.hpp"
#include "worklist/random_case.hpp"
#include "worklist/user_source.hpp"

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

/// One for all tests of the process.
testing::PostgresServer& server() {
  static testing::PostgresServer made({"fsync = off", "synchronous_commit = off"});
  return made;
}

TEST(RandomCases, AreCountedAlikeByEveryWay) {
  PostgresCases database(server().url());
  CaseCounts counts;
  const auto compare = [&](const RandomCase& random) { return database.difference(random, counts); };
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
  EXPECT_TRUE(counts.says_enough()) << counts.not_zero << " of " << counts.all << " are not zero";
}

TEST(RandomCases, AreCountedAsRowLevelSecurityShowsThem) {
  PostgresCases database(server().url());
  CaseCounts counts;
  const auto compare = [&](const RandomCase& random) {
    return database.difference_to_policy(random, counts);
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
}

std::string read_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

Definitions definitions_with(std::string_view what, std::string_view with) {
  std::string text = read_file("../../examples/worklist/worklists.yaml");
  for (std::size_t at = text.find(what); !what.empty() && at != std::string::npos;
       at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return read_definitions(text, "worklists.yaml", kNow).value();
}

/// The example's tables, in a schema of their own.
class Example : public ::testing::Test {
 protected:
  Example() {
    session_.run("DROP SCHEMA IF EXISTS shop CASCADE");
    session_.run("CREATE SCHEMA shop");
    session_.run("SET search_path = shop");
    std::string text = read_file("../../examples/worklist/schema.sql");
    while (!text.empty()) {
      const std::size_t end = text.find(";\n");
      session_.run(text.substr(0, end));
      text.erase(0, end == std::string::npos ? text.size() : end + 2);
      if (text.find_first_not_of(" \n") == std::string::npos) break;
    }
  }

  static std::unique_ptr<sql::Reader> shop_reader() {
    return std::move(sql::open_reader(server().url() + "?options=-csearch_path%3Dshop", {}).value());
  }
  static std::vector<std::string> subjects(const Definitions& definitions) {
    const auto problems = check_database(*shop_reader(), definitions);
    std::vector<std::string> told;
    if (!problems) return {problems.error().message()};
    for (const DatabaseProblem& one : *problems) told.push_back(one.subject + ": " + one.problem);
    return told;
  }

  PostgresCases session_{server().url()};
};

TEST_F(Example, HasEverythingThatItsDefinitionsSpeakOf) {
  EXPECT_THAT(subjects(definitions_with("", "")), SizeIs(0));
}

TEST_F(Example, TellsOfColumnsWhoseTypeIsAnother) {
  EXPECT_THAT(subjects(definitions_with("due: {type: date,", "due: {type: time,")), SizeIs(2));
  session_.run("ALTER TABLE sale ALTER COLUMN due_date TYPE timestamp");
  session_.run("ALTER TABLE sale ALTER COLUMN state TYPE char(20)");
  EXPECT_THAT(subjects(definitions_with("", "")),
              ::testing::UnorderedElementsAre(
                  HasSubstr("column 'due': it is of type timestamp without time zone; date takes date"),
                  HasSubstr("column 'state': it is of type character; text takes text, character varying")));
}

TEST_F(Example, TellsOfALookUpThatMayFindSeveralRows) {
  session_.run("ALTER TABLE sale DROP CONSTRAINT sale_party_fkey");
  session_.run("ALTER TABLE party DROP CONSTRAINT party_pkey");
  EXPECT_THAT(subjects(definitions_with("", "")),
              ::testing::ElementsAre(HasSubstr("no unique index of party has 'id' alone")));
  session_.run("CREATE UNIQUE INDEX part ON party (id) WHERE region IS NOT NULL");
  EXPECT_THAT(subjects(definitions_with("", "")), SizeIs(1)) << "of a part of the rows is not enough";
}

TEST_F(Example, CountsForEachUserInAllWaysWithinOneSnapshot) {
  const Definitions definitions = definitions_with("", "");
  const auto snapshot = shop_reader();
  const auto anna = load_user(*snapshot, definitions, "1");
  ASSERT_TRUE(anna) << anna.error().message();
  session_.run("DELETE FROM sale");
  std::vector<std::uint64_t> numbers[kAllWays.size()];
  for (const Way way : kAllWays) {
    const auto counted = count(*snapshot, {definitions, *anna, kNow, sql::Dialect::kPostgres, way});
    ASSERT_TRUE(counted) << counted.error().message();
    for (const Count& one : *counted) numbers[static_cast<std::size_t>(way)].push_back(one.count);
  }
  for (const auto& of_way : numbers) EXPECT_EQ(numbers[0], of_way);
  EXPECT_EQ(numbers[0][definitions.find_list("draft_sales").value()], 5U) << "as it was before the delete";
}

TEST_F(Example, KnowsHowLargeItsTablesAre) {
  const Definitions definitions = definitions_with("", "");
  const std::size_t sale = definitions.lists[definitions.find_list("late").value()].catalog;
  EXPECT_FALSE(read_sizes(*shop_reader(), definitions).value()[sale].documents) << "before ANALYZE";
  session_.run("CREATE INDEX sale_state ON sale (state, lower(reference), owner)");
  session_.run("CREATE INDEX sale_few ON sale (party) WHERE state = 'done'");
  session_.run(
      "INSERT INTO sale (id, state) SELECT n, CASE WHEN n % 100 = 0 THEN 'draft' ELSE 'done' END FROM "
      "generate_series(1001, 6000) AS n");
  session_.run("ANALYZE");
  const auto sizes = read_sizes(*shop_reader(), definitions);
  ASSERT_TRUE(sizes) << sizes.error().message();
  const CatalogSize& size = (*sizes)[sale];
  const Catalog& catalog = definitions.catalogs[sale];
  const ColumnSize& state = size.columns[catalog.find("state").value()];
  EXPECT_EQ(size.documents, 5010);
  EXPECT_EQ(state.values, 4);
  EXPECT_NEAR(state.parts.at("done"), 0.99, 0.01);
  EXPECT_NEAR(size.columns[catalog.find("owner").value()].nulls.value_or(0), 1, 0.01);
  EXPECT_THAT(size.indexes,
              ::testing::UnorderedElementsAre(::testing::ElementsAre(catalog.key),
                                              ::testing::ElementsAre(catalog.find("state").value())));
}

TEST_F(Example, KnowsHowLargeAPartitionedTableIs) {
  session_.run("DROP TABLE sale");
  session_.run("CREATE TABLE sale (id integer, state varchar, security_uid integer) PARTITION BY RANGE (id)");
  session_.run("CREATE TABLE sale_1 PARTITION OF sale FOR VALUES FROM (0) TO (1000)");
  session_.run("CREATE TABLE sale_2 PARTITION OF sale FOR VALUES FROM (1000) TO (2000)");
  session_.run("INSERT INTO sale SELECT n, 'draft', 1 FROM generate_series(1, 1500) AS n");
  const Definitions definitions = definitions_with("", "");
  const std::size_t sale = definitions.lists[definitions.find_list("late").value()].catalog;
  session_.run("ANALYZE sale_1");
  EXPECT_FALSE(read_sizes(*shop_reader(), definitions).value()[sale].documents) << "a part is not known";
  session_.run("ANALYZE sale_2");
  EXPECT_EQ(read_sizes(*shop_reader(), definitions).value()[sale].documents, 1500);
}

TEST_F(Example, EndsAStatementAtItsDeadline) {
  const auto slow = sql::open_reader(server().url(), {std::chrono::milliseconds{100}});
  ASSERT_TRUE(slow);
  const auto rows = (*slow)->query("SELECT pg_sleep(60)", {});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kTimedOut);
}

TEST_F(Example, ChangesNothing) {
  const auto rows = shop_reader()->query("DELETE FROM sale", {});
  ASSERT_FALSE(rows);
  EXPECT_THAT(rows.error().message(), HasSubstr("read-only transaction"));
}

}  // namespace
}  // namespace headroom::worklist
