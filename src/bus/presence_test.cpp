#include "bus/presence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace headroom::bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kSecond = 1'000'000'000;

/// A table whose time passes when the test says so, and what it told.
class World {
 public:
  explicit World(const PresenceLimits& limits = {}) : table(limits) {}

  void pass(std::int64_t seconds) {
    for (std::int64_t i = 0; i < seconds * 10; ++i) {
      now.monotonic_ns += kSecond / 10;
      table.tick(now, [this](const auto& changes) {
        for (const NodePresence& each : changes)
          told_.push_back(each.user + " " + std::string(name(each.state)));
      });
    }
  }
  std::vector<std::string> told() { return std::exchange(told_, {}); }
  /// The next word of another node.
  void hear(const std::string& node, std::vector<NodePresence> changes) {
    table.heard(node, {++words_[node], words_[node] == 1, std::move(changes)}, now);
  }

  PresenceTable table;
  Now now{1'000 * kSecond, 1'800'000'000};

 private:
  std::vector<std::string> told_;
  std::map<std::string, std::uint64_t> words_;
};

constexpr Activity kActive{1, 0};
constexpr Activity kIdle{0, 3};
constexpr Activity kNoTab{0, 0};

TEST(Presence, AUserIsOnlineOverAllConnectionsAndToldOnce) {
  World world;
  world.table.connected("alice", world.now);
  world.table.connected("alice", world.now);
  EXPECT_EQ(world.table.state("alice"), PresenceState::kOnline);
  world.pass(1);
  EXPECT_THAT(world.told(), ElementsAre("alice online"));
  world.table.disconnected("alice", kActive, world.now);
  world.pass(60);
  EXPECT_THAT(world.told(), IsEmpty());
  world.table.disconnected("alice", kActive, world.now);
  EXPECT_EQ(world.table.state("alice"), PresenceState::kOnline) << "a page may be reloading";
  world.pass(6);
  EXPECT_THAT(world.told(), ElementsAre("alice offline"));
  EXPECT_EQ(world.table.users(), 0U);
}

TEST(Presence, WhoReloadsWasNeverGone) {
  World world;
  world.table.connected("alice", world.now);
  world.pass(1);
  world.told();
  world.table.disconnected("alice", kActive, world.now);
  world.pass(4);
  world.table.connected("alice", world.now);
  world.pass(60);
  EXPECT_THAT(world.told(), IsEmpty());
}

TEST(Presence, WhoseTabsAreAllIdleIsAwayAfterTheTime) {
  World world;
  world.table.connected("alice", world.now);
  world.table.connected("alice", world.now);
  world.table.reported("alice", kActive, kIdle, world.now);
  world.pass(400);
  EXPECT_THAT(world.told(), ElementsAre("alice online"));
  world.table.reported("alice", kActive, kIdle, world.now);
  world.pass(299);
  EXPECT_THAT(world.told(), IsEmpty());
  world.pass(2);
  EXPECT_THAT(world.told(), ElementsAre("alice away"));
  world.table.reported("alice", kIdle, {2, 1}, world.now);
  world.pass(1);
  EXPECT_THAT(world.told(), ElementsAre("alice online"));
}

TEST(Presence, AnIdleTabThatClosesDoesNotMakeAnybodyOnline) {
  World world;
  world.table.connected("alice", world.now);
  world.table.connected("alice", world.now);
  world.table.reported("alice", kActive, kIdle, world.now);
  world.table.reported("alice", kActive, kIdle, world.now);
  world.pass(301);
  world.told();
  world.table.disconnected("alice", kIdle, world.now);
  world.pass(60);
  EXPECT_THAT(world.told(), IsEmpty());
  EXPECT_EQ(world.table.state("alice"), PresenceState::kAway);
}

TEST(Presence, AConnectionWithoutTabsCountsAsNone) {
  World world;
  world.table.connected("alice", world.now);
  world.pass(1);
  world.table.reported("alice", kActive, kNoTab, world.now);
  world.pass(6);
  EXPECT_THAT(world.told(), ElementsAre("alice online", "alice offline"));
  world.table.reported("alice", kNoTab, kActive, world.now);
  world.pass(1);
  EXPECT_THAT(world.told(), ElementsAre("alice online"));
}

