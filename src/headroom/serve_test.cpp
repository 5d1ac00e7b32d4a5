// The parts of the service that decide, and the whole of it over HTTP against a real SQLite store.

#include "headroom/serve.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "headroom/api.hpp"
#include "headroom/api_questions.hpp"
#include "headroom/serve_health.hpp"
#include "headroom/serve_metrics.hpp"
#include "headroom/serve_pages.hpp"
#include "headroom/serve_stores.hpp"

namespace headroom::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const base::UtcTime kNow = base::parse_time("2026-11-21T08:00:00Z", {}).value();

net::Parameters query(std::initializer_list<std::pair<const char*, const char*>> pairs) {
  net::Parameters made;
  for (const auto& [name, value] : pairs) made.add(name, value);
  return made;
}

TEST(ParseReportRequest, ReadsFiltersPageAndArgument) {
  const auto request = parse_report_request(
      "method",
      query({{"session", "71"}, {"order", "a"}, {"since", "1h"}, {"method", "model.*"}, {"offset", "5"}}),
      kNow);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->session, "71");
  EXPECT_EQ(request->argument, "a");
  EXPECT_EQ(request->filter.since, kNow - std::chrono::hours(1));
  EXPECT_EQ(request->filter.method, "model.*");
  EXPECT_EQ(request->page.offset, 5U);
  EXPECT_EQ(request->page.limit, 100U);
}

TEST(ParseReportRequest, NamesTheParameterThatIsWrong) {
  const auto error = [](const char* report, const net::Parameters& parameters) {
    const auto request = parse_report_request(report, parameters, kNow);
    return request ? std::string() : request.error().message();
  };
  EXPECT_THAT(error("method", query({{"limt", "1"}})),
              testing::AllOf(HasSubstr("'limt'"), HasSubstr("limit, offset, order")));
  EXPECT_THAT(error("method", query({{"limit", "1001"}})), HasSubstr("0 to 1000"));
  EXPECT_THAT(error("method", query({{"limit", "-1"}})), HasSubstr("limit"));
  EXPECT_THAT(error("method", query({{"since", "soon"}})), HasSubstr("since"));
  EXPECT_THAT(error("method", query({{"user", "a"}, {"user", "b"}})), HasSubstr("twice"));
  EXPECT_THAT(error("method", query({{"at_least", "2"}})), HasSubstr("at_least"));
  EXPECT_THAT(error("nothing", {}), HasSubstr("overview"));
}

TEST(ParseRule, ReadsWhatItIsGiven) {
  const auto rule =
      parse_rule(R"({"users":["admin","7"],"profile":["model.sale.*"],"query":"250ms","for":"10m"})", kNow);
  ASSERT_TRUE(rule) << rule.error().message();
  EXPECT_EQ(rule->users.at(1).id, 7);
  EXPECT_EQ(rule->query, std::chrono::milliseconds(250));
  EXPECT_EQ(rule->expires, kNow + std::chrono::minutes(10));
}

