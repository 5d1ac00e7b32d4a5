// What a message costs per subscriber, and what a connected client costs in memory, in the hub and the memory
// broker alone: no sockets. The peer is the least that a door can be.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

#include "bus/hub.hpp"
#include "bus/memory_broker.hpp"

namespace {

using namespace headroom::bus;

class CountingPeer final : public Peer {
 public:
  void send(const headroom::wire::Frame& frame) override { bytes += frame->size(); }
  [[nodiscard]] std::size_t queued_bytes() const override { return 0; }
  void close(const Disconnect& /*disconnect*/) override {}
  std::size_t bytes = 0;
};

/// Tokens are their user's name.
class OpenAuthority final : public Authority {
 public:
  void authenticate(std::string_view token, const Now& now, Done<Grant> done) override {
    Grant grant;
    grant.user = token;
    grant.session = "0123456789abcdef0123456789abcdef";
    grant.channels = {"room:*"};
    grant.issued_unix_s = now.unix_s;
    grant.expires_unix_s = now.unix_s + 3600;
    done(std::move(grant));
  }
};

enum class Channels { kShared, kOwn };

class World {
 public:
  World(std::size_t clients, Channels channels)
      : rules_(ChannelRules::make({}).value()),
        broker_(rules_, "epoch"),
        hub_(limits(), rules_, broker_, authority_, {}, {}),
        peers_(clients) {
    broker_.start(hub_, now_);
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < clients; ++i) connect(i, channels);
    bytes_per_client_ = static_cast<double>(mallinfo2().uordblks - before) / static_cast<double>(clients);
  }
  void publish(const std::string& data) {
    hub_.publish({"room:all", data, ""}, now_, [](const auto&) {});
  }
  [[nodiscard]] double bytes_per_client() const { return bytes_per_client_; }
  [[nodiscard]] std::size_t received(std::size_t client) const { return peers_[client].bytes; }

 private:
  static HubLimits limits() {
    HubLimits limits;
    limits.admission.all = limits.admission.per_address = {0, 0};
    limits.commands_per_address = {0, 0};
    return limits;
  }
  void connect(std::size_t i, Channels channels) {
    const std::string user = std::to_string(i);
    const SessionId session = hub_.open(peers_[i], "127.0.0.1", now_).session;
    hub_.received(session, R"({"id":1,"connect":{"token":")" + user + "\"}}", now_);
    const std::string channel = channels == Channels::kShared ? "room:all" : "user:" + user;
    hub_.received(session, R"({"id":2,"subscribe":{"channels":[")" + channel + "\"]}}", now_);
  }

  Now now_{1'000'000'000'000, 1'800'000'000};
  ChannelRules rules_;
  MemoryBroker broker_;
  OpenAuthority authority_;
  Hub hub_;
  std::vector<CountingPeer> peers_;
  double bytes_per_client_ = 0;
};

void deliver(benchmark::State& state) {
  const auto clients = static_cast<std::size_t>(state.range(0));
  World world(clients, Channels::kShared);
  const std::string data = "\"" + std::string(198, 'x') + "\"";
  const std::size_t before = world.received(0);
  for ([[maybe_unused]] auto turn : state) world.publish(data);
  if (world.received(0) - before < 200 * static_cast<std::size_t>(state.iterations()))
    state.SkipWithError("a subscriber lacks messages");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(deliver)->Arg(4'000)->Arg(16'000);

void memory(benchmark::State& state) {
  double bytes = 0;
  for ([[maybe_unused]] auto turn : state)
    bytes = World(16'000, state.range(0) == 0 ? Channels::kShared : Channels::kOwn).bytes_per_client();
  state.counters["bytes_per_client"] = bytes;
}
BENCHMARK(memory)->Arg(0)->Arg(1)->ArgName("own_channel")->Iterations(1);

}  // namespace
