// Presence of users on several nodes: hubs that tell each other through an exchange in memory, which loses
// what the test wants it to lose.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bus/hub_world.hpp"

namespace headroom::bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class Wire;

/// One run of a server.
class Node final : public PresenceExchange {
 public:
  Node(Wire& wire, std::string name, const Now& begin = HubWorld::kBegin);
  void announce(const PresenceWord& word, const Now& now) override;
  void ask(std::string_view node, const Now& now) override;
  void hear(const std::string& node, const PresenceWord& word) {
    world.hub().presence().heard(node, word, world.now());
  }

  HubWorld world;
  const std::string name;

 private:
  Wire& wire_;
};

/// What stands between the nodes, as Redis would: the words, and what each node said as a whole.
class Wire {
 public:
  Node& start(const std::string& name, const Now& begin = HubWorld::kBegin) {
    nodes_.push_back(std::make_unique<Node>(*this, name, begin));
    for (const auto& [other, unused] : kept_) asked(*nodes_.back(), other);
    return *nodes_.back();
  }
  /// At once, without a word.
  void kill(const Node& node) {
    std::erase_if(nodes_, [&](const auto& each) { return each.get() == &node; });
  }
  void pass(std::chrono::milliseconds span) {
    for (std::chrono::milliseconds passed{0}; passed < span; passed += 100ms) {
      for (const auto& node : nodes_) node->world.pass(100ms);
      while (!under_way_.empty()) {
        const auto first = std::move(under_way_.front());
        under_way_.pop_front();
        first();
      }
    }
  }
  void said(const Node& node, const PresenceWord& word) {
    ++words;
    states += word.states.size();
    if (node.name == cut) return;
    keep(node.name, word);
    if (lost_words > 0) return void(--lost_words);
    for (const auto& other : nodes_) {
      if (other->name != node.name) tell(other->name, node.name, word);
    }
  }
  void asked(const Node& who, const std::string& about) {
    ++questions;
    const auto found = kept_.find(about);
    if (who.name == cut || found == kept_.end()) return;
    PresenceWord word{found->second.number, true, {}};
    for (const auto& [user, state] : found->second.states) word.states.push_back({user, state});
    tell(who.name, about, word);
  }

  std::string cut;  ///< the node that neither hears nor is heard
  int lost_words = 0;
  int words = 0;
  int questions = 0;
  std::size_t states = 0;

 private:
  struct Kept {
    std::uint64_t number = 0;
    std::map<std::string, PresenceState> states;
  };
  void keep(const std::string& node, const PresenceWord& word) {
    Kept& kept = kept_[node];
    kept.number = word.number;
    if (word.whole) kept.states.clear();
    for (const NodePresence& one : word.states) {
      kept.states[one.user] = one.state;
      if (one.state == PresenceState::kOffline) kept.states.erase(one.user);
    }
  }
  void tell(const std::string& to, const std::string& from, const PresenceWord& word) {
    under_way_.emplace_back([this, to, from, word] {
      for (const auto& node : nodes_) {
        if (node->name == to && to != cut) node->hear(from, word);
      }
    });
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::string, Kept> kept_;
  std::deque<std::function<void()>> under_way_;
};

Node::Node(Wire& wire, std::string given, const Now& begin)
    : world({}, {HubWorld::room_rule()}, begin), name(std::move(given)), wire_(wire) {
  world.hub().presence().use(*this);
}
void Node::announce(const PresenceWord& word, const Now& /*now*/) {
  wire_.said(*this, word);
}
void Node::ask(std::string_view node, const Now& /*now*/) {
  wire_.asked(*this, std::string(node));
}

/// A client of that node which watches alice.
std::unique_ptr<TestPeer> watcher(Node& node, const std::string& state) {
  auto peer = node.world.connect("bob");
  EXPECT_EQ(node.world.ask(*peer, R"({"id":2,"watch":{"users":["alice"]}})"),
            R"({"id":2,"watch":{"users":{"alice":")" + state + R"("}}})");
  return peer;
}

std::vector<std::string> taken(TestPeer& peer) {
  std::vector<std::string> states;
  for (std::string text = peer.next(); !text.empty(); text = peer.next()) {
    const std::string begin = R"({"presence":{"users":{"alice":")";
    EXPECT_EQ(text.substr(0, begin.size()), begin);
    states.push_back(text.substr(begin.size(), text.find('"', begin.size()) - begin.size()));
  }
  return states;
}

TEST(PresenceNodes, AUserIsSeenFromAnotherNodeAndOnlyChangesAreTold) {
  Wire wire;
  Node& one = wire.start("one");
  Node& two = wire.start("two");
  const auto bob = watcher(two, "offline");
  const auto alice = one.world.connect("alice");
  wire.pass(2s);
  EXPECT_THAT(taken(*bob), ElementsAre("online"));
  const auto second_tab = two.world.connect("alice");
  one.world.say(*alice, R"({"id":2,"activity":{"active":0,"idle":1}})");
  wire.pass(400s);
  EXPECT_THAT(taken(*bob), IsEmpty()) << "the other tab is in use";
  two.world.say(*second_tab, R"({"id":2,"activity":{"active":0,"idle":1}})");
  wire.pass(400s);
  EXPECT_THAT(taken(*bob), ElementsAre("away"));
  two.world.leave(*second_tab);
  wire.pass(10s);
  EXPECT_THAT(taken(*bob), IsEmpty());
  one.world.leave(*alice);
  wire.pass(10s);
  EXPECT_THAT(taken(*bob), ElementsAre("offline"));
  EXPECT_EQ(wire.questions, 0);
  EXPECT_EQ(wire.states, 7U) << "alice thrice on each node, bob once";
}

