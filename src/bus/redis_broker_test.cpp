// The Redis broker with a real server: what kills, lost data, a deleted bus and other nodes do to it.

#include "bus/redis_broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "bus/broker_node.hpp"
#include "bus/redis_node.hpp"
#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RedisServer;
using Options = std::vector<std::string>;

const Options kDurable{
    "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"};

const ChannelRules& rules() {
  static const ChannelRules made = [] {
    ChannelRule all;
    all.history_messages = 10'000;
    all.history_bytes = 64UL << 20;
    ChannelRule brief = all;
    brief.prefix = "brief:";
    brief.history_age_ns = 300'000'000;
    ChannelRule none = all;
    none.prefix = "none:";
    none.history_messages = 0;
    return ChannelRules::make({all, brief, none}).value();
  }();
  return made;
}

RedisBrokerOptions options_of(const std::string& url) {
  RedisBrokerOptions options;
  options.url = url;
  return options;
}

BrokerNode::Make with(const RedisBrokerOptions& options, const ChannelRules& of = rules()) {
  return [options, &of](const HubThread::Post& post) { return RedisBroker::make(options, of, post).value(); };
}

RedisBrokerCounts counts(BrokerNode& node) {
  return static_cast<RedisBroker&>(node.broker()).counts();
}

redis::Reply run(const RedisServer& server, std::initializer_list<std::string_view> command) {
  redis::Connection connection(redis::parse_url(server.url()).value());
  return connection.run(command).value();
}

/// Cuts the end off the server's log of commands, as the crash of a machine does that had not written it yet.
void lose_end_of_log(const RedisServer& server, std::uintmax_t bytes) {
  for (const auto& file : std::filesystem::directory_iterator(server.folder() / "appendonlydir")) {
    if (file.path().string().ends_with(".incr.aof"))
      std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - bytes);
  }
}

void publish(BrokerNode& node, const std::string& channel, int from, int to) {
  for (int i = from; i <= to; ++i) {
    const auto published = node.publish(channel, std::to_string(i));
    ASSERT_TRUE(published) << published.error().message();
  }
}

/// Publishes at once; the answers, in order.
std::vector<Result<Published>> publish_together(BrokerNode& node,
                                                const std::vector<Publication>& publications) {
  std::vector<Result<Published>> answers(publications.size(), base::fail(ErrorCode::kInternal, "none"));
  std::size_t answered = 0;
  for (std::size_t i = 0; i < publications.size(); ++i) {
    node.broker().publish(publications[i], read_clocks(), [&, i](Result<Published> one) {
      answers[i] = std::move(one);
      ++answered;
    });
  }
  EXPECT_TRUE(node.run_until([&] { return answered == answers.size(); }));
  return answers;
}

TEST(RedisBroker, GivesWhatIsPublishedTogetherItsOffsetsChannelByChannel) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  node.subscribe("a");
  node.subscribe("b");
  std::vector<Publication> publications;
  for (int i = 0; i < 300; ++i)
    publications.push_back({i % 3 == 0 ? "a" : "b", std::to_string(i), fmt::format("id{}", i % 200)});
  const auto answers = publish_together(node, publications);
  std::map<std::string, std::uint64_t> newest;
  std::map<std::string, std::vector<std::string>> expected;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i]) << answers[i].error().message();
    const std::string& channel = publications[i].channel;
    const bool is_repeated = i >= 200 && publications[i - 200].channel == channel;
    EXPECT_EQ(answers[i]->repeated, is_repeated) << i;
    if (is_repeated) {
      EXPECT_EQ(answers[i]->position, answers[i - 200]->position);
    } else {
      EXPECT_EQ(answers[i]->position.offset, ++newest[channel]);
      expected[channel].push_back(publications[i].data);
    }
  }
  for (const auto& [channel, datas] : expected) {
    ASSERT_TRUE(node.run_until([&] { return node.count(channel) == datas.size(); }));
    EXPECT_EQ(node.told(channel), datas);
  }
  EXPECT_FALSE(node.disordered());
}

