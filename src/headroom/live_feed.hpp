#pragma once

// The WebSocket /api/perf/live: one look a second for all who watch, and none while nobody does.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "headroom/live.hpp"
#include "net/server.hpp"
#include "net/websocket.hpp"

namespace headroom::cli {

/// Lifetime: made before the server, started when it runs, and ended before it is destroyed; the WebSockets
/// may outlive it.
class LiveFeed {
 public:
  static constexpr std::chrono::seconds kPeriod{1};

  explicit LiveFeed(LiveSource source);
  ~LiveFeed();
  LiveFeed(const LiveFeed&) = delete;
  LiveFeed& operator=(const LiveFeed&) = delete;

  void add_route(net::Router& router);
  /// Begins to look, on a thread of its own, whenever somebody watches.
  void start(net::Server& server);
  /// Waits for the look that is under way.
  void stop();

 private:
  struct Audience;
  void run(net::Server& server);
  /// False when it is time to end.
  bool wait_for_audience();
  bool pause();

  LiveSource source_;
  std::shared_ptr<Audience> audience_;
  std::thread thread_;
};

}  // namespace headroom::cli
