// The hub over a broker whose answers and pushes come late, out of step, or not at all: stories, then random
// operations against a client that knows everything that was ever published.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <map>
#include <random>
#include <regex>
#include <set>

#include "bus/hub_world.hpp"
#include "bus/late_broker.hpp"

namespace headroom::bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LateWorld {
 public:
  explicit LateWorld(const HubLimits& limits = {})
      : rules_(ChannelRules::make({HubWorld::room_rule()}).value()),
        broker_(rules_),
        authority_({HubWorld::key()}),
        hub_(limits, rules_, broker_, authority_, {}, PresenceLimits{}) {
    broker_.start(hub_, now_);
  }

  std::unique_ptr<TestPeer> connect(const std::string& user) {
    auto peer = std::make_unique<TestPeer>();
    peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
    Grant grant;
    grant.user = user;
    grant.issued_unix_s = now_.unix_s;
    grant.expires_unix_s = now_.unix_s + 86'400;
    say(*peer, R"({"id":1,"connect":{"token":")" + write_token(grant, HubWorld::key()) + "\"}}");
    peer->sent.clear();
    return peer;
  }
  void say(const TestPeer& peer, std::string_view text) { hub_.received(peer.session, text, now_); }
  void publish(const std::string& channel, const std::string& data) {
    hub_.publish({channel, data, ""}, now_, [](const auto& published) { ASSERT_TRUE(published); });
  }
  void pass(std::int64_t milliseconds) {
    now_.monotonic_ns += milliseconds * 1'000'000;
    hub_.tick(now_);
  }
  static std::vector<std::string> taken(TestPeer& peer) {
    std::vector<std::string> all(peer.sent.begin(), peer.sent.end());
    peer.sent.clear();
    return all;
  }
  LateBroker& broker() { return broker_; }
  Hub& hub() { return hub_; }
  const Now& now() const { return now_; }

 private:
  Now now_{1'000'000'000'000, 1'800'000'000};
  ChannelRules rules_;
  LateBroker broker_;
  TokenAuthority authority_;
  Hub hub_;
};

std::string message_text(int offset, const std::string& data) {
  return R"({"message":{"channel":"room:1","offset":)" + std::to_string(offset) + R"(,"data":)" + data + "}}";
}

constexpr std::string_view kSubscribe = R"({"id":2,"subscribe":{"channels":["room:1"]}})";
constexpr std::string_view kResume =
    R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","since":{"offset":0,"epoch":"epoch"}}]}})";
constexpr std::string_view kUnsubscribe = R"({"id":3,"unsubscribe":{"channels":["room:1"]}})";

std::string answer_text(int offset, const std::string& more = "") {
  return R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","offset":)" + std::to_string(offset) +
         R"(,"epoch":"epoch")" + more + "}]}}";
}

TEST(HubLate, AMessageThatIsToldBeforeTheBrokersAnswerIsNotForgotten) {
  LateWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kSubscribe);
  world.broker().serve();
  world.publish("room:1", "1");
  world.broker().serve();
  world.broker().push();
  world.broker().settle();
  EXPECT_THAT(LateWorld::taken(*peer), ElementsAre(answer_text(1)));
}

TEST(HubLate, HistoryThatIsAheadOfThePushesLosesNothing) {
  LateWorld world;
  const auto first = world.connect("alice");
  world.say(*first, kSubscribe);
  world.broker().settle();
  first->sent.clear();
  world.publish("room:1", "1");
  world.broker().serve();  // it is kept, and its push still on the way
  const auto second = world.connect("bob");
  world.say(*second, kResume);
  while (world.broker().serve() || world.broker().answer()) {
  }
  world.broker().settle();
  EXPECT_THAT(LateWorld::taken(*second),
              ElementsAre(answer_text(0, R"(,"recovered":true)"), message_text(1, "1")));
  EXPECT_THAT(LateWorld::taken(*first), ElementsAre(message_text(1, "1")));
}

TEST(HubLate, WhoWasFurtherOnAnotherNodeIsNotToldLost) {
  LateWorld world;
  const auto first = world.connect("alice");
  world.say(*first, kSubscribe);
  world.broker().settle();
  world.publish("room:1", "1");
  world.broker().serve();
  const auto second = world.connect("bob");
  world.say(
      *second,
      R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","since":{"offset":1,"epoch":"epoch"}}]}})");
  while (world.broker().serve() || world.broker().answer()) {
  }
  world.broker().settle();
  const auto texts = LateWorld::taken(*second);
  ASSERT_FALSE(texts.empty());
  EXPECT_THAT(texts.front(), testing::HasSubstr(R"("recovered":true)"));
}

