// What may be explained, and how plans are read. SQLite is asked here; PostgreSQL in the scenario explain.

#include "sql/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

namespace headroom::sql {
namespace {

using base::ErrorCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(CheckExplainable, TakesTheFourKindsAndNumbersTheirPlaceholders) {
  const auto select = check_explainable("SELECT a -- why\n FROM t WHERE id IN (%s, %s) AND b = %(b)s;");
  ASSERT_TRUE(select) << select.error().message();
  EXPECT_EQ(select->text, "SELECT a FROM t WHERE id IN ($1, $2) AND b = $3");
  EXPECT_EQ(select->parameters, 3U);
  EXPECT_TRUE(select->is_select);
  for (const char* text : {"INSERT INTO t (a) VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t",
                           "WITH x AS (SELECT 1) SELECT * FROM x"}) {
    EXPECT_TRUE(check_explainable(text)) << text;
  }
}

TEST(CheckExplainable, RefusesEverythingElse) {
  for (const char* text :
       {"", ";", "SELECT 1; DELETE FROM t", "SELECT 1;; SELECT 2", "DROP TABLE t",
        "COPY t TO PROGRAM 'rm -rf /'", "EXPLAIN ANALYZE DELETE FROM t", "SET ROLE postgres", "BEGIN",
        "DO $$ BEGIN END $$", "CALL p()", "VACUUM", "TRUNCATE t", "EXECUTE x", "PREPARE x AS SELECT 1",
        "CREATE TABLE t AS SELECT 1", "/* SELECT */ LOCK TABLE t"}) {
    const auto checked = check_explainable(text);
    ASSERT_FALSE(checked) << text;
    EXPECT_EQ(checked.error().code(), ErrorCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(check_explainable("SELECT FROM WHERE").error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(check_explainable("SELECT \xff").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(check_explainable("SELECT " + std::string(70'000, '1')).error().code(), ErrorCode::kTooLarge);
  const std::string deep = "SELECT " + std::string(5'000, '(') + "1" + std::string(5'000, ')');
  EXPECT_EQ(check_explainable(deep).error().code(), ErrorCode::kTooLarge);
}

TEST(CheckExplainable, SeesWhatASelectDoesBesidesReading) {
  EXPECT_FALSE(check_explainable("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x")->is_select);
  EXPECT_FALSE(check_explainable("SELECT * INTO u FROM t")->is_select);
  EXPECT_FALSE(check_explainable("SELECT * FROM t FOR UPDATE")->is_select);
  EXPECT_THAT(check_explainable("SELECT pg_catalog.PG_Terminate_Backend(1), lower(a) FROM t")->functions,
              ElementsAre("lower", "pg_terminate_backend"));
}

TEST(PostgresPlan, BecomesNodesParentsFirst) {
  const auto plan =
      parse_postgres_plan(R"json([{"Plan":{"Node Type":"Hash Join","Join Type":"Left","Total Cost":99.5,
    "Plan Rows":7,"Hash Cond":"(a.id = b.a)","Plans":[
      {"Node Type":"Seq Scan","Relation Name":"a","Plan Rows":5000,"Total Cost":80,"Filter":"(x = $1)",
       "Actual Rows":20,"Actual Loops":3,"Actual Total Time":1.5},
      {"Node Type":"Hash","Plans":[{"Node Type":"Index Scan","Relation Name":"b","Index Name":"b_a"}]}]},
    "Planning Time":0.4,"Execution Time":5.5}])json");
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_EQ(plan->nodes.size(), 4U);
  EXPECT_EQ(plan->nodes[0].operation, "Hash Join (Left)");
  EXPECT_EQ(plan->nodes[1].relation, "a");
  EXPECT_EQ(plan->nodes[1].actual_rows, 60);
  EXPECT_EQ(plan->nodes[1].actual_ms, 4.5);
  EXPECT_EQ(plan->nodes[3].parent, 2U);
  EXPECT_EQ(plan->nodes[3].index, "b_a");
  EXPECT_EQ(plan->execution_ms, 5.5);
  ASSERT_NE(worst_scan(*plan), nullptr);
  EXPECT_EQ(worst_scan(*plan)->condition, "(x = $1)");
  EXPECT_THAT(plan_text(*plan),
              HasSubstr("\n    Index Scan on b using b_a\nplanning 0.400 ms, execution 5.500 ms\n"));
}

TEST(PostgresPlan, IsRefusedWhenItIsNone) {
  for (const char* text : {"", "[]", "{}", "[1]", "[{}]", R"([{"Plan":3}])", R"([{"Plan":{"Plans":[7]}}])"})
    EXPECT_FALSE(parse_postgres_plan(text)) << text;
}

TEST(PostgresPlan, NamesTheFunctionsInItsExpressions) {
  EXPECT_THAT(functions_of_plan(R"json([{"Plan":{"Node Type":"Function Scan","Function Name":"dblink",
    "Output":["pg_catalog.pg_sleep('1'::double precision)","lower(\"Name\")"],"Plans":[{"Filter":"(\"F x\"(a) > 1)"}]}}])json"),
              ElementsAre("F x", "dblink", "lower", "pg_sleep"));
}

TEST(SqlitePlan, NamesTheTableBehindAnAlias) {
  const std::string joined =
      R"(SELECT "f"."id", b.name AS c FROM "ir_model_field" AS "f" LEFT JOIN main.ir_model b ON b.id = f.model, sale Z)";
  EXPECT_EQ(table_behind(joined, "f"), "ir_model_field");
  EXPECT_EQ(table_behind(joined, "b"), "main.ir_model");
  EXPECT_EQ(table_behind(joined, "z"), "sale");
  EXPECT_EQ(table_behind(joined, "c"), std::nullopt) << "a column's";
  EXPECT_EQ(table_behind("SELECT * FROM Sale", "Sale"), "sale");
  EXPECT_EQ(table_behind("SELECT * FROM sale AS party", "party"), "sale");
  EXPECT_EQ(table_behind("UPDATE sale AS s SET state = ?", "s"), "sale");
  EXPECT_EQ(table_behind("SELECT * FROM (SELECT * FROM sale AS a) AS f", "f"), std::nullopt);
  EXPECT_EQ(table_behind("WITH w AS (SELECT 1) SELECT * FROM w AS f", "f"), std::nullopt);
  EXPECT_EQ(table_behind("SELECT * FROM sale a UNION SELECT * FROM party a", "a"), std::nullopt);
  EXPECT_EQ(table_behind("SELECT * FROM sale a UNION SELECT * FROM sale a", "a"), "sale");
  for (const char* text : {"", "f", "AS f", ". AS f", "a.b f", "FROM AS f"})
    EXPECT_EQ(table_behind(text, "f"), std::nullopt) << text;
}

TEST(SqlitePlan, TellsScansFromSearches) {
  const Plan plan = parse_sqlite_plan({{2, 0, "SCAN sale"},
                                       {5, 0, "SEARCH party USING INDEX party_name (name=?)"},
                                       {9, 5, "SCAN line USING COVERING INDEX line_sale"}});
  EXPECT_EQ(plan.nodes[1].operation, "SCAN");
  EXPECT_EQ(plan.nodes[2].index, "party_name");
  EXPECT_EQ(plan.nodes[3].parent, 2U);
  EXPECT_EQ(plan.nodes[3].index, "line_sale");
  ASSERT_NE(worst_scan(plan), nullptr);
  EXPECT_EQ(worst_scan(plan)->relation, "sale");
}

/// A file with a table and an index.
class ExplainInSqlite : public testing::Test {
 protected:
  ExplainInSqlite() {
    std::string folder = (std::filesystem::temp_directory_path() / "headroom-explain-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    sqlite3* database = nullptr;
    sqlite3_open((folder_ / "shop.sqlite").c_str(), &database);
    sqlite3_exec(
        database,
        "CREATE TABLE sale(id INTEGER PRIMARY KEY, state TEXT, number TEXT); CREATE INDEX sale_number ON "
        "sale(number); INSERT INTO sale VALUES(1, 'draft', '1')",
        nullptr, nullptr, nullptr);
    sqlite3_close(database);
  }
  ~ExplainInSqlite() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string url() const { return "sqlite://" + (folder_ / "shop.sqlite").string(); }
  [[nodiscard]] Result<Plan> ask(const std::string& statement, ExplainOptions options = {}) const {
    return explain(url(), {statement, false}, options);
  }

  std::filesystem::path folder_;
};

TEST_F(ExplainInSqlite, ShowsWhetherAnIndexServes) {
  const auto scan = ask("SELECT * FROM sale WHERE state = %s");
  ASSERT_TRUE(scan) << scan.error().message();
  EXPECT_NE(worst_scan(*scan), nullptr);
  const auto search = ask("SELECT * FROM sale WHERE number = ?;");
  ASSERT_TRUE(search) << search.error().message();
  EXPECT_EQ(worst_scan(*search), nullptr);
  EXPECT_EQ(search->nodes.at(1).index, "sale_number");
}

TEST_F(ExplainInSqlite, TakesNoQueryWithinTheStatementForATable) {
  const std::string by_index = "SELECT number, COUNT(*) AS n FROM sale WHERE number = ? GROUP BY number";
  const std::vector<std::string> texts = {
      "SELECT * FROM (" + by_index + " LIMIT 10)",
      "SELECT * FROM (" + by_index + " LIMIT 10) AS a WHERE a.n > 1",
      "WITH b AS MATERIALIZED (" + by_index + ") SELECT * FROM b WHERE n > 1",
      "SELECT * FROM (VALUES (1), (2), (3)) AS e", "SELECT 1"};
  for (const std::string& text : texts) {
    const auto plan = ask(text);
    ASSERT_TRUE(plan) << plan.error().message();
    EXPECT_EQ(worst_scan(*plan), nullptr) << plan_text(*plan);
  }
  const auto scan =
      ask("SELECT * FROM (SELECT state FROM sale WHERE state = ? LIMIT 10) AS a WHERE a.state > 1");
  ASSERT_TRUE(scan) << scan.error().message();
  ASSERT_NE(worst_scan(*scan), nullptr) << plan_text(*scan);
  EXPECT_EQ(worst_scan(*scan)->relation, "sale");
}

TEST_F(ExplainInSqlite, MakesUpTheFunctionsThatAnApplicationGivesItsConnections) {
  const auto plan =
      ask("SELECT CAST(EXTRACT('EPOCH', COALESCE(state, NOW())) AS VARCHAR), TRUNC(id, 2), extract(1), \"no, "
          "never\"() "
          "FROM sale WHERE number = GREATEST(?, '1') ORDER BY to_char(id, 'x')");
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->nodes.at(1).index, "sale_number");
  EXPECT_TRUE(ask("INSERT INTO sale VALUES(3, NOW(), 'x')"));
  EXPECT_TRUE(ask("SELECT COUNT(*) FROM sale GROUP BY MOD(id, 2, 3)"));
}

TEST_F(ExplainInSqlite, MakesUpNoMoreFunctionsThanAStatementCanNeed) {
  const auto with = [](std::size_t number) {
    std::string text = "SELECT 1";
    for (std::size_t i = 0; i < number; ++i) text += ", f" + std::to_string(i) + "()";
    return text;
  };
  EXPECT_TRUE(ask(with(64)));
  const auto refused = ask(with(65));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "SQLite: no such function: f64");
  EXPECT_FALSE(ask("SELECT " + std::string(300, 'f') + "()")) << "SQLite takes no such long name";
}

TEST_F(ExplainInSqlite, ExplainsWritesWithoutWriting) {
  for (const char* text :
       {"SELECT load_extension('x')", "DELETE FROM sale", "INSERT OR REPLACE INTO sale VALUES(2, 'x', 'y')",
        "UPDATE sale SET state = 'done'"})
    EXPECT_TRUE(ask(text)) << text;
  sqlite3* database = nullptr;
  sqlite3_open((folder_ / "shop.sqlite").c_str(), &database);
  sqlite3_stmt* count = nullptr;
  sqlite3_prepare_v2(database, "SELECT count(*) FROM sale WHERE state = 'draft'", -1, &count, nullptr);
  ASSERT_EQ(sqlite3_step(count), SQLITE_ROW);
  EXPECT_EQ(sqlite3_column_int(count, 0), 1);
  sqlite3_finalize(count);
  sqlite3_close(database);
}

TEST_F(ExplainInSqlite, RefusesWhatIsNoSingleStatement) {
  for (const char* text : {"SELECT 1; DELETE FROM sale", "ATTACH 'x' AS y", "PRAGMA journal_mode = DELETE",
                           "VACUUM", "EXPLAIN SELECT 1", "SELECT * FROM nothing", "SELECT '"}) {
    EXPECT_FALSE(ask(text)) << text;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
  EXPECT_EQ(ask("SELECT 1", {true, std::chrono::seconds{1}}).error().code(), ErrorCode::kUnsupported);
}

TEST_F(ExplainInSqlite, OpensNoFileThatIsNotThere) {
  const std::string secret = "sqlite:///nonexistent/shop?key=secret";
  const auto plan = explain(secret, {"SELECT 1", false}, {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(plan.error().message(), Not(HasSubstr("secret")));
  std::ofstream(folder_ / "other")
      << "no database at all, but long enough to look like one ......................";
  EXPECT_FALSE(explain("sqlite://" + (folder_ / "other").string(), {"SELECT * FROM sale", false}, {}));
}

TEST(Explain, NeverRepeatsTheUrl) {
  for (const char* url : {"mysql://u:secret@host/db", "postgresql://u:secret@127.0.0.1:99999/db",
                          "postgresql://u:secret%zz@host/db", "postgresql://u:secret@127.0.0.1:1/db"}) {
    const auto plan = explain(url, {"SELECT 1", false}, {false, std::chrono::milliseconds{500}});
    ASSERT_FALSE(plan) << url;
    EXPECT_THAT(plan.error().message(), Not(HasSubstr("secret")));
    EXPECT_THAT(plan.error().message(), Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace headroom::sql
