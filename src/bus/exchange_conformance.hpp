#pragma once

// What hubs of several nodes tell each other beside messages, as tests that run over any exchange: who is
// there, who is in a channel, and who may not come in any more.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bus/broker_node.hpp"
#include "bus/exchange.hpp"
#include "bus/hub_world.hpp"

namespace headroom::bus {

/// The exchanges of one node. Its end is a crash: no word is said.
class NodeExchanges {
 public:
  virtual ~NodeExchanges() = default;
  virtual void start(Hub& hub) = 0;
  /// In good order.
  virtual void leave() = 0;
  [[nodiscard]] virtual ExchangeCounts presence() const = 0;
  [[nodiscard]] virtual ExchangeCounts members() const = 0;
  [[nodiscard]] virtual RevocationCounts revocations() const = 0;
};

/// What stands between the nodes of a test.
class ExchangeWorld {
 public:
  virtual ~ExchangeWorld() = default;
  [[nodiscard]] virtual std::unique_ptr<NodeExchanges> make(const std::string& node, std::int64_t lease_ns,
                                                            const HubThread::Post& post) = 0;
  virtual void kill() = 0;
  /// With what it kept, if it keeps something.
  virtual void start() = 0;
};

struct ExchangeCase {
  std::string name;
  std::function<std::unique_ptr<ExchangeWorld>()> make;
};

/// A hub with messages of its own; what its exchanges tell runs on the test's thread.
class ExchangeNode final {
 public:
  ExchangeNode(ExchangeWorld& world, const std::string& name, HubThread& hub);
  /// The hub's clock is the machine's.
  void tick();
  TestPeer& join(const std::string& user);
  std::string who(TestPeer& peer);
  /// What was pushed to it until now.
  const std::vector<std::string>& told(TestPeer& peer);
  [[nodiscard]] PresenceState state(const std::string& user);
  [[nodiscard]] HubWorld& world() { return world_; }
  [[nodiscard]] Hub& hub() { return world_.hub(); }
  [[nodiscard]] NodeExchanges& exchanges() { return *exchanges_; }

 private:
  void keep(TestPeer& peer);

  std::unique_ptr<NodeExchanges> exchanges_;
  HubWorld world_;
  std::vector<std::unique_ptr<TestPeer>> peers_;
  std::map<TestPeer*, std::vector<std::string>> told_;
};

/// Nodes over one world.
class ExchangeNodes {
 public:
  explicit ExchangeNodes(ExchangeWorld& world) : world_(world) {}
  ExchangeNode& add(const std::string& name);
  void crash(const std::string& name) { nodes_.erase(name); }
  bool run_until(const std::function<bool()>& done);
  /// Until a node answers who is in "room:1".
  bool answers(ExchangeNode& node, TestPeer& peer, const std::string& users);
  bool sees(ExchangeNode& node, const std::string& user, PresenceState state);

 private:
  ExchangeWorld& world_;
  HubThread hub_;
  std::map<std::string, std::unique_ptr<ExchangeNode>> nodes_;
};

class ExchangeConformance : public ::testing::TestWithParam<ExchangeCase> {
 protected:
  std::unique_ptr<ExchangeWorld> world_ = GetParam().make();
  ExchangeNodes nodes_{*world_};
};

}  // namespace headroom::bus
