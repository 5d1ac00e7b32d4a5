#include "bus/broker_conformance.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

namespace headroom::bus {

ChannelRules conformance_rules() {
  ChannelRule rest;
  rest.history_messages = 1000;
  ChannelRule few = rest;
  few.prefix = "small:";
  few.history_messages = 5;
  ChannelRule tight = rest;
  tight.prefix = "tight:";
  tight.history_bytes = 1024;
  ChannelRule none = rest;
  none.prefix = "none:";
  none.history_messages = 0;
  return ChannelRules::make({rest, few, tight, none}).value();
}

namespace {

/// What a broker told, by channel.
class Listener final : public BrokerListener {
 public:
  struct Told {
    std::string channel;
    std::string epoch;
    Message message;
  };
  void message(std::string_view channel, std::string_view epoch, const Message& message,
               const Now& /*now*/) override {
    told.push_back({std::string(channel), std::string(epoch), message});
  }
  void moved(std::string_view /*channel*/, const Position& /*position*/, const Now& /*now*/) override {
    ++moves;
  }
  void state(BrokerState /*state*/, const Now& /*now*/) override {}

  /// Offsets told of a channel, each once and in order.
  [[nodiscard]] std::vector<std::uint64_t> offsets(std::string_view channel) const {
    std::vector<std::uint64_t> found;
    for (const Told& one : told) {
      if (one.channel == channel && (found.empty() || one.message.offset > found.back()))
        found.push_back(one.message.offset);
    }
    return found;
  }

  std::vector<Told> told;
  int moves = 0;
};

/// A broker with its listener, asked and waited for.
class Node {
 public:
  Node(BrokerWorld& world, const ChannelRules& rules) : world_(world), broker_(world.make(rules)) {
    broker_->start(listener, world_.now());
  }

  Result<Published> publish(const std::string& channel, const std::string& data, const std::string& id = "") {
    return answer<Published>([&](Done<Published> done) {
      broker_->publish({channel, data, id}, world_.now(), std::move(done));
    });
  }
  Result<Position> subscribe(const std::string& channel) {
    return answer<Position>(
        [&](Done<Position> done) { broker_->subscribe(channel, world_.now(), std::move(done)); });
  }
  void unsubscribe(const std::string& channel) { broker_->unsubscribe(channel, world_.now()); }
  Result<HistoryPage> history(const std::string& channel, const HistoryQuery& query) {
    return answer<HistoryPage>(
        [&](Done<HistoryPage> done) { broker_->history(channel, query, world_.now(), std::move(done)); });
  }
  bool wait(const std::function<bool()>& done) { return world_.wait(*broker_, done); }

  Listener listener;

 private:
  template <typename T, typename Ask>
  Result<T> answer(const Ask& ask) {
    auto given = std::make_shared<std::vector<Result<T>>>();
    ask([given](Result<T> result) { given->push_back(std::move(result)); });
    wait([&] { return !given->empty(); });
    EXPECT_EQ(given->size(), 1U) << "answered exactly once";
    if (given->empty()) return base::fail(ErrorCode::kInternal, "no answer");
    return std::move(given->front());
  }

  BrokerWorld& world_;
  std::unique_ptr<Broker> broker_;
};

std::vector<std::uint64_t> counted(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t one = from; one <= to; ++one) numbers.push_back(one);
  return numbers;
}

std::vector<std::uint64_t> offsets_of(const HistoryPage& page) {
  std::vector<std::uint64_t> found;
  for (const Message& message : page.messages) found.push_back(message.offset);
  return found;
}

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

TEST_P(BrokerConformance, GivesOffsetsWithoutGapsByChannel) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  for (std::uint64_t turn = 1; turn <= 5; ++turn) {
    for (const std::string channel : {"a", "b"}) {
      const auto published = node.publish(channel, number(turn));
      ASSERT_TRUE(published) << published.error().message();
      EXPECT_EQ(published->position.offset, turn) << channel;
      EXPECT_FALSE(published->repeated);
    }
  }
}

TEST_P(BrokerConformance, TellsASubscribedChannelAllThatComesAfterThePositionAnswered) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  ASSERT_TRUE(node.publish("a", "1"));
  const auto position = node.subscribe("a");
  ASSERT_TRUE(position) << position.error().message();
  EXPECT_EQ(position->offset, 1U);
  for (std::uint64_t turn = 2; turn <= 20; ++turn) ASSERT_TRUE(node.publish("a", number(turn)));
  ASSERT_TRUE(node.publish("other", "0"));
  EXPECT_TRUE(node.wait([&] { return node.listener.offsets("a").size() >= 19; }));
  EXPECT_EQ(node.listener.offsets("a"), counted(2, 20));
  EXPECT_TRUE(node.listener.offsets("other").empty());
  for (const Listener::Told& told : node.listener.told) {
    EXPECT_EQ(told.epoch, position->epoch);
    EXPECT_EQ(*told.message.data, number(told.message.offset));
  }
}

