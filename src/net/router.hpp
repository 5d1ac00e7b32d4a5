#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.hpp"

namespace headroom::net {

/// Answers one request. An exception that leaves it becomes a 500 whose message tells nothing of the inside.
using Handler = std::function<Response(const Request&)>;

/// Decides over a request by its head alone, before a byte of its body is read; the response is the refusal.
/// Runs on the I/O thread and must not block. May put what it found into `caller.user`.
using CheckHead = std::function<std::optional<Response>(Request&)>;

/// Who may call a route.
enum class Access {
  kPublic,   ///< everybody who reaches the socket
  kRead,     ///< who may read; locally everybody, unless there are people with passwords
  kPrivate,  ///< likewise, but no viewers: bodies and parameters of calls
  kWrite,    ///< administrators only, also locally; never from a page of another site
  /// The route's `check` alone decides: tokens, cookies and the sites that pages come from are its own. Host
  /// is checked as always.
  kOwn,
};

/// Where a handler runs.
enum class RunOn {
  kWorker,     ///< on the bounded pool: it may block until its deadline
  kEventLoop,  ///< on the I/O thread: it must not block, and is answered even when all workers are busy
};

struct WebSocketRoute;
struct HeldRoute;

struct Route {
  std::string method;   ///< "GET" answers HEAD too
  std::string pattern;  ///< "/api/rules/{id}": a segment in braces takes any one segment
  Access access = Access::kRead;
  RunOn run_on = RunOn::kWorker;
  std::optional<std::chrono::milliseconds> deadline;     ///< else that of the server
  std::optional<std::size_t> body_bytes = std::nullopt;  ///< likewise
  Handler handler;
  /// After `access`, if there is one. Of kOwn it has to be there.
  CheckHead check = nullptr;
  /// Set for a WebSocketRoute: the connection is upgraded instead of being answered.
  std::shared_ptr<const WebSocketRoute> websocket = nullptr;
  /// Set for a HeldRoute: the request is answered by its handler, later.
  std::shared_ptr<const HeldRoute> held = nullptr;
};

/// What a path and method lead to.
struct Match {
  const Route* route = nullptr;
  Parameters parameters;
  /// When there is no route but the path exists: its methods, as the Allow header lists them.
  std::string allow;
};

/// The routes of a server. Literal segments win over `{name}`.
/// Threads: `add` before the server runs, `match` from any thread after that.
class Router {
 public:
  /// A malformed or repeated pattern is a mistake of the program and ends it.
  void add(Route route);
  void add(WebSocketRoute route);
  void add(HeldRoute route);
  /// Answers GET for every path that no pattern fits, unless its first segment is one of `reserved`. The
  /// pattern only names it in logs and metrics.
  void set_fallback(Route route, std::vector<std::string> reserved);
  /// Cost: O(routes x segments). Lifetime: the route lives as long as the router.
  [[nodiscard]] Match match(std::string_view method, const std::vector<std::string>& segments) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Route route;
    std::vector<std::string> segments;
    std::size_t literals = 0;
  };
  [[nodiscard]] bool falls_back(std::string_view method, const std::vector<std::string>& segments) const;

  std::vector<Entry> entries_;
  std::optional<Route> fallback_;
  std::vector<std::string> reserved_;
};

}  // namespace headroom::net
