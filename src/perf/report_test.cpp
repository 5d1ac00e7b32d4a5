// Golden files: testdata/report/NAME.txt holds a report as a pipe, a terminal of 100 columns and a program
// see it. `HEADROOM_REWRITE_GOLDEN=1 report_test` rewrites them.

#include "perf/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "perf/memory_store.hpp"
#include "perf/profile_tree.hpp"
#include "perf/report_sample.hpp"
#include "perf/report_text.hpp"

namespace headroom::perf {
namespace {

using base::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

MemoryStore sample_store() {
  MemoryStore store;
  EXPECT_TRUE(store.append(sample_batch()));
  return store;
}

ReportRequest request(std::string report, std::string session = "", std::string argument = "") {
  ReportRequest asked;
  asked.report = std::move(report);
  asked.session = std::move(session);
  asked.argument = std::move(argument);
  return asked;
}

Report make(const ReportRequest& asked) {
  MemoryStore store = sample_store();
  auto report = make_report(store, asked);
  EXPECT_TRUE(report) << report.error().message();
  return report ? std::move(*report) : Report{};
}

base::Error failure(const ReportRequest& asked) {
  MemoryStore store = sample_store();
  const auto report = make_report(store, asked);
  EXPECT_FALSE(report);
  return report ? base::Error(ErrorCode::kInternal, "no error") : report.error();
}

std::string in_all_forms(const Report& report) {
  std::ostringstream text;
  const std::string terminal =
      report.text.empty() ? to_aligned(report.table, 100, Color::kOff) : escape_block(report.text);
  const bool has_text_alone = !report.text.empty() && report.parts.empty();
  text << "== pipe ==\n"
       << (has_text_alone         ? terminal
           : report.parts.empty() ? to_tsv(report.table)
                                  : to_tsv(report));
  text << "== terminal ==\n" << (has_text_alone ? "as the pipe\n" : terminal);
  text << "== json ==\n" << to_json(report);
  text << "== total " << report.total << " ==\n" << report.note << '\n';
  return text.str();
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void expect_golden(const std::string& name, const Report& report) {
  const std::filesystem::path path = std::filesystem::path("testdata/report") / (name + ".txt");
  const std::string text = in_all_forms(report);
  if (std::getenv("HEADROOM_REWRITE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  EXPECT_EQ(text, read_file(path)) << path << ": HEADROOM_REWRITE_GOLDEN=1 rewrites it";
}

std::vector<std::string> column_names(const Report& report) {
  std::vector<std::string> names;
  for (const Column& column : report.table.columns) names.push_back(column.name);
  return names;
}

struct Golden {
  std::string file;
  ReportRequest asked;
};

class GoldenReport : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenReport, LooksAsItsFile) {
  expect_golden(GetParam().file, make(GetParam().asked));
}

INSTANTIATE_TEST_SUITE_P(
    Report, GoldenReport,
    ::testing::Values(
        Golden{"session", request("session")}, Golden{"session_of_user", request("session", "", "demo")},
        Golden{"method_by_time", request("method", "shop/71")},
        Golden{"method_by_number", request("method", "shop/71", "n")},
        Golden{"method_by_average", request("method", "shop/71", "a")},
        Golden{"table_by_time", request("table", "shop/71")},
        Golden{"table_by_number", request("table", "shop/71", "n")},
        Golden{"call", request("call", "shop/71")},
        Golden{"call_of_method", request("call", "shop/71", "model.sale.sale.write")},
        Golden{"call_with_hostile_name", request("call", "7b")},
        Golden{"call_whole", request("call", "shop/71", "1")},
        Golden{"call_whole_with_attempts", request("call", "7b", "1")},
        Golden{"call_whole_failed", request("call", "7b", "2")},
        Golden{"profile_list", request("profile", "shop/71")},
        Golden{"profile", request("profile", "shop/71", "3")}, Golden{"db_list", request("db", "shop/71")},
        Golden{"db", request("db", "shop/71", "2")}, Golden{"io_list", request("io", "shop/71")},
        Golden{"io", request("io", "shop/71", "2")}, Golden{"query_list", request("query", "shop/71")},
        Golden{"query", request("query", "shop/71", "1")}, Golden{"repeat", request("repeat", "shop/71")},
        Golden{"conflict", request("conflict")}, Golden{"overview", request("overview")}),
    [](const auto& golden) { return golden.param.file; });

TEST(Report, HasTheOriginalsColumnsFirst) {
  const auto starts_with = [](const Report& report, const std::vector<std::string>& columns) {
    const auto names = column_names(report);
    return names.size() >= columns.size() && std::equal(columns.begin(), columns.end(), names.begin());
  };
  EXPECT_TRUE(starts_with(make(request("session")), {"session", "user", "first", "last", "nb", "tm"}));
  EXPECT_TRUE(starts_with(make(request("method", "7b")), {"method", "time", "number", "avg"}));
  EXPECT_TRUE(starts_with(make(request("table", "7b", "n")), {"table", "number", "time", "avg"}));
  EXPECT_TRUE(starts_with(make(request("method", "7b", "a")), {"method", "avg", "time", "number"}));
  EXPECT_TRUE(starts_with(make(request("call", "7b")), {"#", "method", "dt", "tm", "db_nb", "db_tm"}));
  EXPECT_TRUE(starts_with(make(request("db", "shop/71", "2")), {"action", "table", "time"}));
  EXPECT_TRUE(starts_with(make(request("query", "7b")), {"#", "method", "call", "action", "table"}));
  EXPECT_TRUE(starts_with(make(request("profile", "7b")), {"method", "call"}));
}

TEST(Report, ListsEveryCandidateOfAnAmbiguousPrefix) {
  const base::Error error = failure(request("method", "7"));
  EXPECT_EQ(error.code(), ErrorCode::kConflict);
  EXPECT_THAT(error.message(), StartsWith("many candidates for session '7': "));
  for (const char* candidate : {"test/71aa", "shop/7bcc", "shop/71aa"})
    EXPECT_THAT(error.message(), HasSubstr(candidate));
}

TEST(Report, TellsSessionsOfTheSameNameApartByDatabase) {
  EXPECT_EQ(failure(request("call", "71aa")).code(), ErrorCode::kConflict);
  EXPECT_EQ(make(request("call", "test/71aa")).total, 1U);
  ReportRequest asked = request("call", "71aa");
  asked.filter.database = "test";
  EXPECT_EQ(make(asked).total, 1U);
}

TEST(Report, TakesAWholeNameBeforeLongerOnesThatBeginWithIt) {
  MemoryStore store;
  Batch batch;
  for (const char* session : {"login", "login2"}) {
    CallRecord record;
    record.summary.id = session;
    record.summary.session = session;
    batch.calls.push_back(record);
  }
  ASSERT_TRUE(store.append(batch));
  const auto found = find_session(store, "login", {});
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->session, "login");
  EXPECT_FALSE(find_session(store, "log", {}));
}

TEST(Report, SaysThatASessionIsUnknownOrMissing) {
  EXPECT_EQ(failure(request("method", "zz")).code(), ErrorCode::kNotFound);
  EXPECT_THAT(failure(request("method", "zz")).message(), StartsWith("invalid session 'zz'"));
  EXPECT_EQ(failure(request("method")).code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(failure(request("method")).message(), StartsWith("missing session argument"));
}

TEST(Report, NamesTheDatabasesWhenOneIsUnknown) {
  for (const char* name : {"session", "overview", "conflict", "call"}) {
    ReportRequest asked = request(name, std::string(name) == "call" ? "71" : "");
    asked.filter.database = "shp*";
    EXPECT_EQ(failure(asked).code(), ErrorCode::kNotFound) << name;
    EXPECT_EQ(failure(asked).message(), "no database is or matches 'shp*'; there are shop, test") << name;
  }
  EXPECT_EQ(failure(request("call", "shp/71")).message(), "unknown database 'shp'; there are shop, test");
  Batch nameless = sample_batch();
  nameless.counts.front().database.clear();
  MemoryStore store;
  ASSERT_TRUE(store.append(nameless));
  EXPECT_EQ(make_report(store, request("call", "shp/71")).error().message(),
            "unknown database 'shp'; there are shop, test");
  ReportRequest named = request("overview");
  named.filter.database = "shp";
  EXPECT_EQ(failure(named).message(), "unknown database 'shp'; there are shop, test");
  EXPECT_THAT(failure(request("call", "shop/zz")).message(),
              HasSubstr("no session of database 'shop' begins with 'zz'"));
}

TEST(Report, TakesAGlobForDatabasesAndWholeNamesAsBefore) {
  const auto databases = [](const char* wanted) {
    ReportRequest asked = request("session");
    asked.filter.database = wanted;
    std::set<std::string> found;
    const Report report = make(asked);
    const auto column = std::ranges::find(report.table.columns, "database", &Column::name);
    const auto place = static_cast<std::size_t>(column - report.table.columns.begin());
    for (const auto& row : report.table.rows) found.insert(std::get<std::string>(row.at(place)));
    return found;
  };
  EXPECT_EQ(databases("*"), (std::set<std::string>{"shop", "test"}));
  EXPECT_EQ(databases("sh?p"), std::set<std::string>{"shop"});
  EXPECT_EQ(databases("test"), std::set<std::string>{"test"});
  ReportRequest asked = request("call", "71aa");
  asked.filter.database = "te*";
  EXPECT_EQ(make(asked).total, 1U) << "a session's beginning is told apart by a glob too";
}

TEST(Report, SaysWhatItMeansThatThereIsNothing) {
  EXPECT_THAT(make(request("io", "7b")).note, HasSubstr("no bodies were kept"));
  MemoryStore empty;
  for (const char* name : {"session", "conflict", "overview"}) {
    const auto report = make_report(empty, request(name));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->note, Not(testing::IsEmpty())) << name;
  }
  ReportRequest beyond = request("call", "shop/71");
  beyond.page = {10, 1};
  EXPECT_EQ(make(beyond).note, "") << "a page beyond the end is not an empty report";
}

TEST(Report, ShowsACallWhole) {
  const auto call = nlohmann::json::parse(to_json(make(request("call", "7b", "1"))))[0];
  EXPECT_EQ(call["address"], "192.0.2.7");
  EXPECT_EQ(call["parent"], "shop/71aa/2");
  EXPECT_EQ(call["memory_growth"], 2 << 20);
  ASSERT_EQ(call["attempts"], 2);
  ASSERT_EQ(call["attempt_list"].size(), 2U);
  EXPECT_THAT(call["attempt_list"][0]["error"].get<std::string>(), StartsWith("SerializationFailure"));
  EXPECT_EQ(call["statements"][0]["number"], 2);
  EXPECT_EQ(call["statements"][0]["tables"], "sale_sale");
  EXPECT_EQ(failure(request("call", "7b", "99")).code(), ErrorCode::kNotFound);
  EXPECT_EQ(failure(request("call", "7b", "0")).code(), ErrorCode::kInvalidArgument);
}

TEST(Report, SaysWhenNothingIsThereBecauseOfAFilter) {
  const Report sessions = make(request("session", "", "nouser"));
  EXPECT_EQ(sessions.note, "nothing matches user 'nouser'; without that the report has 3 rows");
  ReportRequest profiles = request("profile", "shop/71");
  profiles.filter.user = "nobody";
  EXPECT_EQ(make(profiles).note, "nothing matches user 'nobody'; without that the report has 1 row");
  EXPECT_EQ(make(request("call", "shop/71", "nosuch")).note,
            "nothing matches method 'nosuch'; without that the report has 3 rows");
  ReportRequest bodies = request("io", "7b");
  bodies.filter.user = "nobody";
  EXPECT_THAT(make(bodies).note, HasSubstr("no bodies were kept")) << "with and without the filter";
}

TEST(Report, TakesANegativeNumberForNoMethod) {
  EXPECT_EQ(failure(request("call", "shop/71", "-1")).message(), "call '-1': expected its number, 1 or more");
}

TEST(Report, RefusesAFilterThatItKnowsNothingOf) {
  ReportRequest sessions = request("session");
  sessions.filter.method = "nosuch";
  EXPECT_EQ(failure(sessions).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure(sessions).message(),
            "session cannot be filtered by method; accepted are since, until, database and user");
  ReportRequest overview = request("overview");
  overview.filter.user = "nobody";
  EXPECT_EQ(failure(overview).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure(overview).message(),
            "overview cannot be filtered by user; accepted are since, until, database and method");
}

TEST(Report, RefusesAFilterThatIsTheArgumentToo) {
  ReportRequest sessions = request("session", "", "admin");
  sessions.filter.user = "bob";
  EXPECT_EQ(failure(sessions).message(),
            "the user is given twice: 'admin' as the argument, 'bob' as the filter user");
  ReportRequest calls = request("call", "shop/71", "model.sale.sale.read");
  calls.filter.method = "model.*";
  EXPECT_EQ(failure(calls).code(), ErrorCode::kInvalidArgument);
}

TEST(Report, FiltersSlowStatementsAndACallThatIsNamedByUser) {
  ReportRequest slow = request("query", "shop/71");
  slow.filter.user = "admin";
  EXPECT_EQ(make(slow).total, 1U);
  slow.filter.user = "nobody";
  EXPECT_EQ(make(slow).total, 0U);
  slow.argument = "1";
  EXPECT_THAT(failure(slow).message(), HasSubstr("no slow statement 1 that matches user 'nobody'"));
  ReportRequest call = request("call", "shop/71", "2");
  call.filter.user = "nobody";
  call.filter.method = "model.sale.*";
  EXPECT_EQ(failure(call).code(), ErrorCode::kNotFound);
  EXPECT_THAT(failure(call).message(),
              HasSubstr("no call 2 that matches user 'nobody', method 'model.sale.*'"));
}

TEST(Report, SaysThatTheTimeOfATaskMayBeCountedTwice) {
  Batch batch = sample_batch();
  MemoryStore store = sample_store();
  EXPECT_EQ(make_report(store, request("overview")).value().note, "");
  batch.calls.clear();
  batch.counts.resize(1);
  batch.counts[0].kind = CallKind::kTask;
  ASSERT_TRUE(store.append(batch));
  EXPECT_THAT(make_report(store, request("overview")).value().note, HasSubstr("inside a call"));
}

TEST(Report, ShowsWhichCallsACallRanInsideItself) {
  Batch batch = sample_batch();
  CallRecord task = batch.calls[1];
  task.summary.id = "task";
  task.summary.kind = CallKind::kTask;
  task.summary.method = "model.sale.sale.process";
  task.summary.start += std::chrono::milliseconds{700};
  task.summary.statements = 961;
  task.parent = batch.calls[1].summary.id;
  CallRecord meanwhile = task;
  meanwhile.summary.id = "meanwhile";
  meanwhile.parent.clear();
  batch.calls = {batch.calls[1], task, meanwhile};
  MemoryStore store;
  ASSERT_TRUE(store.append(batch));
  const auto call = nlohmann::json::parse(to_json(make_report(store, request("call", "71", "1")).value()))[0];
  ASSERT_EQ(call["children"].size(), 1U);
  EXPECT_EQ(call["children"][0]["#"], 2);
  EXPECT_EQ(call["children"][0]["method"], "model.sale.sale.process");
  EXPECT_EQ(call["children"][0]["kind"], "task");
  EXPECT_EQ(call["children"][0]["db_nb"], 961);
  const auto child =
      nlohmann::json::parse(to_json(make_report(store, request("call", "71", "2")).value()))[0];
  EXPECT_EQ(child["parent"], "shop/71aa/1");
  EXPECT_EQ(child["children"].size(), 0U);
}

TEST(Report, ListsTheFirstLineOfTheErrorOfAFailedCall) {
  const auto calls = nlohmann::json::parse(to_json(make(request("call", "7b"))));
  EXPECT_TRUE(calls[0]["error"].is_null());
  EXPECT_EQ(calls[1]["error"], "AttributeError: no such method");
}

TEST(Report, SaysWhatAnArgumentShouldHaveBeen) {
  EXPECT_THAT(failure(request("method", "7b", "x")).message(),
              HasSubstr("expected t (time), n (number) or a (average)"));
  EXPECT_EQ(failure(request("method", "7b", "x")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure(request("db", "7b", "first")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure(request("db", "7b", "0")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure(request("db", "7b", "99")).code(), ErrorCode::kNotFound);
  EXPECT_EQ(failure(request("query", "7b", "1")).code(), ErrorCode::kNotFound);
  EXPECT_EQ(failure(request("nothing")).code(), ErrorCode::kInvalidArgument);
}

TEST(Report, SaysWhichDetailACallWasRecordedWithout) {
  for (const char* report : {"profile", "db", "io"}) {
    const base::Error error = failure(request(report, "7b", "1"));
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.message(), HasSubstr("call 1 was recorded without"));
  }
}

TEST(Report, KeepsTheNumbersOfSlowStatementsUnderAFilter) {
  ReportRequest asked = request("query", "shop/71");
  asked.filter.method = "model.party.*";
  EXPECT_EQ(make(asked).total, 0U);
  asked.filter.method = "model.sale.*";
  const Report report = make(asked);
  ASSERT_EQ(report.total, 1U);
  EXPECT_EQ(std::get<std::int64_t>(report.table.rows[0][0]), 1);
}

TEST(Report, ShowsAPageAndCountsTheWhole) {
  ReportRequest asked = request("call", "shop/71");
  asked.page = {1, 1};
  const Report report = make(asked);
  EXPECT_EQ(report.total, 3U);
  ASSERT_EQ(report.table.rows.size(), 1U);
  EXPECT_EQ(std::get<std::int64_t>(report.table.rows[0][0]), 2);
  asked.page = {10, 1};
  EXPECT_TRUE(make(asked).table.rows.empty());
}

TEST(Report, SortsByAnyColumnBeforeItCutsThePage) {
  for (const char* report : {"call", "method", "table"}) {
    const std::string column = std::string(report) == "call" ? "tm" : "number";
    ReportRequest asked = request(report, "shop/71");
    asked.sort = column;
    const Report rising = make(asked);
    asked.sort = "-" + column;
    asked.page.limit = 1;
    const Report falling = make(asked);
    const auto names = column_names(rising);
    const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), column) - names.begin());
    ASSERT_GT(rising.table.rows.size(), 1U) << report;
    const auto least_first = [at](const auto& a, const auto& b) { return a[at] < b[at]; };
    EXPECT_TRUE(std::is_sorted(rising.table.rows.begin(), rising.table.rows.end(), least_first)) << report;
    EXPECT_EQ(falling.total, rising.total) << report;
    EXPECT_EQ(falling.table.rows.at(0)[at], rising.table.rows.back()[at]) << report;
    asked.sort = "-nothing";
    EXPECT_THAT(failure(asked).message(), HasSubstr(column)) << report;
  }
}

TEST(Report, BoundsTheNamesAndTextsOfLists) {
  MemoryStore store;
  const std::string name = "model." + std::string(1U << 20, 'm');
  CallRecord record;
  record.summary.id = "c";
  record.summary.database = "shop";
  record.summary.session = "71aa";
  record.summary.method = name;
  record.summary.user = name;
  record.summary.has = Has::kDb | Has::kQuery;
  record.summary.most_repeated = 2;
  record.statements = {{1, 2, Microseconds(9), Microseconds(1), 1, name}};
  record.events = {{1, {}, Microseconds(9), 1, name}};
  record.slow = {{1, {}, Microseconds(9), 1, name, name}};
  record.error = name;
  Batch batch;
  batch.statements = {{1, sql::StatementKind::kSelect, {name}, name}};
  batch.calls = {record};
  ASSERT_TRUE(store.append(batch));
  for (const std::string& report : report_names()) {
    const bool has_session = report != "session" && report != "overview";
    const auto made = make_report(store, request(report, has_session ? "shop/71" : ""));
    ASSERT_TRUE(made) << report << made.error().message();
    EXPECT_LT(to_json(*made).size(), 100'000U) << report;
    EXPECT_EQ(to_json(*made).find(name), std::string::npos) << report;
  }
  const auto list = make_report(store, request("call", "shop/71"));
  EXPECT_THAT(std::get<std::string>(list->table.rows.at(0)[1]), testing::EndsWith("m\u2026 (1048582 bytes)"));
  const auto whole = make_report(store, request("call", "shop/71", "1"));
  EXPECT_EQ(std::get<std::string>(whole->table.rows.at(0)[1]), name) << "one thing is shown whole";
  EXPECT_EQ(shown_name("\u5546\u54c1"), "\u5546\u54c1");
  EXPECT_LE(shown_name(std::string(5000, '\x80')).size(), kLongestShownName) << "whatever its bytes are";
}

TEST(Report, KeepsTheRowsThatHoldAllWordsInAnyOfTheirTexts) {
  ReportRequest asked = request("repeat", "shop/71");
  const Report all = make(asked);
  ASSERT_GT(all.total, 0U);
  const auto& row = all.table.rows.at(0);
  const auto names = column_names(all);
  const auto text = [&](const char* column) {
    const auto at = std::find(names.begin(), names.end(), column) - names.begin();
    return std::get<std::string>(row[static_cast<std::size_t>(at)]);
  };
  asked.contains = "SELECT " + text("table") + " " + text("method");
  const Report found = make(asked);
  ASSERT_GT(found.total, 0U) << asked.contains;
  EXPECT_EQ(found.table.rows.at(0), row);
  asked.contains += " no_such_word";
  const Report none = make(asked);
  EXPECT_EQ(none.total, 0U);
  EXPECT_THAT(none.note, HasSubstr("no_such_word"));
  ReportRequest session = request("session");
  session.contains = "DEMO";
  session.page.limit = 1;
  EXPECT_EQ(make(session).total, 1U);
  ReportRequest calls = request("call", "shop/71");
  calls.contains = "sale";
  EXPECT_THAT(failure(calls).message(), HasSubstr("--method"));
}

TEST(Report, SortsTheCallsOfASessionOutOfASinglePageOfTheStore) {
  MemoryStore store;
  Batch batch;
  for (int i = 0; i < 2500; ++i) {
    CallRecord record;
    record.summary.id = "c" + std::to_string(i);
    record.summary.database = "shop";
    record.summary.session = "71aa";
    record.summary.method = "model.sale.sale.read";
    record.summary.start = UtcTime(std::chrono::seconds(i));
    record.summary.wall = std::chrono::milliseconds(i * 7 % 2500);
    batch.calls.push_back(std::move(record));
  }
  ASSERT_TRUE(store.append(batch));
  ReportRequest asked = request("call", "shop/71");
  asked.sort = "-tm";
  asked.page = {2, 1};
  const auto report = make_report(store, asked);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->total, 2500U);
  EXPECT_EQ(report->table.rows.at(0)[3], Cell(Microseconds(std::chrono::milliseconds(2497))));
  EXPECT_EQ(store.pages_read(), 1U);
  EXPECT_EQ(store.summaries_given(), 1U) << "no more than the page holds";
}

TEST(Report, GivesACallTreeWithItsNodesInParallelLists) {
  MemoryStore store = sample_store();
  const Report calls = make(request("profile", "shop/71"));
  const auto rank = std::get<std::int64_t>(calls.table.rows.at(0)[1]);
  const auto trees = profile_trees(store, request("profile", "shop/71", std::to_string(rank)));
  ASSERT_TRUE(trees) << trees.error().message();
  const auto tree = nlohmann::json::parse(*trees)["profiles"][0];
  const auto& nodes = tree["nodes"];
  EXPECT_EQ(tree["kind"], "exact");
  EXPECT_EQ(nodes["parent"].size(), nodes["self_ns"].size());
  EXPECT_EQ(nodes["frame"].size(), nodes["calls"].size());
  EXPECT_EQ(tree["frames"]["function"].size(), tree["frames"]["line"].size());
  for (std::size_t i = 1; i < nodes["parent"].size(); ++i) EXPECT_LT(nodes["parent"][i], i);
  EXPECT_THAT(profile_trees(store, request("profile", "shop/71", "1")).error().message(),
              HasSubstr("without a profile"));
  EXPECT_EQ(profile_trees(store, request("profile", "shop/71")).error().code(), ErrorCode::kInvalidArgument);
}

TEST(Report, FindsThePartnerOfACollisionThatWritesTheSameTable) {
  const Report report = make(request("conflict"));
  ASSERT_EQ(report.table.rows.size(), 2U);
  EXPECT_EQ(std::get<std::string>(report.table.rows[0][1]), "sale_sale");
  EXPECT_EQ(std::get<std::string>(report.table.rows[0][7]), "shop/71aa/2");
}

TEST(Report, LeavesOutOfACollisionWhatIsWrittenOutsideOfItsAttempts) {
  MemoryStore store;
  Batch batch = sample_batch();
  StatementInfo touch;
  touch.fingerprint = 4711;
  touch.kind = sql::StatementKind::kUpdate;
  touch.tables = {"ir_session"};
  batch.statements.push_back(touch);
  for (CallRecord& record : batch.calls)
    record.statements.push_back({4711, 1, Microseconds{1000}, Microseconds{1000}, 1, ""});
  ASSERT_TRUE(store.append(batch));
  const auto report = make_report(store, request("conflict"));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->table.rows.size(), 2U);
  EXPECT_EQ(std::get<std::string>(report->table.rows[0][1]), "sale_sale");
  EXPECT_EQ(std::get<std::string>(report->table.rows[0][9]), "sale_sale");
}

TEST(Report, NamesNoPartnerWhereNoneOverlaps) {
  MemoryStore store;
  Batch batch = sample_batch();
  std::erase_if(batch.calls, [](const CallRecord& call) { return call.summary.id == "c2"; });
  ASSERT_TRUE(store.append(batch));
  const auto report = make_report(store, request("conflict"));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->table.rows.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(report->table.rows[0][7]));
}