TEST(Presence, AFlappingUserIsToldAsHeIsWhenItIsTold) {
  World world;
  for (int i = 0; i < 100; ++i) {
    world.table.connected("alice", world.now);
    world.table.disconnected("alice", kActive, world.now);
  }
  world.table.connected("alice", world.now);
  world.pass(10);
  EXPECT_THAT(world.told(), ElementsAre("alice online"));
}

TEST(Presence, ANodeThatDiesIsBelievedUntilItsLeaseEnds) {
  World world;
  world.hear("b", {{"bob", PresenceState::kOnline}});
  world.pass(1);
  EXPECT_THAT(world.told(), ElementsAre("bob online"));
  world.pass(58);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOnline) << "not before the lease";
  world.hear("b", {});
  world.pass(59);
  EXPECT_THAT(world.told(), IsEmpty());
  world.pass(2);
  EXPECT_THAT(world.told(), ElementsAre("bob offline"));
  EXPECT_EQ(world.table.users(), 0U);
}

TEST(Presence, TheBestOfAllNodesCounts) {
  World world;
  world.table.connected("alice", world.now);
  world.table.reported("alice", kActive, kIdle, world.now);
  world.hear("b", {{"alice", PresenceState::kAway}});
  world.hear("c", {{"alice", PresenceState::kOnline}});
  world.pass(1);
  EXPECT_THAT(world.told(), ElementsAre("alice online"));
  for (int i = 0; i < 10; ++i) {
    world.pass(30);
    world.hear("b", {});
    world.hear("c", {});
  }
  EXPECT_THAT(world.told(), IsEmpty());
  world.table.node_left("c", world.now);
  world.pass(4);
  EXPECT_THAT(world.told(), IsEmpty()) << "its users may come back elsewhere";
  world.pass(2);
  EXPECT_THAT(world.told(), ElementsAre("alice away"));
  world.table.disconnected("alice", kIdle, world.now);
  world.pass(6);
  EXPECT_EQ(world.table.state("alice"), PresenceState::kAway) << "on b";
  world.hear("b", {{"alice", PresenceState::kOffline}});
  world.pass(1);
  EXPECT_THAT(world.told(), ElementsAre("alice offline"));
}

class Exchange final : public PresenceExchange {
 public:
  void announce(const PresenceWord& word, const Now& /*now*/) override {
    EXPECT_EQ(word.number, static_cast<std::uint64_t>(++words));
    EXPECT_EQ(word.whole, words == 1);
    for (const NodePresence& each : word.states)
      said.push_back(each.user + " " + std::string(name(each.state)));
  }
  void ask(std::string_view node, const Now& /*now*/) override { asked.emplace_back(node); }
  int words = 0;
  std::vector<std::string> said;
  std::vector<std::string> asked;
};

TEST(Presence, ThisNodeTellsItsOwnUsersAndRenewsItsLease) {
  World world;
  Exchange exchange;
  world.table.use(exchange);
  world.hear("b", {{"bob", PresenceState::kOnline}});
  world.table.connected("alice", world.now);
  world.pass(60);
  EXPECT_THAT(exchange.said, ElementsAre("alice online"));
  EXPECT_GE(exchange.words, 4);
  EXPECT_LE(exchange.words, 7);
  ASSERT_EQ(world.table.local().size(), 1U);
  EXPECT_EQ(world.table.local().front().user, "alice");
}

TEST(Presence, AMissedWordIsNoticedAndTheWholeIsAskedForUntilItComes) {
  World world;
  Exchange exchange;
  world.table.use(exchange);
  world.table.heard("b", {7, false, {{"bob", PresenceState::kOnline}}}, world.now);
  EXPECT_THAT(exchange.asked, ElementsAre("b"));
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOnline) << "what is known counts";
  world.table.heard("b", {8, false, {}}, world.now);
  EXPECT_EQ(exchange.asked.size(), 1U) << "it is asked already";
  world.pass(6);
  EXPECT_EQ(exchange.asked.size(), 2U);
  world.table.heard("b", {7, true, {{"bob", PresenceState::kAway}}}, world.now);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOnline) << "older than what was heard since";
  world.table.heard("b", {8, true, {{"carol", PresenceState::kAway}}}, world.now);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOffline);
  EXPECT_EQ(world.table.state("carol"), PresenceState::kAway);
  world.pass(20);
  EXPECT_EQ(exchange.asked.size(), 2U);
}

