#include "headroom/tryton_door.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "bus/tryton_payload.hpp"

namespace headroom::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// admin:1:abc, and a key that nobody has.
constexpr const char* kSession = "Session YWRtaW46MTphYmM=";
constexpr const char* kOther = "Session YWRtaW46MTp4eXo=";

std::string digest_of(const char* authorization) {
  return bus::parse_tryton_authorization(authorization)->digest;
}

/// Keeps what the door wants; the test answers when it likes.
class Source final : public TrytonSource {
 public:
  void open(const TrytonDatabase& database) override { opened.push_back(database.name); }
  void close(const std::string& database) override { closed.push_back(database); }
  void ask(const std::string& database, std::string /*statement*/, std::vector<std::string> bound) override {
    asked.push_back(database);
    parameters = std::move(bound);
  }
  void list(const std::string& /*uri*/) override { ++lists; }

  std::vector<std::string> opened;
  std::vector<std::string> closed;
  std::vector<std::string> asked;
  std::vector<std::string> parameters;
  int lists = 0;
};

class TrytonDoorTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.uri = "postgresql://localhost/";
    site_.databases = {"shop", "test_*"};
    site_.session_age = 1h;
    make();
  }
  void make() {
    door_ = std::make_unique<TrytonDoor>(
        site_, source_,
        [this](const std::string& name, const std::string& problem) { reports_[name] = problem; });
    door_->start(now_);
    door_->changed("shop", "", 0);
  }
  net::Request request(const char* authorization = kSession, std::string body = "{}",
                       const std::string& database = "shop") {
    net::Request made;
    made.method = "POST";
    made.path = "/" + database + "/bus";
    made.parameters.add("database", database);
    made.headers.add("Host", "127.0.0.1:7400");
    made.headers.add("Content-Type", "application/json");
    if (*authorization != '\0') made.headers.add("Authorization", authorization);
    made.body = std::move(body);
    return made;
  }
  TrytonDoor::Ticket poll(const net::Request& asked) {
    return door_->handle(now_, asked,
                         [this](net::Response response) { answers_.push_back(std::move(response)); });
  }
  /// Every session holds that is asked for, but the one that nobody has.
  void look_up(const std::string& database = "shop") {
    looked_up_ = source_.asked.size();
    sql::PostgresRows rows;
    if (source_.parameters.at(1).find(digest_of(kSession)) != std::string::npos)
      rows.push_back({"1", digest_of(kSession)});
    door_->answered(now_, database, rows);
  }
  void pass(std::chrono::milliseconds time) {
    for (const auto end = now_ + time; now_ < end;) {
      now_ += 100ms;
      door_->ticked(now_);
      if (source_.asked.size() > looked_up_) look_up(source_.asked.back());
    }
  }
  void notify(const std::string& id, const std::string& channel = "user:1",
              const std::string& database = "shop") {
    door_->notified(now_, database,
                    {R"({"channel":")" + channel + R"(","message":{"message_id":")" + id + R"("}})"});
  }

  TrytonSite site_;
  Source source_;
  std::size_t looked_up_ = 0;  ///< questions that were answered
  std::unique_ptr<TrytonDoor> door_;
  bus::TrytonPolls::Time now_ = bus::TrytonPolls::Time() + 1h;
  std::vector<net::Response> answers_;
  std::map<std::string, std::string> reports_;
};

TEST_F(TrytonDoorTest, AnswersTheMessageAsItCame) {
  const auto ticket = poll(request());
  EXPECT_NE(ticket, 0U);
  look_up();
  EXPECT_THAT(answers_, IsEmpty());
  notify("m1");
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].status, 200);
  EXPECT_EQ(answers_[0].body, R"({"message":{"message_id":"m1"},"channel":"user:1"})");
  EXPECT_EQ(*answers_[0].headers.find("Content-Type"), "application/json");
  door_->gone(ticket);
  EXPECT_EQ(poll(request(kSession, R"({"last_message":null})")), 0U) << "kept, and the session is fresh";
  EXPECT_EQ(answers_.size(), 2U);
}

TEST_F(TrytonDoorTest, AnswersNothingAfterTheWait) {
  (void)poll(request());
  pass(300s);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].body, R"({"message":null,"channel":null})");
}

TEST_F(TrytonDoorTest, RefusesAtOnceWhatIsNoSession) {
  EXPECT_EQ(poll(request("")), 0U);
  EXPECT_EQ(poll(request("Basic YWRtaW46YWRtaW4=")), 0U);
  net::Request by_script = request("Bearer x");
  by_script.headers.add("X-Requested-With", "XMLHttpRequest");
  EXPECT_EQ(poll(by_script), 0U);
  ASSERT_EQ(answers_.size(), 3U);
  for (const net::Response& answer : answers_) EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(*answers_[0].headers.find("WWW-Authenticate"), "Basic realm=\"Tryton\"");
  EXPECT_EQ(answers_[2].headers.find("WWW-Authenticate"), nullptr) << "no question in a browser's window";
  EXPECT_THAT(source_.asked, IsEmpty());
}

