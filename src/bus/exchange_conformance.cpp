#include "bus/exchange_conformance.hpp"

#include <algorithm>
#include <chrono>

#include <gmock/gmock.h>

namespace headroom::bus {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kMsNs = 1'000'000;
constexpr std::int64_t kLeaseNs = 2'000 * kMsNs;
constexpr const char* kAnnJoins = R"({"join":{"channel":"room:1","user":"ann"}})";
constexpr const char* kAnnLeaves = R"({"leave":{"channel":"room:1","user":"ann"}})";
constexpr const char* kBobJoins = R"({"join":{"channel":"room:1","user":"bob"}})";

HubLimits small_crowd() {
  HubLimits limits;
  limits.who = 3;
  return limits;
}

PresenceLimits short_times() {
  PresenceLimits limits;
  limits.lease_ns = kLeaseNs;
  limits.gather_ns = 100 * kMsNs;
  limits.offline_after_ns = 200 * kMsNs;
  limits.away_after_ns = 300 * kMsNs;
  limits.ask_again_ns = 500 * kMsNs;
  return limits;
}

/// Whether a peer was told that of a user, as the last word about him.
bool was_told(const std::vector<std::string>& told, const std::string& user, const std::string& state) {
  std::string last;
  for (const std::string& text : told) {
    if (text.find("{\"presence\"") == 0 && text.find("\"" + user + "\":") != std::string::npos) last = text;
  }
  return last.find("\"" + user + "\":\"" + state + "\"") != std::string::npos;
}

}  // namespace

ExchangeNode::ExchangeNode(ExchangeWorld& world, const std::string& name, HubThread& hub)
    : exchanges_(world.make(name, kLeaseNs, hub.post())),
      world_(small_crowd(), {HubWorld::room_rule()}, read_clocks(), short_times()) {
  exchanges_->start(world_.hub());
}

void ExchangeNode::tick() {
  const std::int64_t late_ns = read_clocks().monotonic_ns - world_.now().monotonic_ns;
  world_.pass(std::chrono::milliseconds(std::max<std::int64_t>(late_ns / kMsNs, 0)));
}

TestPeer& ExchangeNode::join(const std::string& user) {
  peers_.push_back(world_.connect(user));
  world_.say(*peers_.back(), R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","joins":true}]}})");
  peers_.back()->sent.clear();
  return *peers_.back();
}

std::string ExchangeNode::who(TestPeer& peer) {
  keep(peer);
  return world_.ask(peer, R"({"id":3,"who":{"channel":"room:1"}})");
}

const std::vector<std::string>& ExchangeNode::told(TestPeer& peer) {
  keep(peer);
  return told_[&peer];
}

PresenceState ExchangeNode::state(const std::string& user) {
  return hub().presence().state(user);
}

void ExchangeNode::keep(TestPeer& peer) {
  std::vector<std::string>& told = told_[&peer];
  told.insert(told.end(), peer.sent.begin(), peer.sent.end());
  peer.sent.clear();
}

ExchangeNode& ExchangeNodes::add(const std::string& name) {
  return *nodes_.emplace(name, std::make_unique<ExchangeNode>(world_, name, hub_)).first->second;
}

bool ExchangeNodes::run_until(const std::function<bool()>& done) {
  return hub_.run_until(done, [this] {
    for (auto& [unused, node] : nodes_) node->tick();
  });
}

bool ExchangeNodes::answers(ExchangeNode& node, TestPeer& peer, const std::string& users) {
  return run_until([&] { return node.who(peer).find("\"users\":[" + users + "]") != std::string::npos; });
}

bool ExchangeNodes::sees(ExchangeNode& node, const std::string& user, PresenceState state) {
  return run_until([&] { return node.state(user) == state; });
}

// Who is there
// ---------------------------------------------------------------------------------------------------------

TEST_P(ExchangeConformance, TellsTheUsersOfOneNodeAtTheOthers) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  TestPeer& bob = two.join("bob");
  two.world().say(bob, R"({"id":4,"watch":{"users":["ann"]}})");
  const TestPeer& ann = one.join("ann");
  const auto is_told = [&](const char* state) {
    return nodes_.run_until([&] { return was_told(two.told(bob), "ann", state); });
  };
  ASSERT_TRUE(is_told("online"));
  one.world().say(ann, R"({"id":5,"activity":{"active":0,"idle":1}})");
  ASSERT_TRUE(is_told("away"));
  one.world().say(ann, R"({"id":6,"activity":{"active":1,"idle":0}})");
  ASSERT_TRUE(is_told("online"));
  one.world().leave(ann);
  ASSERT_TRUE(is_told("offline"));
}

