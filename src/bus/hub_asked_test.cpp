// The hub over a broker that is the test: what it is asked waits, and is answered as the story wants it. For
// what a real broker does seldom: an epoch that begins in the middle, a flood while it is asked, answers that
// are older than what was told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <utility>

#include <fmt/format.h>

#include "bus/hub_world.hpp"

namespace headroom::bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AskedBroker final : public Broker {
 public:
  struct Question {
    Position since;
    std::size_t bytes = 0;
    Done<HistoryPage> done;
  };
  void start(BrokerListener& /*listener*/, const Now& /*now*/) override {}
  void publish(Publication /*publication*/, const Now& /*now*/, Done<Published> done) override {
    done(base::fail(ErrorCode::kUnavailable, "nothing is published here"));
  }
  void subscribe(std::string_view /*channel*/, const Now& /*now*/, Done<Position> done) override {
    subscribes.push_back(std::move(done));
  }
  void unsubscribe(std::string_view /*channel*/, const Now& /*now*/) override {}
  void history(std::string_view /*channel*/, const HistoryQuery& query, const Now& /*now*/,
               Done<HistoryPage> done) override {
    questions.push_back({query.since == nullptr ? Position() : *query.since, query.bytes, std::move(done)});
  }
  void tick(const Now& /*now*/) override {}

  std::deque<Done<Position>> subscribes;
  std::deque<Question> questions;
};

class AskedWorld {
 public:
  explicit AskedWorld(const HubLimits& limits = {}, std::vector<ChannelRule> rules = {HubWorld::room_rule()})
      : rules_(ChannelRules::make(std::move(rules)).value()),
        authority_({HubWorld::key()}),
        hub_(limits, rules_, broker_, authority_, {}, PresenceLimits{}) {
    hub_.state(BrokerState::kAvailable, now_);
  }

  std::string token(const std::string& user, std::vector<std::string> channels = {}) {
    Grant grant;
    grant.user = user;
    grant.channels = std::move(channels);
    grant.issued_unix_s = now_.unix_s;
    grant.expires_unix_s = now_.unix_s + 600;
    return write_token(grant, HubWorld::key());
  }
  std::unique_ptr<TestPeer> connect(const std::string& user, std::vector<std::string> channels = {}) {
    auto peer = std::make_unique<TestPeer>();
    peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
    say(*peer, R"({"id":1,"connect":{"token":")" + token(user, std::move(channels)) + "\"}}");
    peer->sent.clear();
    return peer;
  }
  void say(const TestPeer& peer, std::string_view text) { hub_.received(peer.session, text, now_); }
  /// The broker answers the oldest `subscribe`.
  void stand_at(const Position& position) {
    const auto done = std::move(broker_.subscribes.front());
    broker_.subscribes.pop_front();
    done(position);
  }
  /// It answers the oldest question with the messages after `since` up to there.
  void show(std::uint64_t last, const std::string& epoch, std::size_t bytes = 1) {
    const auto question = std::move(broker_.questions.front());
    broker_.questions.pop_front();
    HistoryPage page;
    page.position = {last, epoch};
    page.lost = question.since.epoch != epoch;
    for (std::uint64_t offset = question.since.offset + 1; !page.lost && offset <= last; ++offset)
      page.messages.push_back(message(offset, bytes));
    question.done(page);
  }
  void tell(std::uint64_t offset, std::string_view epoch, std::string_view channel = "room:1") {
    hub_.message(channel, epoch, message(offset, 1), now_);
  }
  void move(const Position& position) { hub_.moved("room:1", position, now_); }
  static std::vector<std::string> taken(TestPeer& peer) {
    std::vector<std::string> all(peer.sent.begin(), peer.sent.end());
    peer.sent.clear();
    return all;
  }
  AskedBroker& broker() { return broker_; }
  Hub& hub() { return hub_; }

 private:
  static Message message(std::uint64_t offset, std::size_t bytes) {
    return {offset, std::make_shared<const std::string>(bytes, '1')};
  }

  Now now_{1'000'000'000'000, 1'800'000'000};
  ChannelRules rules_;
  AskedBroker broker_;
  TokenAuthority authority_;
  Hub hub_;
};