TEST_F(TrytonDoorTest, RefusesASessionThatTheDatabaseDoesNotKnow) {
  (void)poll(request(kOther));
  look_up();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].status, 401);
  EXPECT_EQ(answers_[0].body, "");
}

TEST_F(TrytonDoorTest, OrdersItsRefusalsAsTrytondDoes) {
  site_.allow_subscribe = false;
  site_.url_host = "http://bus.example/";
  make();
  (void)poll(request(kOther, "broken"));
  pass(1s);
  (void)poll(request(kSession, "broken"));
  pass(1s);
  site_.allow_subscribe = true;
  make();
  (void)poll(request(kSession, "broken"));
  pass(1s);
  site_.url_host = "";
  make();
  (void)poll(request(kSession, "broken"));
  pass(1s);
  std::vector<int> statuses;
  for (const net::Response& answer : answers_) statuses.push_back(answer.status);
  EXPECT_THAT(statuses, ElementsAre(401, 501, 308, 400));
  EXPECT_THAT(answers_[1].body, HasSubstr("<title>501 Not Implemented</title>"));
  EXPECT_EQ(*answers_[2].headers.find("Location"), "http://bus.example/shop/bus");
  EXPECT_EQ(*answers_[2].headers.find("Cache-Control"), "private, max-age=0");
}

TEST_F(TrytonDoorTest, DoesNotRedirectToItself) {
  site_.url_host = "http://127.0.0.1:7400/";
  make();
  (void)poll(request());
  look_up();
  notify("m1");
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].status, 200);
}

TEST_F(TrytonDoorTest, EncodesTheAddressItRedirectsTo) {
  site_.databases = {"a\"b c"};
  site_.url_host = "https://bus.example/";
  door_ = std::make_unique<TrytonDoor>(site_, source_, [](const auto&, const auto&) {});
  door_->start(now_);
  door_->changed("a\"b c", "", 0);
  (void)poll(request(kSession, "{}", "a\"b c"));
  look_up("a\"b c");
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(*answers_[0].headers.find("Location"), "https://bus.example/a%22b%20c/bus");
}

TEST_F(TrytonDoorTest, LetsAPageOfItsHostReadTheAnswer) {
  net::Request asked = request("");
  asked.headers.add("Origin", "http://127.0.0.1:7400");
  (void)poll(asked);
  EXPECT_EQ(*answers_.at(0).headers.find("Access-Control-Allow-Origin"), "http://127.0.0.1:7400");
  EXPECT_EQ(*answers_.at(0).headers.find("Vary"), "Origin");
}

TEST_F(TrytonDoorTest, SaysOfADatabaseThatIsNotServedThatThereIsNoBus) {
  EXPECT_EQ(poll(request(kSession, "{}", "payroll")), 0U);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].status, 501);
  EXPECT_THAT(source_.opened, ElementsAre("shop"));
}

TEST_F(TrytonDoorTest, ListensToAMatchedDatabaseFromItsFirstPollAndLeavesItWhenIdle) {
  EXPECT_NE(poll(request(kSession, "{}", "test_1")), 0U);
  const auto lost = poll(request(kSession, "{}", "test_2"));
  EXPECT_EQ(source_.lists, 1);
  EXPECT_THAT(source_.opened, ElementsAre("shop")) << "a name is not believed";
  door_->listed(now_, std::vector<std::string>{"shop", "test_1"});
  EXPECT_THAT(source_.opened, ElementsAre("shop", "test_1"));
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].status, 404);
  door_->gone(lost);
  (void)poll(request(kSession, "{}", "test_3"));
  EXPECT_EQ(source_.lists, 1) << "the server was asked a moment ago";
  EXPECT_EQ(answers_.at(1).status, 404);
  door_->changed("test_1", "", 0);
  door_->ticked(now_);
  EXPECT_THAT(source_.asked, ElementsAre("test_1"));
  look_up("test_1");
  notify("m1", "user:1", "test_1");
  EXPECT_EQ(answers_.at(2).status, 200);
  pass(31min);
  EXPECT_THAT(source_.closed, ElementsAre("test_1"));
}

TEST_F(TrytonDoorTest, BoundsItsDatabases) {
  site_.most_databases = 1;
  make();
  (void)poll(request(kSession, "{}", "test_1"));
  door_->listed(now_, std::vector<std::string>{"test_1"});
  EXPECT_EQ(answers_.at(0).status, 503);
}

TEST_F(TrytonDoorTest, AServerThatDoesNotAnswerIsNoEndOfTheBus) {
  (void)poll(request(kSession, "{}", "test_1"));
  door_->listed(now_, base::fail(base::ErrorCode::kUnavailable, "away"));
  EXPECT_EQ(answers_.at(0).status, 503);
  EXPECT_EQ(*answers_.at(0).headers.find("Retry-After"), "1");
  (void)poll(request(kSession, "{}", "test_1"));
  EXPECT_EQ(source_.lists, 2);
}

