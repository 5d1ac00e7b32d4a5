#include "perf/redis_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "perf/impl/redis_keys.hpp"
#include "perf/store_conformance.hpp"
#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::perf {
namespace {

using headroom::testing::RedisServer;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class RedisPlaceForTest : public StorePlace {
 public:
  explicit RedisPlaceForTest(const std::vector<std::string>& options = {}) : server_(options) {}
  [[nodiscard]] std::string url() const override { return server_.url(); }

 private:
  RedisServer server_;
};

/// A cluster of one node, which refuses a command or script whose keys are of several slots. It takes two
/// seconds to come up, so that all tests share it and empty it.
class ClusterPlace final : public StorePlace {
 public:
  ClusterPlace() {
    redis::Connection connection(redis::parse_url(url()).value());
    EXPECT_TRUE(connection.run({"FLUSHALL"}));
  }
  [[nodiscard]] std::string url() const override { return server().url(); }

 private:
  static const RedisServer& server() {
    static const RedisServer cluster(
        {"--cluster-enabled", "yes", "--cluster-port", std::to_string(headroom::testing::free_port())});
    static const bool up = wait_until_up(cluster.url());
    EXPECT_TRUE(up) << "the cluster does not come up";
    return cluster;
  }

  static bool wait_until_up(const std::string& url) {
    redis::Connection connection(redis::parse_url(url).value());
    if (!connection.run({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"})) return false;
    for (int i = 0; i < 1'000; ++i) {
      const auto state = connection.run({"CLUSTER", "INFO"});
      if (state && state->text.find("cluster_state:ok") != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return false;
  }
};

const auto kKindName = [](const auto& info) { return info.param.name; };

}  // namespace

INSTANTIATE_TEST_SUITE_P(Redis, StoreConformance,
                         ::testing::Values(StoreKind{"redis",
                                                     [] { return std::make_unique<RedisPlaceForTest>(); }}),
                         kKindName);
INSTANTIATE_TEST_SUITE_P(RedisCluster, StoreConformance,
                         ::testing::Values(StoreKind{"redis",
                                                     [] { return std::make_unique<ClusterPlace>(); }}),
                         kKindName);

namespace {

OpenStore open(const std::string& url, OpenMode mode = OpenMode::kWrite) {
  auto opened = open_redis_store(url, mode);
  EXPECT_TRUE(opened) << opened.error().message();
  return std::move(*opened);
}

MethodCount one_count() {
  MethodCount count;
  count.database = "db";
  count.method = "m";
  count.hour = 500'000;
  count.count = 1;
  return count;
}

TEST(RedisStore, SaysWhatIsWrongWhenItCannotBeOpened) {
  EXPECT_EQ(open_redis_store("redis://user@host", OpenMode::kRead).error().code(),
            base::ErrorCode::kInvalidArgument);
  const auto nowhere = fmt::format("redis://127.0.0.1:{}/0", headroom::testing::free_port());
  EXPECT_EQ(open_redis_store(nowhere, OpenMode::kRead).error().code(), base::ErrorCode::kUnavailable);
  const RedisServer locked({"--requirepass", "s3cret"});
  EXPECT_EQ(open_redis_store(locked.url(), OpenMode::kRead).error().code(), base::ErrorCode::kDenied);
}

TEST(RedisStore, RefusesANewerSchemaAndForeignKeysAndLeavesThemAlone) {
  const RedisServer server;
  redis::Connection connection(redis::parse_url(server.url()).value());
  ASSERT_TRUE(connection.run({"HSET", redis_keys::kAbout, "schema", "99"}));
  const auto newer = open_redis_store(server.url(), OpenMode::kWrite);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), base::ErrorCode::kProtocol);
  EXPECT_THAT(newer.error().message(), HasSubstr("99"));
  ASSERT_TRUE(connection.run({"SET", redis_keys::kAbout, "mine"}));
  EXPECT_EQ(open_redis_store(server.url(), OpenMode::kWrite).error().code(), base::ErrorCode::kProtocol);
  EXPECT_EQ(connection.run({"GET", redis_keys::kAbout})->text, "mine");
}

TEST(RedisStore, ReadsWithAUserThatMayOnlyRead) {
  const RedisServer server;
  auto writer = open(server.url());
  Batch batch;
  batch.calls = {plain_call("a", 1)};
  ASSERT_TRUE(writer.store->append(batch));
  redis::Connection connection(redis::parse_url(server.url()).value());
  ASSERT_TRUE(
      connection.run({"ACL", "SETUSER", "eye", "on", ">pw", "~headroom:perf:*", "+@read", "+select"}));
  auto reader = open(fmt::format("redis://eye:pw@127.0.0.1:{}/0", server.port()), OpenMode::kRead);
  EXPECT_EQ(reader.store->calls({}, {})->total, 1U);
  EXPECT_TRUE(reader.store->info());
  EXPECT_TRUE(reader.control->rules(0));
}

TEST(RedisStore, CountsOnceWhenABatchIsSentAgainAfterItsAnswerWasLost) {
  RedisServer server;
  auto opened = open(server.url() + "?timeout=200ms");
  Batch batch;
  batch.calls = {plain_call("a", 1)};
  batch.counts = {one_count()};
  server.pause();  // the batch lies in the socket of the server, which will run it when it wakes up
  EXPECT_EQ(opened.store->append(batch).error().code(), base::ErrorCode::kTimedOut);
  server.resume();
  std::this_thread::sleep_for(std::chrono::milliseconds{300});  // the client's pause after a late answer
  auto other = open(server.url());
  for (int i = 0; i < 500 && other.store->calls({}, {})->total == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  ASSERT_TRUE(opened.store->append(batch));
  EXPECT_EQ(other.store->calls({}, {})->total, 1U);
  EXPECT_EQ(other.store->counts({})->at(0).count, 1U);
  ASSERT_TRUE(opened.store->append(batch));
  EXPECT_EQ(other.store->counts({})->at(0).count, 2U) << "after an answer the same counts are new ones";
}

TEST(RedisStore, GoesOnAfterTheServerWasRestartedAndForgotItsScripts) {
  RedisServer server;
  auto opened = open(server.url());
  Batch batch;
  batch.calls = {plain_call("a", 1)};
  ASSERT_TRUE(opened.store->append(batch));
  server.kill();
  EXPECT_FALSE(opened.store->append(batch));
  server.start();
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
  ASSERT_TRUE(opened.store->append(batch));
  EXPECT_EQ(opened.store->calls({}, {})->total, 1U);
}

TEST(RedisStore, LeavesOnlyItsFramesBehindWhenEverythingWasPruned) {
  const RedisServer server;
  auto opened = open(server.url());
  Batch batch;
  batch.calls = {full_record("a"), plain_call("b", 2, "other")};
  batch.counts = {one_count()};
  ASSERT_TRUE(opened.store->append(batch));
  const auto pruned = opened.control->prune({}, base::utc_now() + std::chrono::days{3650});
  ASSERT_TRUE(pruned) << pruned.error().message();
  EXPECT_EQ(pruned->calls, 2U);
  EXPECT_EQ(pruned->bytes_after, 0U);
  redis::Connection connection(redis::parse_url(server.url()).value());
  const auto keys = connection.run({"KEYS", "*"});
  ASSERT_TRUE(keys);
  for (const auto& key : keys->elements) {
    const bool frame = key.text == redis_keys::kAbout || key.text.find(":sent:") != std::string::npos;
    EXPECT_TRUE(frame) << key.text;
  }
}

TEST(RedisStore, AccountsForWhatRedisUsesWithinAFactorOfTwo) {
  const RedisServer server;
  auto opened = open(server.url());
  redis::Connection connection(redis::parse_url(server.url()).value());
  const auto used = [&] {
    const auto text = connection.run({"INFO", "memory"})->text;
    return std::stod(text.substr(text.find("used_memory:") + 12));
  };
  const auto before = used();
  for (int i = 0; i < 20; ++i) {
    Batch batch;
    for (int k = 0; k < 250; ++k) {
      auto call = full_record(fmt::format("0123456789abcdef0123456789{:06}", i * 250 + k));
      call.request.reset();
      batch.calls.push_back(std::move(call));
    }
    ASSERT_TRUE(opened.store->append(batch));
  }
  const auto counted = static_cast<double>(opened.store->info()->bytes);
  EXPECT_LT(counted, 2 * (used() - before));
  EXPECT_GT(counted, 0.5 * (used() - before));
  RecordProperty("bytes_counted", fmt::format("{:.0f} of {:.0f}", counted, used() - before));
}

}  // namespace
}  // namespace headroom::perf
