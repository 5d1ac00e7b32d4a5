#pragma once

#include "base/result.hpp"
#include "headroom/bus_section.hpp"
#include "headroom/command.hpp"
#include "headroom/serve_section.hpp"
#include "net/server.hpp"

namespace headroom::cli {

/// Where and how to listen. Errors: invalid_argument (an address; one that is not loopback without a token or
/// a password file), those of make_sign_in. The message names the key.
[[nodiscard]] base::Result<net::ServerOptions> server_options(const ServeSection& section);
/// Clients of the bus come to its own address too, if it has one.
void listen_for_bus(const BusSection& section, net::ServerOptions& options);

/// Serves until SIGTERM or SIGINT. Errors: those of server_options and of listening.
[[nodiscard]] base::Result<Exit> serve(const Invocation& invocation);

}  // namespace headroom::cli