TEST(Report, CountsAFunctionThatCallsItselfOnce) {
  const Report report = make(request("profile", "shop/71", "3"));
  ASSERT_EQ(report.table.rows.size(), 2U);
  EXPECT_EQ(std::get<Microseconds>(report.table.rows[1][5]), std::chrono::milliseconds(35));
  EXPECT_EQ(std::get<Microseconds>(report.table.rows[1][6]), std::chrono::milliseconds(35));
}

TEST(Report, GivesJsonThatProgramsCanRead) {
  for (const std::string& name : report_names()) {
    const bool wants_session = name != "session" && name != "overview" && name != "conflict";
    const Report report = make(request(name, wants_session ? "7b" : ""));
    const auto json = nlohmann::json::parse(to_json(report.table));
    EXPECT_EQ(json.size(), report.table.rows.size()) << name;
  }
  const auto calls = nlohmann::json::parse(to_json(make(request("call", "shop/71")).table));
  EXPECT_DOUBLE_EQ(calls[0]["tm"].get<double>(), 0.12);
  EXPECT_EQ(calls[0]["db_nb"].get<int>(), 19);
}

TEST(ReportText, ShowsControlCharactersAndBadBytesEscaped) {
  EXPECT_EQ(escape_line("a\x1b[2J\n\t\x7f"), "a\\x1b[2J\\n\\t\\x7f");
  EXPECT_EQ(escape_line("\xff\xc3(\xc3\xa9"), "\\xff\\xc3(\xc3\xa9");
  EXPECT_EQ(escape_line("\xc2\x9b"
                        "1m"),
            "\\x9b1m");
  EXPECT_EQ(escape_line("\xe2\x80\xae"), "\\u202e");
  EXPECT_EQ(escape_line("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(escape_line("\xc0\xaf\xf8"), "\\xc0\\xaf\\xf8");
  EXPECT_EQ(escape_line("a\\n"), "a\\\\n");
}

TEST(ReportText, KeepsLineEndsAndBackslashesOfABlock) {
  EXPECT_EQ(escape_block("a\n\tb\\c\x1b\r"), "a\n\tb\\c\\x1b\\r");
}

TEST(ReportText, MeasuresWhatATerminalShows) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("caf\xc3\xa9"), 4U);
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);
  EXPECT_EQ(display_width("\xe6\x97\xa5\xe6\x9c\xac"), 4U);
}