TEST(ParseRule, RefusesWhatItDoesNotUnderstand) {
  for (const char* body :
       {"", "[]", "{}", R"({"user":["admin"]})", R"({"users":"admin"})", R"({"users":[7]})",
        R"({"one_in":0})", R"({"methods":["*"],"for":"soon"})", R"({"methods":["*"],"query":1})",
        R"({"methods":["*"],"query":"-1s"})", R"({"users":[],"database":"shop"})",
        R"({"users":[""],"database":"shop"})", R"({"users":["login:"]})", R"({"methods":[""]})",
        R"({"methods":["*"],"for":"0"})", R"({"methods":["model.[a"]})", R"({"methods":["*"],"database":""})",
        R"({"slower_than":"0"})", R"({"one_in":1})"}) {
    const auto rule = parse_rule(body, kNow);
    ASSERT_FALSE(rule) << body;
    EXPECT_EQ(rule.error().code(), base::ErrorCode::kInvalidArgument) << body;
  }
}

TEST(ServeHealth, IsDegradedWhileADutyFailsOrTheStoreWasNotSeen) {
  ServeHealth health(kNow);
  EXPECT_EQ(health.response(kNow, true).status, 200);
  EXPECT_TRUE(health.set("store", "away"));
  EXPECT_FALSE(health.set("store", "away")) << "no news";
  EXPECT_EQ(health.response(kNow, true).status, 503);
  EXPECT_THAT(health.response(kNow, true).body, HasSubstr("store: away"));
  EXPECT_THAT(health.response(kNow, false).body, Not(HasSubstr("away")))
      << "strangers learn no more than the state";
  EXPECT_TRUE(health.set("store", ""));
  EXPECT_EQ(health.response(kNow, true).status, 200);
  EXPECT_EQ(health.response(kNow + std::chrono::minutes(2), true).status, 503);
  health.looked(kNow + std::chrono::minutes(2));
  health.set_warnings({"a process is silent"});
  EXPECT_EQ(json::parse(health.response(kNow + std::chrono::minutes(2), true).body)["warnings"][0],
            "a process is silent");
}

TEST(ServerOptions, RequireATokenForAnOpenAddress) {
  ServeSection section;
  EXPECT_TRUE(server_options(section));
  section.listen = "0.0.0.0:7400";
  EXPECT_THAT(server_options(section).error().message(), HasSubstr("token_file"));
  section.listen = "nowhere";
  EXPECT_THAT(server_options(section).error().message(), HasSubstr("[serve] listen"));
}

/// A store in a folder of its own, and a router that works on it.
class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "headroom-api-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    url_ = "sqlite://" + (folder_ / "perf.sqlite").string();
    read_ = std::make_unique<StorePool>(url_, perf::OpenMode::kRead, 2);
    write_ = std::make_unique<StorePool>(url_, perf::OpenMode::kWrite, 2);
    add_perf_api(router_,
                 {*read_, *write_, folder_.string(), [] { return base::Result<std::string>("{}"); }});
    add_question_api(router_, {*read_, configuration_, blocking_});
  }
  ~ApiTest() override {
    read_.reset();
    write_.reset();
    std::filesystem::remove_all(folder_);
  }

  net::Response call(std::string method, std::vector<std::string> path, net::Parameters parameters = {},
                     std::string body = {}) {
    const net::Match match = router_.match(method, path);
    net::Request request;
    request.method = std::move(method);
    request.query = std::move(parameters);
    request.parameters = match.parameters;
    request.body = std::move(body);
    request.caller.role = role_;
    request.headers.add("Content-Type", "application/json; charset=utf-8");
    return match.route->handler(request);
  }

  void record_a_call() {
    perf::Batch batch;
    perf::CallRecord record;
    record.summary.id = "c1";
    record.summary.database = "shop";
    record.summary.session = "71aa000000000000";
    record.summary.user = "admin";
    record.summary.method = "model.sale.sale.read";
    record.summary.start = base::utc_now();
    record.summary.wall = std::chrono::milliseconds(42);
    batch.calls.push_back(record);
    const auto stored = write_->with([&](perf::OpenStore& open) { return open.store->append(batch); });
    ASSERT_TRUE(stored) << stored.error().message();
  }

  net::Role role_ = net::Role::kLocal;
  std::filesystem::path folder_;
  std::string url_;
  std::unique_ptr<StorePool> read_;
  std::unique_ptr<StorePool> write_;
  Configuration configuration_;
  BlockingWatch blocking_{{}};
  net::Router router_;
};

TEST_F(ApiTest, ServesAReportAsJsonWithItsPage) {
  record_a_call();
  const net::Response response = call("GET", {"api", "perf", "method"}, query({{"session", "71"}}));
  ASSERT_EQ(response.status, 200) << response.body;
  const json body = json::parse(response.body);
  EXPECT_EQ(body["rows"][0]["method"], "model.sale.sale.read");
  EXPECT_EQ(body["rows"][0]["time"], 0.042);
  EXPECT_EQ(body["total"], 1);
  EXPECT_EQ(body["columns"][0]["name"], "method");
  EXPECT_EQ(body["limit"], 100);
}

TEST_F(ApiTest, ComparesTwoSides) {
  record_a_call();
  const net::Parameters sides = query({{"a", "71"}, {"b", "1h.."}, {"by", "method"}, {"threshold", "20%"}});
  const net::Response response = call("GET", {"api", "perf", "diff"}, sides);
  ASSERT_EQ(response.status, 200) << response.body;
  const json body = json::parse(response.body);
  EXPECT_EQ(body["summary"]["threshold"], 0.2);
  EXPECT_EQ(body["rows"][0]["verdict"], "few");
  EXPECT_EQ(body["columns"][2]["format"], "ratio");
  EXPECT_EQ(call("GET", {"api", "perf", "diff"}, query({{"a", "71"}})).status, 400);
  EXPECT_EQ(call("GET", {"api", "perf", "diff"}, query({{"a", "71"}, {"b", "zz"}})).status, 404);
  EXPECT_THAT(call("GET", {"api", "perf", "diff"}, query({{"a", "71"}, {"x", "1"}})).body,
              HasSubstr("diff accepts a, b, by"));
}

