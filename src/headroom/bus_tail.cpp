#include "headroom/bus_tail.hpp"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "wire/websocket.hpp"

namespace headroom::cli {
namespace {

/// Some of the largest messages at once.
constexpr std::size_t kQueueBytes = 4 * 1024 * 1024;

class Watching final : public net::WebSocketHandler {
 public:
  Watching(const std::shared_ptr<net::WebSocket>& socket, BusTail& tail, std::string prefix)
      : socket_(socket.get()), tail_(tail) {
    tail_.join(socket, std::move(prefix));
  }
  void received_text(std::string_view /*message*/) override {}
  void received_binary(std::string_view /*message*/) override {}
  void closed(wire::CloseCode /*code*/, net::SocketEnd /*end*/) override { tail_.leave(socket_); }

 private:
  const net::WebSocket* socket_;
  BusTail& tail_;
};

}  // namespace

void BusTail::join(const std::shared_ptr<net::WebSocket>& socket, std::string prefix) {
  if (watchers_.empty()) {
    hub_.tap([this](std::string_view channel, const bus::Message& message) { show(channel, message); });
  }
  watchers_[socket.get()] = {socket, std::move(prefix)};
}

void BusTail::leave(const net::WebSocket* socket) {
  watchers_.erase(socket);
  if (watchers_.empty()) hub_.tap(nullptr);
}

void BusTail::show(std::string_view channel, const bus::Message& message) {
  wire::Frame frame;
  for (const auto& [key, watcher] : watchers_) {
    if (!channel.starts_with(watcher.prefix)) continue;
    if (frame == nullptr) {
      frame = wire::make_frame(wire::Opcode::kText, fmt::format(R"({{"channel":"{}","offset":{},"data":{}}})",
                                                                channel, message.offset, *message.data));
    }
    watcher.socket->send(frame);
  }
}

void add_bus_tail(net::Router& router, BusTail& tail) {
  net::WebSocketRoute route;
  route.pattern = "/api/bus/live";
  route.access = net::Access::kPrivate;
  route.limits.message_bytes = 1024;
  route.limits.queue_frames = 1024;
  route.limits.queue_bytes = kQueueBytes;
  route.open = [&tail](const std::shared_ptr<net::WebSocket>& socket, const net::Request& request) {
    const std::string* prefix = request.query.find("prefix");
    return std::make_unique<Watching>(socket, tail, prefix == nullptr ? std::string() : *prefix);
  };
  router.add(std::move(route));
}

}  // namespace headroom::cli