TEST(RedisBroker, AChannelWhoseKeyIsSomebodyElsesHarmsNoOther) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  run(server, {"SET", "headroom:bus:channel:b", "other"});
  const auto answers =
      publish_together(node, {{"a", "1", ""}, {"b", "1", ""}, {"c", "1", ""}, {"b", "2", ""}});
  EXPECT_TRUE(answers[0]);
  EXPECT_FALSE(answers[1]);
  EXPECT_TRUE(answers[2]);
  EXPECT_FALSE(answers[3]);
  EXPECT_EQ(node.publish("c", "2")->position.offset, 2U);
}

TEST(RedisBroker, WhatIsPublishedDropsWhatIsTooOld) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  publish(node, "brief:a", 1, 5);
  const std::int64_t begun = read_clocks().monotonic_ns;
  ASSERT_TRUE(node.run_until([&] { return read_clocks().monotonic_ns - begun > 400'000'000; }));
  publish(node, "brief:a", 6, 6);
  EXPECT_EQ(run(server, {"LLEN", "headroom:bus:history:brief:a"}).integer, 1);
}

TEST(RedisBroker, WhatIsPublishedPastAnOldOffsetAfterACrashIsNeverTakenForWhatWasLost) {
  RedisServer server(kDurable);
  BrokerNode node(with(options_of(server.url())));
  node.start();
  node.subscribe("a");
  publish(node, "quiet", 1, 3);
  publish(node, "a", 1, 20);
  const Position before = node.history("a")->position;
  const Position quiet = node.history("quiet")->position;
  ASSERT_EQ(before.offset, 20U);
  const int losses = node.losses();
  server.kill();
  lose_end_of_log(server, 2'000);
  server.start();
  ASSERT_TRUE(node.run_until([&] { return node.losses() > losses && node.available(); }));
  const Position after = node.history("a")->position;
  ASSERT_LT(after.offset, before.offset) << "the end of the log held some messages";
  EXPECT_NE(after.epoch, before.epoch);
  publish(node, "a", 101, 130);
  ASSERT_GT(node.history("a")->position.offset, before.offset);
  const auto page = node.history_since("a", before);
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_TRUE(page->lost);
  EXPECT_TRUE(page->messages.empty());
  EXPECT_TRUE(node.history_since("quiet", quiet)->lost) << "nobody can prove that it is whole";
  EXPECT_EQ(counts(node).epochs, 1U);
  EXPECT_FALSE(node.disordered());
}

std::uintmax_t size_of_log(const RedisServer& server) {
  for (const auto& file : std::filesystem::directory_iterator(server.folder() / "appendonlydir")) {
    if (file.path().string().ends_with(".incr.aof")) return std::filesystem::file_size(file.path());
  }
  return 0;
}

/// Why it proves nothing that the last entries are those which a node has read: another one may have had
/// more.
TEST(RedisBroker, AServerThatIsAgainWhatOneNodeHasReadIsAnotherEpochAllTheSame) {
  RedisServer server(
      {"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"});
  RedisReader late(RedisLayout{}, 10);
  const RedisScripts scripts;
  const auto join = [&] {
    redis::Connection connection(redis::parse_url(server.url()).value());
    redis::Pipeline pipeline;
    late.add_join(pipeline, scripts, read_redis_info(connection.run({"INFO"})->text), "fresh" + late.epoch());
    EXPECT_TRUE(late.joined(connection.run(pipeline)->front()));
  };
  std::optional<Position> served;
  std::uintmax_t size = 0;
  {
    BrokerNode other(with(options_of(server.url())));
    other.start();
    publish(other, "a", 1, 3);
    join();
    size = size_of_log(server);
    publish(other, "a", 4, 6);
    served = other.history("a")->position;
  }
  const std::string epoch = late.epoch();
  ASSERT_TRUE(served->epoch.starts_with(epoch)) << "the same";
  server.kill();
  lose_end_of_log(server, size_of_log(server) - size);
  server.start();
  join();
  EXPECT_NE(late.epoch(), epoch);
  BrokerNode node(with(options_of(server.url())));
  node.start();
  ASSERT_EQ(node.history("a")->position.offset, 3U) << "as the late one has read it";
  publish(node, "a", 11, 14);
  EXPECT_TRUE(node.history_since("a", *served)->lost) << "4 to 6 are other messages now";
}

TEST(RedisBroker, WhatWasKeptIsStillThereAfterARestart) {
  RedisServer server(kDurable);
  BrokerNode node(with(options_of(server.url())));
  node.start();
  publish(node, "a", 1, 5);
  server.kill();
  server.start();
  ASSERT_TRUE(node.run_until([&] { return node.losses() > 0 && node.available(); }));
  HistoryQuery newest;
  newest.limit = 2;
  const auto page = node.history("a", newest);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->position.offset, 5U);
  ASSERT_EQ(page->messages.size(), 2U);
  EXPECT_EQ(*page->messages[1].data, "5");
}

