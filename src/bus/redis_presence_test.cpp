// Presence of several nodes over a real Redis: who comes late, crashes, leaves, and a server that forgets.

#include "bus/redis_presence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>

#include "bus/broker_node.hpp"
#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::bus {
namespace {

using ::testing::ElementsAre;
using testing::RedisServer;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kLongNs = 600 * kSecondNs;

PresenceLimits limits_of(std::int64_t lease_ns) {
  PresenceLimits limits;
  limits.lease_ns = lease_ns;
  limits.gather_ns = 10'000'000;
  limits.offline_after_ns = 20'000'000;
  limits.away_after_ns = 30'000'000;
  return limits;
}

/// A node without a hub: its table, and what it told.
class Node {
 public:
  Node(const RedisServer& server, const std::string& name, std::int64_t lease_ns, HubThread& hub)
      : presence_(RedisPresence::make({server.url(), name, lease_ns}, hub.post()).value()),
        table_(std::make_unique<PresenceTable>(limits_of(lease_ns))) {
    presence_->start(*table_);
  }
  void tick() {
    table_->tick(read_clocks(), [this](const std::vector<NodePresence>& changes) {
      for (const NodePresence& one : changes) told_[one.user].push_back(name(one.state));
    });
  }
  void connect(const std::string& user) { table_->connected(user, read_clocks()); }
  void disconnect(const std::string& user, const Activity& last = {}) {
    table_->disconnected(user, last, read_clocks());
  }
  void rest(const std::string& user) { table_->reported(user, {1, 0}, {0, 1}, read_clocks()); }
  [[nodiscard]] PresenceState state(const std::string& user) const { return table_->state(user); }
  [[nodiscard]] std::vector<std::string_view> told(const std::string& user) { return told_[user]; }
  [[nodiscard]] RedisPresence& presence() { return *presence_; }

 private:
  std::unique_ptr<RedisPresence> presence_;
  std::unique_ptr<PresenceTable> table_;
  std::map<std::string, std::vector<std::string_view>> told_;
};

class RedisPresenceOver : public ::testing::Test {
 protected:
  Node& add(const std::string& name, std::int64_t lease_ns = kLongNs) {
    return *nodes_.emplace(name, std::make_unique<Node>(server_, name, lease_ns, hub_)).first->second;
  }
  void crash(const std::string& name) { nodes_.erase(name); }
  bool run_until(const std::function<bool()>& done) {
    return hub_.run_until(done, [this] {
      for (auto& [unused, node] : nodes_) node->tick();
    });
  }
  bool sees(Node& node, const std::string& user, PresenceState state) {
    return run_until([&] { return node.state(user) == state; });
  }
  bool tells(Node& node, const std::string& user, std::string_view state) {
    return run_until([&] { return !node.told(user).empty() && node.told(user).back() == state; });
  }
  redis::Reply run(std::initializer_list<std::string_view> command) {
    redis::Connection connection(redis::parse_url(server_.url()).value());
    return connection.run(command).value();
  }

