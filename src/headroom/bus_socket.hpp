#pragma once

#include "net/router.hpp"

namespace headroom::cli {

class BusService;

/// The WebSocket /bus/ws: a command is a text frame, and so is what comes back.
/// Lifetime: the service outlives the server.
void add_bus_socket(net::Router& router, BusService& service);

}  // namespace headroom::cli