TEST(RedisBroker, AServerThatForgotEverythingIsAnotherEpoch) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  node.subscribe("a");
  publish(node, "a", 1, 5);
  const Position before = node.history("a")->position;
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 5; })) << "what is deleted unread can't be told";
  server.kill();
  server.start();
  ASSERT_TRUE(node.run_until([&] { return node.losses() > 0 && node.available(); }));
  publish(node, "a", 11, 17);
  EXPECT_TRUE(node.history_since("a", before)->lost);
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 12; }));
}

TEST(RedisBroker, ALostConnectionGoesOnWhereItWas) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  BrokerNode other(with(options_of(server.url())));
  node.start();
  other.start();
  const Position before = node.subscribe("a");
  std::size_t answered = 0;
  std::size_t acknowledged = 0;
  std::size_t sent = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::string id = fmt::format("id{}", ++sent);
      other.broker().publish({"a", std::to_string(sent), id}, read_clocks(),
                             [&](const Result<Published>& one) {
                               ++answered;
                               acknowledged += one ? 1 : 0;
                             });
    }
    const int losses = node.losses();
    run(server, {"CLIENT", "KILL", "TYPE", "normal"});
    ASSERT_TRUE(other.run_until([&] { return answered == sent; }));
    ASSERT_TRUE(node.run_until([&] { return node.losses() > losses && node.available(); }));
  }
  EXPECT_EQ(acknowledged, sent) << "what has an id is sent again";
  const auto page = node.history_since("a", before);
  ASSERT_TRUE(page);
  EXPECT_FALSE(page->lost) << "the same history goes on";
  ASSERT_EQ(page->messages.size(), sent);
  std::map<std::string, int> times;
  for (const Message& message : page->messages) ++times[*message.data];
  EXPECT_EQ(times.size(), sent) << "each once";
  EXPECT_EQ(counts(node).epochs, 0U);
}

TEST(RedisBroker, KeepsWhatItAcknowledgedOverKillsUnderLoad) {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  BrokerNode node(with(options_of(server.url())));
  node.start();
  node.subscribe("a");
  std::map<std::string, bool> acknowledged;
  std::size_t sent = 0;
  std::size_t answered = 0;
  const auto publish_some = [&] {
    for (int i = 0; i < 300; ++i) {
      const std::string data = std::to_string(++sent);
      const std::string id = sent % 2 == 0 ? "id" + data : "";
      node.broker().publish({"a", data, id}, read_clocks(), [&, data](const Result<Published>& one) {
        ++answered;
        if (one) acknowledged[data] = true;
        if (!one) {
          EXPECT_EQ(one.error().code(), ErrorCode::kUnavailable) << one.error().message();
        }
      });
    }
  };
  for (int round = 0; round < 4; ++round) {
    publish_some();
    ASSERT_TRUE(node.run_until([&] { return answered > 300U * static_cast<std::size_t>(round); }));
    const int losses = node.losses();
    server.kill();
    ASSERT_TRUE(node.run_until([&] { return node.losses() > losses; }));
    server.start();
    ASSERT_TRUE(node.run_until([&] { return node.available() && answered == sent; }));
  }
  HistoryQuery all;
  all.limit = 10'000;
  all.bytes = 1UL << 30;
  const auto page = node.history("a", all);
  ASSERT_TRUE(page);
  std::map<std::string, int> times;
  for (const Message& message : page->messages) ++times[*message.data];
  for (const auto& [data, unused] : acknowledged) EXPECT_EQ(times[data], 1) << data;
  for (const auto& [data, count] : times) EXPECT_EQ(count, 1) << data;
  EXPECT_GE(acknowledged.size(), sent / 2) << "those with an id at least";
}

