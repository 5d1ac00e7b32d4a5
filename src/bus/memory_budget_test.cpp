// What the memory broker forgets when it is full, and that it says so.

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "bus/memory_broker.hpp"

namespace headroom::bus {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

class Listener final : public BrokerListener {
 public:
  void message(std::string_view channel, std::string_view epoch, const Message& message,
               const Now& /*now*/) override {
    told.push_back(std::string(channel) + " " + std::string(epoch) + " " + std::to_string(message.offset));
  }
  void moved(std::string_view /*channel*/, const Position& /*position*/, const Now& /*now*/) override {}
  void state(BrokerState /*state*/, const Now& /*now*/) override {}
  std::vector<std::string> told;
};

/// A broker that is asked in one line.
class World {
 public:
  explicit World(std::vector<ChannelRule> rules)
      : rules_(ChannelRules::make(std::move(rules)).value()), broker_(rules_, "e") {
    broker_.start(listener, now);
  }
  Result<Published> publish(const std::string& channel, std::string data, const std::string& id = "") {
    Result<Published> answer = base::fail(ErrorCode::kInternal, "no answer");
    broker_.publish({channel, std::move(data), id}, now, [&](auto given) { answer = std::move(given); });
    return answer;
  }
  Result<Position> subscribe(const std::string& channel) {
    Result<Position> answer = base::fail(ErrorCode::kInternal, "no answer");
    broker_.subscribe(channel, now, [&](auto given) { answer = std::move(given); });
    return answer;
  }
  HistoryPage history(const std::string& channel, const Position& since, std::size_t limit = 1'000'000) {
    HistoryQuery query;
    query.since = &since;
    query.limit = limit;
    query.bytes = 1U << 30U;
    HistoryPage answer;
    broker_.history(channel, query, now, [&](Result<HistoryPage> given) { answer = given.value(); });
    return answer;
  }
  MemoryBroker& broker() { return broker_; }

  Listener listener;
  Now now{1'000 * kSecond, 1'800'000'000};

 private:
  ChannelRules rules_;
  MemoryBroker broker_;
};

ChannelRule rule_of(std::string prefix) {
  ChannelRule rule;
  rule.prefix = std::move(prefix);
  return rule;
}

TEST(MemoryBudget, AFloodInOneChannelPushesOutItsOwnMessages) {
  ChannelRule rule = rule_of("room:");
  rule.budget_bytes = 64 * 1024;
  rule.history_messages = 1'000'000;
  rule.history_bytes = 1024 * 1024;
  World world({rule});
  ASSERT_TRUE(world.publish("room:calm", "1"));
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(world.publish("room:flood", std::string(1'000, '1')));
  EXPECT_FALSE(world.history("room:calm", {0, "e"}).lost);
  EXPECT_TRUE(world.history("room:flood", {0, "e"}).lost);
  EXPECT_GT(world.broker().counts().dropped_by_budget, 0U);
}

TEST(MemoryBudget, ForgettingAChannelIsToldToWhoComesBackToIt) {
  ChannelRule rule = rule_of("room:");
  rule.budget_channels = 2;
  World world({rule});
  const Position before = world.publish("room:1", "1")->position;
  ASSERT_TRUE(world.publish("room:2", "1"));
  ASSERT_TRUE(world.publish("room:3", "1"));
  EXPECT_EQ(world.broker().counts().forgotten_channels, 1U);
  EXPECT_TRUE(world.history("room:1", before).lost);
  EXPECT_TRUE(world.publish("room:1", "2"));
  EXPECT_TRUE(world.history("room:1", before).lost) << "offset 1 is another message now";
}

TEST(MemoryBudget, ForgettingInOneRuleLosesNothingInAnother) {
  ChannelRule small = rule_of("small:");
  small.budget_channels = 1;
  World world({small, rule_of("room:")});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(world.publish("small:" + std::to_string(i), "1"));
  EXPECT_FALSE(world.history("room:quiet", {0, "e"}).lost);
}

TEST(MemoryBudget, AChannelWithSubscribersIsNotForgotten) {
  ChannelRule rule = rule_of("room:");
  rule.budget_channels = 2;
  World world({rule});
  ASSERT_TRUE(world.subscribe("room:1"));
  ASSERT_TRUE(world.subscribe("room:2"));
  const auto refused = world.subscribe("room:3");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kOverloaded);
  world.broker().unsubscribe("room:1", world.now);
  EXPECT_TRUE(world.subscribe("room:3"));
}

TEST(MemoryBudget, AMessageThatIsQuietForLongerThanItsAgeKeepsItsPosition) {
  World world({rule_of("room:")});
  const Position position = world.publish("room:1", "1")->position;
  world.now.monotonic_ns += 3600 * kSecond;
  world.broker().tick(world.now);
  EXPECT_EQ(world.broker().counts().messages, 0U);
  EXPECT_FALSE(world.history("room:1", position).lost) << "nothing came after it";
  EXPECT_TRUE(world.history("room:1", {0, "e"}).lost);
}

/// Keeps every message for ever, and what a broker may have dropped is judged by the bounds.
class Naive {
 public:
  std::map<std::string, std::vector<std::string>> messages;
};

TEST(MemoryBudget, RandomPublicationsAreEitherRecoveredWholeOrToldLost) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  ChannelRule small = rule_of("small:");
  small.history_messages = 7;
  ChannelRule tight = rule_of("tight:");
  tight.history_bytes = 2'000;
  tight.budget_bytes = 5'000;
  ChannelRule brief = rule_of("brief:");
  brief.history_age_ns = 20 * kSecond;
  World world({small, tight, brief});
  Naive naive;
  std::size_t recovered = 0;
  std::size_t lost = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string prefix = std::vector<std::string>{"small:", "tight:", "brief:", "rest:"}[random() % 4];
    const std::string channel = prefix + std::to_string(random() % 5);
    auto& all = naive.messages[channel];
    if (random() % 3 != 0) {
      all.push_back(std::to_string(i) + std::string(random() % 300, '0'));
      const auto published = world.publish(channel, all.back());
      ASSERT_TRUE(published);
      ASSERT_EQ(published->position, (Position{all.size(), "e"}));
    } else {
      const Position since{random() % (all.size() + 2), "e"};
      const HistoryPage page = world.history(channel, since);
      ASSERT_EQ(page.position.offset, all.size());
      if (page.lost) {
        ++lost;
        // Seven messages are within the bounds of every rule but the tight and the brief one.
        const bool surely_kept = since.offset + 7 >= all.size() && since.offset <= all.size();
        ASSERT_FALSE(surely_kept && (prefix == "small:" || prefix == "rest:")) << channel;
        continue;
      }
      ++recovered;
      ASSERT_EQ(page.messages.size(), all.size() - since.offset);
      for (std::size_t j = 0; j < page.messages.size(); ++j) {
        ASSERT_EQ(page.messages[j].offset, since.offset + j + 1);
        ASSERT_EQ(*page.messages[j].data, all[since.offset + j]);
      }
    }
    if (random() % 10 == 0) world.now.monotonic_ns += static_cast<std::int64_t>(random() % 3) * kSecond;
    if (random() % 50 == 0) world.broker().tick(world.now);
  }
  EXPECT_GT(recovered, 100U);
  EXPECT_GT(lost, 100U);
  EXPECT_LT(world.broker().counts().bytes, 4U * 1024 * 1024);
}

}  // namespace
}  // namespace headroom::bus
