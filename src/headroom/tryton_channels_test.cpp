// Tryton's sessions on the bus: a door over a database that the test plays, a real hub and its broker.

#include "headroom/tryton_channels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "bus/hub_world.hpp"
#include "bus/tryton_payload.hpp"

namespace headroom::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// admin:1:abc, admin:1:xyz (the same user elsewhere), bob:2:abc
constexpr const char* kAdmin = "Session shop YWRtaW46MTphYmM=";
constexpr const char* kAdminElsewhere = "Session shop YWRtaW46MTp4eXo=";
constexpr const char* kAdminOfOther = "Session other YWRtaW46MTphYmM=";
constexpr const char* kBob = "Session shop Ym9iOjI6YWJj";

/// A database that answers when the test says so: it has the sessions that stand in `valid`.
class Source final : public TrytonSource {
 public:
  void open(const TrytonDatabase& database) override { opened.push_back(database.name); }
  void close(const std::string& /*database*/) override {}
  void ask(const std::string& database, std::string /*statement*/,
           std::vector<std::string> parameters) override {
    asked[database] = std::move(parameters);
  }
  void list(const std::string& /*uri*/) override {}

  std::vector<std::string> opened;
  std::map<std::string, std::vector<std::string>> asked;
};

/// The memory broker, which keeps nothing while it fails.
class FailingBroker final : public bus::Broker {
 public:
  explicit FailingBroker(const bus::ChannelRules& rules) : kept_(rules, "epoch") {}
  void start(bus::BrokerListener& listener, const bus::Now& now) override { kept_.start(listener, now); }
  void publish(bus::Publication publication, const bus::Now& now, bus::Done<bus::Published> done) override {
    if (fails) return done(base::fail(base::ErrorCode::kUnavailable, "away"));
    kept_.publish(std::move(publication), now, std::move(done));
  }
  void subscribe(std::string_view channel, const bus::Now& now, bus::Done<bus::Position> done) override {
    kept_.subscribe(channel, now, std::move(done));
  }
  void unsubscribe(std::string_view channel, const bus::Now& now) override {
    kept_.unsubscribe(channel, now);
  }
  void history(std::string_view channel, const bus::HistoryQuery& query, const bus::Now& now,
               bus::Done<bus::HistoryPage> done) override {
    kept_.history(channel, query, now, std::move(done));
  }
  void tick(const bus::Now& now) override { kept_.tick(now); }

  bool fails = false;

 private:
  bus::MemoryBroker kept_;
};

class TrytonChannelsTest : public testing::Test {
 protected:
  /// Over a broker of its own, or one that outlived the service of before.
  explicit TrytonChannelsTest(FailingBroker* kept = nullptr)
      : broker_(kept == nullptr ? own_broker_ : *kept) {
    authorities_.add(TrytonChannels::kScheme, channels_);
    door_.join(channels_);
    door_.start(time());
    for (const char* name : {"shop", "other"}) door_.changed(name, "", 0);
    broker_.start(hub_, now_);
    for (const char* token : {kAdmin, kAdminElsewhere, kBob}) valid_.insert(session_of(token));
  }
  static TrytonSite site() {
    TrytonSite site;
    site.uri = "postgresql://localhost/";
    site.databases = {"shop", "other"};
    site.session_age = 1h;
    return site;
  }
  static bus::TrytonSession session_of(std::string_view token) {
    return *bus::parse_tryton_authorization("Session" + std::string(token.substr(token.rfind(' '))));
  }
  [[nodiscard]] TrytonDoor::Time time() const {
    return TrytonDoor::Time(std::chrono::nanoseconds(now_.monotonic_ns));
  }