TEST(HubLate, UnsubscribingBeforeTheAnswerHolds) {
  LateWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kResume);
  world.say(*peer, kUnsubscribe);
  world.broker().settle();
  peer->sent.clear();
  world.publish("room:1", "1");
  world.broker().settle();
  EXPECT_THAT(LateWorld::taken(*peer), IsEmpty());
  EXPECT_EQ(world.hub().counts().subscriptions, 0U);
  EXPECT_EQ(world.hub().counts().channels, 0U);
}

TEST(HubLate, SubscriptionsThatWaitCountForTheLimit) {
  HubLimits limits;
  limits.subscriptions = 2;
  LateWorld world(limits);
  const auto peer = world.connect("alice");
  for (int i = 0; i < 5; ++i) {
    world.say(*peer, R"({"id":)" + std::to_string(i + 2) + R"(,"subscribe":{"channels":["room:)" +
                         std::to_string(i) + "\"]}}");
  }
  world.broker().settle();
  EXPECT_EQ(world.hub().counts().subscriptions, 2U);
  EXPECT_EQ(world.hub().counts().channels, 2U);
}

TEST(HubLate, AGapIsFilledAlsoWhenTheFirstQuestionFailsAndNothingFollows) {
  LateWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kSubscribe);
  world.broker().settle();
  peer->sent.clear();
  world.publish("room:1", "1");
  world.publish("room:1", "2");
  world.broker().serve();
  world.broker().serve();
  world.broker().lose_push();
  world.broker().fail_history(true);
  world.broker().settle();
  EXPECT_THAT(LateWorld::taken(*peer), IsEmpty());
  world.broker().fail_history(false);
  for (int i = 0; i < 30; ++i) {
    world.pass(100);
    world.broker().settle();
  }
  EXPECT_THAT(LateWorld::taken(*peer), ElementsAre(message_text(1, "1"), message_text(2, "2")));
}

TEST(HubLate, WhoLeavesWhileTheBrokerIsAskedLeavesNothingBehind) {
  LateWorld world;
  const auto peer = world.connect("alice");
  world.say(*peer, kResume);
  world.hub().closed(peer->session, world.now());
  world.broker().settle();
  EXPECT_EQ(world.hub().counts().channels, 0U);
  EXPECT_EQ(world.hub().counts().sessions, 0U);
}

/// What was published, and every client's view, which has to agree with it message by message.
class Reference {
 public:
  explicit Reference(unsigned seed) : random_(seed) {
    HubLimits limits;
    limits.commands = limits.commands_per_address = {0, 0};
    limits.admission.all = limits.admission.per_address = {0, 0};
    world_ = std::make_unique<LateWorld>(limits);
    for (Client& client : clients_) client.peer = world_->connect("alice");
  }

  void step() {
    switch (random_() % 12) {
      case 0:
      case 1:
        return publish();
      case 2:
      case 3:
        return subscribe(any_client());
      case 4:
        return unsubscribe(any_client());
      case 5:
        if (random_() % 4 == 0) reconnect(any_client());
        return;
      case 6:
        if (random_() % 8 == 0) world_->broker().lose_push();
        return;
      case 7:
        return world_->pass(50);
      case 8:
        world_->broker().push();
        break;
      case 9:
        world_->broker().answer();
        break;
      default:
        world_->broker().serve();
    }
    read_all();
  }
  /// Everything on the way arrives, and one more message shows each gap.
  void finish() {
    world_->broker().settle();
    for (const auto& [channel, log] : std::map(log_)) publish_to(channel);
    world_->broker().settle();
    read_all();
    for (Client& client : clients_) {
      for (const auto& [channel, offset] : client.subscribed)
        EXPECT_EQ(offset, log_[channel].size()) << channel << " is not at the end";
      EXPECT_EQ(client.peer->closed.has_value(), false);
    }
  }
  [[nodiscard]] std::size_t messages() const { return messages_; }
  [[nodiscard]] std::size_t recoveries() const { return recoveries_; }

 private:
  struct Client {
    std::unique_ptr<TestPeer> peer;
    std::map<std::string, std::size_t> subscribed;  ///< by channel: the position
    std::map<std::string, std::size_t> known;       ///< also of channels that it left
    std::map<int, std::set<std::string>> asked;     ///< by command
    int next_id = 2;
  };

  Client& any_client() { return clients_[random_() % clients_.size()]; }
  std::string any_channel() { return "room:" + std::to_string(random_() % 3); }

