// Counting in SQLite, compared with counting in memory on random schemas, lists, users and documents: a few,
// with the sanitizers. worklist_cases (random_cases.cpp) does the same with as many as one wants.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "worklist/case_database.hpp"
#include "worklist/cost.hpp"
#include "worklist/count.hpp"
#include "worklist/database_check.hpp"
#include "worklist/random_case.hpp"
#include "worklist/user_source.hpp"

namespace headroom::worklist {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST(RandomCases, AreCountedAlikeByEveryWay) {
  SqliteCaseFile file;
  CaseCounts counts;
  const auto compare = [&](const RandomCase& random) { return file.difference(random, counts); };
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
  EXPECT_TRUE(counts.says_enough()) << counts.not_zero << " of " << counts.all << " are not zero";
}

/// A planner that is wrong must be found out soon, else the comparison proves nothing.
void expect_found_out(const std::function<void(Plan&)>& spoil, std::string_view after,
                      std::size_t most_lists = 1) {
  SqliteCaseFile file;
  CaseCounts counts;
  const auto passes = [&](Way way) {
    std::vector<Pass> made = passes_of(way);
    for (Pass& pass : made) {
      if (pass.name != after) continue;
      pass.run = [run = pass.run, &spoil](const Question& question, Plan& plan) {
        auto done = run(question, plan);
        spoil(plan);
        return done;
      };
    }
    return made;
  };
  const auto compare = [&](const RandomCase& random) {
    return file.difference(random, counts, Joined::kEveryUser, passes);
  };
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    EXPECT_TRUE(compare(small)) << "the smaller case differs too";
    EXPECT_LE(small.rows.size(), 3U);
    EXPECT_LE(small.lists.size(), most_lists);
    return;
  }
  FAIL() << "a hundred cases, and no difference";
}

void replace_all(Plan& plan, std::string_view what, std::string_view with) {
  for (Statement& statement : plan.statements) {
    for (std::size_t at = statement.text.find(what); at != std::string::npos;
         at = statement.text.find(what, at + with.size()))
      statement.text.replace(at, what.size(), with);
  }
}

TEST(RandomCases, FindOutAPlannerThatUnitesInPlaceOfIntersecting) {
  expect_found_out(
      [](Plan& plan) {
        for (Group& group : plan.groups) {
          for (Shape& shape : group.shapes) {
            if (shape.keys.size() < 2) continue;
            shape.keys.pop_back();
            shape.members.pop_back();
          }
        }
      },
      "shapes");
  expect_found_out([](Plan& plan) { replace_all(plan, " AND ", " OR "); }, "each");
}

TEST(RandomCases, FindOutAPlannerThatForgetsNull) {
  expect_found_out([](Plan& plan) { replace_all(plan, "IS NOT TRUE", "= 0"); }, "join");
  expect_found_out(
      [](Plan& plan) {
        for (PlannedList& list : plan.lists) {
          for (ColumnTest& test : list.tests) test.or_null = false;
        }
      },
      "dates");
}

TEST(RandomCases, FindOutAPlannerThatCountsADocumentForEachColumnThatGrants) {
  expect_found_out(
      [](Plan& plan) {
        for (Statement& statement : plan.statements) {
          for (std::size_t at = statement.text.find(" AND ("); at != std::string::npos;
               at = statement.text.find(" AND (", at)) {
            const std::string_view end = ") IS NOT TRUE";
            const std::size_t stop = statement.text.find(end, at);
            if (stop == std::string::npos) break;
            statement.text.erase(at, stop + end.size() - at);
          }
        }
      },
      "join");
}

/// Each condition of the groups that asks about a group's last column.
void visit_leaves(std::vector<Branch>& branches, const std::function<void(ColumnTest&)>& visit) {
  for (Branch& branch : branches) {
    visit_leaves(branch.then, visit);
    for (ColumnTest& test : branch.any) {
      if (branch.then.empty()) visit(test);
    }
  }
}

TEST(RandomCases, FindOutAMergedQueryThatUnitesWhatSeveralListsLeaveOut) {
  expect_found_out(
      [](Plan& plan) {
        for (Group& group : plan.groups) {
          std::set<Value> left_out;
          for (const std::size_t part : group.parts) {
            for (const auto& test : plan.parts[part].tests) {
              const worklist::Test& first = test->tests.front();
              const bool leaves_out = test->tests.size() == 1 && first.operation == Operator::kNotIn;
              if (test->column == group.order.back() && leaves_out)
                left_out.insert(first.values.begin(), first.values.end());
            }
          }
          visit_leaves(group.condition, [&left_out](ColumnTest& test) {
            if (test.tests[0].operation == Operator::kNotIn && !left_out.empty())
              test.tests[0].values.assign(left_out.begin(), left_out.end());
          });
        }
      },
      "nest", 2);
}