  std::unique_ptr<bus::TestPeer> open(const std::string& token) {
    auto peer = std::make_unique<bus::TestPeer>();
    peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
    say(*peer, R"({"id":1,"connect":{"token":")" + token + "\"}}");
    pass(200ms);
    return peer;
  }
  std::unique_ptr<bus::TestPeer> connect(const std::string& token) {
    auto peer = open(token);
    EXPECT_THAT(peer->next(), HasSubstr("\"connect\"")) << token;
    return peer;
  }
  void say(const bus::TestPeer& peer, std::string_view text) { hub_.received(peer.session, text, now_); }
  std::string subscribe(bus::TestPeer& peer, const std::string& channel) {
    say(peer, R"({"id":2,"subscribe":{"channels":[")" + channel + R"("]}})");
    return peer.next();
  }
  void notify(const std::string& channel, const std::string& id, const std::string& database = "shop") {
    door_.notified(
        time(), database,
        {R"({"channel":")" + channel + R"(","message":{"t": 1.50,"message_id":")" + id + R"("}})"});
  }
  void pass(std::chrono::milliseconds span, bool database_answers = true) {
    for (std::chrono::milliseconds passed{0}; passed < span; passed += 100ms) {
      now_.monotonic_ns += 100'000'000;
      now_.unix_s = 1'800'000'000 + now_.monotonic_ns / 1'000'000'000;
      broker_.tick(now_);
      hub_.tick(now_);
      door_.ticked(time());
      if (database_answers) answer();
    }
  }
  void answer() {
    for (const auto& [database, parameters] : std::exchange(source_.asked, {})) {
      sql::PostgresRows rows;
      for (const bus::TrytonSession& session : valid_) {
        if (parameters.at(1).find(session.digest) != std::string::npos)
          rows.push_back({std::to_string(session.user), session.digest});
      }
      door_.answered(time(), database, rows);
    }
  }
  /// The messages it got.
  static std::vector<std::string> messages(bus::TestPeer& peer) {
    std::vector<std::string> texts;
    for (std::string text = peer.next(); !text.empty(); text = peer.next()) texts.push_back(text);
    return texts;
  }
  TrytonFigures figures() {
    std::vector<TrytonFigures> all = door_.figures();
    channels_.count(all);
    return *std::ranges::find(all, "shop", &TrytonFigures::database);
  }

  bus::Now now_{3'600'000'000'000, 1'800'003'600};
  std::set<bus::TrytonSession> valid_;
  Source source_;
  bus::ChannelRules rules_ = bus::ChannelRules::make({bus::HubWorld::room_rule()}).value();
  FailingBroker own_broker_{rules_};
  FailingBroker& broker_;
  bus::TokenAuthority tokens_{{bus::HubWorld::key()}};
  bus::SchemeAuthority authorities_{tokens_};
  bus::Hub hub_{bus::HubLimits{},     rules_, broker_, authorities_, {bus::HubWorld::key()},
                bus::PresenceLimits{}};
  TrytonDoor door_{site(), source_, [](const std::string&, const std::string&) {}};
  TrytonChannels channels_{door_, hub_, [this] { return now_; }};
};

TEST_F(TrytonChannelsTest, WhatTheDatabaseNotifiesIsToldOnceAsItCame) {
  const auto peer = connect(kAdmin);
  EXPECT_THAT(subscribe(*peer, "user:1@shop"), HasSubstr("\"offset\":0"));
  notify("user:1", "m1");
  notify("user:1", "m1");  // another node heard it too
  notify("user:2", "m2");
  notify("user:1", "m3", "other");
  pass(200ms);
  EXPECT_THAT(
      messages(*peer),
      ElementsAre(
          R"({"message":{"channel":"user:1@shop","offset":1,"data":{"t": 1.50,"message_id":"m1"}}})"));
  EXPECT_EQ(figures().told, 3U);
}

TEST_F(TrytonChannelsTest, WhoWasAwayGoesOnWhereHeWas) {
  const auto first = connect(kAdmin);
  (void)subscribe(*first, "user:1@shop");
  hub_.closed(first->session, now_);
  notify("user:1", "m1");
  pass(4min);
  const auto second = connect(kAdmin);
  say(*second,
      R"({"id":2,"subscribe":{"channels":[{"channel":"user:1@shop","since":{"offset":0,"epoch":"epoch"}}]}})");
  EXPECT_THAT(messages(*second), ElementsAre(HasSubstr("\"recovered\":true"), HasSubstr("\"m1\"")));
}

TEST_F(TrytonChannelsTest, NobodyReadsAChannelOfAnotherUserOrDatabase) {
  const auto admin = connect(kAdmin);
  const auto elsewhere = connect(kAdminElsewhere);
  const auto bob = connect(kBob);
  for (const char* channel :
       {"user:1@shop", "user:2@other", "user:2", "user:2@shop@other", "user:1@shop:x", "client:x@other",
        "client:x", "everybody@other", "everybody", "room:1", "@shop@"})
    EXPECT_THAT(subscribe(*bob, channel), HasSubstr("\"denied\"")) << channel;
  EXPECT_THAT(subscribe(*bob, "user:2@shop"), HasSubstr("\"offset\""));
  EXPECT_THAT(subscribe(*bob, "everybody@shop"), HasSubstr("\"offset\""));
  EXPECT_THAT(subscribe(*admin, "client:x@shop"), HasSubstr("\"offset\""));
  EXPECT_THAT(subscribe(*elsewhere, "client:x@shop"), HasSubstr("\"offset\"")) << "of the same user";
  EXPECT_THAT(subscribe(*bob, "client:x@shop"), HasSubstr("\"denied\""));
  say(*bob, R"({"id":3,"history":{"channel":"client:x@shop"}})");
  EXPECT_THAT(bob->next(), HasSubstr("\"denied\""));
  say(*bob, R"({"id":4,"publish":{"channel":"user:2@shop","data":1}})");
  EXPECT_THAT(bob->next(), HasSubstr("\"denied\""));
  say(*bob, R"({"id":5,"publish":{"channel":"room:1","data":1}})");
  EXPECT_THAT(bob->next(), HasSubstr("\"denied\""));
}