TEST(RedisBroker, ABusThatIsDeletedByHandBeginsAnew) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  BrokerNode other(with(options_of(server.url())));
  node.start();
  other.start();
  const Position before = node.subscribe("a");
  publish(other, "a", 1, 5);
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 5; })) << "what is deleted unread can't be told";
  run(server, {"FLUSHALL"});
  publish(other, "a", 11, 20);
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 15; }));
  EXPECT_GT(node.losses(), 0);
  EXPECT_TRUE(node.history_since("a", before)->lost);
  EXPECT_EQ(node.history("a")->position, other.history("a")->position);
}

TEST(RedisBroker, AChannelThatWasForgottenIsAnEpochOfItsOwn) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  publish(node, "a", 1, 3);
  publish(node, "b", 1, 3);
  const Position a = node.history("a")->position;
  const Position b = node.history("b")->position;
  EXPECT_GT(run(server, {"PTTL", "headroom:bus:channel:a"}).integer, 80'000'000) << "a day";
  run(server, {"DEL", "headroom:bus:channel:a"});
  publish(node, "a", 11, 16);
  EXPECT_TRUE(node.history_since("a", a)->lost);
  HistoryQuery all;
  EXPECT_EQ(node.history("a", all)->messages.size(), 6U) << "none of its former life";
  EXPECT_FALSE(node.history_since("b", b)->lost);
}

TEST(RedisBroker, AChannelWhereNothingIsPublishedIsForgottenSooner) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  const Position before = node.subscribe("a");
  const auto kept = run(server, {"PTTL", "headroom:bus:channel:a"}).integer;
  EXPECT_GT(kept, 0);
  EXPECT_LE(kept, 3'600'000);
  publish(node, "a", 1, 1);
  EXPECT_EQ(node.history("a")->position, (Position{1, before.epoch}));
}

TEST(RedisBroker, ALateNodeIsToldThatSomethingWasTrimmedAway) {
  RedisServer server;
  RedisBrokerOptions brief = options_of(server.url());
  brief.stream_length = 100;
  BrokerNode late(with(brief));
  BrokerNode other(with(brief));
  late.start();
  other.start();
  const Position before = late.subscribe("a");
  // What the late node is told waits while its hub does nothing; no more is read then.
  std::size_t answered = 0;
  constexpr int kMany = 6'000;
  for (int i = 1; i <= kMany; ++i) {
    other.broker().publish({"a", std::to_string(i), ""}, read_clocks(), [&](const Result<Published>& one) {
      ASSERT_TRUE(one) << one.error().message();
      ++answered;
    });
    if (i % 500 == 0) {
      ASSERT_TRUE(other.run_until([&] { return answered == static_cast<std::size_t>(i); }));
    }
  }
  const int losses = late.losses();
  ASSERT_TRUE(late.run_until([&] { return late.losses() > losses && late.available(); }));
  EXPECT_LT(late.count("a"), static_cast<std::size_t>(kMany));
  const auto page = late.history_since("a", before);
  ASSERT_TRUE(page);
  EXPECT_FALSE(page->lost);
  EXPECT_EQ(page->position.offset, static_cast<std::uint64_t>(kMany));
}

TEST(RedisBroker, KeepsHistoryForItsAge) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  const Position before = node.subscribe("brief:a");
  publish(node, "brief:a", 1, 2);
  std::optional<HistoryPage> page;
  ASSERT_TRUE(node.run_until([&] {
    page = *node.history("brief:a");
    return page->messages.empty();
  }));
  EXPECT_EQ(page->position.offset, 2U);
  EXPECT_TRUE(node.history_since("brief:a", before)->lost);
  publish(node, "brief:a", 3, 3);
  EXPECT_FALSE(node.history_since("brief:a", page->position)->lost);
}