  RedisServer server_;
  HubThread hub_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
};

TEST_F(RedisPresenceOver, TellsTheUsersOfOneNodeAtTheOthers) {
  Node& one = add("one");
  Node& two = add("two");
  one.connect("ann");
  ASSERT_TRUE(tells(two, "ann", "online"));
  one.rest("ann");
  ASSERT_TRUE(tells(two, "ann", "away"));
  two.connect("ann");
  ASSERT_TRUE(tells(one, "ann", "online")) << "of all her tabs the most active counts";
  one.disconnect("ann", {0, 1});
  two.disconnect("ann");
  ASSERT_TRUE(tells(one, "ann", "offline"));
  ASSERT_TRUE(tells(two, "ann", "offline"));
  // What the other's tab leaves behind for a moment may be told before the end.
  const std::vector<std::string_view> told = two.told("ann");
  ASSERT_GE(told.size(), 4U);
  EXPECT_LE(told.size(), 5U);
  EXPECT_THAT(std::vector(told.begin(), told.begin() + 3), ElementsAre("online", "away", "online"));
}

TEST_F(RedisPresenceOver, ANodeThatComesLateKnowsWhoIsThere) {
  Node& one = add("one");
  for (int i = 0; i < 20'000; ++i) one.connect("user" + std::to_string(i));
  ASSERT_TRUE(run_until([&] { return one.presence().counts().announced >= 20'000; }));
  Node& late = add("late");
  ASSERT_TRUE(sees(late, "user19999", PresenceState::kOnline));
  EXPECT_EQ(late.state("user0"), PresenceState::kOnline);
}

TEST_F(RedisPresenceOver, ACrashLeadsToOfflineAfterTheLeaseAndNotBefore) {
  constexpr std::int64_t kLeaseNs = 2 * kSecondNs;
  Node& one = add("one", kLeaseNs);
  Node& two = add("two", kLeaseNs);
  one.connect("ann");
  ASSERT_TRUE(sees(two, "ann", PresenceState::kOnline));
  const std::int64_t crashed = read_clocks().monotonic_ns;
  crash("one");
  Node& late = add("late", kLeaseNs);
  ASSERT_TRUE(sees(late, "ann", PresenceState::kOnline)) << "its lease is told to those who come";
  ASSERT_TRUE(sees(two, "ann", PresenceState::kOffline));
  EXPECT_GE(read_clocks().monotonic_ns - crashed, kLeaseNs / 2) << "it renewed each quarter";
  ASSERT_TRUE(sees(late, "ann", PresenceState::kOffline));
  EXPECT_EQ(run({"EXISTS", "headroom:bus:presence:one"}).integer, 0);
}

TEST_F(RedisPresenceOver, ANodeThatRenewsItsLeaseKeepsItsUsers) {
  constexpr std::int64_t kLeaseNs = kSecondNs;
  Node& one = add("one", kLeaseNs);
  Node& two = add("two", kLeaseNs);
  one.connect("ann");
  ASSERT_TRUE(sees(two, "ann", PresenceState::kOnline));
  const std::int64_t begun = read_clocks().monotonic_ns;
  ASSERT_TRUE(run_until([&] { return read_clocks().monotonic_ns - begun > 3 * kLeaseNs; }));
  EXPECT_THAT(two.told("ann"), ElementsAre("online"));
}

TEST_F(RedisPresenceOver, ANodeThatEndsInGoodOrderLeavesNobodyBehind) {
  Node& one = add("one");
  Node& two = add("two");
  one.connect("ann");
  ASSERT_TRUE(sees(two, "ann", PresenceState::kOnline));
  one.presence().leave();
  crash("one");
  EXPECT_TRUE(sees(two, "ann", PresenceState::kOffline));
  EXPECT_THAT(run({"SMEMBERS", "headroom:bus:presence:nodes"}).elements, ::testing::SizeIs(1));
}

TEST_F(RedisPresenceOver, AServerThatForgotEverythingIsToldAnew) {
  Node& one = add("one");
  Node& two = add("two");
  one.connect("ann");
  one.connect("bob");
  ASSERT_TRUE(sees(two, "bob", PresenceState::kOnline));
  server_.kill();
  one.disconnect("bob");
  one.connect("eve");
  ASSERT_TRUE(run_until([&] { return one.state("bob") == PresenceState::kOffline; }));
  server_.start();
  ASSERT_TRUE(sees(two, "eve", PresenceState::kOnline));
  ASSERT_TRUE(sees(two, "bob", PresenceState::kOffline));
  EXPECT_THAT(two.told("ann"), ElementsAre("online")) << "she was there all along";
  Node& late = add("late");
  ASSERT_TRUE(sees(late, "ann", PresenceState::kOnline));
  EXPECT_GT(one.presence().counts().losses, 0U);
}

TEST_F(RedisPresenceOver, WhatWasMissedIsReadFromWhatTheNodesKeep) {
  Node& one = add("one");
  Node& two = add("two");
  one.connect("ann");
  ASSERT_TRUE(sees(two, "ann", PresenceState::kOnline));
  // As when entries were trimmed away before they were read.
  run({"HSET", "headroom:bus:presence:one", "eve", "n"});
  run({"INCRBY", "headroom:bus:presence.number", "5"});
  one.connect("bob");
  EXPECT_TRUE(sees(two, "eve", PresenceState::kOnline));
  EXPECT_TRUE(sees(two, "bob", PresenceState::kOnline));
  EXPECT_THAT(two.told("ann"), ElementsAre("online"));
}

}  // namespace
}  // namespace headroom::bus
