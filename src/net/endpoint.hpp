#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace headroom::net {

/// Where a server listens: an IP address and port, or the path of a unix socket.
struct Endpoint {
  std::string address;  ///< numeric, without brackets; empty for a unix socket
  std::uint16_t port = 0;
  std::string path;  ///< absolute; empty for TCP
  /// Several processes of one user listen there, and the kernel spreads new connections over them
  /// (SO_REUSEPORT). Which one a client gets is chance, so only what does not depend on it is served: routes
  /// of Access::kOwn, and what is public to read.
  bool shared = false;

  [[nodiscard]] bool is_unix() const { return !path.empty(); }
  /// A unix socket, 127.0.0.0/8 or ::1: nobody from another machine gets there.
  [[nodiscard]] bool is_local() const;
  /// "127.0.0.1:7400", "[::1]:7400", "unix:/run/headroom/serve.sock"
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool operator==(const Endpoint&) const = default;
};

/// Reads "127.0.0.1:7400", "[::1]:7400", "localhost:7400", "*:7400" (every IPv4 address) and
/// "unix:/absolute/path". Port 0 takes any free one. Errors: invalid_argument, which names the forms
/// accepted.
[[nodiscard]] base::Result<Endpoint> parse_endpoint(std::string_view text);

/// 127.0.0.0/8, ::1, and those mapped into IPv6. False for what is no address.
[[nodiscard]] bool is_loopback_address(std::string_view address);

}  // namespace headroom::net
