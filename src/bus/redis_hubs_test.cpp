// What the hubs of several nodes tell each other through a real Redis beside messages: who is in a channel,
// and who may not come in any more.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "bus/broker_node.hpp"
#include "bus/hub_world.hpp"
#include "bus/redis_presence.hpp"
#include "bus/redis_revocations.hpp"
#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::bus {
namespace {

using testing::RedisServer;

constexpr std::int64_t kLeaseNs = 2'000'000'000;

HubLimits small_crowd() {
  HubLimits limits;
  limits.who = 3;
  return limits;
}

/// A hub with messages of its own; what its exchanges tell runs on the test's thread.
class Node {
 public:
  Node(const RedisServer& server, const std::string& name, HubThread& hub)
      : members_(RedisPresence::make({server.url(), name, kLeaseNs, std::string(kRedisMembers)}, hub.post())
                     .value()),
        revocations_(RedisRevocations::make(server.url(), hub.post()).value()),
        world_(small_crowd(), {HubWorld::room_rule()}, read_clocks()) {
    members_->start(world_.hub().members());
    revocations_->start(world_.hub());
  }
  void tick() {
    const std::int64_t late_ns = read_clocks().monotonic_ns - world_.now().monotonic_ns;
    world_.pass(std::chrono::milliseconds(std::max<std::int64_t>(late_ns / 1'000'000, 0)));
  }
  TestPeer& join(const std::string& user) {
    peers_.push_back(world_.connect(user));
    world_.say(*peers_.back(), R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","joins":true}]}})");
    peers_.back()->sent.clear();
    return *peers_.back();
  }
  std::string who(TestPeer& peer) {
    keep(peer);
    return world_.ask(peer, R"({"id":3,"who":{"channel":"room:1"}})");
  }
  /// What was pushed to it until now.
  const std::vector<std::string>& told(TestPeer& peer) {
    keep(peer);
    return told_[&peer];
  }
  [[nodiscard]] HubWorld& world() { return world_; }
  [[nodiscard]] RedisPresence& members() { return *members_; }
  [[nodiscard]] RedisRevocations& revocations() { return *revocations_; }

 private:
  void keep(TestPeer& peer) {
    std::vector<std::string>& told = told_[&peer];
    told.insert(told.end(), peer.sent.begin(), peer.sent.end());
    peer.sent.clear();
  }

  std::unique_ptr<RedisPresence> members_;
  std::unique_ptr<RedisRevocations> revocations_;
  HubWorld world_;
  std::vector<std::unique_ptr<TestPeer>> peers_;
  std::map<TestPeer*, std::vector<std::string>> told_;
};

class RedisHubs : public ::testing::Test {
 protected:
  Node& add(const std::string& name) {
    return *nodes_.emplace(name, std::make_unique<Node>(server_, name, hub_)).first->second;
  }
  void crash(const std::string& name) { nodes_.erase(name); }
  bool run_until(const std::function<bool()>& done) {
    return hub_.run_until(done, [this] {
      for (auto& [unused, node] : nodes_) node->tick();
    });
  }
  bool answers(Node& node, TestPeer& peer, const std::string& users) {
    return run_until([&] { return node.who(peer).find("\"users\":[" + users + "]") != std::string::npos; });
  }