TEST(RandomCases, FindOutAMergedQueryThatForgetsNull) {
  expect_found_out([](Plan& plan) { replace_all(plan, "IS NULL", "IS NULL AND 1 = 0"); }, "merged");
}

TEST(RandomCases, FindOutAMergedQueryThatDealsOutRowsByWhatIsAskedForAlone) {
  expect_found_out(
      [](Plan& plan) {
        for (Group& group : plan.groups) {
          for (Key& key : group.keys) {
            for (const auto& [test, place] : key.tests) {
              if (test.tests[0].operation != Operator::kNotIn) continue;
              auto& accepted = key.classes.accepted[place];
              accepted.clear();
              for (ClassId id = 0; id < key.classes.classes; ++id) accepted.push_back(id);
            }
          }
        }
      },
      "dispatch", 2);
}

/// Where ERP5's own goes wrong: each second list asks the columns that grant in another order.
TEST(RandomCases, AreCountedRightWhereListsAskColumnsInAnotherOrder) {
  SqliteCaseFile file;
  CaseCounts counts;
  const auto passes = [](Way way) {
    std::vector<Pass> made = passes_of(way);
    for (Pass& pass : made) {
      if (pass.name != "scope") continue;
      pass.run = [run = pass.run](const Question& question, Plan& plan) {
        auto done = run(question, plan);
        for (std::size_t i = 0; i < plan.lists.size(); i += 2)
          std::reverse(plan.lists[i].scope.grants.begin(), plan.lists[i].scope.grants.end());
        return done;
      };
    }
    return made;
  };
  const auto compare = [&](const RandomCase& random) {
    return file.difference(random, counts, Joined::kEveryUser, passes);
  };
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
}

/// Of the reference's cases of roles that a column holds: what the manager is told of "documents that I own",
/// while views are given to nobody, to assignees, to assignees and owners. His uid 1 is that of assignees.
std::vector<std::uint64_t> manager_is_told(const std::string& more_of_catalog) {
  const auto definitions = read_definitions(R"(
catalogs:
  document:
    table: document
    columns: {id: integer, state: text, owner: integer, viewable_owner: integer, uid: integer}
    security: [{column: viewable_owner, role: Owner}, {column: uid}]
)" + more_of_catalog + R"(
lists:
  - {id: owner_todo, workflow: w, title: t, catalog: document, roles: Owner, criteria: {state: draft}}
)",
                                            "worklists.yaml", base::parse_time("2026-11-30", {}).value());
  EXPECT_TRUE(definitions) << definitions.error().message();
  User manager;
  manager.id = "7";
  manager.security_uids = {{1, "Assignee", ""}};
  std::vector<std::uint64_t> told;
  for (const char* rows :
       {"(1, 'draft', 7, NULL, NULL), (2, 'draft', 8, NULL, NULL), (3, 'draft', 8, NULL, NULL)",
        "(1, 'draft', 7, NULL, 1), (2, 'draft', 8, NULL, 1), (3, 'draft', 8, NULL, 2)",
        "(1, 'draft', 7, 7, 1), (2, 'draft', 8, 8, 1), (3, 'draft', 8, 8, 2)"}) {
    SqliteCaseFile file;
    file.run(
        "CREATE TABLE document (id INTEGER, state TEXT, owner INTEGER, viewable_owner INTEGER, uid INTEGER)");
    file.run(std::string("INSERT INTO document VALUES ") + rows);
    std::set<std::uint64_t> counts;
    for (const Way way : kAllWays) {
      const auto counted =
          count(*file.reader(), {*definitions, manager, base::UtcTime{}, sql::Dialect::kSqlite, way});
      EXPECT_TRUE(counted) << counted.error().message();
      counts.insert(counted->front().count);
    }
    EXPECT_THAT(counts, SizeIs(1)) << "every way says the same";
    told.push_back(*counts.begin());
  }
  return told;
}

TEST(Roles, W06AreThoseByWhichADocumentIsSeen) {
  EXPECT_THAT(manager_is_told(""), ElementsAre(0, 0, 1));
}

TEST(Roles, W07AreThoseThatAColumnHoldsHoweverTheDocumentIsSeen) {
  EXPECT_THAT(manager_is_told("    holders: [{column: owner, role: Owner}]"), ElementsAre(0, 1, 1));
}

std::string read_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

/// The example's tables and documents, in SQLite.
class Example : public ::testing::Test {
 protected:
  Example() {
    file_.run(read_file("../../examples/worklist/schema.sql"));
    reader_ = file_.reader();
  }

  std::vector<std::uint64_t> counts(const std::string& id, Way way) {
    const auto user = load_user(*reader_, definitions_, id);
    EXPECT_TRUE(user) << user.error().message();
    const auto counted = count(*reader_, {definitions_, *user, kNow, sql::Dialect::kSqlite, way});
    EXPECT_TRUE(counted) << counted.error().message();
    std::vector<std::uint64_t> numbers;
    for (const Count& one : *counted) numbers.push_back(one.count);
    return numbers;
  }

