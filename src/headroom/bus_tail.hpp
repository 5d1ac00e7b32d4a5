#pragma once

// The WebSocket /api/bus/live: every message that passes the hub, for the page of the bus.

#include <memory>
#include <string>
#include <unordered_map>

#include "bus/hub.hpp"
#include "net/router.hpp"
#include "net/websocket.hpp"

namespace headroom::cli {

class BusService;

/// Who looks on. Threads: the I/O thread.
class BusTail {
 public:
  explicit BusTail(bus::Hub& hub) : hub_(hub) {}

  /// Those of channels whose names begin with `prefix`, from now on.
  void join(const std::shared_ptr<net::WebSocket>& socket, std::string prefix);
  void leave(const net::WebSocket* socket);

 private:
  struct Watcher {
    std::shared_ptr<net::WebSocket> socket;
    std::string prefix;
  };
  void show(std::string_view channel, const bus::Message& message);

  bus::Hub& hub_;
  std::unordered_map<const net::WebSocket*, Watcher> watchers_;
};

/// Lifetime: the tail outlives the server.
void add_bus_tail(net::Router& router, BusTail& tail);

}  // namespace headroom::cli