  RedisServer server_;
  HubThread hub_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
};

constexpr const char* kAnnJoins = R"({"join":{"channel":"room:1","user":"ann"}})";
constexpr const char* kAnnLeaves = R"({"leave":{"channel":"room:1","user":"ann"}})";
constexpr const char* kBobJoins = R"({"join":{"channel":"room:1","user":"bob"}})";

TEST_F(RedisHubs, TellWhoIsInAChannelOnWhateverNode) {
  Node& one = add("one");
  Node& two = add("two");
  TestPeer& ann = one.join("ann");
  TestPeer& bob = two.join("bob");
  ASSERT_TRUE(answers(one, ann, R"("ann","bob")"));
  ASSERT_TRUE(answers(two, bob, R"("ann","bob")"));
  EXPECT_THAT(one.told(ann), ::testing::ElementsAre(kBobJoins));
  EXPECT_THAT(two.told(bob), ::testing::ElementsAre(kAnnJoins));
}

TEST_F(RedisHubs, TellAUserWhoIsOnTwoNodesOnceAndLeavingWithTheLastOne) {
  Node& one = add("one");
  Node& two = add("two");
  TestPeer& bob = two.join("bob");
  const TestPeer& first = one.join("ann");
  ASSERT_TRUE(answers(two, bob, R"("ann","bob")"));
  const TestPeer& second = two.join("ann");
  ASSERT_TRUE(run_until([&] { return two.members().counts().announced >= 2; }));
  one.world().leave(first);
  ASSERT_TRUE(run_until([&] { return one.members().counts().announced >= 2; }));
  ASSERT_TRUE(answers(two, bob, R"("ann","bob")"));
  EXPECT_THAT(two.told(bob), ::testing::ElementsAre(kAnnJoins));
  two.world().leave(second);
  ASSERT_TRUE(answers(two, bob, R"("bob")"));
  EXPECT_THAT(two.told(bob), ::testing::ElementsAre(kAnnJoins, kAnnLeaves));
}

TEST_F(RedisHubs, ANodeThatComesLateKnowsWhoIsInAChannelAndOneThatCrashedIsForgotten) {
  Node& one = add("one");
  one.join("ann");
  ASSERT_TRUE(run_until([&] { return one.members().counts().announced >= 1; }));
  Node& late = add("late");
  TestPeer& bob = late.join("bob");
  ASSERT_TRUE(answers(late, bob, R"("ann","bob")"));
  crash("one");
  ASSERT_TRUE(answers(late, bob, R"("bob")")) << "after its lease";
  EXPECT_EQ(late.told(bob).back(), kAnnLeaves);
}

TEST_F(RedisHubs, InACrowdOverSeveralNodesNobodyIsToldWhoComes) {
  Node& one = add("one");
  Node& two = add("two");
  TestPeer& ann = one.join("ann");
  for (const char* user : {"bob", "eve", "joe"}) two.join(user);
  ASSERT_TRUE(run_until([&] { return one.who(ann).find("\"more\":true") != std::string::npos; }));
  const std::size_t told = one.told(ann).size();
  two.join("zoe");
  ASSERT_TRUE(run_until([&] { return one.world().hub().members().users() == 5; }));
  const std::string zoe = member_name("room:1", "zoe");
  ASSERT_TRUE(run_until([&] { return one.world().hub().members().state(zoe) == PresenceState::kOnline; }));
  one.world().pass(std::chrono::seconds{1});
  EXPECT_EQ(one.told(ann).size(), told);
}

TEST_F(RedisHubs, WhatOneNodeRevokesEndsTheConnectionsOfAll) {
  Node& one = add("one");
  Node& two = add("two");
  const TestPeer& ann = two.join("ann");
  const TestPeer& bob = two.join("bob");
  one.world().hub().disconnect_user("ann", one.world().now());
  ASSERT_TRUE(run_until([&] { return ann.closed.has_value(); }));
  EXPECT_EQ(ann.closed->code, DisconnectCode::kTokenRevoked);
  EXPECT_FALSE(bob.closed);
  one.world().hub().disconnect_session("of bob", one.world().now());
  ASSERT_TRUE(run_until([&] { return bob.closed.has_value(); }));
}

TEST_F(RedisHubs, ANodeThatComesLaterRefusesWhatWasRevokedBeforeAndAcceptsWhatIsNewer) {
  Node& one = add("one");
  const std::string old = one.world().token("ann");
  one.world().hub().disconnect_user("ann", one.world().now());
  ASSERT_TRUE(run_until([&] { return one.revocations().counts().announced == 1; }));
  crash("one");
  Node& late = add("late");
  ASSERT_TRUE(run_until([&] { return late.revocations().counts().heard == 1; }));
  ASSERT_TRUE(run_until([&] { return !late.world().hub().revocations().empty(); }));
  const auto refused = late.world().open();
  late.world().say(*refused, R"({"id":1,"connect":{"token":")" + old + "\"}}");
  ASSERT_TRUE(refused->closed);
  EXPECT_EQ(refused->closed->code, DisconnectCode::kTokenRevoked);
  late.world().pass(std::chrono::seconds{3});
  EXPECT_FALSE(late.world().connect("ann")->closed) << "a token of after";
}

TEST_F(RedisHubs, WhatIsRevokedWhileRedisIsAwayOrWasForgottenIsToldWhenItIsBack) {
  Node& one = add("one");
  Node& two = add("two");
  one.world().hub().disconnect_user("bob", one.world().now());
  ASSERT_TRUE(run_until([&] { return two.revocations().counts().heard == 1; }));
  const TestPeer& ann = two.join("ann");
  server_.kill();
  one.world().hub().disconnect_user("ann", one.world().now());
  server_.start();
  ASSERT_TRUE(run_until([&] { return ann.closed.has_value(); }));
  Node& late = add("late");
  EXPECT_TRUE(run_until([&] { return late.world().hub().revocations().size() == 2; }))
      << "the server had forgotten";
}

TEST_F(RedisHubs, WhatIsNoRevocationIsPassedOver) {
  redis::Connection connection(redis::parse_url(server_.url()).value());
  const std::string now = std::to_string(read_clocks().unix_s);
  for (const char* key : {"x", "u", "zann"})
    ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "k", key, "b", now}));
  ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "k", "uann", "b", "soon"}));
  ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "x", "1"}));
  ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "k", "ubob", "b", now}));
  Node& one = add("one");
  ASSERT_TRUE(run_until([&] { return !one.world().hub().revocations().empty(); }));
  ASSERT_EQ(one.world().hub().revocations().size(), 1U);
  EXPECT_EQ(one.world().hub().revocations()[0].key, "ubob");
}

}  // namespace
}  // namespace headroom::bus