TEST_F(TrytonDoorTest, ADatabaseThatWasDroppedIsLeft) {
  (void)poll(request(kSession, "{}", "test_1"));
  door_->listed(now_, std::vector<std::string>{"test_1"});
  door_->changed("test_1", "FATAL: database \"test_1\" does not exist", 1);
  EXPECT_EQ(answers_.at(0).status, 404);
  EXPECT_THAT(source_.closed, ElementsAre("test_1"));
}

TEST_F(TrytonDoorTest, WaitsForADatabaseThatIsAwayAndSaysSo) {
  door_->changed("shop", "refused", 1);
  EXPECT_EQ(reports_["shop"], "refused");
  (void)poll(request());
  EXPECT_THAT(source_.asked, IsEmpty());
  now_ += 2s;
  door_->changed("shop", "", 1);
  EXPECT_EQ(reports_["shop"], "");
  pass(1s);
  notify("m1");
  EXPECT_EQ(answers_.at(0).status, 200);
  EXPECT_EQ(door_->figures().at(0).losses, 1U);
}

TEST_F(TrytonDoorTest, CountsWhatIsNoMessageAndGoesOn) {
  (void)poll(request());
  look_up();
  door_->notified(now_, "shop", {"not json", R"({"channel":"user:1","message":{"message_id":"m1"}})"});
  EXPECT_EQ(answers_.at(0).status, 200);
  EXPECT_EQ(door_->figures().at(0).malformed, 1U);
}

TEST_F(TrytonDoorTest, TellsThoseWhoWaitWhenItStops) {
  (void)poll(request());
  (void)poll(request(kSession, "{}", "test_1"));
  door_->stop();
  (void)poll(request());
  ASSERT_EQ(answers_.size(), 3U);
  for (const net::Response& answer : answers_) EXPECT_EQ(answer.status, 503);
}

// Where the databases are
// ---------------------------------------------------------------------------------------------------------

base::Result<TrytonSite> site_of(const std::string& text) {
  auto file = base::ConfigFile::parse(text, "headroom.toml");
  TrytonBusSection section;
  auto table = file->section("bus.tryton");
  section.read(table);
  file->section("bus.tryton.urls").read_names(section.urls);
  if (const auto finished = file->finish(); !finished) return base::fail(finished.error());
  return tryton_site(section);
}

TEST(TrytonSite, TakesFromTrytondWhatIsNotSaid) {
  const auto path = std::filesystem::path(testing::TempDir()) / "headroom-trytond.conf";
  std::ofstream(path) << "[database]\nuri = postgresql://tryton@db/\n[session]\nmax_age = 60\n"
                         "[bus]\nlong_polling_timeout = 30\nurl_host = http://elsewhere/\n";
  const auto site = site_of("[bus.tryton]\nconfig = '" + path.string() +
                            "'\ndatabases = ['shop', 't_*']\n"
                            "[bus.tryton.urls]\nfar = 'postgresql://other/far'\n");
  ASSERT_TRUE(site) << site.error().message();
  EXPECT_EQ(site->uri, "postgresql://tryton@db/");
  EXPECT_EQ(site->session_age, 60s);
  EXPECT_EQ(site->limits.wait, 30s);
  EXPECT_EQ(site->url_host, "") << "trytond's says where it sends others, not where this door sends them";
  const auto named = named_databases(*site);
  ASSERT_EQ(named.size(), 2U);
  EXPECT_EQ(named[0].name, "far");
  EXPECT_EQ(named[0].name_in_url, "");
  EXPECT_EQ(named[1].name_in_url, "shop");
  EXPECT_EQ(is_served(*site, "t_1"), Served::kMatched);
  EXPECT_EQ(is_served(*site, "t_*"), Served::kMatched);
  EXPECT_EQ(is_served(*site, "other"), Served::kNo);
}

TEST(TrytonSite, RefusesWhatHasNoNotify) {
  for (const char* text :
       {"[bus.tryton]\ndatabases = ['shop']\n", "[bus.tryton]\ndatabases = ['shop']\nuri = 'sqlite://'\n",
        "[bus.tryton.urls]\nshop = 'mysql://secret@x/'\n",
        "[bus.tryton]\ndatabases = ['a[b']\nuri = 'postgresql://x/'\n",
        "[bus.tryton]\nurl_host = 'bus.example'\n", "[bus.tryton]\nconfig = '/nowhere'\n",
        "[bus.tryton]\ndatabase = 'x'\n"}) {
    const auto site = site_of(text);
    ASSERT_FALSE(site) << text;
    EXPECT_THAT(site.error().message(), HasSubstr("bus.tryton"));
    EXPECT_THAT(site.error().message(), testing::Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace headroom::cli