TEST_P(BrokerConformance, TellsNothingAfterUnsubscribe) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  ASSERT_TRUE(node.subscribe("a"));
  ASSERT_TRUE(node.subscribe("a")) << "twice is allowed";
  node.unsubscribe("a");
  ASSERT_TRUE(node.subscribe("b"));
  ASSERT_TRUE(node.publish("a", "1"));
  ASSERT_TRUE(node.publish("b", "1"));
  EXPECT_TRUE(node.wait([&] { return !node.listener.offsets("b").empty(); }));
  EXPECT_TRUE(node.listener.offsets("a").empty());
}

TEST_P(BrokerConformance, AnswersARepeatedIdWithThePositionOfTheFirst) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  const auto first = node.publish("a", "1", "x");
  ASSERT_TRUE(first) << first.error().message();
  ASSERT_TRUE(node.publish("a", "2", "y"));
  const auto again = node.publish("a", "1", "x");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->position, first->position);
  const auto elsewhere = node.publish("b", "1", "x");
  ASSERT_TRUE(elsewhere);
  EXPECT_FALSE(elsewhere->repeated) << "an id is of one channel";
  const auto page = node.history("a", {});
  ASSERT_TRUE(page);
  EXPECT_EQ(offsets_of(*page), counted(1, 2));
}

TEST_P(BrokerConformance, GivesTheNewestMessagesOldestFirst) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  for (std::uint64_t turn = 1; turn <= 9; ++turn) ASSERT_TRUE(node.publish("a", number(turn)));
  HistoryQuery query;
  query.limit = 3;
  const auto page = node.history("a", query);
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(offsets_of(*page), counted(7, 9));
  EXPECT_EQ(page->position.offset, 9U);
  EXPECT_FALSE(page->lost);
  query.limit = 0;
  const auto bare = node.history("a", query);
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->messages.empty());
  EXPECT_EQ(bare->position, page->position);
}

TEST_P(BrokerConformance, LeavesTheOldestOutWhenTheNewestDoNotAllFit) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  for (std::uint64_t turn = 1; turn <= 9; ++turn) ASSERT_TRUE(node.publish("a", number(turn)));
  HistoryQuery query;
  query.bytes = 3 * number(9).size();
  const auto page = node.history("a", query);
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(offsets_of(*page), counted(7, 9));
  EXPECT_EQ(page->position.offset, 9U);
  EXPECT_FALSE(page->more) << "nothing comes after the last one";
  query.bytes = 0;
  const auto one = node.history("a", query);
  ASSERT_TRUE(one);
  EXPECT_EQ(offsets_of(*one), counted(9, 9)) << "one fits always";
}

TEST_P(BrokerConformance, GoesOnFromAPositionInPagesWithoutAGap) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  for (std::uint64_t turn = 1; turn <= 9; ++turn) ASSERT_TRUE(node.publish("a", number(turn)));
  Position since{2, node.history("a", {})->position.epoch};
  HistoryQuery query;
  query.since = &since;
  query.limit = 4;
  const auto first = node.history("a", query);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(offsets_of(*first), counted(3, 6));
  EXPECT_TRUE(first->more);
  since.offset = 6;
  const auto second = node.history("a", query);
  ASSERT_TRUE(second);
  EXPECT_EQ(offsets_of(*second), counted(7, 9));
  EXPECT_FALSE(second->more);
  since.offset = 9;
  const auto end = node.history("a", query);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->messages.empty());
  EXPECT_FALSE(end->lost);
}

TEST_P(BrokerConformance, SaysThatWhatIsGoneIsLost) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  for (std::uint64_t turn = 1; turn <= 8; ++turn) ASSERT_TRUE(node.publish("small:a", number(turn)));
  const std::string epoch = node.history("small:a", {})->position.epoch;
  const auto asked = [&](std::uint64_t offset, const std::string& of_epoch) {
    const Position since{offset, of_epoch};
    HistoryQuery query;
    query.since = &since;
    auto page = node.history("small:a", query);
    EXPECT_TRUE(page);
    return std::move(*page);
  };
  EXPECT_EQ(offsets_of(asked(3, epoch)), counted(4, 8)) << "five are kept";
  for (const auto& page : {asked(2, epoch), asked(9, epoch), asked(8, "another")}) {
    EXPECT_TRUE(page.lost);
    EXPECT_TRUE(page.messages.empty());
    EXPECT_EQ(page.position, (Position{8, epoch}));
  }
}

