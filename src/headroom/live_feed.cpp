#include "headroom/live_feed.hpp"

#include <utility>

#include "base/clock.hpp"
#include "wire/websocket.hpp"

namespace headroom::cli {

/// Who watches, shared by the I/O thread, on which they come and go, and the one that looks.
struct LiveFeed::Audience {
  net::WebSocketGroup group;  ///< of the I/O thread
  wire::Frame last;           ///< likewise: what a new one sees at once
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;

  void come(const std::shared_ptr<net::WebSocket>& socket) {
    const bool first = group.size() == 0;
    group.join(socket);
    if (first) last = nullptr;  // from when somebody watched before
    if (last != nullptr) socket->send(last);
    const std::lock_guard lock(mutex);
    changed.notify_all();
  }
  void show(wire::Frame frame) {
    group.send(frame);
    last = std::move(frame);
  }
};

namespace {

/// What a viewer sends is of no interest: the feed is the same for all.
template <typename Audience>
class Viewer final : public net::WebSocketHandler {
 public:
  Viewer(const std::shared_ptr<net::WebSocket>& socket, std::shared_ptr<Audience> audience)
      : socket_(socket.get()), audience_(std::move(audience)) {
    audience_->come(socket);
  }
  void received_text(std::string_view /*message*/) override {}
  void received_binary(std::string_view /*message*/) override {}
  void closed(wire::CloseCode /*code*/, net::SocketEnd /*end*/) override { audience_->group.leave(socket_); }

 private:
  const net::WebSocket* socket_;
  std::shared_ptr<Audience> audience_;
};

}  // namespace

LiveFeed::LiveFeed(LiveSource source) : source_(std::move(source)), audience_(std::make_shared<Audience>()) {}

LiveFeed::~LiveFeed() {
  stop();
}

void LiveFeed::add_route(net::Router& router) {
  net::WebSocketRoute route;
  route.pattern = "/api/perf/live";
  route.limits.message_bytes = 1024;
  // A viewer that is some looks behind has no use for them.
  route.limits.queue_frames = 8;
  route.limits.queue_bytes = 4 * 1024 * 1024;
  route.open = [audience = audience_](const std::shared_ptr<net::WebSocket>& socket, const net::Request&) {
    return std::make_unique<Viewer<Audience>>(socket, audience);
  };
  router.add(std::move(route));
}

void LiveFeed::start(net::Server& server) {
  thread_ = std::thread([this, &server] { run(server); });
}

void LiveFeed::stop() {
  {
    const std::lock_guard lock(audience_->mutex);
    audience_->stopping = true;
  }
  audience_->changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool LiveFeed::wait_for_audience() {
  std::unique_lock lock(audience_->mutex);
  if (audience_->group.size() == 0) source_.rest();
  audience_->changed.wait(lock, [this] { return audience_->stopping || audience_->group.size() > 0; });
  return !audience_->stopping;
}

bool LiveFeed::pause() {
  std::unique_lock lock(audience_->mutex);
  return !audience_->changed.wait_for(lock, kPeriod, [this] { return audience_->stopping; });
}

void LiveFeed::run(net::Server& server) {
  while (wait_for_audience()) {
    const LiveView view = source_.look(base::utc_now(), base::monotonic_ns());
    wire::Frame frame = wire::make_frame(wire::Opcode::kText, live_json(view));
    server.post([audience = audience_, frame = std::move(frame)] { audience->show(frame); });
    if (!pause()) return;
  }
}

}  // namespace headroom::cli
