// Counting in SQLite, compared with counting in memory on random schemas, lists, users and documents.
// HEADROOM_WORKLIST_CASES=1000000 HEADROOM_WORKLIST_SEED=7 worklist_sqlite_test chooses how many, and from
// where on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "worklist/count.hpp"
#include "worklist/database_check.hpp"
#include "worklist/random_case.hpp"
#include "worklist/user_source.hpp"

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

/// A file that is written here and read by readers.
class File {
 public:
  File()
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("headroom-worklist-{}.sqlite", ::getpid())) {
    std::filesystem::remove(path_);
    EXPECT_EQ(sqlite3_open(path_.c_str(), &database_), SQLITE_OK);
    run("PRAGMA journal_mode = MEMORY");
    run("PRAGMA synchronous = OFF");
  }
  ~File() {
    sqlite3_close(database_);
    std::filesystem::remove(path_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void run(const std::string& statement) {
    char* message = nullptr;
    if (sqlite3_exec(database_, statement.c_str(), nullptr, nullptr, &message) != SQLITE_OK)
      throw std::runtime_error(fmt::format("{}: {}", message, statement));
  }
  void load(const RandomCase& random) {
    run("BEGIN");
    for (const std::string& statement : random.statements(sql::Dialect::kSqlite)) run(statement);
    run("COMMIT");
  }
  [[nodiscard]] std::unique_ptr<sql::Reader> reader() const {
    return std::move(sql::open_reader("sqlite://" + path_.string(), {}).value());
  }

 private:
  std::filesystem::path path_;
  sqlite3* database_ = nullptr;
};

TEST(RandomCases, AreCountedAlikeByEveryWay) {
  File file;
  CaseCounts counts;
  const std::uint64_t first = first_seed();
  const std::uint64_t cases = number_of_cases(80);
  const auto compare = [&](const RandomCase& random) {
    file.load(random);
    return difference(random, *file.reader(), counts);
  };
  for (std::uint64_t seed = first; seed < first + cases; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
  RecordProperty("counts", static_cast<int>(std::min<std::size_t>(counts.all, INT32_MAX)));
  EXPECT_GE(counts.not_zero * 10, counts.all * 3)
      << counts.not_zero << " of " << counts.all << " are not zero";
}

/// A planner that is wrong must be found out soon, else the comparison proves nothing.
void expect_found_out(const std::function<void(Plan&)>& spoil, std::string_view after) {
  File file;
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
    file.load(random);
    return difference(random, *file.reader(), counts, passes);
  };
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    EXPECT_TRUE(compare(small)) << "the smaller case differs too";
    EXPECT_LE(small.rows.size(), 3U);
    EXPECT_THAT(small.lists, SizeIs(1));
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

  File file_;
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

TEST_F(Example, GivesTheSameCountsInBothWays) {
  for (const char* id : {"1", "2", "3"}) EXPECT_EQ(counts(id, Way::kEach), counts(id, Way::kJoin)) << id;
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
  auto slow = sql::open_reader("sqlite://" + (std::filesystem::temp_directory_path() /
                                              fmt::format("headroom-worklist-{}.sqlite", ::getpid()))
                                                 .string(),
                               {std::chrono::milliseconds{50}});
  ASSERT_TRUE(slow);
  const auto rows = (*slow)->query(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", {});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kTimedOut);
}

}  // namespace
}  // namespace headroom::worklist
