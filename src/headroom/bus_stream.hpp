#pragma once

#include "net/router.hpp"

namespace headroom::cli {

class BusService;

/// POST /bus/events: server-sent events. The body holds the commands, one a line, the first being connect;
/// what comes back is one event an object. Lifetime: the service outlives the server.
void add_bus_stream(net::Router& router, BusService& service);

}  // namespace headroom::cli
