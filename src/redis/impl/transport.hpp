#pragma once

// A stream of bytes to the server: a socket, or TLS over it. Nothing here knows Redis' protocol.

#include <chrono>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "redis/url.hpp"

namespace headroom::redis {

using Deadline = std::chrono::steady_clock::time_point;

/// Errors of both: unavailable (closed, reset, interrupted), timed_out, denied (the certificate). An object
/// that failed is of no more use. Guarantees: no SIGPIPE.
class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual Result<void> send(std::string_view bytes, Deadline deadline) = 0;
  /// At least one byte, at most `buffer`.
  [[nodiscard]] virtual Result<std::size_t> receive(std::span<char> buffer, Deadline deadline) = 0;
  /// The server closed it while nothing was asked. Never waits.
  [[nodiscard]] virtual bool closed_by_server() = 0;
};

/// Errors: unavailable, timed_out; denied and invalid_argument for TLS (certificate not trusted, CA file
/// unreadable). A host name is looked up by the system's resolver, which keeps its own time. Every wait, also
/// later ones, ends when the descriptor `interrupt` becomes readable; -1 is none.
[[nodiscard]] Result<std::unique_ptr<Transport>> connect(const Url& url, Deadline deadline, int interrupt);

/// TLS over a connected stream; does the handshake.
[[nodiscard]] Result<std::unique_ptr<Transport>> start_tls(std::unique_ptr<Transport> stream, const Url& url,
                                                           Deadline deadline);

}  // namespace headroom::redis