  void publish_to(const std::string& channel) {
    log_[channel].push_back(std::to_string(++messages_));
    world_->publish(channel, log_[channel].back());
  }
  /// One publication is under way at a time, so that the log's order is the broker's.
  void publish() {
    while (world_->broker().serve()) {
    }
    publish_to(any_channel());
    while (world_->broker().serve()) {
    }
  }
  /// To some channels at once.
  void subscribe(Client& client) {
    std::string entries;
    std::set<std::string> asked;
    for (int number = 0; number < 3; ++number) {
      if (random_() % 2 == 0) continue;
      const std::string channel = "room:" + std::to_string(number);
      asked.insert(channel);
      entries += (entries.empty() ? "" : ",") + entry(client, channel);
    }
    if (asked.empty()) return;
    const int id = client.next_id++;
    client.asked[id] = asked;
    world_->say(*client.peer,
                R"({"id":)" + std::to_string(id) + R"(,"subscribe":{"channels":[)" + entries + "]}}");
    read(client);
  }
  std::string entry(Client& client, const std::string& channel) {
    std::string text = R"({"channel":")" + channel + "\"";
    if (client.known.contains(channel) && !client.subscribed.contains(channel) && random_() % 4 != 0)
      text += R"(,"since":{"offset":)" + std::to_string(client.known[channel]) + R"(,"epoch":"epoch"})";
    return text + "}";
  }
  void unsubscribe(Client& client) {
    const std::string channel = any_channel();
    read(client);
    world_->say(*client.peer, R"({"id":)" + std::to_string(client.next_id++) +
                                  R"(,"unsubscribe":{"channels":[")" + channel + "\"]}}");
    read(client);
    client.subscribed.erase(channel);
    for (auto& [id, asked] : client.asked) asked.erase(channel);
  }
  void reconnect(Client& client) {
    read(client);
    world_->hub().closed(client.peer->session, world_->now());
    client.peer = world_->connect("alice");
    client.subscribed.clear();
    client.asked.clear();
  }
  void read_all() {
    for (Client& client : clients_) read(client);
  }
  void read(Client& client) {
    for (std::string text = client.peer->next(); !text.empty(); text = client.peer->next())
      take(client, text);
  }
  void take(Client& client, const std::string& text) {
    static const std::regex kMessage(
        R"re(\{"message":\{"channel":"(.*)","offset":([0-9]+),"data":(.*)\}\})re");
    static const std::regex kAnswer(R"re(\{"id":([0-9]+),"subscribe":(.*))re");
    std::smatch found;
    EXPECT_EQ(text.find("\"lost\""), std::string::npos) << "nothing was lost: " << text;
    if (std::regex_match(text, found, kMessage)) {
      take_message(client, found[1], std::stoul(found[2]), found[3]);
    } else if (std::regex_match(text, found, kAnswer)) {
      take_entries(client, client.asked[std::stoi(found[1])], found[2]);
      client.asked.erase(std::stoi(found[1]));
    }
  }
  void take_entries(Client& client, const std::set<std::string>& asked, const std::string& entries) {
    static const std::regex kEntry(R"re(\{"channel":"([^"]*)","offset":([0-9]+)([^}]*)\})re");
    for (std::sregex_iterator each(entries.begin(), entries.end(), kEntry), end; each != end; ++each) {
      const std::smatch& entry = *each;
      if (entry[3].str().find("recovered") != std::string::npos) ++recoveries_;
      if (asked.contains(entry[1]))
        client.subscribed[entry[1]] = client.known[entry[1]] = std::stoul(entry[2]);
    }
  }
  void take_message(Client& client, const std::string& channel, std::size_t offset, const std::string& data) {
    ASSERT_TRUE(client.subscribed.contains(channel)) << channel;
    ASSERT_EQ(offset, client.subscribed[channel] + 1) << channel << ": a gap or a duplicate";
    ASSERT_LE(offset, log_[channel].size());
    ASSERT_EQ(data, log_[channel][offset - 1]);
    client.subscribed[channel] = client.known[channel] = offset;
  }

  std::mt19937 random_;
  std::unique_ptr<LateWorld> world_;
  std::array<Client, 3> clients_;
  std::map<std::string, std::vector<std::string>> log_;
  std::size_t messages_ = 0;
  std::size_t recoveries_ = 0;
};

TEST(HubLate, RandomOperationsShowEachClientEveryMessageOnceAndInOrder) {
  const unsigned seed = std::random_device{}();
  std::size_t recoveries = 0;
  for (unsigned turn = 0; turn < 60 && !testing::Test::HasFailure(); ++turn) {
    SCOPED_TRACE("seed " + std::to_string(seed + turn));
    Reference reference(seed + turn);
    for (int i = 0; i < 600 && !testing::Test::HasFailure(); ++i) reference.step();
    reference.finish();
    recoveries += reference.recoveries();
  }
  EXPECT_GT(recoveries, 100U);
}

}  // namespace
}  // namespace headroom::bus
