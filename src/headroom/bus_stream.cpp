#include "headroom/bus_stream.hpp"

#include <memory>
#include <string>
#include <utility>

#include "headroom/bus_lines.hpp"
#include "headroom/bus_service.hpp"
#include "net/held.hpp"

namespace headroom::cli {
namespace {

wire::Frame event_of(std::string_view object) {
  return std::make_shared<const std::string>(std::string("data: ").append(object).append("\n\n"));
}

/// One client: what the hub sends is an event. A broadcast is put into an event per client; WebSockets share
/// it.
class BusStream final : public net::HeldHandler, public bus::Peer {
 public:
  BusStream(const std::shared_ptr<net::HeldRequest>& request, BusService& service)
      : request_(*request), hub_(service.hub()), at_door_(service.doors().streams) {}

  void begin(const std::vector<std::string_view>& commands, const std::string& address) {
    net::Response head = net::make_response(200, "text/event-stream; charset=utf-8", {});
    head.headers.add("X-Accel-Buffering", "no");
    request_.begin(std::move(head));
    const bus::Now now = bus::read_clocks();
    bus::Hub::Opened opened = hub_.open(*this, address, now);
    session_ = opened.session;
    if (opened.refused) return close(*opened.refused);
    for (const std::string_view command : commands) {
      if (!over_) hub_.received(session_, command, now);
    }
  }
  void expired(net::Expiry /*why*/) override {
    if (over_) return;
    leave(bus::Departure::kGone);
    request_.send(event_of(bus::disconnect_push({bus::DisconnectCode::kGoingAway, {}, {}})));
  }
  void closed(net::HeldEnd end) override {
    leave(end == net::HeldEnd::kSlow ? bus::Departure::kSlow : bus::Departure::kGone);
  }

  void send(const wire::Frame& frame) override { request_.send(event_of(wire::payload_of(frame))); }
  [[nodiscard]] std::size_t queued_bytes() const override { return request_.queued_bytes(); }
  void close(const bus::Disconnect& disconnect) override {
    over_ = true;
    request_.send(event_of(bus::disconnect_push(disconnect)));
    request_.end();
  }

 private:
  void leave(bus::Departure how) {
    if (!std::exchange(over_, true)) hub_.closed(session_, bus::read_clocks(), how);
  }

  net::HeldRequest& request_;  ///< owns this
  bus::Hub& hub_;
  bus::SessionId session_;
  AtDoor at_door_;
  bool over_ = false;
};

}  // namespace

void add_bus_stream(net::Router& router, BusService& service) {
  const bus::HubLimits limits;
  net::HeldRoute route;
  route.method = "POST";
  route.pattern = "/bus/events";
  route.access = net::Access::kOwn;
  route.check = [&service](net::Request& request) { return service.check_origin(request); };
  route.limits.body_bytes = limits.message_bytes;
  route.limits.queue_bytes = 2 * static_cast<std::size_t>(service.section().queue_size);
  route.limits.queue_pieces = route.limits.queue_bytes / 2;
  route.limits.ping_piece = std::make_shared<const std::string>(":\n\n");
  route.open = [&service](const std::shared_ptr<net::HeldRequest>& request,
                          const net::Request& asked) -> std::unique_ptr<net::HeldHandler> {
    const auto commands = bus_lines(asked.body);
    if (auto refusal = check_bus_lines(commands)) {
      request->answer(std::move(*refusal));
      return nullptr;
    }
    auto stream = std::make_unique<BusStream>(request, service);
    stream->begin(commands, bus_address(asked));
    return stream;
  };
  router.add(std::move(route));
}

}  // namespace headroom::cli