  SqliteCaseFile file_;
  Definitions definitions_ =
      read_definitions(read_file("../../examples/worklist/worklists.yaml"), "worklists.yaml", kNow).value();
  std::unique_ptr<sql::Reader> reader_;
};

TEST_F(Example, LoadsAUserWithHisRights) {
  const auto user = load_user(*reader_, definitions_, "2");
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_THAT(user->roles, UnorderedElementsAre("Salesman"));
  EXPECT_THAT(user->security_uids, SizeIs(2));
  const auto nobody = load_user(*reader_, definitions_, "99");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(nobody.error().message(), HasSubstr("there is no user '99'"));
}

TEST_F(Example, GivesTheSameCountsInAllWays) {
  for (const char* id : {"1", "2", "3"}) {
    EXPECT_EQ(counts(id, Way::kEach), counts(id, Way::kJoin)) << id;
    EXPECT_EQ(counts(id, Way::kEach), counts(id, Way::kCells)) << id;
    EXPECT_EQ(counts(id, Way::kEach), counts(id, Way::kMerged)) << id;
  }
  EXPECT_NE(counts("1", Way::kJoin), counts("2", Way::kJoin));
}

TEST_F(Example, HasEverythingThatItsDefinitionsSpeakOf) {
  const auto problems = check_database(*reader_, definitions_);
  ASSERT_TRUE(problems) << problems.error().message();
  for (const DatabaseProblem& one : *problems) ADD_FAILURE() << one.subject << ": " << one.problem;
}

TEST_F(Example, TellsWhatADatabaseLacks) {
  file_.run("ALTER TABLE sale RENAME COLUMN state TO phase");
  file_.run("DROP TABLE user_role");
  file_.run("CREATE TABLE party_copy AS SELECT * FROM party");
  file_.run("DROP TABLE party");
  file_.run("ALTER TABLE party_copy RENAME TO party");
  const auto problems = check_database(*file_.reader(), definitions_);
  ASSERT_TRUE(problems) << problems.error().message();
  std::vector<std::string> subjects;
  for (const DatabaseProblem& one : *problems) subjects.push_back(one.subject);
  EXPECT_THAT(subjects, UnorderedElementsAre("catalog 'sale': look-up 'party'",
                                             "catalog 'sale': column 'state'", "users: roles"));
}

TEST_F(Example, KnowsHowLargeItsTablesAre) {
  file_.run("CREATE INDEX sale_state ON sale (state, owner)");
  file_.run("CREATE INDEX sale_few ON sale (party) WHERE state = 'done'");
  auto sizes = read_sizes(*file_.reader(), definitions_);
  ASSERT_TRUE(sizes) << sizes.error().message();
  const std::size_t sale = definitions_.lists[definitions_.find_list("late").value()].catalog;
  EXPECT_FALSE((*sizes)[sale].documents) << "before ANALYZE";
  file_.run("ANALYZE");
  sizes = read_sizes(*file_.reader(), definitions_);
  ASSERT_TRUE(sizes) << sizes.error().message();
  const CatalogSize& size = (*sizes)[sale];
  const Catalog& catalog = definitions_.catalogs[sale];
  const std::size_t state = catalog.find("state").value();
  EXPECT_EQ(size.documents, 10);
  EXPECT_NEAR(size.columns[state].values.value_or(0), 5, 1);
  EXPECT_THAT(size.indexes, UnorderedElementsAre(ElementsAre(catalog.key),
                                                 ElementsAre(state, catalog.find("owner").value())));
}

TEST_F(Example, ListsDocumentsPageByPage) {
  const auto user = load_user(*reader_, definitions_, "1");
  ASSERT_TRUE(user);
  const Question question{definitions_, *user, kNow, sql::Dialect::kSqlite, Way::kJoin};
  const std::size_t list = definitions_.find_list("draft_sales").value();
  const auto all = documents(*reader_, question, list, {});
  ASSERT_TRUE(all) << all.error().message();
  ASSERT_GE(all->size(), 3U);
  EXPECT_EQ(all->size(), counts("1", Way::kJoin)[list]);
  std::vector<std::string> pages;
  while (true) {
    const auto page = documents(*reader_, question, list, {2, pages.empty() ? "" : pages.back()});
    ASSERT_TRUE(page) << page.error().message();
    if (page->empty()) break;
    EXPECT_LE(page->size(), 2U);
    pages.insert(pages.end(), page->begin(), page->end());
  }
  EXPECT_EQ(pages, *all);
  EXPECT_FALSE(documents(*reader_, question, list, {2, "x"}));
}

TEST_F(Example, EndsAStatementAtItsDeadline) {
  auto slow = sql::open_reader(file_.url(), {std::chrono::milliseconds{50}});
  ASSERT_TRUE(slow);
  const auto rows = (*slow)->query(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", {});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kTimedOut);
}

}  // namespace
}  // namespace headroom::worklist