constexpr std::string_view kSubscribe = R"({"id":2,"subscribe":{"channels":["room:1"]}})";

std::string answered(int offset, std::string_view epoch) {
  return fmt::format(
      R"({{"id":2,"subscribe":{{"channels":[{{"channel":"room:1","offset":{},"epoch":"{}"}}]}}}})", offset,
      epoch);
}
std::string message_text(int offset, std::string_view channel = "room:1") {
  return fmt::format(R"({{"message":{{"channel":"{}","offset":{},"data":1}}}})", channel, offset);
}
std::string lost_text(int offset, std::string_view epoch) {
  return fmt::format(R"({{"lost":{{"channel":"room:1","offset":{},"epoch":"{}"}}}})", offset, epoch);
}

TEST(HubAsked, AnEpochThatBeginsWhileAGapIsFilledIsNotMixedWithTheOneBefore) {
  AskedWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kSubscribe);
  world.stand_at({5, "old"});
  world.tell(8, "old");
  world.move({5, "new"});
  world.show(8, "old");
  world.tell(6, "new");
  EXPECT_THAT(AskedWorld::taken(*peer),
              ElementsAre(answered(5, "old"), lost_text(5, "new"), message_text(6)));
  EXPECT_THAT(world.broker().questions, IsEmpty());
}

/// Three messages of one byte fit.
void expect_all_though_three_fit(const HubLimits& limits) {
  AskedWorld world(limits);
  const auto peer = world.connect("alice");
  world.say(*peer, kSubscribe);
  world.stand_at({5, "a"});
  for (std::uint64_t offset = 7; offset <= 14; ++offset) world.tell(offset, "a");
  world.show(7, "a");
  ASSERT_EQ(world.broker().questions.size(), 1U) << "nothing follows that would show the gap";
  EXPECT_EQ(world.broker().questions.front().since, (Position{9, "a"}));
  world.show(14, "a");
  std::vector<std::string> expected{answered(5, "a")};
  for (int offset = 6; offset <= 14; ++offset) expected.push_back(message_text(offset));
  EXPECT_EQ(AskedWorld::taken(*peer), expected);
}

TEST(HubAsked, WhatDoesNotFitWhileAGapIsFilledIsAskedForThough) {
  HubLimits few;
  few.held_messages = 3;
  expect_all_though_three_fit(few);
  HubLimits small;
  small.held_bytes = 3;
  expect_all_though_three_fit(small);
}

TEST(HubAsked, WhatWasToldOfAnotherEpochBeforeTheAnswerIsAskedAbout) {
  AskedWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kSubscribe);
  world.tell(6, "old");
  world.stand_at({3, "new"});
  ASSERT_EQ(world.broker().questions.size(), 1U);
  world.tell(4, "new");
  world.show(4, "new");
  EXPECT_THAT(AskedWorld::taken(*peer), ElementsAre(answered(3, "new"), message_text(4)));
}

TEST(HubAsked, AnAnswerThatIsOlderThanTheNewEpochIsPutRight) {
  AskedWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kSubscribe);
  world.move({9, "new"});
  world.stand_at({5, "old"});
  world.show(9, "new");
  world.tell(10, "new");
  EXPECT_THAT(AskedWorld::taken(*peer),
              ElementsAre(answered(5, "old"), lost_text(9, "new"), message_text(10)));
}

TEST(HubAsked, WhatComesWhileAnotherChannelIsGatheredAnewIsNotMissing) {
  AskedWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer,
            R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","since":{"offset":1,"epoch":"a"}},)"
            R"({"channel":"room:2","since":{"offset":1,"epoch":"a"}},"room:3"]}})");
  world.stand_at({2, "a"});
  world.show(3, "a");  // ahead of what was told
  world.stand_at({2, "a"});
  world.show(2, "a");
  world.tell(3, "a", "room:2");
  world.stand_at({0, "a"});  // all are there, but the second has moved on
  world.tell(3, "a", "room:1");
  world.show(3, "a");
  const auto texts = AskedWorld::taken(*peer);
  ASSERT_FALSE(texts.empty());
  EXPECT_THAT(
      std::vector<std::string>(texts.begin() + 1, texts.end()),
      ElementsAre(message_text(2), message_text(3), message_text(2, "room:2"), message_text(3, "room:2")));
}

