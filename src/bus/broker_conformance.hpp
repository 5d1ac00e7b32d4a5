#pragma once

// What every broker must do, as tests that run over any implementation.

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "bus/broker.hpp"
#include "bus/rules.hpp"

namespace headroom::bus {

/// A broker under test, with the means to let time pass.
class BrokerWorld {
 public:
  virtual ~BrokerWorld() = default;
  /// A broker that was not started yet; all of one world share what is stored. The rules are those of
  /// `conformance_rules`.
  [[nodiscard]] virtual std::unique_ptr<Broker> make(const ChannelRules& rules) = 0;
  /// Lets answers come in until `done` or a deadline. A broker that answers at once needs nothing.
  virtual bool wait(Broker& broker, const std::function<bool()>& done) = 0;
  [[nodiscard]] virtual Now now() const = 0;
  /// Whether what was published before is there when a broker is made anew.
  [[nodiscard]] virtual bool outlives_broker() const = 0;
  /// Whether two brokers of this world see each other's messages.
  [[nodiscard]] virtual bool several_nodes() const = 0;
};

/// Makes a fresh, empty world per test.
struct BrokerCase {
  std::string name;
  std::function<std::unique_ptr<BrokerWorld>()> make;
};

class BrokerConformance : public ::testing::TestWithParam<BrokerCase> {};

/// "small:" keeps 5 messages, "tight:" 1 KiB, "none:" nothing, all others 1,000 messages.
[[nodiscard]] ChannelRules conformance_rules();

}  // namespace headroom::bus
