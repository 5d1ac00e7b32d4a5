#include "headroom/bus_socket.hpp"

#include <memory>
#include <utility>

#include "headroom/bus_service.hpp"
#include "net/websocket.hpp"

namespace headroom::cli {
namespace {

/// One client: the hub's peer and the socket's handler.
class BusSocket final : public net::WebSocketHandler, public bus::Peer {
 public:
  BusSocket(const std::shared_ptr<net::WebSocket>& socket, BusService& service, const std::string& address)
      : socket_(*socket), hub_(service.hub()), at_door_(service.doors().websockets) {
    bus::Hub::Opened opened = hub_.open(*this, address, bus::read_clocks());
    session_ = opened.session;
    if (opened.refused) close(*opened.refused);
  }
  void received_text(std::string_view message) override {
    if (!over_) hub_.received(session_, message, bus::read_clocks());
  }
  void received_binary(std::string_view /*message*/) override {
    if (over_) return;
    hub_.closed(session_, bus::read_clocks());
    over_ = true;
    socket_.close(wire::CloseCode::kUnsupportedData, "commands are text");
  }
  void closed(wire::CloseCode /*code*/, net::SocketEnd end) override {
    if (std::exchange(over_, true)) return;
    const bool slow = end == net::SocketEnd::kSlow;
    hub_.closed(session_, bus::read_clocks(), slow ? bus::Departure::kSlow : bus::Departure::kGone);
  }

  void send(const wire::Frame& frame) override { socket_.send(frame); }
  [[nodiscard]] std::size_t queued_bytes() const override { return socket_.queued_bytes(); }
  void close(const bus::Disconnect& disconnect) override {
    over_ = true;
    const wire::CloseCode code = bus::close_code(disconnect.code);
    if (disconnect.code == bus::DisconnectCode::kSlow)
      return socket_.drop_and_close(code, bus::reason(disconnect));
    socket_.close(code, bus::reason(disconnect));
  }

 private:
  net::WebSocket& socket_;  ///< owns this
  bus::Hub& hub_;
  bus::SessionId session_;
  AtDoor at_door_;
  bool over_ = false;
};

}  // namespace

void add_bus_socket(net::Router& router, BusService& service) {
  const bus::HubLimits limits;
  net::WebSocketRoute route;
  route.pattern = "/bus/ws";
  route.access = net::Access::kOwn;
  route.check = [&service](net::Request& request) { return service.check_origin(request); };
  route.limits.message_bytes = limits.message_bytes;
  // The hub judges who is slow; this is the second lock.
  route.limits.queue_bytes = 2 * static_cast<std::size_t>(service.section().queue_size);
  route.limits.queue_frames = route.limits.queue_bytes / 2;
  route.limits.slow_code = bus::close_code(bus::DisconnectCode::kSlow);
  route.limits.slow_reason = bus::reason({bus::DisconnectCode::kSlow, {}, {}});
  route.open = [&service](const std::shared_ptr<net::WebSocket>& socket, const net::Request& request) {
    return std::make_unique<BusSocket>(socket, service, bus_address(request));
  };
  router.add(std::move(route));
}

}  // namespace headroom::cli