/// Two services may be configured differently for a while.
TEST(RedisBroker, NoOldMessageTakesThePlaceOfOneThatWasNotKept) {
  RedisServer server;
  ChannelRule forgetful;
  forgetful.history_messages = 0;
  const ChannelRules without = ChannelRules::make({forgetful}).value();
  BrokerNode node(with(options_of(server.url())));
  BrokerNode other(with(options_of(server.url()), without));
  node.start();
  other.start();
  publish(node, "a", 1, 3);
  publish(other, "a", 4, 5);
  publish(node, "a", 6, 6);
  const auto page = node.history("a");
  ASSERT_TRUE(page);
  ASSERT_EQ(page->messages.size(), 1U);
  EXPECT_EQ(page->messages[0].offset, 6U);
  EXPECT_EQ(*page->messages[0].data, "6");
}

TEST(RedisBroker, AServerThatHangsIsAClearErrorAndComesBack) {
  RedisServer server;
  RedisBrokerOptions options = options_of(server.url() + "?timeout=300ms");
  options.answer_within = std::chrono::milliseconds{700};
  BrokerNode node(with(options));
  node.start();
  node.subscribe("a");
  server.pause();
  const auto first = node.publish("a", "1");
  ASSERT_FALSE(first);
  EXPECT_THAT(first.error().message(), HasSubstr("may have been kept"));
  const auto second = node.publish("a", "2", "id");
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().retryable());
  EXPECT_GT(node.losses(), 0);
  EXPECT_THAT(counts(node).problem, HasSubstr("no answer in time"));
  server.resume();
  ASSERT_TRUE(node.run_until([&] { return node.available(); }));
  const auto again = node.publish("a", "2", "id");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(counts(node).epochs, 0U);
  EXPECT_EQ(counts(node).problem, "");
}

