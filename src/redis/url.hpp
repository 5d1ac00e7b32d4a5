#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace headroom::redis {

using base::ErrorCode;
using base::fail;
using base::Result;

/// Where a Redis server is, and who we are to it.
struct Url {
  enum class Transport : std::uint8_t { kTcp, kTls, kUnix };
  Transport transport = Transport::kTcp;
  std::string host;  ///< name or address; an IPv6 address without its brackets
  std::uint16_t port = 6379;
  std::string path;  ///< of the socket, for kUnix
  std::string user;  ///< empty: the default user
  std::string password;
  std::uint32_t database = 0;
  /// For connecting, and again for each operation.
  base::Microseconds timeout = std::chrono::seconds{5};
  std::string ca_file;  ///< PEM file of the authorities to trust, for kTls; empty: the system's

  /// The URL without password and options, as messages show it.
  [[nodiscard]] std::string text() const;
};

/// Reads `redis://[user:password@]host[:port][/db]`, `rediss://...` (TLS) or `unix://[user:password@]/path`.
/// Options follow a `?`, separated by `&`: `timeout=2s`, `db=3` (unix), `ca=/path` (rediss). `%40` stands for
/// `@` in user, password and path. An IPv6 address stands in brackets. Errors: invalid_argument; the message
/// never shows the password.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

/// Any text that may be a URL, without its password and options. Guarantees: never fails, never shows a
/// password.
[[nodiscard]] std::string without_password(std::string_view text);

}  // namespace headroom::redis
