#pragma once

#include "net/router.hpp"

namespace headroom::cli {

class BusService;

/// POST /bus/poll: one long poll. The body holds the commands, one a line, the first being connect; the
/// answer is the list of what came back, given when there is a message, or after [bus] poll_wait. Lifetime:
/// the service outlives the server.
void add_bus_poll(net::Router& router, BusService& service);

}  // namespace headroom::cli