TEST_F(ApiTest, AdvisesAndHandsOutFiles) {
  record_a_call();
  const json advice = json::parse(call("GET", {"api", "perf", "advice"}, query({{"session", "71"}})).body);
  EXPECT_EQ(advice["total"], 0);
  EXPECT_THAT(advice["note"].get<std::string>(), HasSubstr("0 findings in 1 calls"));
  const net::Response file =
      call("GET", {"api", "perf", "export"}, query({{"session", "71"}, {"format", "csv"}}));
  ASSERT_EQ(file.status, 200) << file.body;
  EXPECT_EQ(*file.headers.find("Content-Disposition"), "attachment; filename=\"shop-71aa0000-call.csv\"");
  EXPECT_EQ(call("GET", {"api", "perf", "export"}, query({{"session", "71"}, {"format", "svg"}})).status,
            400);
}

TEST_F(ApiTest, AsksForPlansOfKnownDatabasesOnlyAndRunsThemForAdministratorsOnly) {
  record_a_call();
  const net::Response unknown =
      call("GET", {"api", "perf", "explain"}, query({{"session", "71"}, {"rank", "1"}}));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("[perf.databases]"));
  EXPECT_EQ(call("GET", {"api", "perf", "explain"}, query({{"session", "71"}, {"url", "x"}})).status, 400);
  EXPECT_EQ(router_.match("GET", {"api", "perf", "explain"}).route->access, net::Access::kPrivate);
  EXPECT_EQ(router_.match("POST", {"api", "perf", "explain"}).route->access, net::Access::kWrite);
  EXPECT_EQ(router_.match("GET", {"api", "perf", "export"}).route->access, net::Access::kPrivate);
}

TEST_F(ApiTest, TellsNoStacksToViewersAndOnlyThoseOfRunningCalls) {
  EXPECT_EQ(router_.match("GET", {"api", "perf", "stack"}).route->access, net::Access::kPrivate);
  const net::Response nothing = call("GET", {"api", "perf", "stack"});
  ASSERT_EQ(nothing.status, 200) << nothing.body;
  EXPECT_EQ(nothing.body, "{\"stacks\":[]}\n");
  EXPECT_EQ(call("GET", {"api", "perf", "stack"}, query({{"which", "no-such-call"}})).status, 404);
  EXPECT_EQ(call("GET", {"api", "perf", "stack"}, query({{"which", "../x"}})).status, 400);
  EXPECT_EQ(call("GET", {"api", "perf", "stack"}, query({{"process", "1"}})).status, 400);
}

TEST_F(ApiTest, SaysThatTheStoreIsAwayAndFindsItWhenItComes) {
  EXPECT_EQ(call("GET", {"api", "perf", "session"}).status, 503);
  record_a_call();
  EXPECT_EQ(call("GET", {"api", "perf", "session"}).status, 200);
}

TEST_F(ApiTest, MapsErrorsToStatuses) {
  record_a_call();
  EXPECT_EQ(call("GET", {"api", "perf", "method"}).status, 400);
  EXPECT_EQ(call("GET", {"api", "perf", "method"}, query({{"session", "nobody"}})).status, 404);
  EXPECT_EQ(call("GET", {"api", "perf", "nothing"}).status, 404);
  EXPECT_THAT(call("GET", {"api", "perf", "nothing"}).body, HasSubstr("\"error\":{\"code\":\"not_found\""));
}

TEST_F(ApiTest, AddsListsAndRemovesRules) {
  const net::Response added =
      call("POST", {"api", "perf", "rules"}, {}, R"({"users":["admin"],"for":"10m"})");
  ASSERT_EQ(added.status, 201) << added.body;
  const std::string id = json::parse(added.body)["id"];
  EXPECT_EQ(*added.headers.find("Location"), "/api/perf/rules/" + id);
  perf::Batch batch;
  batch.process.emplace();
  batch.process->host = "app1";
  batch.process->seen = base::utc_now();
  batch.process->rules.resize(1);
  ASSERT_TRUE(write_->with([&](perf::OpenStore& open) { return open.store->append(batch); }));
  const auto listed = json::parse(call("GET", {"api", "perf", "rules"}).body);
  EXPECT_EQ(listed["rules"][0]["id"], id);
  ASSERT_EQ(listed["of_files"].size(), 1U);
  EXPECT_EQ(listed["of_files"][0]["hosts"][0], "app1");
  EXPECT_EQ(call("DELETE", {"api", "perf", "rules", id}).status, 204);
  EXPECT_EQ(call("DELETE", {"api", "perf", "rules", id}).status, 404);
}