TEST_P(BrokerConformance, KeepsNoMoreThanTheRuleAllows) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  const std::string large = "\"" + std::string(400, 'x') + "\"";
  for (int turn = 0; turn < 6; ++turn) ASSERT_TRUE(node.publish("tight:a", large));
  const auto tight = node.history("tight:a", {});
  ASSERT_TRUE(tight);
  EXPECT_LE(tight->messages.size(), 2U);
  EXPECT_EQ(tight->position.offset, 6U);
  ASSERT_TRUE(node.subscribe("none:a"));
  ASSERT_TRUE(node.publish("none:a", "1"));
  EXPECT_TRUE(node.wait([&] { return node.listener.offsets("none:a") == counted(1, 1); }));
  const auto none = node.history("none:a", {});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->messages.empty());
  EXPECT_EQ(none->position.offset, 1U);
}

TEST_P(BrokerConformance, RefusesWhatIsTooLarge) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  const auto refused = node.publish("a", "\"" + std::string(rules.find("a").message_bytes, 'x') + "\"");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooLarge);
  EXPECT_EQ(node.history("a", {})->position.offset, 0U);
}

TEST_P(BrokerConformance, NeverLeavesASilentGapForWhoeverComesBack) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  std::uint64_t published = 0;
  Position before;
  {
    Node node(*world, rules);
    for (; published < 4; ++published) ASSERT_TRUE(node.publish("small:a", number(published + 1)));
    before = node.history("small:a", {})->position;
  }
  Node node(*world, rules);
  ASSERT_TRUE(node.publish("small:a", "5"));
  HistoryQuery query;
  query.since = &before;
  const auto page = node.history("small:a", query);
  ASSERT_TRUE(page) << page.error().message();
  if (world->outlives_broker()) {
    EXPECT_FALSE(page->lost);
    EXPECT_EQ(offsets_of(*page), counted(5, 5));
  } else {
    EXPECT_TRUE(page->lost);
    EXPECT_NE(page->position.epoch, before.epoch);
  }
}

TEST_P(BrokerConformance, CarriesMessagesBetweenNodes) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node one(*world, rules);
  if (!world->several_nodes()) return;  // a broker of one process has no other node to carry to
  Node other(*world, rules);
  const auto position = other.subscribe("a");
  ASSERT_TRUE(position) << position.error().message();
  for (std::uint64_t turn = 1; turn <= 20; ++turn) {
    Node& from = turn % 2 == 0 ? one : other;
    const auto published = from.publish("a", number(turn));
    ASSERT_TRUE(published) << published.error().message();
    EXPECT_EQ(published->position, (Position{turn, position->epoch}));
  }
  EXPECT_TRUE(other.wait([&] { return other.listener.offsets("a").size() >= 20; }));
  EXPECT_EQ(other.listener.offsets("a"), counted(1, 20));
}

TEST_P(BrokerConformance, AnswersAsANaiveListWould) {
  const auto world = GetParam().make();
  const ChannelRules rules = conformance_rules();
  Node node(*world, rules);
  const unsigned seed = 20261130;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> kept;  // of "small:a", all of them
  for (int turn = 0; turn < 120; ++turn) {
    if (random() % 2 == 0) {
      kept.push_back(std::to_string(random() % 1000));
      ASSERT_TRUE(node.publish("small:a", kept.back()));
      continue;
    }
    const auto now = node.history("small:a", {});
    ASSERT_TRUE(now);
    const Position since{random() % (kept.size() + 1), now->position.epoch};
    HistoryQuery query;
    query.since = &since;
    const auto page = node.history("small:a", query);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->position.offset, kept.size());
    const bool gone = kept.size() - since.offset > 5;
    ASSERT_EQ(page->lost, gone) << "since " << since.offset << " of " << kept.size();
    if (gone) continue;
    ASSERT_EQ(page->messages.size(), kept.size() - since.offset);
    for (const Message& message : page->messages) ASSERT_EQ(*message.data, kept[message.offset - 1]);
  }
}

}  // namespace
}  // namespace headroom::bus
