#include "bus/redis_node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace headroom::bus {
namespace {

using redis::Reply;
using ::testing::HasSubstr;

RedisServerFacts fine() {
  return read_redis_info(
      "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nloading:0\r\nmaxmemory_policy:noeviction\r\n"
      "role:master\r\nmaster_replid2:000\r\ncluster_enabled:0\r\n");
}

std::string refusal(const RedisServerFacts& facts) {
  const auto checked = check_redis_server(facts);
  return checked ? "none" : checked.error().message();
}

Reply text(const std::string& value) {
  Reply reply;
  reply.type = Reply::Type::kString;
  reply.text = value;
  return reply;
}

Reply integer(std::int64_t value) {
  Reply reply;
  reply.type = Reply::Type::kInteger;
  reply.integer = value;
  return reply;
}

Reply array(std::vector<Reply> elements) {
  Reply reply;
  reply.type = Reply::Type::kArray;
  reply.elements = std::move(elements);
  return reply;
}

Reply error(const std::string& message) {
  Reply reply = text(message);
  reply.type = Reply::Type::kError;
  return reply;
}

Reply entry(const std::string& id, std::int64_t offset, const std::string& epoch) {
  return array({text(id), array({text("at"), text(epoch + ' ' + std::to_string(offset) + " a room"),
                                 text("data"), text("1")})});
}

TEST(RedisNode, AcceptsAServerThatKeepsEverything) {
  EXPECT_EQ(refusal(fine()), "none");
}

TEST(RedisNode, RefusesAServerThatCanNotKeepTheBusAndSaysWhatToSet) {
  RedisServerFacts facts = fine();
  for (const char* policy : {"allkeys-lru", "volatile-ttl", "allkeys-random"}) {
    facts.policy = policy;
    EXPECT_EQ(check_redis_server(facts).error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(refusal(facts), HasSubstr("set maxmemory-policy noeviction"));
  }
  facts = fine();
  facts.is_cluster = true;
  EXPECT_EQ(check_redis_server(facts).error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(refusal(facts), HasSubstr("cluster-enabled no"));
  facts = fine();
  facts.version = "6.2.7";
  EXPECT_THAT(refusal(facts), HasSubstr("Redis 6.2.7 is too old"));
  facts = fine();
  facts.is_replica = true;
  EXPECT_TRUE(check_redis_server(facts).error().retryable());
  EXPECT_THAT(refusal(read_redis_info("# Server\r\n")), HasSubstr("no INFO"));
}

TEST(RedisNode, AProcessOrAFailoverIsAnotherIdentity) {
  RedisServerFacts other = fine();
  other.run_id = "abd";
  EXPECT_NE(other.identity(), fine().identity());
  other = fine();
  other.former = "111";
  EXPECT_NE(other.identity(), fine().identity());
}

TEST(RedisNode, SpreadsChannelsOverAllShardsAndAlwaysTheSameWay) {
  RedisLayout layout;
  std::map<std::size_t, int> channels;
  for (int i = 0; i < 1'600; ++i) ++channels[layout.shard_of("user:" + std::to_string(i))];
  ASSERT_EQ(channels.size(), layout.shards);
  for (const auto& [shard, count] : channels) EXPECT_GT(count, 50) << shard;
  EXPECT_EQ(layout.shard_of("user:7"), RedisLayout().shard_of("user:7"));
}

TEST(RedisNode, GivesTheServersRefusalsAsErrors) {
  const auto code = [](const Reply& reply) { return redis_published(reply, 1).front().error().code(); };
  EXPECT_EQ(code(error("OOM command not allowed")), ErrorCode::kOverloaded);
  EXPECT_EQ(code(error("READONLY replica")), ErrorCode::kUnavailable);
  EXPECT_EQ(code(array({error("READONLY replica")})), ErrorCode::kUnavailable);
  EXPECT_EQ(code(text("1")), ErrorCode::kProtocol);
  EXPECT_EQ(code(array({})), ErrorCode::kProtocol);
  EXPECT_EQ(redis_page({}, array({integer(1)})).error().code(), ErrorCode::kProtocol);
  EXPECT_TRUE(is_no_epoch(error("NOEPOCH no node has begun")));
  EXPECT_FALSE(is_no_epoch(text("NOEPOCH")));
}

TEST(RedisNode, GivesEachMessageItsAnswer) {
  const auto published =
      redis_published(array({array({integer(7), text("e.1"), integer(0)}), error("WRONGTYPE another's key"),
                             array({integer(3), text("e.2"), integer(1)})}),
                      3);
  ASSERT_EQ(published.size(), 3U);
  EXPECT_EQ(published[0]->position, (Position{7, "e.1"}));
  EXPECT_FALSE(published[1]);
  EXPECT_EQ(published[2]->position, (Position{3, "e.2"}));
  EXPECT_TRUE(published[2]->repeated);
  const auto refused = redis_published(error("OOM command not allowed"), 2);
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_FALSE(refused[1]);
}

TEST(RedisNode, ReadsAPageAndKnowsWhetherThereIsMore) {
  RedisInquiry inquiry;
  inquiry.has_since = true;
  inquiry.since = {3, "e.1"};
  const auto page = redis_page(inquiry, array({integer(9), text("e.1"), integer(0), integer(4),
                                               array({text("\"four\""), text("5")})}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->position, (Position{9, "e.1"}));
  ASSERT_EQ(page->messages.size(), 2U);
  EXPECT_EQ(page->messages[1].offset, 5U);
  EXPECT_EQ(*page->messages[0].data, "\"four\"");
  EXPECT_TRUE(page->more);
}

class Reading : public ::testing::Test {
 protected:
  Reading() {
    RedisLayout layout;
    layout.shards = 1;
    reader_.emplace(layout, 10);
    EXPECT_TRUE(reader_->joined(array({text("e"), text("5-20")})));
  }
  Result<RedisNews> read(std::vector<Reply> entries, const std::string& epoch = "e") {
    return reader_->read(text(epoch),
                         array({array({text("headroom:bus:stream:0"), array(std::move(entries))})}));
  }
  std::optional<RedisReader> reader_;
};

TEST_F(Reading, TellsTheEntriesAndSeesWhenSomeWereTrimmedAway) {
  const auto first = read({entry("5-21", 1, "e.1"), entry("5-22", 2, "e.1")});
  ASSERT_TRUE(first);
  ASSERT_EQ(first->rows.size(), 2U);
  EXPECT_EQ(first->rows[1].channel, "a room");
  EXPECT_EQ(first->rows[1].message.offset, 2U);
  EXPECT_FALSE(first->compare);
  const auto gap = read({entry("5-24", 4, "e.1")});
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->rows.size(), 1U);
  EXPECT_TRUE(gap->compare);
  EXPECT_FALSE(read({entry("5-25", 5, "e.1")})->compare) << "once";
}

TEST_F(Reading, PassesOverEntriesOfAnotherEpoch) {
  const auto news = read({entry("6-90", 1, "d.1"), entry("6-91", 1, "ee.1"), entry("7-0", 1, "e.2")});
  ASSERT_TRUE(news);
  ASSERT_EQ(news->rows.size(), 1U);
  EXPECT_EQ(news->rows[0].epoch, "e.2");
  EXPECT_FALSE(news->compare);
}

TEST_F(Reading, SeesThatTheFirstEntriesOfAnEpochWereTrimmedAway) {
  EXPECT_TRUE(read({entry("7-3", 4, "e.1")})->compare);
}

TEST_F(Reading, ReadsAllThatIsThereWhenAnotherEpochHasBegun) {
  EXPECT_EQ(read({}, "f").error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(reader_->joined(array({text("f"), text("8-30")})));
  redis::Pipeline pipeline;
  reader_->add_read(pipeline, std::chrono::milliseconds{1});
  EXPECT_THAT(std::string(pipeline.bytes(1)), HasSubstr("0-0"));
  EXPECT_FALSE(read({entry("8-0", 1, "f.1")}, "f")->compare);
}

TEST_F(Reading, ComesBackWithWhatItReadLast) {
  ASSERT_TRUE(read({entry("5-21", 1, "e.1")}));
  redis::Pipeline pipeline;
  reader_->add_join(pipeline, RedisScripts(), fine(), "fresh");
  EXPECT_THAT(pipeline.bytes(), HasSubstr("5-21"));
}

TEST_F(Reading, TakesNoHarmFromWhatIsNotOurs) {
  EXPECT_EQ(reader_->read(text("e"), array({text("x")})).error().code(), ErrorCode::kProtocol);
  EXPECT_EQ(reader_->read(text("e"), array({array({text("other"), array({})})})).error().code(),
            ErrorCode::kProtocol);
  EXPECT_EQ(read({array({text("6-0"), array({text("x"), text("y")})})}).error().code(), ErrorCode::kProtocol);
  EXPECT_EQ(reader_->read(error("UNBLOCKED instance state changed"), array({})).error().code(),
            ErrorCode::kProtocol);
  EXPECT_TRUE(reader_->read(text("e"), Reply())->rows.empty()) << "nothing new is nil";
}

TEST_F(Reading, SaysWhichNumberOfShardsIsTheOthers) {
  const auto joined = reader_->joined(error("OTHERSHARDS 32"));
  ASSERT_FALSE(joined);
  EXPECT_THAT(joined.error().message(), HasSubstr("has 32 shards, [bus] shards says 1"));
  EXPECT_EQ(reader_->joined(error("OTHERVERSION 2")).error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace headroom::bus
