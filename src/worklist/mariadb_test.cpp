// Counting in MariaDB, compared with counting in memory. worklist_cases (random_cases.cpp) does the same with
// as many cases as one wants.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "tests/servers/mariadb.hpp"
#include "worklist/case_database.hpp"
#include "worklist/cost.hpp"
#include "worklist/count.hpp"
#include "worklist/database_check.hpp"
#include "worklist/random_case.hpp"
#include "worklist/user_source.hpp"

namespace headroom::worklist {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

/// One for all tests of the process.
testing::MariaDbServer& server() {
  static testing::MariaDbServer made;
  return made;
}

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

TEST(RandomCases, AreCountedAlikeByEveryWay) {
  MariaDbCases database(server().url());
  CaseCounts counts;
  const auto compare = [&](const RandomCase& random) { return database.difference(random, counts); };
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
  EXPECT_TRUE(counts.says_enough()) << counts.not_zero << " of " << counts.all << " are not zero";
}

/// What each way counts for one who may see everything; of one table "document" with these columns and rows.
std::vector<std::uint64_t> counted(const std::string& type, const std::string& rows, const std::string& of,
                                   const std::vector<std::string>& criteria) {
  MariaDbCases database(server().url());
  database.run("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'");
  database.run("DROP TABLE IF EXISTS document");
  database.run("CREATE TABLE document (id integer PRIMARY KEY, c " + type + ")");
  database.run(fmt::format("CREATE INDEX c ON document (c{})", type == "text" ? "(10)" : ""));
  database.run("INSERT INTO document VALUES " + rows);
  std::string text = "catalogs:\n  document:\n    table: document\n    columns: {id: integer, c: " + of +
                     "}\n    security: []\nlists:\n";
  for (std::size_t i = 0; i < criteria.size(); ++i) {
    text += fmt::format("  - {{id: l{}, workflow: w, title: t, catalog: document, criteria: {{c: {}}}}}\n", i,
                        criteria[i]);
  }
  const auto definitions = read_definitions(text, "worklists.yaml", kNow);
  EXPECT_TRUE(definitions) << definitions.error().message();
  User user;
  user.id = "7";
  std::set<std::vector<std::uint64_t>> answers;
  for (const Way way : kAllWays) {
    const auto made = count(*database.reader(), {*definitions, user, kNow, sql::Dialect::kMariaDb, way});
    EXPECT_TRUE(made) << made.error().message();
    std::vector<std::uint64_t> numbers;
    for (const Count& one : made ? *made : std::vector<Count>()) numbers.push_back(one.count);
    answers.insert(numbers);
  }
  EXPECT_THAT(answers, SizeIs(1)) << "every way says the same";
  return *answers.begin();
}

TEST(Texts, AreEqualWhenTheirBytesAreWhateverTheirCollation) {
  const std::string rows = "(1, 'draft'), (2, 'Draft'), (3, 'draft '), (4, 'dräft'), (5, NULL), (6, '')";
  const std::vector<std::string> criteria{"draft",
                                          "[draft, Draft]",
                                          "{not_in: [draft]}",
                                          "{prefix: draft}",
                                          "{prefix: \"draft \"}",
                                          "\"draft \"",
                                          "\"\"",
                                          "{not_in: [x], or_null: true}"};
  for (const char* type :
       {"varchar(20)", "varchar(20) CHARACTER SET latin1", "text", "varchar(20) COLLATE utf8mb4_unicode_ci",
        "varchar(20) COLLATE utf8mb4_nopad_bin", "varchar(20) CHARACTER SET utf8mb3"}) {
    EXPECT_THAT(counted(type, rows, "text", criteria), ElementsAre(1, 2, 4, 2, 1, 1, 1, 6)) << type;
    EXPECT_THAT(counted(type, rows, "{type: text, values: many}", criteria),
                ElementsAre(1, 2, 4, 2, 1, 1, 1, 6))
        << type;
  }
}

TEST(Booleans, AreTrueWhenTheyAreNotZero) {
  const std::string rows = "(1, 0), (2, 1), (3, 2), (4, NULL)";
  const std::vector<std::string> criteria{"true", "false", "{not_in: [true]}", "{null: true}"};
  EXPECT_THAT(counted("tinyint(1)", rows, "boolean", criteria), ElementsAre(2, 1, 1, 1));
}

TEST(Dates, OfZerosAreBeforeAllOthersAndNotNull) {
  const std::string rows = "(1, '0000-00-00'), (2, '2026-11-29'), (3, '2026-11-30')";
  const std::vector<std::string> criteria{"{null: true}", "{below: today}", "{from: today}", "{null: false}",
                                          "{in: [2026-11-29], or_null: true}"};
  EXPECT_THAT(counted("date NOT NULL", rows, "date", criteria), ElementsAre(0, 2, 1, 3, 1));
}

TEST(Times, AreThoseOfUtc) {
  MariaDbCases database(server().url());
  database.run("SET GLOBAL time_zone = '+05:00'");
  const std::string rows = "(1, '2026-11-30 11:59:59.5'), (2, '2026-11-30 12:00:00'), (3, NULL)";
  const std::vector<std::string> criteria{"{below: now}", "{from: now}", "{null: true}",
                                          "2026-11-30 11:59:59.5"};
  EXPECT_THAT(counted("datetime(6)", rows, "time", criteria), ElementsAre(1, 1, 1, 1));
  const std::string there = "(1, '2026-11-30 16:59:59'), (2, '2026-11-30 17:00:00'), (3, NULL)";
  EXPECT_THAT(counted("timestamp NULL", there, "time", {"{below: now}", "{from: now}"}), ElementsAre(1, 1));
  database.run("SET GLOBAL time_zone = 'SYSTEM'");
}

TEST(Numbers, AreThoseThatWereWritten) {
  const std::string rows = "(1, 0.1), (2, 0.10), (3, 0.3), (4, 1e15)";
  const std::vector<std::string> criteria{"0.1", "{above: 0.1}", "{from: 1e15}"};
  for (const char* type : {"decimal(30, 10)", "double"})
    EXPECT_THAT(counted(type, rows, "number", criteria), ElementsAre(2, 2, 1)) << type;
}

std::string read_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Definitions definitions_with(std::string_view what, std::string_view with) {
  std::string text = read_file("../../examples/worklist/worklists.yaml");
  if (const std::size_t at = text.find(what); !what.empty() && at != std::string::npos)
    text.replace(at, what.size(), with);
  return read_definitions(text, "worklists.yaml", kNow).value();
}

/// The example's tables, in a database of their own.
class Example : public ::testing::Test {
 protected:
  Example() {
    session_.run("DROP DATABASE IF EXISTS shop");
    session_.run("CREATE DATABASE shop");
    session_.run("USE shop");
    std::string text = read_file("../../examples/worklist/schema.sql");
    for (std::size_t end = text.find(";\n"); end != std::string::npos; end = text.find(";\n")) {
      session_.run(text.substr(0, end));
      text.erase(0, end + 2);
    }
  }

