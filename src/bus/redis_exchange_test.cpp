// Hubs of several nodes over a real Redis: the conformance of its exchanges, and what is its own.

#include <gtest/gtest.h>

#include "bus/exchange_conformance.hpp"
#include "bus/redis_presence.hpp"
#include "bus/redis_revocations.hpp"
#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::bus {
namespace {

using testing::RedisServer;

class RedisExchanges final : public NodeExchanges {
 public:
  RedisExchanges(const std::string& url, const std::string& node, std::int64_t lease_ns,
                 const HubThread::Post& post)
      : presence_(RedisPresence::make({url, node, lease_ns}, post).value()),
        members_(RedisPresence::make({url, node, lease_ns, std::string(kRedisMembers)}, post).value()),
        revocations_(RedisRevocations::make(url, post).value()) {}

  void start(Hub& hub) override {
    presence_->start(hub.presence());
    members_->start(hub.members());
    revocations_->start(hub);
  }
  void leave() override {
    presence_->leave();
    members_->leave();
  }
  [[nodiscard]] ExchangeCounts presence() const override { return presence_->counts(); }
  [[nodiscard]] ExchangeCounts members() const override { return members_->counts(); }
  [[nodiscard]] RevocationCounts revocations() const override { return revocations_->counts(); }

 private:
  std::unique_ptr<RedisPresence> presence_;
  std::unique_ptr<RedisPresence> members_;
  std::unique_ptr<RedisRevocations> revocations_;
};

class RedisExchangeWorld final : public ExchangeWorld {
 public:
  [[nodiscard]] std::unique_ptr<NodeExchanges> make(const std::string& node, std::int64_t lease_ns,
                                                    const HubThread::Post& post) override {
    return std::make_unique<RedisExchanges>(server_.url(), node, lease_ns, post);
  }
  void kill() override { server_.kill(); }
  void start() override { server_.start(); }
  [[nodiscard]] const RedisServer& server() const { return server_; }

 private:
  RedisServer server_;
};

INSTANTIATE_TEST_SUITE_P(Redis, ExchangeConformance,
                         ::testing::Values(ExchangeCase{
                             "redis", [] { return std::make_unique<RedisExchangeWorld>(); }}),
                         [](const auto& one) { return one.param.name; });

TEST(RedisExchange, WhatIsNoRevocationIsPassedOver) {
  RedisExchangeWorld world;
  redis::Connection connection(redis::parse_url(world.server().url()).value());
  const std::string now = std::to_string(read_clocks().unix_s);
  for (const char* key : {"x", "u", "zann"})
    ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "k", key, "b", now}));
  ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "k", "uann", "b", "soon"}));
  ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "x", "1"}));
  ASSERT_TRUE(connection.run({"XADD", "headroom:bus:revoked", "*", "k", "ubob", "b", now}));
  ExchangeNodes nodes(world);
  ExchangeNode& one = nodes.add("one");
  ASSERT_TRUE(nodes.run_until([&] { return !one.hub().revocations().empty(); }));
  ASSERT_EQ(one.hub().revocations().size(), 1U);
  EXPECT_EQ(one.hub().revocations()[0].key, "ubob");
}

}  // namespace
}  // namespace headroom::bus