TEST(Presence, AWordThatComesAgainOrLateExtendsNoLease) {
  World world;
  world.table.heard("b", {1, true, {{"bob", PresenceState::kOnline}}}, world.now);
  world.pass(50);
  world.table.heard("b", {1, true, {{"bob", PresenceState::kOnline}}}, world.now);
  world.pass(9);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOnline);
  world.pass(2);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOffline);
  world.table.heard("b", {1, true, {{"bob", PresenceState::kOnline}}}, world.now, 40 * kSecond);
  world.pass(19);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOnline);
  world.pass(2);
  EXPECT_EQ(world.table.state("bob"), PresenceState::kOffline);
  world.table.heard("b", {2, true, {{"bob", PresenceState::kOnline}}}, world.now, 60 * kSecond);
  EXPECT_EQ(world.table.nodes(), 0U);
}

TEST(Presence, NodesAreBoundedAndStrangeNamesIgnored) {
  PresenceLimits limits;
  limits.nodes = 2;
  World world(limits);
  for (const char* node : {"a", "b", "c", ""}) world.hear(node, {{"bob", PresenceState::kOnline}});
  world.table.heard(std::string(200, 'n'), {1, true, {}}, world.now);
  world.hear("a",
             {{"", PresenceState::kOnline}, {"x:y", PresenceState::kOnline}, {std::string(500, 'u'), {}}});
  EXPECT_EQ(world.table.nodes(), 2U);
  EXPECT_EQ(world.table.users(), 1U);
  EXPECT_EQ(world.table.untracked(), 1U);
}

TEST(Presence, MoreUsersThanFitAreCountedAndSeemOffline) {
  PresenceLimits limits;
  limits.users = 2;
  World world(limits);
  for (const char* user : {"a", "b", "c"}) world.table.connected(user, world.now);
  world.hear("n", {{"d", PresenceState::kOnline}});
  world.pass(1);
  EXPECT_EQ(world.table.state("c"), PresenceState::kOffline);
  EXPECT_EQ(world.table.users(), 2U);
  EXPECT_EQ(world.table.untracked(), 2U);
  for (const char* user : {"a", "b", "c"}) world.table.disconnected(user, kActive, world.now);
  world.pass(10);
  EXPECT_EQ(world.table.users(), 0U);
}

/// Every connection kept by itself, and every user looked at each time.
class Naive {
 public:
  struct Connection {
    std::string user;
    Activity activity;
  };
  [[nodiscard]] PresenceState state(const std::string& user, std::int64_t now_ns,
                                    const PresenceLimits& limits) {
    Seen& seen = seen_[user];
    return seen.active > 0 ? PresenceState::kOnline
           : seen.idle > 0 ? (now_ns - seen.idle_ns >= limits.away_after_ns ? PresenceState::kAway
                                                                            : PresenceState::kOnline)
           : seen.was_there && now_ns - seen.gone_ns < limits.offline_after_ns ? seen.before
                                                                               : PresenceState::kOffline;
  }
  void recount(const std::string& user, const std::map<int, Connection>& all, std::int64_t now_ns,
               const PresenceLimits& limits) {
    Seen& seen = seen_[user];
    const PresenceState before = state(user, now_ns, limits);
    const int was_active = seen.active;
    const bool was_there = seen.active + seen.idle > 0;
    seen.active = seen.idle = 0;
    for (const auto& [id, each] : all) {
      if (each.user != user) continue;
      if (each.activity.active > 0) ++seen.active;
      if (each.activity.active == 0 && each.activity.idle > 0) ++seen.idle;
    }
    if (seen.active == 0 && (was_active > 0 || !was_there)) seen.idle_ns = now_ns;
    if (was_there && seen.active + seen.idle == 0) {
      seen.gone_ns = now_ns;
      seen.before = before;
      seen.was_there = true;
    }
  }