  static std::unique_ptr<sql::Reader> reader() {
    return std::move(sql::open_reader(server().url("shop"), {}).value());
  }
  static std::vector<std::string> problems(const Definitions& definitions) {
    const auto found = check_database(*reader(), definitions);
    std::vector<std::string> told;
    if (!found) return {found.error().message()};
    for (const DatabaseProblem& one : *found) told.push_back(one.subject + ": " + one.problem);
    return told;
  }

  MariaDbCases session_{server().url()};
};

TEST_F(Example, HasEverythingThatItsDefinitionsSpeakOf) {
  EXPECT_THAT(problems(definitions_with("", "")), SizeIs(0));
}

TEST_F(Example, TellsOfColumnsWhoseTypeIsAnother) {
  session_.run("ALTER TABLE sale MODIFY due_date datetime, MODIFY total float, DROP owner");
  EXPECT_THAT(
      problems(definitions_with("", "")),
      UnorderedElementsAre(HasSubstr("column 'due': it is of type datetime; date takes date"),
                           HasSubstr("column 'total': it is of type float; number takes decimal, double"),
                           AllOf(HasSubstr("column 'owner': "), HasSubstr("Unknown column"))));
}

TEST_F(Example, TellsOfALookUpThatMayFindSeveralRows) {
  session_.run("ALTER TABLE sale DROP FOREIGN KEY sale_ibfk_1");
  session_.run("ALTER TABLE party DROP PRIMARY KEY");
  EXPECT_THAT(problems(definitions_with("", "")),
              ElementsAre(HasSubstr("no unique index of party has 'id' alone")));
  session_.run("CREATE UNIQUE INDEX both_columns ON party (id, name)");
  EXPECT_THAT(problems(definitions_with("", "")), SizeIs(1));
  session_.run("CREATE UNIQUE INDEX one ON party (id)");
  EXPECT_THAT(problems(definitions_with("", "")), SizeIs(0));
}

TEST_F(Example, TellsOfATableThatKeepsNoSnapshot) {
  session_.run("ALTER TABLE invoice ENGINE = MyISAM");
  EXPECT_THAT(problems(definitions_with("", "")),
              ElementsAre(HasSubstr("catalog 'invoice': its engine MyISAM has no transactions")));
}

TEST_F(Example, CountsForEachUserInAllWaysWithinOneSnapshot) {
  const Definitions definitions = definitions_with("", "");
  const auto snapshot = reader();
  const auto anna = load_user(*snapshot, definitions, "1");
  ASSERT_TRUE(anna) << anna.error().message();
  EXPECT_THAT(anna->roles, UnorderedElementsAre("Manager", "Salesman"));
  EXPECT_THAT(anna->conditions, SizeIs(1));
  session_.run("DELETE FROM sale");
  for (const Way way : kAllWays) {
    const auto counted = count(*snapshot, {definitions, *anna, kNow, sql::Dialect::kMariaDb, way});
    ASSERT_TRUE(counted) << counted.error().message();
    EXPECT_EQ((*counted)[definitions.find_list("draft_sales").value()].count, 5U) << "as before the delete";
    EXPECT_EQ((*counted)[definitions.find_list("large_in_the_north").value()].count, 3U);
    EXPECT_EQ((*counted)[definitions.find_list("overdue").value()].count, 2U);
  }
}

TEST_F(Example, KnowsNoUserWhoseIdOnlyBeginsLikeOne) {
  const Definitions definitions = definitions_with("", "");
  for (const char* id : {"1x", "x", "99"}) EXPECT_FALSE(load_user(*reader(), definitions, id)) << id;
}

TEST_F(Example, ListsDocumentsPageByPage) {
  const Definitions definitions = definitions_with("", "");
  const auto anna = load_user(*reader(), definitions, "1").value();
  const Question question{definitions, anna, kNow, sql::Dialect::kMariaDb, Way::kJoin};
  const std::size_t list = definitions.find_list("late").value();
  EXPECT_THAT(documents(*reader(), question, list, {3, ""}).value(), ElementsAre("1", "3", "5"));
  EXPECT_THAT(documents(*reader(), question, list, {3, "5"}).value(), ElementsAre("8", "10"));
}

TEST_F(Example, KnowsHowLargeItsTablesAre) {
  session_.run("CREATE INDEX sale_state ON sale (state, owner)");
  session_.run("CREATE INDEX sale_reference ON sale (owner, reference(3))");
  session_.run(
      "INSERT INTO sale (id, state) SELECT seq, CASE WHEN seq % 2 = 0 THEN 'draft' ELSE 'done' END FROM "
      "seq_1001_to_6000");
  session_.run("ANALYZE TABLE sale");
  const Definitions definitions = definitions_with("", "");
  const auto sizes = read_sizes(*reader(), definitions);
  ASSERT_TRUE(sizes) << sizes.error().message();
  const std::size_t sale = definitions.lists[definitions.find_list("late").value()].catalog;
  const Catalog& catalog = definitions.catalogs[sale];
  const CatalogSize& size = (*sizes)[sale];
  const std::size_t state = catalog.find("state").value();
  const std::size_t owner = catalog.find("owner").value();
  EXPECT_NEAR(size.documents.value_or(0), 5010, 500);
  EXPECT_NEAR(size.columns[state].values.value_or(0), 5, 5) << "a rough guess of InnoDB's";
  EXPECT_THAT(size.indexes,
              UnorderedElementsAre(ElementsAre(catalog.key), ElementsAre(state, owner), ElementsAre(owner),
                                   ElementsAre(catalog.find("party").value())));
}

TEST(Choice, IsNotToJoinWhereMariaDbWouldReadTheDocumentsForEachShape) {
  const Definitions definitions = definitions_with("", "");
  User user;
  user.id = "1";
  user.security_uids = {{10, "", ""}};
  const Question question{definitions, user, kNow, sql::Dialect::kMariaDb, Way::kJoin};
  EXPECT_EQ(choose_way(question, {}, {Way::kJoin, Way::kCells, Way::kEach}).value().way, Way::kCells);
  EXPECT_EQ(choose_way(question, {}, {Way::kJoin, Way::kEach}).value().way, Way::kJoin);
  const std::vector<CatalogSize> sizes(definitions.catalogs.size(),
                                       CatalogSize{1e6, std::vector<ColumnSize>(20), {}});
  const auto choice = choose_way(question, sizes, {Way::kJoin, Way::kCells, Way::kEach}).value();
  const auto documents_of = [&](Way way) {
    for (const WayCost& one : choice.costs) {
      if (one.way == way) return one.documents;
    }
    return 0.0;
  };
  EXPECT_GT(documents_of(Way::kJoin), documents_of(Way::kCells));
}

}  // namespace
}  // namespace headroom::worklist