TEST_P(ExchangeConformance, OfAUserOnTwoNodesTheMostActiveTabCounts) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  const TestPeer& first = one.join("ann");
  const TestPeer& second = two.join("ann");
  one.world().say(first, R"({"id":5,"activity":{"active":0,"idle":1}})");
  ASSERT_TRUE(nodes_.run_until([&] { return two.exchanges().presence().heard >= 1; }));
  ASSERT_TRUE(nodes_.sees(one, "ann", PresenceState::kOnline));
  ASSERT_TRUE(nodes_.sees(two, "ann", PresenceState::kOnline));
  two.world().leave(second);
  EXPECT_TRUE(nodes_.sees(one, "ann", PresenceState::kAway));
  EXPECT_TRUE(nodes_.sees(two, "ann", PresenceState::kAway));
}

TEST_P(ExchangeConformance, ANodeThatComesLateKnowsACrowd) {
  constexpr int kUsers = 20'000;
  ExchangeNode& one = nodes_.add("one");
  for (int i = 0; i < kUsers; ++i)
    one.hub().presence().connected("user" + std::to_string(i), one.world().now());
  ASSERT_TRUE(nodes_.run_until([&] { return one.exchanges().presence().announced >= kUsers; }));
  ExchangeNode& late = nodes_.add("late");
  ASSERT_TRUE(nodes_.sees(late, "user19999", PresenceState::kOnline));
  EXPECT_EQ(late.state("user0"), PresenceState::kOnline);
}

TEST_P(ExchangeConformance, ACrashLeadsToOfflineAfterTheLeaseAndNotBefore) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  one.join("ann");
  ASSERT_TRUE(nodes_.sees(two, "ann", PresenceState::kOnline));
  const std::int64_t crashed = read_clocks().monotonic_ns;
  nodes_.crash("one");
  ASSERT_TRUE(nodes_.sees(two, "ann", PresenceState::kOffline));
  EXPECT_GE(read_clocks().monotonic_ns - crashed, kLeaseNs / 2) << "it renewed each quarter";
}

TEST_P(ExchangeConformance, ANodeThatRenewsItsLeaseKeepsItsUsers) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  one.join("ann");
  ASSERT_TRUE(nodes_.sees(two, "ann", PresenceState::kOnline));
  TestPeer& bob = two.join("bob");
  two.world().say(bob, R"({"id":4,"watch":{"users":["ann"]}})");
  const std::int64_t begun = read_clocks().monotonic_ns;
  ASSERT_TRUE(nodes_.run_until([&] { return read_clocks().monotonic_ns - begun > 3 * kLeaseNs; }));
  EXPECT_FALSE(was_told(two.told(bob), "ann", "offline"));
  EXPECT_EQ(two.state("ann"), PresenceState::kOnline);
}

TEST_P(ExchangeConformance, ANodeThatEndsInGoodOrderLeavesNobodyBehind) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  one.join("ann");
  ASSERT_TRUE(nodes_.sees(two, "ann", PresenceState::kOnline));
  one.exchanges().leave();
  nodes_.crash("one");
  EXPECT_TRUE(nodes_.sees(two, "ann", PresenceState::kOffline));
}

TEST_P(ExchangeConformance, WhatChangesWhileTheServerIsAwayIsKnownWhenItIsBack) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  one.join("ann");
  const TestPeer& bob = one.join("bob");
  ASSERT_TRUE(nodes_.sees(two, "ann", PresenceState::kOnline));
  ASSERT_TRUE(nodes_.sees(two, "bob", PresenceState::kOnline));
  world_->kill();
  one.world().leave(bob);
  one.join("eve");
  ASSERT_TRUE(nodes_.sees(one, "bob", PresenceState::kOffline));
  world_->start();
  ASSERT_TRUE(nodes_.sees(two, "eve", PresenceState::kOnline));
  ASSERT_TRUE(nodes_.sees(two, "bob", PresenceState::kOffline));
  EXPECT_TRUE(nodes_.sees(two, "ann", PresenceState::kOnline));
  ExchangeNode& late = nodes_.add("late");
  EXPECT_TRUE(nodes_.sees(late, "ann", PresenceState::kOnline));
  EXPECT_GT(one.exchanges().presence().losses, 0U);
}

// Who is in a channel
// ---------------------------------------------------------------------------------------------------------

TEST_P(ExchangeConformance, TellsWhoIsInAChannelOnWhateverNode) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  TestPeer& ann = one.join("ann");
  TestPeer& bob = two.join("bob");
  ASSERT_TRUE(nodes_.answers(one, ann, R"("ann","bob")"));
  ASSERT_TRUE(nodes_.answers(two, bob, R"("ann","bob")"));
  EXPECT_THAT(one.told(ann), ElementsAre(kBobJoins));
  EXPECT_THAT(two.told(bob), ElementsAre(kAnnJoins));
}

