#include <gtest/gtest.h>

#include "bus/broker_conformance.hpp"
#include "bus/postgres_world.hpp"

namespace headroom::bus {
namespace {

/// The three ways of a publication to the sequencer.
enum class Flavour : std::uint8_t { kPoll, kNotify, kLogical };

PostgresSource source_of(Flavour flavour) {
  return flavour == Flavour::kLogical ? PostgresSource::kLog : PostgresSource::kOutbox;
}

class PostgresWorld final : public BrokerWorld {
 public:
  explicit PostgresWorld(Flavour flavour) : source_(source_of(flavour)), database_(source_) {
    if (flavour == Flavour::kNotify) {
      SqlSession(database_.url())
          .run(
              "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET headroom.notify = on', current_database());"
              " END $$");
    }
    if (flavour == Flavour::kLogical) begin_log(database_);
  }

  [[nodiscard]] std::unique_ptr<Broker> make(const ChannelRules& rules) override {
    PostgresBrokerOptions options;
    options.url = database_.url();
    options.node = "test";
    options.source = source_;
    return std::move(PostgresBroker::make(std::move(options), rules, hub_.post()).value());
  }
  bool wait(Broker& broker, const std::function<bool()>& done) override {
    return hub_.run_until(done, [&] { broker.tick(now()); });
  }
  [[nodiscard]] Now now() const override { return read_clocks(); }
  [[nodiscard]] bool outlives_broker() const override { return true; }
  [[nodiscard]] bool several_nodes() const override { return true; }

 private:
  PostgresSource source_;
  PostgresDatabase database_;
  HubThread hub_;
};

BrokerCase flavour(const char* name, Flavour flavour) {
  return {name, [flavour] { return std::make_unique<PostgresWorld>(flavour); }};
}

INSTANTIATE_TEST_SUITE_P(Postgres, BrokerConformance,
                         ::testing::Values(flavour("postgres", Flavour::kPoll),
                                           flavour("postgres_notify", Flavour::kNotify),
                                           flavour("postgres_logical", Flavour::kLogical)),
                         [](const auto& given) { return given.param.name; });

}  // namespace
}  // namespace headroom::bus
