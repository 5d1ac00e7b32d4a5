// Whatever a client sends, after a `connect` that is right: its connection stays or ends with a code, others
// notice nothing, everything that goes out is UTF-8, and what it published comes to a subscriber as it was
// kept.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bus/hub_world.hpp"
#include "bus/impl/json.hpp"
#include "wire/utf8.hpp"

namespace {

using namespace headroom::bus;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_sent(TestPeer& peer) {
  for (std::string text = peer.next(); !text.empty(); text = peer.next()) {
    require(headroom::wire::is_utf8(text));
    const JsonParts parts = read_object(text);
    require(parts.is_container && !parts.wrong_at && !parts.parts.empty());
  }
}

/// The lines of the input are the texts of one client.
void replay(HubWorld& world, TestPeer& peer, std::string_view input) {
  while (!input.empty() && !peer.closed) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    world.say(peer, input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
    check_sent(peer);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  HubLimits limits;
  limits.commands = {0, 0};
  limits.publishes = {0, 0};
  HubWorld world(limits);
  const auto other = world.connect("bob");
  world.say(*other, R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","joins":true}]}})");
  const auto peer = world.connect("alice");
  replay(world, *peer, {reinterpret_cast<const char*>(data), size});
  const auto silent = world.open();
  replay(world, *silent, {reinterpret_cast<const char*>(data), size});
  world.pass(std::chrono::seconds{1});
  check_sent(*other);
  require(!other->closed);
  if (!peer->closed) world.leave(*peer);
  if (!silent->closed) world.leave(*silent);
  world.leave(*other);
  require(world.hub().counts().sessions == 0);
  require(world.hub().counts().channels == 0);
  require(world.hub().counts().subscriptions == 0);
  return 0;
}