TEST(RedisBroker, WaitsForAServerThatIsNotThereYet) {
  RedisServer server;
  server.kill();
  RedisBrokerOptions options = options_of(server.url());
  options.answer_within = std::chrono::milliseconds{300};
  BrokerNode node(with(options));
  node.broker().start(node, read_clocks());
  const auto refused = node.publish("a", "1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("can't be reached"));
  ASSERT_TRUE(node.run_until([&] { return !node.available(); }));
  EXPECT_EQ(check_redis_broker(options).error().code(), ErrorCode::kUnavailable);
  server.start();
  ASSERT_TRUE(node.run_until([&] { return node.available(); }));
  EXPECT_TRUE(node.publish("a", "1"));
}

TEST(RedisBroker, RefusesMoreThanCanWait) {
  RedisServer server;
  server.kill();
  RedisBrokerOptions options = options_of(server.url());
  options.queued_publishes = 3;
  options.queued_inquiries = 3;
  BrokerNode node(with(options));
  node.broker().start(node, read_clocks());
  for (int i = 0; i < 3; ++i) node.broker().publish({"a", "1", ""}, read_clocks(), [](const auto&) {});
  for (int i = 0; i < 3; ++i) node.broker().history("a", {}, read_clocks(), [](const auto&) {});
  EXPECT_EQ(node.publish("a", "1").error().code(), ErrorCode::kOverloaded);
  EXPECT_EQ(node.history("a").error().code(), ErrorCode::kOverloaded);
}

TEST(RedisBroker, AFullServerRefusesAndForgetsNothing) {
  RedisServer server({"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
  BrokerNode node(with(options_of(server.url())));
  node.start();
  const std::string large = "\"" + std::string(30'000, 'x') + "\"";
  std::uint64_t kept = 0;
  std::optional<Error> refused;
  while (!refused && kept < 1'000) {
    const auto published = node.publish("a", large);
    if (published) ++kept;
    if (!published) refused = published.error();
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code(), ErrorCode::kOverloaded) << refused->message();
  run(server, {"CONFIG", "SET", "maxmemory", "0"});
  const auto page = node.history("a");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->position.offset, kept);
  EXPECT_EQ(node.publish("a", "1")->position.offset, kept + 1);
}

TEST(RedisBroker, ActsAsTheUserOfTheGuidesAccessList) {
  RedisServer server;
  run(server, {"ACL", "SETUSER", "node", "on", ">pw", "~headroom:bus:*", "+@read", "+@write", "+@connection",
               "+@scripting", "-@dangerous", "+info", "+time"});
  RedisBrokerOptions options = options_of(fmt::format("redis://node:pw@127.0.0.1:{}/0", server.port()));
  ASSERT_TRUE(check_redis_broker(options)) << check_redis_broker(options).error().message();
  BrokerNode node(with(options));
  node.start();
  node.subscribe("a");
  publish(node, "a", 1, 3);
  EXPECT_TRUE(node.run_until([&] { return node.count("a") == 3; }));
  EXPECT_FALSE(node.history_since("a", {1, node.history("a")->position.epoch})->lost);
}

TEST(RedisBroker, APrimaryThatWasAReplicaMeanwhileIsAnotherEpoch) {
  RedisServer server;
  RedisServer other;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  node.subscribe("a");
  publish(node, "a", 1, 3);
  const Position before = node.history("a")->position;
  const std::string port = std::to_string(other.port());
  run(server, {"REPLICAOF", "127.0.0.1", port});
  ASSERT_TRUE(node.run_until([&] { return !node.available(); }));
  EXPECT_THAT(counts(node).problem, HasSubstr("replica"));
  run(server, {"REPLICAOF", "NO", "ONE"});
  ASSERT_TRUE(node.run_until([&] { return node.available(); }));
  publish(node, "a", 11, 15);
  EXPECT_TRUE(node.history_since("a", before)->lost);
}

std::string refusal(const Options& arguments, const std::string& login = "") {
  const RedisServer server(arguments);
  const auto checked =
      check_redis_broker(options_of(fmt::format("redis://{}127.0.0.1:{}/0", login, server.port())));
  return checked ? "none" : checked.error().message();
}

TEST(RedisBroker, RefusesAServerThatCanNotKeepTheBus) {
  EXPECT_EQ(refusal({}), "none");
  EXPECT_THAT(refusal({"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}),
              HasSubstr("maxmemory-policy allkeys-lru throws messages of the bus away; set maxmemory-policy "
                        "noeviction"));
  EXPECT_THAT(refusal({"--maxmemory-policy", "volatile-ttl"}), HasSubstr("set maxmemory-policy noeviction"));
  EXPECT_THAT(refusal({"--cluster-enabled", "yes", "--cluster-port", std::to_string(testing::free_port())}),
              HasSubstr("cluster-enabled no"));
  EXPECT_THAT(refusal({"--requirepass", "right"}, ":wr0ng@"),
              ::testing::AllOf(HasSubstr("redis://127.0.0.1"), Not(HasSubstr("wr0ng"))));
}

TEST(RedisBroker, RefusesAnotherNumberOfShardsAndOptionsThatAreNone) {
  RedisServer server;
  BrokerNode node(with(options_of(server.url())));
  node.start();
  RedisBrokerOptions options = options_of(server.url());
  options.shards = 8;
  EXPECT_THAT(check_redis_broker(options).error().message(), HasSubstr("has 16 shards, [bus] shards says 8"));
  BrokerNode other(with(options));
  other.broker().start(other, read_clocks());
  ASSERT_TRUE(other.run_until([&] { return !other.available(); }));
  EXPECT_THAT(counts(other).problem, HasSubstr("has 16 shards"));
  options.shards = 0;
  EXPECT_EQ(RedisBroker::make(options, rules(), {}).error().code(), ErrorCode::kInvalidArgument);
  const auto wrong = RedisBroker::make(options_of("redis://:s3cret@host:port"), rules(), {});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace headroom::bus
