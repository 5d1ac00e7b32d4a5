#include "bus/memory_broker.hpp"

#include <gtest/gtest.h>

#include "bus/broker_conformance.hpp"
#include "bus/hub_world.hpp"

namespace headroom::bus {
namespace {

class MemoryWorld final : public BrokerWorld {
 public:
  std::unique_ptr<Broker> make(const ChannelRules& rules) override {
    return std::make_unique<MemoryBroker>(rules, random_epoch());
  }
  bool wait(Broker& /*broker*/, const std::function<bool()>& done) override { return done(); }
  [[nodiscard]] Now now() const override { return {1'000'000'000, 1'800'000'000}; }
  [[nodiscard]] bool outlives_broker() const override { return false; }
  [[nodiscard]] bool several_nodes() const override { return false; }
};

INSTANTIATE_TEST_SUITE_P(Memory, BrokerConformance,
                         testing::Values(BrokerCase{"Memory",
                                                    [] { return std::make_unique<MemoryWorld>(); }}),
                         [](const auto& tested) { return tested.param.name; });

ChannelRule rule_of(std::string prefix) {
  ChannelRule rule;
  rule.prefix = std::move(prefix);
  return rule;
}

TEST(MemoryBroker, ForgetsByAge) {
  ChannelRule rule = rule_of("room:");
  rule.history_age_ns = 60'000'000'000;
  HubWorld world({}, {rule});
  ASSERT_TRUE(world.publish("room:1", "1"));
  world.pass(std::chrono::seconds{50});
  ASSERT_TRUE(world.publish("room:1", "2"));
  world.pass(std::chrono::seconds{20});
  const Position since{0, "epoch"};
  HistoryQuery query;
  query.since = &since;
  bool lost = false;
  world.broker().history("room:1", query, world.now(), [&](auto page) { lost = page->lost; });
  EXPECT_TRUE(lost);
}

TEST(MemoryBroker, AFloodedPrefixTakesNothingFromAnother) {
  ChannelRule flooded = rule_of("flood:");
  flooded.budget_bytes = 64 * 1024;
  HubWorld world({}, {flooded, rule_of("calm:")});
  ASSERT_TRUE(world.publish("calm:1", "1"));
  const std::string large = "\"" + std::string(1000, 'x') + "\"";
  for (int turn = 0; turn < 500; ++turn)
    ASSERT_TRUE(world.publish("flood:" + std::to_string(turn % 50), large));
  EXPECT_LT(world.broker().counts().bytes, 80U * 1024);
  EXPECT_GT(world.broker().counts().dropped_by_budget, 0U);
  const Position since{0, "epoch"};
  HistoryQuery query;
  query.since = &since;
  std::size_t kept = 0;
  world.broker().history("calm:1", query, world.now(), [&](auto page) { kept = page->messages.size(); });
  EXPECT_EQ(kept, 1U);
}

TEST(MemoryBroker, RemembersIdsForFiveMinutesAndRefusesRatherThanForgets) {
  ChannelRule rule = rule_of("room:");
  rule.budget_ids = 3;
  HubWorld world({}, {rule});
  for (const std::string id : {"a", "b", "c"}) ASSERT_TRUE(world.publish("room:1", "1", id));
  const auto refused = world.publish("room:1", "1", "d");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kOverloaded);
  EXPECT_TRUE(world.publish("room:1", "1")) << "without an id";
  world.pass(std::chrono::minutes{4});
  EXPECT_TRUE(world.publish("room:1", "1", "a")->repeated);
  world.pass(std::chrono::minutes{2});
  const auto later = world.publish("room:1", "1", "a");
  ASSERT_TRUE(later);
  EXPECT_FALSE(later->repeated);
}

TEST(MemoryBroker, EachStartIsAnotherEpoch) {
  EXPECT_NE(random_epoch(), random_epoch());
}

}  // namespace
}  // namespace headroom::bus