TEST(ReportText, CutsBetweenCharactersToWhatFits) {
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abc", 2), "ab");
  EXPECT_EQ(cut_to_width("caf\xc3\xa9!", 4), "caf\xc3\xa9");
  EXPECT_EQ(cut_to_width("e\xcc\x81x", 1), "e\xcc\x81");
  EXPECT_EQ(cut_to_width("\xe6\x97\xa5\xe6\x9c\xac", 3), "\xe6\x97\xa5");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(ReportText, CutsLongTextsBeforeOthersAndNeverNumbers) {
  Table table;
  table.columns = {{"name", Format::kText}, {"count", Format::kCount}, {"sql", Format::kLongText}};
  table.rows = {{std::string(30, 'n'), std::int64_t{1234567890123}, std::string(200, 's')}};
  std::istringstream lines(to_aligned(table, 80, Color::kOff));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 80U) << line;
  EXPECT_THAT(to_aligned(table, 80, Color::kOff), HasSubstr(std::string(30, 'n') + "  1234567890123  s"));
  EXPECT_THAT(to_aligned(table, 20, Color::kOff), HasSubstr("1234567890123"));
  EXPECT_THAT(to_aligned(table, 0, Color::kOff), HasSubstr(std::string(200, 's')));
}

TEST(ReportText, ShowsTheInnermostLineOfTheApplicationOfABacktrace) {
  Table table;
  table.columns = {{"backtrace", Format::kBacktrace}};
  const std::string packages = "/usr/lib/python3/dist-packages/";
  const std::string outer = packages + "trytond/wsgi.py:85 TrytondWSGI.auth_required\n";
  const std::string mapper = packages + "trytond/model/modelsql.py:855 ModelSQL.read\n";
  table.rows = {{outer + packages + "trytond/modules/sale/sale.py:12 Sale.confirm\n" + mapper},
                {outer + "/srv/shop/thing.py:7 Thing.run\n" + mapper},
                {outer + mapper + "/usr/lib/python3.11/threading.py:975 Thread.run"},
                {outer + mapper}};
  EXPECT_EQ(to_aligned(table, 0, Color::kOff),
            "backtrace\n"
            "trytond/modules/sale/sale.py:12 Sale.confirm\n"
            "/srv/shop/thing.py:7 Thing.run\n"
            "/usr/lib/python3.11/threading.py:975 Thread.run\n"
            "trytond/model/modelsql.py:855 ModelSQL.read\n");
}

TEST(ReportText, PaintsOnlyWhenAsked) {
  const Report report = make(request("call", "7b"));
  EXPECT_THAT(to_aligned(report.table, 0, Color::kOff), Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_aligned(report.table, 0, Color::kOn), HasSubstr("\x1b[31mexception\x1b[0m"));
}

}  // namespace
}  // namespace headroom::perf