TEST_F(TrytonChannelsTest, UsersOfTwoDatabasesAreTwoUsersAndDoNotSeeEachOther) {
  const auto bob = connect(kBob);
  const auto elsewhere = connect(kAdminOfOther);
  const auto watching = [this](bus::TestPeer& peer) {
    say(peer, R"({"id":2,"watch":{"users":["1@shop","1@other","1"]}})");
    return peer.next();
  };
  EXPECT_EQ(watching(*bob),
            R"({"id":2,"watch":{"users":{"1@shop":"offline","1@other":"offline","1":"offline"}}})")
      << "the user 1 who is there is another one";
  EXPECT_EQ(watching(*elsewhere),
            R"({"id":2,"watch":{"users":{"1@shop":"offline","1@other":"online","1":"offline"}}})");
  const auto admin = connect(kAdmin);
  hub_.closed(elsewhere->session, now_);
  pass(10s);
  EXPECT_THAT(messages(*bob), ElementsAre(R"({"presence":{"users":{"1@shop":"online"}}})"));
  say(*bob, R"({"id":3,"presence":{"users":["1@shop","1@other"]}})");
  EXPECT_EQ(bob->next(), R"({"id":3,"presence":{"users":{"1@shop":"online","1@other":"offline"}}})");
}

/// The service when it was started anew.
class Restarted final : public TrytonChannelsTest {
 public:
  Restarted(FailingBroker& kept, const bus::Now& now) : TrytonChannelsTest(&kept) { now_ = now; }
  std::unique_ptr<bus::TestPeer> come(const std::string& token) { return connect(token); }
  /// What it is told that goes on from the beginning of a channel.
  std::vector<std::string> read(bus::TestPeer& peer, const std::string& channel) {
    say(peer, R"({"id":2,"subscribe":{"channels":[{"channel":")" + channel +
                  R"(","since":{"offset":0,"epoch":"epoch"}}]}})");
    return messages(peer);
  }
  std::uint64_t foreign() { return figures().counts.foreign; }

 private:
  void TestBody() override {}
};

TEST_F(TrytonChannelsTest, AfterARestartAClientChannelIsOfTheUserWhoReadsItFirst) {
  const auto owner = connect(kAdmin);
  (void)subscribe(*owner, "client:x@shop");
  notify("client:x", "m1");
  pass(200ms);
  Restarted once(broker_, now_);
  const auto back = once.come(kAdmin);
  const auto late = once.come(kBob);
  EXPECT_THAT(once.read(*back, "client:x@shop"),
              ElementsAre(HasSubstr("\"recovered\":true"), HasSubstr("\"m1\"")));
  EXPECT_THAT(once.read(*late, "client:x@shop"), ElementsAre(HasSubstr("\"denied\"")));
  Restarted again(broker_, now_);
  const auto first = again.come(kBob);
  const auto second = again.come(kAdmin);
  EXPECT_THAT(again.read(*first, "client:x@shop"),
              ElementsAre(HasSubstr("\"recovered\":true"), HasSubstr("\"m1\"")))
      << "who knows the name and comes before its owner reads what is kept";
  EXPECT_THAT(again.read(*second, "client:x@shop"), ElementsAre(HasSubstr("\"denied\"")))
      << "and its owner is told so";
  EXPECT_EQ(again.foreign(), 1U) << "and it is counted";
}

TEST_F(TrytonChannelsTest, ATokenOfOursReadsNoChannelOfTryton) {
  bus::Grant grant;
  grant.user = "1";
  grant.issued_unix_s = now_.unix_s;
  grant.expires_unix_s = now_.unix_s + 600;
  const auto peer = connect(bus::write_token(grant, bus::HubWorld::key()));
  for (const char* channel : {"user:1@shop", "client:x@shop", "everybody@shop"})
    EXPECT_THAT(subscribe(*peer, channel), HasSubstr("\"denied\"")) << channel;
}

