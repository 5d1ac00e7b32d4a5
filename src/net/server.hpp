#pragma once

// The HTTP/1.1 server: sockets, limits and deadlines around a Router. It knows no capability.
//
// One I/O thread owns every connection; nothing of a connection is touched by another thread. A handler of a
// worker route runs on the bounded pool and its response comes back as a message. So slow stores cannot stop
// the reading of sockets, and slow clients cannot hold a store.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/access.hpp"
#include "net/endpoint.hpp"
#include "net/router.hpp"

namespace headroom::net {

/// Every bound of the server. What is beyond one is refused and counted, never queued without end.
struct Limits {
  std::size_t connections = 1024;  ///< of requests; one more is answered 503 and closed
  /// Connections of one address that have not brought a whole request yet; one more is answered 503. Not of
  /// the unix socket and of proxies that are trusted: those bring many clients.
  std::size_t strangers = 256;
  std::size_t lasting = 4096;                 ///< WebSockets and held requests, beside those; 503
  std::size_t header_bytes = 16 * 1024;       ///< request line and headers; 431
  std::size_t body_bytes = 1024 * 1024;       ///< 413
  std::size_t workers = 4;                    ///< threads that run handlers
  std::size_t queue = 64;                     ///< requests that wait for one of them; one more is 503
  std::chrono::milliseconds idle{60'000};     ///< between two requests of a connection
  std::chrono::milliseconds read{10'000};     ///< for a whole head, and again for a whole body
  std::chrono::milliseconds write{30'000};    ///< for a whole response
  std::chrono::milliseconds handler{10'000};  ///< waiting in the queue and running; 504
  std::chrono::milliseconds stop{5'000};      ///< for requests that run when the server stops
};

/// Counts since start, and what is open now. Read from any thread.
struct ServerStats {
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> connections_refused{0};    ///< beyond the bound
  std::atomic<std::uint64_t> strangers_refused{0};      ///< beyond the bound of one address
  std::atomic<std::uint64_t> connections_displaced{0};  ///< closed to make room for new ones
  std::atomic<std::uint64_t> accept_errors{0};          ///< such as no free descriptor
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bad_requests{0};     ///< answered 400, 413, 417, 431 or 505 before routing
  std::atomic<std::uint64_t> slow_clients{0};     ///< closed for the read or write deadline
  std::atomic<std::uint64_t> overflows{0};        ///< answered 503 because the queue was full
  std::atomic<std::uint64_t> late_handlers{0};    ///< answered 504
  std::atomic<std::uint64_t> failed_handlers{0};  ///< left with an exception; answered 500
  std::atomic<std::uint64_t> websockets_open{0};
  std::atomic<std::uint64_t> websockets{0};
  std::atomic<std::uint64_t> held_open{0};
  std::atomic<std::uint64_t> held{0};
  std::atomic<std::uint64_t> lasting_refused{0};  ///< beyond the bound of WebSockets and held requests
  std::atomic<std::uint64_t> slow_websockets{0};  ///< closed because they did not take what was queued
  std::atomic<std::uint64_t> denied{0};           ///< wrong or missing token, foreign Host or site
};

/// One request that was answered, for logs and metrics. The views hold during the call only.
struct Observation {
  std::string_view method;  ///< of `method_class`: bounded
  std::string_view route;   ///< the pattern, or "none": bounded
  std::string_view path;    ///< as asked for: not bounded, keep it out of labels
  std::string_view address;
  int status = 0;
  std::chrono::microseconds duration{0};
  std::size_t bytes_out = 0;
};

struct ServerOptions {
  std::vector<Endpoint> listen;
  Limits limits;
  AccessOptions access;
  /// Called on the I/O thread after each answer; must not block or throw. May be empty.
  std::function<void(const Observation&)> observe;
};

/// A server that listens. Lifetime: outlives `run`.
class Server {
 public:
  /// Binds every endpoint.
  /// Errors: invalid_argument (no endpoint; an endpoint that is not local without a token), conflict (address
  /// in use; the message names it), denied, io.
  [[nodiscard]] static base::Result<std::unique_ptr<Server>> create(ServerOptions options, Router router);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until `stop`, then finishes within `Limits::stop`: idle connections close at once, running
  /// requests are answered, whatever is left then is cut. Call it once; the calling thread is the I/O thread.
  /// Returns false when a handler still runs: the destructor would wait for it.
  [[nodiscard]] bool run();
  /// Threads: any; may be called before `run`, and more than once.
  void stop();

  /// Listens no more where others listen too: new clients go to those. Threads: any.
  void leave_shared();

  /// Runs `work` on the I/O thread, soon; that is how other threads reach WebSockets. Never runs after `run`
  /// has returned. Threads: any. `work` must neither block nor throw.
  void post(std::function<void()> work);

  /// Runs `work` on the I/O thread at that pace, from when `run` begins until it ends. `work` must neither
  /// block nor throw. Threads: any; before or during `run`.
  void repeat(std::chrono::milliseconds period, std::function<void()> work);

  /// Where it really listens: port 0 is replaced by the port given.
  [[nodiscard]] const std::vector<Endpoint>& endpoints() const;
  [[nodiscard]] const ServerStats& stats() const;
  /// Requests that wait for a worker, and that run on one.
  [[nodiscard]] std::size_t queued() const;
  [[nodiscard]] std::size_t running() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::net
