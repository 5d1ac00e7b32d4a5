// The work lists over HTTP: a real PostgreSQL, its log, and clients over sockets.

#include "headroom/worklist_api.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "headroom/bus_client.hpp"
#include "net/client_test.hpp"
#include "net/server.hpp"
#include "net/sign_in.hpp"
#include "sql/postgres.hpp"
#include "tests/servers/postgresql.hpp"
#include "worklist/plan.hpp"

namespace headroom::cli {
namespace {

using namespace std::chrono_literals;
using base::ErrorCode;
using base::fail;
using Clock = std::chrono::steady_clock;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kToken = "0123456789abcdef0123456789abcdef";

constexpr std::string_view kYaml = R"yaml(
catalogs:
  sale:
    table: sale
    columns: {id: integer, state: text, owner: integer}
    security:
      - {column: owner, role: Owner}
  odd:
    query: SELECT id, state, owner FROM sale WHERE id % 2 = 1
    columns: {id: integer, state: text, owner: integer}
    security:
      - {column: owner, role: Owner}
lists:
  - {id: done, workflow: sale, title: "Done (%(count)s)", catalog: sale, criteria: {state: done}}
  - {id: draft, workflow: sale, title: "Drafts (%(count)s)", url: "sale?state=%(state)s", catalog: sale, criteria: {state: draft}}
  - {id: secret, workflow: sale, title: Secret, catalog: sale, criteria: {state: draft}, guard: {roles: Manager}}
  - {id: odd, workflow: sale, title: "Odd (%(count)s)", catalog: odd, criteria: {state: draft}}
users:
  table: app_user
  roles: SELECT role FROM user_role WHERE user_id = :user
)yaml";

testing::PostgresServer& shared_server() {
  static testing::PostgresServer made({"wal_level = logical", "fsync = off", "max_replication_slots = 20"});
  return made;
}

std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}

std::string header_of(const std::string& response, const std::string& name) {
  const std::size_t at = response.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return response.substr(begin, response.find("\r\n", begin) - begin);
}

/// Server-sent events as they come.
class Events {
 public:
  Events(const net::Endpoint& endpoint, const std::string& request)
      : channel_(BusChannel::connect(endpoint, 10s).value()) {
    EXPECT_TRUE(channel_.write(request));
    head_ = until("\r\n\r\n");
  }

  [[nodiscard]] const std::string& head() const { return head_; }
  /// The data of the next event of that name; of others nothing.
  json next(const std::string& name) {
    while (true) {
      const std::string text = until("\n\n");
      if (text.empty()) return {{"nothing", "came"}};
      if (text.starts_with("event: " + name + "\n")) return json::parse(text.substr(text.find("data: ") + 6));
    }
  }
  /// What comes within that time.
  std::string within(std::chrono::milliseconds time) {
    auto more = channel_.read(time);
    if (more && *more) bytes_ += **more;
    return bytes_;
  }

 private:
  std::string until(std::string_view end) {
    while (bytes_.find(end) == std::string::npos) {
      auto more = channel_.read(20s);
      if (!more || !*more || (*more)->empty()) return {};
      bytes_ += **more;
    }
    const std::size_t size = bytes_.find(end) + end.size();
    std::string taken = bytes_.substr(0, size);
    bytes_.erase(0, size);
    return taken;
  }

  BusChannel channel_;
  std::string bytes_;
  std::string head_;
};