TEST(HubAsked, ATokenThatAllowsLessTakesBackWhatIsNotAnsweredYet) {
  ChannelRule rule;
  rule.prefix = "news:";
  AskedWorld world({}, {rule});
  const auto peer = world.connect("alice", {"news:*"});
  world.say(*peer, R"({"id":2,"subscribe":{"channels":["news:1"]}})");
  world.say(*peer, R"({"id":3,"refresh":{"token":")" + world.token("alice", {"news:2"}) + "\"}}");
  world.stand_at({5, "a"});
  EXPECT_THAT(AskedWorld::taken(*peer), ElementsAre(HasSubstr("refresh"), HasSubstr("denied")));
  EXPECT_EQ(world.hub().counts().subscriptions, 0U);
  EXPECT_EQ(world.hub().counts().channels, 0U);
}

TEST(HubAsked, SubscriptionsThatWaitCountForTheirUserOverAllConnections) {
  HubLimits limits;
  limits.subscriptions_per_user = 3;
  AskedWorld world(limits);
  const auto one = world.connect("alice");
  const auto two = world.connect("alice");
  for (const auto* peer : {one.get(), two.get()})
    world.say(*peer, R"({"id":2,"subscribe":{"channels":["room:1","room:2"]}})");
  while (!world.broker().subscribes.empty()) world.stand_at({0, "a"});
  EXPECT_EQ(world.hub().counts().subscriptions, 3U);
  world.say(*one, R"({"id":3,"unsubscribe":{"channels":["room:1"]}})");
  world.say(*two, R"({"id":4,"subscribe":{"channels":["room:2"]}})");
  EXPECT_EQ(world.hub().counts().subscriptions, 3U);
}

TEST(HubAsked, CommandsAtOnceShareTheBytesThatAConnectionMayRecover) {
  HubLimits limits;
  limits.recover_bytes = 1'000;
  AskedWorld world(limits);
  const auto peer = world.connect("alice");
  for (const int number : {1, 2}) {
    world.say(*peer, fmt::format(R"({{"id":{},"subscribe":{{"channels":[{{"channel":"room:{}","since":)"
                                 R"({{"offset":1,"epoch":"a"}}}}]}}}})",
                                 number + 1, number));
  }
  for (int i = 0; i < 2; ++i) world.stand_at({4, "a"});
  ASSERT_EQ(world.broker().questions.size(), 2U);
  for (int i = 0; i < 2; ++i) world.show(4, "a", 200);
  const auto texts = AskedWorld::taken(*peer);
  ASSERT_EQ(texts.size(), 1U + 3U + 1U + 3U) << "the first is answered before the second is judged";
  const auto second = world.connect("bob");
  for (const int number : {1, 2}) {
    world.say(*second, fmt::format(R"({{"id":{},"subscribe":{{"channels":[{{"channel":"room:{}","since":)"
                                   R"({{"offset":1,"epoch":"a"}}}},"room:9{}"]}}}})",
                                   number + 1, number, number));
  }
  for (int i = 0; i < 2; ++i) world.show(4, "a", 200);
  for (int i = 0; i < 2; ++i) world.stand_at({0, "a"});
  const auto of_second = AskedWorld::taken(*second);
  ASSERT_EQ(of_second.size(), 1U + 3U + 1U) << "they wait for another channel, and hold what they gathered";
  EXPECT_THAT(of_second.front(), HasSubstr(R"("recovered":true)"));
  EXPECT_THAT(of_second.back(), HasSubstr(R"("lost":true)"));
}

}  // namespace
}  // namespace headroom::bus
