#pragma once

#include "base/result.hpp"
#include "headroom/command.hpp"
#include "net/server.hpp"

namespace headroom::cli {

/// Where and how to listen. Errors: invalid_argument (an address; one that is not loopback without a token or
/// a password file), those of make_sign_in. The message names the key.
[[nodiscard]] base::Result<net::ServerOptions> server_options(const ServeSection& section);

/// Serves until SIGTERM or SIGINT. Errors: those of server_options and of listening.
[[nodiscard]] base::Result<Exit> serve(const Invocation& invocation);

}  // namespace headroom::cli