TEST_F(ApiTest, LetsNobodyChangeRulesWithoutAToken) {
  EXPECT_EQ(router_.match("POST", {"api", "perf", "rules"}).route->access, net::Access::kWrite);
  EXPECT_EQ(router_.match("DELETE", {"api", "perf", "rules", "r1"}).route->access, net::Access::kWrite);
  EXPECT_EQ(router_.match("GET", {"api", "perf", "rules"}).route->access, net::Access::kRead);
}

TEST_F(ApiTest, ShowsThePagesWhereTheApiIsNot) {
  static constexpr std::array<unsigned char, 1> kBytes{0};
  const net::Asset page{"/index.html", "text/html; charset=utf-8", "aa", kBytes};
  const net::StaticFiles pages({&page, 1});
  add_pages(router_, pages);
  EXPECT_EQ(router_.match("GET", {}).route->access, net::Access::kPublic);
  EXPECT_EQ(router_.match("GET", {"session", "71"}).route->pattern, "/*");
  EXPECT_EQ(router_.match("GET", {"api"}).route, nullptr);
  EXPECT_EQ(router_.match("GET", {"health"}).route, nullptr);
}

TEST_F(ApiTest, HasTheBrowserFetchTheFirstRowsWithThePageWhereAllBegins) {
  static constexpr std::array<unsigned char, 1> kBytes{0};
  const net::Asset page{"/index.html", "text/html; charset=utf-8", "aa", kBytes};
  const net::StaticFiles pages({&page, 1});
  add_pages(router_, pages);
  const auto link = [&](std::string path, net::Parameters parameters) {
    net::Request request;
    request.path = std::move(path);
    request.query = std::move(parameters);
    request.headers.add("Accept-Encoding", "gzip");
    const net::Response answer = router_.match("GET", {}).route->handler(request);
    EXPECT_EQ(answer.status, 200);
    const std::string* header = answer.headers.find("Link");
    return header == nullptr ? std::string() : *header;
  };
  EXPECT_EQ(link("/", {}), "</api/perf/session?limit=200&offset=0>; rel=preload; as=fetch; crossorigin");
  EXPECT_EQ(link("/", query({{"sort", "-tm"}})), "");
  EXPECT_EQ(link("/live", {}), "");
}

TEST_F(ApiTest, ShowsAViewerNoBodiesAndNoBoundValues) {
  record_a_call();
  role_ = net::Role::kViewer;
  for (const char* report : {"io", "db", "query"}) {
    EXPECT_EQ(call("GET", {"api", "perf", report}, query({{"session", "71"}})).status, 403) << report;
  }
  EXPECT_EQ(call("GET", {"api", "perf", "method"}, query({{"session", "71"}})).status, 200);
  role_ = net::Role::kAdministrator;
  EXPECT_EQ(call("GET", {"api", "perf", "io"}, query({{"session", "71"}})).status, 200);
}

TEST_F(ApiTest, TakesJsonOnlySoThatNoFormCanPost) {
  const net::Match match = router_.match("POST", {"api", "perf", "rules"});
  net::Request request;
  request.body = R"({"users":["admin"]})";
  request.headers.add("Content-Type", "text/plain");
  EXPECT_EQ(match.route->handler(request).status, 415);
}

TEST_F(ApiTest, CountsInMetricsWhatGrewAndKeepsLabelsBounded) {
  net::ServerOptions options;
  options.listen = {{"127.0.0.1", 0, ""}};
  const auto server = net::Server::create(options, net::Router());
  ASSERT_TRUE(server);
  ServeMetrics metrics;
  std::vector<perf::MethodCount> counts(40);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i].database = "database" + std::to_string(i);
    counts[i].method = "model.x.read\"\n";
    counts[i].hour = 1;
    counts[i].count = 5;
  }
  metrics.add_counts(counts);
  counts[0].count = 7;
  metrics.add_counts(counts);
  const std::string text = metrics.text(**server);
  EXPECT_THAT(text, HasSubstr("headroom_calls_total{database=\"database0\",kind=\"rpc\"} 7"));
  EXPECT_THAT(text, HasSubstr("database=\"other\""));
  EXPECT_THAT(text, Not(HasSubstr("database=\"database39\"")));
  EXPECT_THAT(text, Not(HasSubstr("model.x.read")));
}

}  // namespace
}  // namespace headroom::cli