TEST_F(TrytonChannelsTest, ALogoutEndsTheConnectionsWithinFiveSecondsAndNoOthers) {
  const auto first = connect(kAdmin);
  const auto second = connect(kAdmin);
  const auto elsewhere = connect(kAdminElsewhere);
  pass(10min);
  EXPECT_EQ(figures().held, 2U);
  valid_.erase(session_of(kAdmin));
  pass(5s);
  EXPECT_EQ(first->closed->code, bus::DisconnectCode::kTokenRevoked);
  EXPECT_EQ(second->closed->code, bus::DisconnectCode::kTokenRevoked);
  EXPECT_FALSE(elsewhere->closed);
  EXPECT_EQ(figures().held, 1U);
  const auto again = open(kAdmin);
  EXPECT_EQ(again->closed->code, bus::DisconnectCode::kTokenExpired) << "with another session it may come";
}

TEST_F(TrytonChannelsTest, NothingIsToldWhileSessionsAreNotKnownToHold) {
  const auto peer = connect(kAdmin);
  const auto leaves = connect(kAdminElsewhere);
  for (const auto& one : {&peer, &leaves}) (void)subscribe(**one, "user:1@shop");
  valid_.erase(session_of(kAdminElsewhere));
  pass(5s, false);
  notify("user:1", "m1");
  EXPECT_THAT(messages(*peer), IsEmpty());
  pass(1s);
  EXPECT_THAT(messages(*peer), ElementsAre(HasSubstr("\"m1\"")));
  EXPECT_THAT(messages(*leaves), IsEmpty()) << "who had logged out meanwhile hears nothing of it";
  EXPECT_TRUE(leaves->closed);
}

TEST_F(TrytonChannelsTest, ATokenThatIsNoSessionIsRefusedForEver) {
  for (const char* token :
       {"Session", "Session shop", "Session shop x", "Session  YWRtaW46MTphYmM=",
        "Session nowhere YWRtaW46MTphYmM=", "Session shop@x YWRtaW46MTphYmM=", "Session shop YWRtaW4="}) {
    const auto peer = open(token);
    ASSERT_TRUE(peer->closed) << token;
    EXPECT_EQ(peer->closed->code, bus::DisconnectCode::kTokenInvalid) << token;
    EXPECT_EQ(peer->closed->message.find("YWRta"), std::string::npos) << "the key is told to nobody";
  }
}

TEST_F(TrytonChannelsTest, WhoComesWhileTheDatabaseIsAwayIsToldToComeAgain) {
  auto peer = std::make_unique<bus::TestPeer>();
  peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
  say(*peer, std::string(R"({"id":1,"connect":{"token":")") + kAdmin + "\"}}");
  pass(6s, false);
  ASSERT_TRUE(peer->closed);
  EXPECT_EQ(peer->closed->code, bus::DisconnectCode::kOverloaded);
}

TEST_F(TrytonChannelsTest, AnOperatorEndsConnectionsAndTheSessionMayComeBack) {
  const auto peer = connect(kAdmin);
  EXPECT_EQ(hub_.disconnect_user("1@shop", now_), 1U);
  EXPECT_EQ(figures().held, 0U);
  pass(2s);
  EXPECT_FALSE(connect(kAdmin)->closed);
}

TEST_F(TrytonChannelsTest, WhatTheBusCouldNotKeepIsToldLaterOrCounted) {
  const auto peer = connect(kAdmin);
  (void)subscribe(*peer, "user:1@shop");
  broker_.fails = true;
  notify("user:1", "m1");
  pass(1min);
  notify("user:1", "m2");
  broker_.fails = false;
  pass(2s);
  EXPECT_THAT(messages(*peer), ElementsAre(HasSubstr("\"m1\""), HasSubstr("\"m2\"")));
  broker_.fails = true;
  notify("user:1", "m3");
  pass(5min);
  broker_.fails = false;
  pass(2s);
  EXPECT_THAT(messages(*peer), IsEmpty());
  EXPECT_EQ(figures().told, 2U);
  EXPECT_EQ(figures().told_dropped, 1U);
}

TEST_F(TrytonChannelsTest, AMessageThatTheBusRefusesIsCounted) {
  notify("user:1", std::string(300, 'i'));  // a long id is none
  notify(std::string(254, 'c'), "m1");      // a channel whose name gets too long
  notify("quote\\\"", "m2");                // one that the bus does not take
  pass(200ms);
  EXPECT_EQ(figures().told, 1U);
  EXPECT_EQ(figures().told_dropped, 2U);
}

}  // namespace
}  // namespace headroom::cli