TEST(PresenceNodes, UsersOfANodeThatDiesAreOfflineAfterTheLeaseAndNotBefore) {
  Wire wire;
  // Clocks that have nothing to do with each other.
  Node& one = wire.start("one", {5'000'000'000, 1'700'000'000});
  Node& two = wire.start("two", {9'000'000'000'000'000, 1'900'000'000});
  const auto bob = watcher(two, "offline");
  const auto alice = one.world.connect("alice");
  wire.pass(32s);
  EXPECT_THAT(taken(*bob), ElementsAre("online"));
  wire.kill(one);
  wire.pass(44s);
  EXPECT_THAT(taken(*bob), IsEmpty()) << "15 s at most since its last word";
  wire.pass(17s);
  EXPECT_THAT(taken(*bob), ElementsAre("offline"));
  EXPECT_EQ(two.world.hub().presence().nodes(), 0U);
  EXPECT_EQ(two.world.hub().presence().users(), 1U) << "bob";
}

TEST(PresenceNodes, WhoComesBackToANodeThatWasStartedAnewWasNeverGone) {
  Wire wire;
  Node& one = wire.start("one");
  Node& two = wire.start("two");
  const auto bob = watcher(two, "offline");
  const auto alice = one.world.connect("alice");
  wire.pass(2s);
  taken(*bob);
  wire.kill(one);
  wire.pass(10s);
  Node& again = wire.start("one, its second run");
  wire.pass(20s);
  const auto alice_again = again.world.connect("alice");
  wire.pass(200s);
  EXPECT_THAT(taken(*bob), IsEmpty());
  again.world.leave(*alice_again);
  wire.pass(10s);
  EXPECT_THAT(taken(*bob), ElementsAre("offline"));
}

TEST(PresenceNodes, ANodeThatComesLaterLearnsWhoIsThere) {
  Wire wire;
  Node& one = wire.start("one");
  const auto alice = one.world.connect("alice");
  wire.pass(100s);
  Node& two = wire.start("two");
  wire.pass(1s);
  const auto bob = watcher(two, "online");
  one.world.leave(*alice);
  wire.pass(10s);
  EXPECT_THAT(taken(*bob), ElementsAre("offline"));
}

TEST(PresenceNodes, AWordThatGetsLostIsMadeUpForWithTheNext) {
  Wire wire;
  Node& one = wire.start("one");
  Node& two = wire.start("two");
  const auto bob = watcher(two, "offline");
  wire.pass(2s);
  const auto alice = one.world.connect("alice");
  wire.lost_words = 1;
  wire.pass(2s);
  EXPECT_THAT(taken(*bob), IsEmpty());
  wire.pass(16s);
  EXPECT_THAT(taken(*bob), ElementsAre("online")) << "the lease was renewed, and the number was not the next";
  EXPECT_EQ(wire.questions, 1);
}

TEST(PresenceNodes, ANodeThatWasCutOffIsHeardAsAWholeWhenItIsBack) {
  Wire wire;
  Node& one = wire.start("one");
  Node& two = wire.start("two");
  const auto bob = watcher(two, "offline");
  const auto alice = one.world.connect("alice");
  const auto carol = one.world.connect("carol");
  wire.pass(2s);
  taken(*bob);
  wire.cut = "one";
  one.world.leave(*carol);
  wire.pass(100s);
  EXPECT_THAT(taken(*bob), ElementsAre("offline"));
  wire.cut = "";
  one.world.hub().presence().announce_whole();
  wire.pass(2s);
  EXPECT_THAT(taken(*bob), ElementsAre("online"));
  EXPECT_EQ(two.world.hub().presence().state("carol"), PresenceState::kOffline);
  wire.cut = "one";
  one.world.leave(*alice);
  wire.pass(20s);
  EXPECT_THAT(taken(*bob), IsEmpty()) << "not known yet";
  wire.cut = "";
  one.world.hub().presence().announce_whole();
  wire.pass(2s);
  EXPECT_THAT(taken(*bob), ElementsAre("offline"));
}

TEST(PresenceNodes, AQuietBusOnlyRenewsItsLeases) {
  Wire wire;
  Node& one = wire.start("one");
  wire.start("two");
  std::vector<std::unique_ptr<TestPeer>> peers;
  for (int i = 0; i < 100; ++i) peers.push_back(one.world.connect("user" + std::to_string(i)));
  wire.pass(2s);
  EXPECT_EQ(wire.states, 100U);
  wire.words = 0;
  for (int minute = 0; minute < 10; ++minute) {
    for (const auto& peer : peers) {
      one.world.say(*peer, R"({"id":2,"activity":{"active":1,"idle":2}})");
      one.world.say(*peer, R"({"id":3,"ping":{}})");
    }
    wire.pass(60s);
  }
  EXPECT_EQ(wire.states, 100U);
  EXPECT_LE(wire.words, 2 * 41) << "four a minute, of each node";
}

}  // namespace
}  // namespace headroom::bus