 private:
  struct Seen {
    int active = 0;
    int idle = 0;
    std::int64_t idle_ns = 0;
    std::int64_t gone_ns = 0;
    bool was_there = false;
    PresenceState before = PresenceState::kOffline;
  };
  std::map<std::string, Seen> seen_;
};

TEST(Presence, RandomEventsGiveWhatALookAtAllConnectionsGives) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  PresenceLimits limits;
  limits.away_after_ns = 20 * kSecond;
  World world(limits);
  Naive naive;
  std::map<int, Naive::Connection> all;
  std::map<std::string, std::string> last_told;
  int next = 0;
  const std::vector<Activity> activities{kActive, kIdle, kNoTab, {2, 2}};
  for (int i = 0; i < 5'000; ++i) {
    const std::string user = "u" + std::to_string(random() % 5);
    auto any = all.begin();
    if (!all.empty()) std::advance(any, random() % all.size());
    switch (random() % 5) {
      case 0:
        world.table.connected(user, world.now);
        all[next++] = {user, kActive};
        naive.recount(user, all, world.now.monotonic_ns, limits);
        break;
      case 1:
      case 2: {
        if (all.empty()) break;
        const Activity activity = activities[random() % activities.size()];
        world.table.reported(any->second.user, any->second.activity, activity, world.now);
        any->second.activity = activity;
        naive.recount(any->second.user, all, world.now.monotonic_ns, limits);
        break;
      }
      case 3: {
        if (all.empty()) break;
        const Naive::Connection gone = any->second;
        all.erase(any);
        world.table.disconnected(gone.user, gone.activity, world.now);
        naive.recount(gone.user, all, world.now.monotonic_ns, limits);
        break;
      }
      default:
        world.pass(static_cast<std::int64_t>(random() % 8));
    }
    for (const std::string& text : world.told()) {
      EXPECT_NE(last_told[text.substr(0, 2)], text) << "told twice";
      last_told[text.substr(0, 2)] = text;
    }
    for (int u = 0; u < 5; ++u) {
      const std::string name_of = "u" + std::to_string(u);
      ASSERT_EQ(world.table.state(name_of), naive.state(name_of, world.now.monotonic_ns, limits))
          << name_of << " " << i;
    }
  }
  world.pass(40);
  for (const std::string& text : world.told()) last_told[text.substr(0, 2)] = text;
  for (const auto& [user, text] : last_told)
    EXPECT_EQ(text, user + " " + std::string(name(world.table.state(user))));
}

std::vector<std::string> found(const PresencePage& page) {
  std::vector<std::string> names;
  for (const PresentUser& each : page.users)
    names.push_back(each.user + " " + std::string(name(each.state)) + " " + std::to_string(each.connections));
  return names;
}

TEST(Presence, FindsWhoIsThereByPartsOfNamesAPageAtATime) {
  World world;
  for (const std::string user : {"carol", "alice", "bob", "alicia", "dave"})
    world.table.connected(user, world.now);
  world.table.connected("alice", world.now);
  world.table.reported("bob", kActive, kIdle, world.now);
  world.table.disconnected("dave", kActive, world.now);
  world.pass(301);
  EXPECT_THAT(found(world.table.find({})),
              ElementsAre("alice online 2", "alicia online 1", "bob away 1", "carol online 1"));
  const PresencePage some = world.table.find({"li", PresenceState::kOffline, 1, 5});
  EXPECT_THAT(found(some), ElementsAre("alicia online 1"));
  EXPECT_EQ(some.online, 2U);
  const PresencePage away = world.table.find({"", PresenceState::kAway, 0, 100});
  EXPECT_THAT(found(away), ElementsAre("bob away 1"));
  EXPECT_EQ(away.online, 3U) << "counted whatever the state that was asked for";
  EXPECT_EQ(away.away, 1U);
  EXPECT_THAT(found(world.table.find({"", PresenceState::kOffline, 9, 5})), IsEmpty());
  EXPECT_THAT(found(world.table.find({"dave", PresenceState::kOffline, 0, 5})), IsEmpty()) << "gone";
}

}  // namespace
}  // namespace headroom::bus