TEST_P(ExchangeConformance, TellsAUserWhoIsOnTwoNodesOnceAndLeavingWithTheLastOne) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  TestPeer& bob = two.join("bob");
  const TestPeer& first = one.join("ann");
  ASSERT_TRUE(nodes_.answers(two, bob, R"("ann","bob")"));
  const TestPeer& second = two.join("ann");
  ASSERT_TRUE(nodes_.run_until([&] { return two.exchanges().members().announced >= 2; }));
  one.world().leave(first);
  ASSERT_TRUE(nodes_.run_until([&] { return one.exchanges().members().announced >= 2; }));
  ASSERT_TRUE(nodes_.answers(two, bob, R"("ann","bob")"));
  EXPECT_THAT(two.told(bob), ElementsAre(kAnnJoins));
  two.world().leave(second);
  ASSERT_TRUE(nodes_.answers(two, bob, R"("bob")"));
  EXPECT_THAT(two.told(bob), ElementsAre(kAnnJoins, kAnnLeaves));
}

TEST_P(ExchangeConformance, ANodeThatComesLateKnowsWhoIsInAChannelAndOneThatCrashedIsForgotten) {
  ExchangeNode& one = nodes_.add("one");
  one.join("ann");
  ASSERT_TRUE(nodes_.run_until([&] { return one.exchanges().members().announced >= 1; }));
  ExchangeNode& late = nodes_.add("late");
  TestPeer& bob = late.join("bob");
  ASSERT_TRUE(nodes_.answers(late, bob, R"("ann","bob")"));
  nodes_.crash("one");
  ASSERT_TRUE(nodes_.answers(late, bob, R"("bob")")) << "after its lease";
  EXPECT_EQ(late.told(bob).back(), kAnnLeaves);
}

TEST_P(ExchangeConformance, InACrowdOverSeveralNodesNobodyIsToldWhoComes) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  TestPeer& ann = one.join("ann");
  for (const char* user : {"bob", "eve", "joe"}) two.join(user);
  ASSERT_TRUE(nodes_.run_until([&] { return one.who(ann).find("\"more\":true") != std::string::npos; }));
  const std::size_t told = one.told(ann).size();
  two.join("zoe");
  const std::string zoe = member_name("room:1", "zoe");
  ASSERT_TRUE(nodes_.run_until([&] { return one.hub().members().state(zoe) == PresenceState::kOnline; }));
  one.world().pass(std::chrono::seconds{1});
  EXPECT_EQ(one.told(ann).size(), told);
}

// Who may not come in any more
// ---------------------------------------------------------------------------------------------------------

TEST_P(ExchangeConformance, WhatOneNodeRevokesEndsTheConnectionsOfAll) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  const TestPeer& ann = two.join("ann");
  const TestPeer& bob = two.join("bob");
  one.hub().disconnect_user("ann", one.world().now());
  ASSERT_TRUE(nodes_.run_until([&] { return ann.closed.has_value(); }));
  EXPECT_EQ(ann.closed->code, DisconnectCode::kTokenRevoked);
  EXPECT_FALSE(bob.closed);
  one.hub().disconnect_session("of bob", one.world().now());
  ASSERT_TRUE(nodes_.run_until([&] { return bob.closed.has_value(); }));
}

TEST_P(ExchangeConformance, ANodeThatComesLaterRefusesWhatWasRevokedBeforeAndAcceptsWhatIsNewer) {
  ExchangeNode& one = nodes_.add("one");
  const std::string old = one.world().token("ann");
  one.hub().disconnect_user("ann", one.world().now());
  ASSERT_TRUE(nodes_.run_until([&] { return one.exchanges().revocations().announced == 1; }));
  nodes_.crash("one");
  ExchangeNode& late = nodes_.add("late");
  ASSERT_TRUE(nodes_.run_until([&] { return !late.hub().revocations().empty(); }));
  ASSERT_TRUE(nodes_.run_until([&] { return late.exchanges().revocations().heard == 1; }));
  const auto refused = late.world().open();
  late.world().say(*refused, R"({"id":1,"connect":{"token":")" + old + "\"}}");
  ASSERT_TRUE(refused->closed);
  EXPECT_EQ(refused->closed->code, DisconnectCode::kTokenRevoked);
  late.world().pass(std::chrono::seconds{3});
  EXPECT_FALSE(late.world().connect("ann")->closed) << "a token of after";
}

TEST_P(ExchangeConformance, WhatIsRevokedWhileTheServerIsAwayIsToldWhenItIsBack) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  one.hub().disconnect_user("bob", one.world().now());
  ASSERT_TRUE(nodes_.run_until([&] { return two.exchanges().revocations().heard >= 1; }));
  const TestPeer& ann = two.join("ann");
  world_->kill();
  one.hub().disconnect_user("ann", one.world().now());
  world_->start();
  ASSERT_TRUE(nodes_.run_until([&] { return ann.closed.has_value(); }));
  ExchangeNode& late = nodes_.add("late");
  EXPECT_TRUE(nodes_.run_until([&] { return late.hub().revocations().size() == 2; }))
      << "also what a server had forgotten";
}

}  // namespace headroom::bus
