// Counting in PostgreSQL, compared with counting in memory and with what PostgreSQL's row-level security
// shows each user. HEADROOM_WORKLIST_CASES and HEADROOM_WORKLIST_SEED as in sqlite_test.cpp.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "sql/postgres.hpp"
#include "tests/servers/postgresql.hpp"
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

/// The owner of the tables.
class Session {
 public:
  sql::PostgresRows run(const std::string& statement) {
    auto rows =
        connection_.query(statement, {}, sql::PostgresConnection::Clock::now() + std::chrono::minutes{1});
    if (!rows) throw std::runtime_error(fmt::format("{}: {}", rows.error().message(), statement));
    return std::move(*rows);
  }
  void load(const RandomCase& random) {
    run("BEGIN");
    for (const std::string& statement : random.statements(sql::Dialect::kPostgres)) run(statement);
    run("COMMIT");
  }

 private:
  sql::PostgresConnection connection_ =
      std::move(sql::PostgresConnection::connect(
                    server().url(), sql::PostgresConnection::Clock::now() + std::chrono::minutes{1})
                    .value());
};

std::unique_ptr<sql::Reader> reader() {
  return std::move(sql::open_reader(server().url(), {}).value());
}

TEST(RandomCases, AreCountedAlikeByEveryWay) {
  Session session;
  CaseCounts counts;
  const std::uint64_t first = first_seed();
  const std::uint64_t cases = number_of_cases(40);
  const auto compare = [&](const RandomCase& random) {
    session.load(random);
    return difference(random, *reader(), counts);
  };
  for (std::uint64_t seed = first; seed < first + cases; ++seed) {
    const RandomCase random = random_case(seed);
    if (!compare(random)) continue;
    const RandomCase small = shrink(random, compare);
    FAIL() << told(small, compare(small).value_or(""));
  }
  EXPECT_GE(counts.not_zero * 10, counts.all * 3)
      << counts.not_zero << " of " << counts.all << " are not zero";
}

/// A policy of the database's own: who sees a row is in settings of the session, which the test sets.
std::string policy(const Catalog& catalog) {
  std::string grants;
  for (const SecurityColumn& security : catalog.security) {
    std::string column;
    for (const char sign : catalog.columns[security.column].column)
      column += sign == '"' ? std::string("\"\"") : std::string(1, sign);
    grants += fmt::format("{}\"{}\" = ANY (string_to_array(current_setting('app.{}'), ',')::bigint[])",
                          grants.empty() ? "" : " OR ", column, catalog.columns[security.column].name);
  }
  return fmt::format("CREATE POLICY visible ON document FOR SELECT TO headroom_reader USING ({})", grants);
}

/// What the user has, written down by the words of user.hpp and not by the planner's function.
std::string granted(const SecurityColumn& security, const std::set<std::string>& roles, const User& user) {
  if (!security.role.empty()) return roles.empty() || roles.contains(security.role) ? user.id : std::string();
  std::string uids;
  for (const SecurityUid& one : user.security_uids) {
    if (one.group != security.group || (!roles.empty() && !roles.contains(one.role))) continue;
    uids += fmt::format("{}{}", uids.empty() ? "" : ",", one.uid);
  }
  return uids;
}

/// The counts of lists with the same roles, as the policy lets the user see the documents.
std::vector<std::uint64_t> counts_under_policy(Session& session, const RandomCase& random, const User& user,
                                               const std::set<std::string>& roles,
                                               const std::vector<std::size_t>& lists) {
  for (const SecurityColumn& security : random.catalog.security) {
    session.run(fmt::format("SELECT set_config('app.{}', '{}', false)",
                            random.catalog.columns[security.column].name, granted(security, roles, user)));
  }
  std::string columns;
  for (const std::size_t list : lists) {
    columns += fmt::format("{}count(*) FILTER (WHERE {})", columns.empty() ? "" : ", ",
                           random.condition(random.lists[list]));
  }
  const std::string look_up =
      random.catalog.look_ups.empty()
          ? ""
          : fmt::format(" LEFT JOIN place ON place.\"{}\" = document.\"{}\"", "id", [&random] {
              std::string name;
              for (const char sign : random.catalog.columns[random.catalog.look_ups[0].by].column)
                name += sign == '"' ? std::string("\"\"") : std::string(1, sign);
              return name;
            }());
  const auto rows = session.run(fmt::format("SELECT {} FROM document{}", columns, look_up));
  std::vector<std::uint64_t> counts;
  for (const auto& cell : rows.at(0)) counts.push_back(std::stoull(cell.value()));
  return counts;
}

std::optional<std::string> difference_to_policy(Session& session, const RandomCase& random) {
  session.load(random);
  session.run("ALTER TABLE document ENABLE ROW LEVEL SECURITY");
  session.run(policy(random.catalog));
  session.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO headroom_reader");
  const auto definitions = random.definitions();
  if (!definitions) return definitions.error().message();
  std::map<std::set<std::string>, std::vector<std::size_t>> lists_of;
  for (std::size_t i = 0; i < random.lists.size(); ++i) lists_of[random.lists[i].roles].push_back(i);
  for (const User& user : random.users) {
    const Question question{*definitions, user, random.now, sql::Dialect::kPostgres, Way::kJoin};
    const auto counted = count(*reader(), question);
    if (!counted) return counted.error().message();
    session.run("SET ROLE headroom_reader");
    for (const auto& [roles, lists] : lists_of) {
      const auto shown = counts_under_policy(session, random, user, roles, lists);
      for (std::size_t i = 0; i < lists.size(); ++i) {
        if (shown[i] == (*counted)[lists[i]].count) continue;
        session.run("RESET ROLE");
        return fmt::format("user {}, list {}: {} in place of {}", user.id, lists[i],
                           (*counted)[lists[i]].count, shown[i]);
      }
    }
    session.run("RESET ROLE");
  }
  return std::nullopt;
}

TEST(RandomCases, AreCountedAsRowLevelSecurityShowsThem) {
  Session session;
  session.run("CREATE ROLE headroom_reader");
  const std::uint64_t first = first_seed();
  const std::uint64_t cases = number_of_cases(300);
  const auto compare = [&session](const RandomCase& random) { return difference_to_policy(session, random); };
  for (std::uint64_t seed = first; seed < first + cases; ++seed) {
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

  Session session_;
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

TEST_F(Example, CountsForEachUserInBothWaysWithinOneSnapshot) {
  const Definitions definitions = definitions_with("", "");
  const auto snapshot = shop_reader();
  const auto anna = load_user(*snapshot, definitions, "1");
  ASSERT_TRUE(anna) << anna.error().message();
  session_.run("DELETE FROM sale");
  std::vector<std::uint64_t> numbers[2];
  for (const Way way : {Way::kEach, Way::kJoin}) {
    const auto counted = count(*snapshot, {definitions, *anna, kNow, sql::Dialect::kPostgres, way});
    ASSERT_TRUE(counted) << counted.error().message();
    for (const Count& one : *counted) numbers[static_cast<std::size_t>(way)].push_back(one.count);
  }
  EXPECT_EQ(numbers[0], numbers[1]);
  EXPECT_EQ(numbers[0][definitions.find_list("draft_sales").value()], 5U) << "as it was before the delete";
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