/// Two users, whose tokens are their names; Anna is a manager, and root an administrator's token.
class WorklistApi : public ::testing::Test {
 protected:
  WorklistApi() {
    static int number = 0;
    database_ = fmt::format("api{}", ++number);
    std::string pattern = (std::filesystem::temp_directory_path() / "worklist-api-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream(folder_ / "worklists.yaml") << kYaml;
    run("CREATE DATABASE " + database_, "postgres");
    run("CREATE TABLE sale (id integer PRIMARY KEY, state text, owner integer)");
    run("CREATE TABLE app_user (id integer PRIMARY KEY)");
    run("CREATE TABLE user_role (user_id integer, role text)");
    run("INSERT INTO app_user VALUES (7), (8)");
    run("INSERT INTO user_role VALUES (7, 'Owner'), (7, 'Manager'), (8, 'Owner')");
    run("INSERT INTO sale VALUES (1, 'draft', 7), (2, 'draft', 7), (3, 'draft', 8), (4, 'done', 8)");
    run("CREATE PUBLICATION headroom_worklist FOR TABLE sale WITH (publish_via_partition_root = true)");
    section_.live = true;
    section_.file = (folder_ / "worklists.yaml").string();
    section_.url = shared_server().url(database_);
    options_.listen = {{"127.0.0.1", 0, ""}};
    options_.access.sign_in =
        std::make_shared<net::SignIn>(net::Token::from_text(kToken).value(), std::nullopt);
    authority_.token = [this](std::string_view token) -> base::Result<WorklistProof> {
      if (token == revoked_) return fail(ErrorCode::kDenied, "the token was revoked");
      if (token == "root") return WorklistProof{"root", true};
      if (token == "7" || token == "8") return WorklistProof{std::string(token), false};
      return fail(ErrorCode::kDenied, "the token is wrong");
    };
  }
  ~WorklistApi() override {
    if (service_) service_->stop();
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    auto service = WorklistService::create(section_);
    ASSERT_TRUE(service) << service.error().message();
    service_ = std::move(*service);
    net::Router router;
    add_worklist_api(router, {*service_, authority_});
    auto server = net::Server::create(options_, std::move(router));
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    service_->start(*server_);
    thread_ = std::thread([this] { (void)server_->run(); });
  }
  void start_and_load() {
    start();
    ASSERT_TRUE(reaches("current"));
  }
  bool reaches(const std::string& state) {
    for (int i = 0; i < 1500; ++i) {
      if (json::parse(body_of(get("/api/worklist")))["state"] == state) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }

  std::string run(const std::string& statement, const std::string& database = {}) {
    auto connection = sql::PostgresConnection::connect(
                          shared_server().url(database.empty() ? database_ : database), Clock::now() + 1min)
                          .value();
    const auto rows = connection.query(statement, {}, Clock::now() + 1min);
    if (!rows) throw std::runtime_error(fmt::format("{}: {}", rows.error().message(), statement));
    return rows->empty() ? "" : rows->front().front().value_or("");
  }
  std::string written() { return run("SELECT pg_current_wal_insert_lsn()"); }

  static std::string request(std::string_view method, std::string_view path, const std::string& more = {},
                             std::string_view body = {}) {
    return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}", method, path,
                       more, body.size(), body);
  }
  static std::string as(const std::string& token) { return "Authorization: Bearer " + token + "\r\n"; }
  std::string ask(const std::string& bytes) const {
    net::Client client(server_->endpoints().front());
    client.send(bytes);
    return client.read_responses(1);
  }
  std::string get(const std::string& path, const std::string& more = {}) const {
    return ask(request("GET", path, more));
  }
  json get_json(const std::string& path, const std::string& more = {}) const {
    const std::string response = get(path, more);
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200"));
    return json::parse(body_of(response), nullptr, false);
  }
  /// {"sale/draft": [2, "live"]}
  static json numbers(const json& body) {
    json told = json::object();
    for (const json& list : body["lists"]) told[list["list"]] = {list["count"], list["way"]};
    return told;
  }

  std::string database_;
  std::filesystem::path folder_;
  WorklistSection section_;
  net::ServerOptions options_;
  std::string revoked_;
  WorklistAuthority authority_;
  std::unique_ptr<WorklistService> service_;
  std::unique_ptr<net::Server> server_;
  std::thread thread_;
};

