#pragma once

#include "net/router.hpp"

namespace headroom::cli {

class BusService;

/// POST /bus/publish and the reading of channels, connections, presence and history, under /bus for whoever
/// has an admin token and under /api/bus for those who are signed in to the pages. Lifetime: the service
/// outlives the server.
void add_bus_api(net::Router& router, BusService& service);

}  // namespace headroom::cli
