#include <gtest/gtest.h>

#include "bus/broker_conformance.hpp"
#include "bus/broker_node.hpp"
#include "bus/redis_broker.hpp"
#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::bus {
namespace {

class RedisWorld final : public BrokerWorld {
 public:
  RedisWorld() {
    redis::Connection connection(redis::parse_url(server().url()).value());
    EXPECT_TRUE(connection.run({"FLUSHALL"}));
  }
  [[nodiscard]] std::unique_ptr<Broker> make(const ChannelRules& rules) override {
    RedisBrokerOptions options;
    options.url = server().url();
    return std::move(RedisBroker::make(options, rules, hub_.post()).value());
  }
  bool wait(Broker& broker, const std::function<bool()>& done) override {
    return hub_.run_until(done, [&] { broker.tick(now()); });
  }
  [[nodiscard]] Now now() const override { return read_clocks(); }
  [[nodiscard]] bool outlives_broker() const override { return true; }
  [[nodiscard]] bool several_nodes() const override { return true; }

 private:
  static testing::RedisServer& server() {
    static testing::RedisServer shared;
    return shared;
  }

  HubThread hub_;
};

INSTANTIATE_TEST_SUITE_P(Redis, BrokerConformance,
                         ::testing::Values(BrokerCase{"redis",
                                                      [] { return std::make_unique<RedisWorld>(); }}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace headroom::bus