TEST_F(WorklistApi, TellsAUserHisOwnCountsAndHowEachWasCounted) {
  start_and_load();
  const json anna = get_json("/worklist/counts", as("7"));
  EXPECT_EQ(anna["user"], "7");
  EXPECT_EQ(anna["state"], "current");
  EXPECT_GT(anna["lsn"].get<std::string>().size(), 2U);
  EXPECT_LT(anna["age_ms"].get<int>(), 60'000);
  EXPECT_EQ(numbers(anna), json::parse(R"({"sale/draft": [2, "live"], "sale/secret": [2, "live"],
                                           "sale/odd": [1, "sql"]})"));
  EXPECT_EQ(anna["lists"][0]["name"], "Drafts (2)");
  EXPECT_EQ(anna["lists"][0]["url"], "sale?state=draft");
  const json ben = get_json("/worklist/counts?all=1", as("8"));
  EXPECT_EQ(numbers(ben), json::parse(R"({"sale/done": [1, "live"], "sale/draft": [1, "live"],
                                          "sale/odd": [1, "sql"]})"));
  EXPECT_EQ(numbers(get_json("/worklist/counts?way=live", as("8"))),
            json::parse(R"({"sale/done": [1, "live"], "sale/draft": [1, "live"]})"));
}

TEST_F(WorklistApi, ShowsNobodyTheListsOfAnother) {
  start_and_load();
  EXPECT_THAT(get("/worklist/counts"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(get("/worklist/counts", as("9")), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(get("/worklist/counts?user=8", as("7")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/worklist/lists/sale/draft?user=8", as("7")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/worklist/lists/sale/draft/documents?user=8", as("7")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/worklist/events?user=8", as("7")), StartsWith("HTTP/1.1 403"));
  EXPECT_EQ(get_json("/worklist/counts?user=8", as("root"))["user"], "8");
  EXPECT_EQ(get_json("/api/worklist/users/8/counts")["user"], "8") << "who uses this machine";
  EXPECT_THAT(get("/api/worklist/users/99/counts"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(get("/worklist/counts", as("7") + "Sec-Fetch-Site: cross-site\r\n"),
              StartsWith("HTTP/1.1 403"));
}

TEST_F(WorklistApi, AnswersOneListAndItsDocumentsPageByPage) {
  start_and_load();
  EXPECT_EQ(get_json("/worklist/lists/sale/done", as("7"))["list"]["count"], 0);
  EXPECT_EQ(get_json("/worklist/lists/sale/odd", as("7"))["list"]["way"], "sql");
  EXPECT_THAT(get("/worklist/lists/sale/odd?way=live", as("7")), StartsWith("HTTP/1.1 409"));
  EXPECT_THAT(get("/worklist/lists/sale/secret", as("8")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/worklist/lists/sale/none", as("7")), StartsWith("HTTP/1.1 404"));
  const json first = get_json("/worklist/lists/sale/draft/documents?limit=1", as("7"));
  EXPECT_EQ(first["documents"], json::parse(R"(["1"])"));
  EXPECT_EQ(first["next"], "1");
  const json second = get_json("/worklist/lists/sale/draft/documents?limit=2&after=1", as("7"));
  EXPECT_EQ(second["documents"], json::parse(R"(["2"])"));
  EXPECT_TRUE(second["next"].is_null());
  EXPECT_THAT(get("/worklist/lists/sale/secret/documents", as("8")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/worklist/counts?limit=1", as("7")), StartsWith("HTTP/1.1 400"));
}

TEST_F(WorklistApi, SendsNothingWhenNoNumberChanged) {
  start_and_load();
  const std::string response = get("/worklist/counts", as("7"));
  const std::string tag = header_of(response, "ETag");
  ASSERT_FALSE(tag.empty());
  const std::string known = as("7") + "If-None-Match: " + tag + "\r\n";
  run("INSERT INTO sale VALUES (10, 'draft', 8)");
  const std::string unchanged = get("/worklist/counts?lsn=" + written() + "&wait=10s", known);
  EXPECT_THAT(unchanged, StartsWith("HTTP/1.1 304"));
  EXPECT_EQ(header_of(unchanged, "X-Headroom-State"), "current");
  EXPECT_NE(header_of(unchanged, "X-Headroom-LSN"), header_of(response, "X-Headroom-LSN"));
  run("INSERT INTO sale VALUES (12, 'draft', 7)");
  EXPECT_THAT(get("/worklist/counts?lsn=" + written() + "&wait=10s", known), StartsWith("HTTP/1.1 200"));
}

TEST_F(WorklistApi, GivesAUsersListsAsHtmlThatChangesOnlyWithThem) {
  start_and_load();
  const std::string first = get("/worklist/fragment", as("7"));
  EXPECT_EQ(header_of(first, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(header_of(first, "Cache-Control"), "private, no-cache");
  EXPECT_EQ(header_of(first, "X-Headroom-State"), "current");
  EXPECT_THAT(body_of(first),
              HasSubstr("<a class=\"headroom-worklist-name\" href=\"sale?state=draft\">Drafts (2)</a>"));
  EXPECT_THAT(body_of(first), Not(HasSubstr("sale/done"))) << "nothing is in it";
  EXPECT_THAT(body_of(get("/worklist/fragment?all=1&group=none", as("7"))),
              HasSubstr("data-list=\"sale/done\" data-count=\"0\""));
  const std::string known = as("7") + "If-None-Match: " + header_of(first, "ETag") + "\r\n";
  run("INSERT INTO sale VALUES (80, 'draft', 8)");
  EXPECT_THAT(get("/worklist/fragment?lsn=" + written() + "&wait=10s", known), StartsWith("HTTP/1.1 304"));
  run("INSERT INTO sale VALUES (81, 'draft', 7)");
  const std::string changed = get("/worklist/fragment?lsn=" + written() + "&wait=10s", known);
  EXPECT_THAT(changed, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(changed, HasSubstr("Drafts (3)</a>"));
  EXPECT_THAT(get("/worklist/fragment?group=owner", as("7")), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(get("/worklist/fragment?user=8", as("7")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(get("/worklist/fragment"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(get("/worklist/counts?group=none", as("7")), StartsWith("HTTP/1.1 400"))
      << "of a fragment alone";
}

TEST_F(WorklistApi, TellsOlderNumbersOfStatementsToWhomTheyWillDo) {
  section_.rights_age = 1s;
  start_and_load();
  const auto told = [this](const std::string& more, const std::string& user = "7") {
    return get_json("/worklist/counts" + more, as(user));
  };
  const json first = told("?age=1m");
  EXPECT_TRUE(first["kept_ms"].is_null()) << "nothing was kept yet";
  run("INSERT INTO sale VALUES (91, 'draft', 7), (93, 'draft', 7)");
  const std::string lsn = written();
  ASSERT_EQ(told("?way=live&wait=10s&lsn=" + lsn)["lists"][0]["count"], 4);
  const json kept = told("?age=1m");
  EXPECT_EQ(numbers(kept), json::parse(R"({"sale/draft": [4, "live"], "sale/secret": [4, "live"],
                                           "sale/odd": [1, "sql"]})"));
  EXPECT_GE(kept["kept_ms"], 0);
  EXPECT_THAT(get("/worklist/fragment?age=1m", as("7")), HasSubstr("Odd (1)"));
  EXPECT_EQ(numbers(told("?age=1m", "8"))["sale/odd"][0], 1) << "those of another user are his own";
  EXPECT_EQ(numbers(told(""))["sale/odd"][0], 3) << "who asks for none gets none";
  EXPECT_EQ(numbers(told("?age=1m&wait=10s&lsn=" + lsn))["sale/odd"][0], 3) << "nor who wrote something";
  run("INSERT INTO user_role VALUES (7, 'Clerk')");
  for (int i = 0; i < 500 && numbers(told("?age=1m"))["sale/odd"][0] != 3; ++i)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(numbers(told("?age=1m"))["sale/odd"][0], 3) << "with other rights it is counted anew";
  EXPECT_THAT(get("/worklist/counts?age=6m", as("7")), StartsWith("HTTP/1.1 400"));
}

TEST_F(WorklistApi, TellsWhatCountingCostsAndHowItIsDone) {
  run("ANALYZE sale");
  start_and_load();
  const json plan = get_json("/api/worklist/users/8/plan");
  EXPECT_EQ(plan["user"], "8");
  EXPECT_EQ(plan["chosen"], "join");
  EXPECT_EQ(plan["why"], "nothing is known of the size of odd; ANALYZE tells it");
  EXPECT_EQ(plan["ways"], json::array());
  EXPECT_EQ(plan["catalogs"],
            json::parse(R"([{"catalog": "sale", "documents": 4.0}, {"catalog": "odd", "documents": null}])"));
  ASSERT_EQ(plan["lists"].size(), 4U);
  EXPECT_EQ(plan["lists"][0]["list"], "sale/done");
  EXPECT_EQ(plan["lists"][0]["fate"], "counted");
  EXPECT_EQ(plan["lists"][0]["ways"].size(), worklist::kAllWays.size()) << "of this one all is known";
  EXPECT_THAT(plan["lists"][2]["not_live"].get<std::string>(), HasSubstr("it is a query"));
  EXPECT_EQ(plan["lists"][3]["fate"], "hidden");
  EXPECT_TRUE(plan["lists"][3]["way"].is_null());

  const json one = get_json("/api/worklist/users/7/plan?list=sale/draft&way=each");
  EXPECT_EQ(one["way"], "each");
  EXPECT_EQ(one["ways"].size(), worklist::kAllWays.size());
  EXPECT_EQ(one["lists"].size(), 1U);
  EXPECT_EQ(one["statements_total"], 1);
  EXPECT_THAT(one["statements"][0]["text"].get<std::string>(), StartsWith("SELECT count(*)"));
  EXPECT_EQ(one["passes"].back()["pass"], "each");
  EXPECT_THAT(get("/api/worklist/users/7/plan?list=sale/none"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(get("/api/worklist/users/7/plan?way=fast"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(get("/api/worklist/users/99/plan"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(get("/worklist/plan", as("7")), Not(StartsWith("HTTP/1.1 2")))
      << "it is for whoever runs the service";
}

TEST_F(WorklistApi, FindsUsersByTheBeginningOfTheirIds) {
  run("INSERT INTO app_user SELECT 70 + n FROM generate_series(0, 5) AS n");
  start();
  EXPECT_EQ(get_json("/api/worklist/users?beginning=7"),
            json::parse(R"({"users": ["7", "70", "71", "72", "73", "74", "75"], "more": false})"));
  EXPECT_EQ(get_json("/api/worklist/users?limit=2"), json::parse(R"({"users": ["7", "70"], "more": true})"));
  EXPECT_EQ(get_json("/api/worklist/users?beginning=%25")["users"], json::array()) << "no pattern";
  EXPECT_EQ(get_json("/api/worklist/users?beginning=7'%20OR%201")["users"], json::array());
  EXPECT_THAT(get("/api/worklist/users?limit=201"), StartsWith("HTTP/1.1 400"));
}

TEST_F(WorklistApi, WaitsForWhatTheReaderWroteAndSaysWhenItDoesNotCome) {
  start_and_load();
  for (int id = 20; id < 40; ++id) {
    run(fmt::format("INSERT INTO sale VALUES ({}, 'draft', 7)", id));
    const json body = get_json("/worklist/lists/sale/draft?way=live&wait=10s&lsn=" + written(), as("7"));
    EXPECT_EQ(body["list"]["count"], id - 17);
  }
  const std::string late = get("/worklist/counts?way=live&wait=10ms&lsn=FFFF/0", as("7"));
  EXPECT_THAT(late, StartsWith("HTTP/1.1 504"));
  EXPECT_THAT(late, HasSubstr("did not reach FFFF/0"));
  const json counted = get_json("/worklist/lists/sale/draft?wait=10ms&lsn=FFFF/0", as("7"));
  EXPECT_EQ(counted["list"]["way"], "sql") << "the database has it, whatever the counters have";
  EXPECT_EQ(counted["list"]["count"], 22);
  EXPECT_THAT(get("/worklist/counts?lsn=12", as("7")), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(get("/worklist/counts?wait=11s", as("7")), StartsWith("HTTP/1.1 400"));
}

TEST_F(WorklistApi, CountsByStatementsUntilTheCountersAreThere) {
  auto writer = sql::PostgresConnection::connect(section_.url, Clock::now() + 1min).value();
  ASSERT_TRUE(writer.query("BEGIN", {}, Clock::now() + 1min));
  ASSERT_TRUE(writer.query("INSERT INTO sale VALUES (50, 'draft', 7)", {}, Clock::now() + 1min));
  start();
  ASSERT_TRUE(reaches("waiting"));
  const json body = get_json("/worklist/lists/sale/draft", as("7"));
  EXPECT_EQ(body["list"]["way"], "sql");
  EXPECT_EQ(body["list"]["count"], 2);
  EXPECT_EQ(body["state"], "waiting");
  EXPECT_TRUE(body["lsn"].is_null());
  const std::string refused = get("/worklist/counts?way=live", as("7"));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(refused, HasSubstr("nothing is counted in memory yet: waiting"));
  ASSERT_TRUE(writer.query("COMMIT", {}, Clock::now() + 1min));
  ASSERT_TRUE(reaches("current"));
  EXPECT_EQ(get_json("/worklist/lists/sale/draft?way=live", as("7"))["list"]["count"], 3);
}

TEST_F(WorklistApi, TellsChangesAsTheyAreCommitted) {
  start_and_load();
  Events events(server_->endpoints().front(), request("GET", "/worklist/events", as("7")));
  EXPECT_THAT(events.head(), HasSubstr("text/event-stream"));
  EXPECT_EQ(events.next("counts")["counts"],
            json::parse(R"({"sale/done": 0, "sale/draft": 2, "sale/secret": 2})"));
  run("INSERT INTO sale VALUES (60, 'draft', 8)");
  run("UPDATE sale SET state = 'done' WHERE id = 1");
  const json changed = events.next("counts");
  EXPECT_EQ(changed["counts"], json::parse(R"({"sale/done": 1, "sale/draft": 1, "sale/secret": 1})"));
  EXPECT_EQ(changed["state"], "current");
  run("INSERT INTO sale VALUES (61, 'cancelled', 7), (62, 'draft', 8)");
  EXPECT_THAT(events.within(300ms), Not(HasSubstr("event: counts"))) << "nothing of his changed";
  run("DELETE FROM sale WHERE owner = 7 AND state = 'done'");
  EXPECT_EQ(events.next("counts")["counts"], json::parse(R"({"sale/done": 0})"));
}

TEST_F(WorklistApi, BeginsAStreamWhenTheRightsAreReadHoweverLongThatTakes) {
  start_and_load();
  auto locker = sql::PostgresConnection::connect(section_.url, Clock::now() + 1min).value();
  ASSERT_TRUE(locker.query("BEGIN", {}, Clock::now() + 1min));
  ASSERT_TRUE(locker.query("LOCK TABLE user_role", {}, Clock::now() + 1min));
  auto channel = BusChannel::connect(server_->endpoints().front(), 10s).value();
  ASSERT_TRUE(channel.write(request("GET", "/worklist/events", as("7"))));
  EXPECT_FALSE(channel.read(500ms).value()) << "nothing is told before it is known what he may see";
  ASSERT_TRUE(locker.query("COMMIT", {}, Clock::now() + 1min));
  EXPECT_THAT(channel.read(20s).value().value_or(""), StartsWith("HTTP/1.1 200"));
}

TEST_F(WorklistApi, TellsTheStateAndTheNumbersAfterALoss) {
  start_and_load();
  Events events(server_->endpoints().front(), request("GET", "/api/worklist/users/7/events"));
  EXPECT_EQ(events.next("state")["state"], "current");
  EXPECT_EQ(events.next("counts")["counts"]["sale/draft"], 2);
  auto writer = sql::PostgresConnection::connect(section_.url, Clock::now() + 1min).value();
  ASSERT_TRUE(writer.query("BEGIN", {}, Clock::now() + 1min));
  ASSERT_TRUE(writer.query("INSERT INTO sale VALUES (70, 'draft', 7)", {}, Clock::now() + 1min));
  run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headroom worklist "
      "log'"
      " AND datname = current_database()");
  EXPECT_EQ(events.next("state")["state"], "rebuilding");
  ASSERT_TRUE(writer.query("COMMIT", {}, Clock::now() + 1min));
  EXPECT_EQ(events.next("counts")["counts"], json::parse(R"({"sale/draft": 3, "sale/secret": 3})"));
  EXPECT_GE(json::parse(body_of(get("/api/worklist")))["rebuilds"], 1);
}

TEST_F(WorklistApi, EndsAStreamWhoseTokenDoesNotHoldAnyMore) {
  start_and_load();
  Events events(server_->endpoints().front(), request("GET", "/worklist/events", as("7")));
  EXPECT_EQ(events.next("counts")["counts"]["sale/draft"], 2);
  service_->post([this] { revoked_ = "7"; });
  const json end = events.next("end");
  EXPECT_EQ(end["code"], "denied");
  EXPECT_EQ(end["message"], "the token was revoked");
}

TEST_F(WorklistApi, ReadsTheRightsAgainAndTakesThemFromAnApplication) {
  section_.rights_age = 1s;
  start_and_load();
  Events events(server_->endpoints().front(), request("GET", "/worklist/events", as("8")));
  EXPECT_EQ(events.next("counts")["counts"], json::parse(R"({"sale/done": 1, "sale/draft": 1})"));
  run("INSERT INTO user_role VALUES (8, 'Manager')");
  EXPECT_EQ(events.next("counts")["counts"], json::parse(R"({"sale/secret": 1})"));
  run("DELETE FROM user_role WHERE user_id = 8");
  EXPECT_EQ(events.next("counts")["counts"], json::parse(R"({"sale/secret": null})"));

  const std::string rights = R"({"id": 8, "roles": ["Manager"], "security_uids": []})";
  const std::string type = "Content-Type: application/json\r\n";
  EXPECT_THAT(ask(request("PUT", "/api/worklist/users/8", type, rights)), StartsWith("HTTP/1.1 401"));
  const std::string put = type + as(std::string(kToken));
  EXPECT_THAT(ask(request("PUT", "/api/worklist/users/7", put, rights)), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask(request("PUT", "/api/worklist/users/8", put, "{}")), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask(request("PUT", "/api/worklist/users/8", put, rights)), StartsWith("HTTP/1.1 204"));
  EXPECT_EQ(events.next("counts")["counts"], json::parse(R"({"sale/secret": 1})"));
}

TEST_F(WorklistApi, SaysWhichListsAreLiveAndCountsAnewWhenAnAdministratorAsks) {
  start_and_load();
  const json status = get_json("/api/worklist");
  EXPECT_EQ(status["documents"], 4);
  EXPECT_EQ(status["lists"][0], json::parse(R"({"list": "sale/done", "way": "live", "why": ""})"));
  EXPECT_EQ(status["lists"][2]["way"], "sql");
  EXPECT_THAT(status["lists"][2]["why"].get<std::string>(), HasSubstr("it is a query"));
  EXPECT_THAT(ask(request("POST", "/api/worklist/refresh")), Not(StartsWith("HTTP/1.1 2")));
  EXPECT_THAT(ask(request("POST", "/api/worklist/refresh", as(std::string(kToken)))),
              StartsWith("HTTP/1.1 202"));
  for (int i = 0; i < 500 && get_json("/api/worklist")["rebuilds"] == 0; ++i)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(get_json("/api/worklist")["rebuilds"], 1);
  ASSERT_TRUE(reaches("current"));
}

TEST_F(WorklistApi, CountsByStatementsInAWayThatTheSiteAllows) {
  // The document is there for a statement that asks for one list alone, as it is written.
  std::string yaml(kYaml);
  yaml.replace(yaml.find("id % 2 = 1"), 10, "current_query() LIKE 'SELECT count(*) FROM%'");
  std::ofstream(folder_ / "worklists.yaml") << yaml;
  section_.ways = {worklist::Way::kEach};
  start_and_load();
  EXPECT_EQ(get_json("/worklist/lists/sale/odd", as("7"))["list"]["count"], 2);
}

TEST_F(WorklistApi, CountsInSqliteAndSaysThatNothingIsLive) {
  section_.url = "sqlite://" + (folder_ / "none.sqlite").string();
  start();
  const json status = get_json("/api/worklist");
  EXPECT_TRUE(status["state"].is_null());
  EXPECT_THAT(status["lists"][0]["why"].get<std::string>(), HasSubstr("the log of PostgreSQL alone"));
  EXPECT_THAT(get("/worklist/counts", as("7")), StartsWith("HTTP/1.1 404")) << "there is no such file";
  EXPECT_THAT(ask(request("POST", "/api/worklist/refresh", as(std::string(kToken)))),
              StartsWith("HTTP/1.1 409"));
}

}  // namespace
}  // namespace headroom::cli
