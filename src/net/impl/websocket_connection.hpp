#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "net/impl/send_queue.hpp"
#include "net/websocket.hpp"

namespace headroom::net {

struct ServerCore;

/// The socket behind a WebSocket. Threads: the I/O thread.
class WebSocketConnection final : public WebSocket, public std::enable_shared_from_this<WebSocketConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  WebSocketConnection(ServerCore& core, Socket socket, std::shared_ptr<const WebSocketRoute> route,
                      const Request& request);

  /// Makes the handler, and takes the bytes that came behind the request.
  void start(const Request& request, std::string_view early);
  void send(wire::Frame frame) override;
  [[nodiscard]] std::size_t queued_bytes() const override { return queue_.bytes(); }
  void close(wire::CloseCode code, std::string_view reason) override;
  void drop_and_close(wire::CloseCode code, std::string_view reason) override;
  [[nodiscard]] const Caller& caller() const override { return caller_; }

  /// Looks at the deadlines.
  void tick(std::int64_t now_ns);
  /// Ends it whatever it does.
  void cut() { finish(wire::CloseCode::kAbnormal); }

 private:
  enum class State : std::uint8_t { kOpen, kClosing, kClosed };

  void open_handler(const Request& request);
  void wait_to_read();
  void read_some();
  void take(std::string_view bytes);
  void handle(wire::Event& event);
  void answer_close(const wire::Event& event);
  void flush();
  void settle(SendQueue::Outcome outcome);
  void wait_to_write();
  void close_slow();
  void finish(wire::CloseCode code);

  ServerCore& core_;
  Socket socket_;
  std::shared_ptr<const WebSocketRoute> route_;
  std::unique_ptr<WebSocketHandler> handler_;
  Caller caller_;
  std::string session_;  ///< the cookie's id: when the session ends, so does the socket
  wire::FrameReader reader_;

  SendQueue queue_;
  std::int64_t received_ns_;
  std::int64_t closing_ns_ = 0;
  State state_ = State::kOpen;
  bool writing_ = false;  ///< waits until the kernel takes more
  bool pinged_ = false;
  bool answered_ = false;  ///< the peer's close frame came: once ours is sent, it is over
  SocketEnd end_ = SocketEnd::kClosed;
  wire::CloseCode peer_code_ = wire::CloseCode::kAbnormal;
};

}  // namespace headroom::net
