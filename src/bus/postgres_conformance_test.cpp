#include <gtest/gtest.h>

#include "bus/broker_conformance.hpp"
#include "bus/postgres_world.hpp"

namespace headroom::bus {
namespace {

class PostgresWorld final : public BrokerWorld {
 public:
  [[nodiscard]] std::unique_ptr<Broker> make(const ChannelRules& rules) override {
    PostgresBrokerOptions options;
    options.url = database_.url();
    options.node = "test";
    return std::move(PostgresBroker::make(std::move(options), rules, hub_.post()).value());
  }
  bool wait(Broker& broker, const std::function<bool()>& done) override {
    return hub_.run_until(done, [&] { broker.tick(now()); });
  }
  [[nodiscard]] Now now() const override { return read_clocks(); }
  [[nodiscard]] bool outlives_broker() const override { return true; }
  [[nodiscard]] bool several_nodes() const override { return true; }

 private:
  PostgresDatabase database_;
  HubThread hub_;
};

INSTANTIATE_TEST_SUITE_P(Postgres, BrokerConformance,
                         ::testing::Values(BrokerCase{"postgres",
                                                      [] { return std::make_unique<PostgresWorld>(); }}),
                         [](const auto& given) { return given.param.name; });

}  // namespace
}  // namespace headroom::bus
