#pragma once

// WebSockets: the second kind of route. A connection that asks for the upgrade leaves HTTP for good and is
// given to a handler on the I/O thread.
//
// Made for many: a socket that is idle holds no buffer, neither for reading nor for sending, and a broadcast
// is one frame that all queues share. What a client does not take is bounded: one that reads too slowly is
// closed, so that it can come back and catch up, instead of being waited for.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/http.hpp"
#include "net/router.hpp"
#include "wire/websocket.hpp"

namespace headroom::net {

/// One open WebSocket, as its handler and a broadcaster see it.
/// Threads: the I/O thread only; from elsewhere post to it (`Server::post`).
class WebSocket {
 public:
  virtual ~WebSocket() = default;

  /// Queues a frame; nothing happens after `close`. Never waits: when the queue is full the socket is closed
  /// with `WebSocketLimits::slow_code` and counted as a slow client.
  virtual void send(wire::Frame frame) = 0;
  /// What is queued and not yet taken by the kernel.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  /// Sends what is queued and a close frame, then waits a moment for the answer.
  virtual void close(wire::CloseCode code, std::string_view reason) = 0;
  /// The same for a client that is too slow: what is queued and not begun is dropped, and it is counted.
  virtual void drop_and_close(wire::CloseCode code, std::string_view reason) = 0;
  [[nodiscard]] virtual const Caller& caller() const = 0;
};

/// How it ended.
enum class SocketEnd : std::uint8_t {
  kClosed,
  kSlow,  ///< `WebSocketLimits::slow_code`: the client did not take what was queued
};

/// What stands behind one socket. Threads: the I/O thread; nothing in it may block.
/// An exception that leaves it closes the socket with kInternalError.
class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;

  virtual void received_text(std::string_view message) = 0;
  virtual void received_binary(std::string_view message) = 0;
  /// The last call, however it ended: the peer's code, or kAbnormal when there was none.
  virtual void closed(wire::CloseCode code, SocketEnd end) = 0;
};

struct WebSocketLimits {
  std::size_t message_bytes = 64 * 1024;      ///< that a client may send
  std::size_t queue_bytes = 1024 * 1024;      ///< that wait for a client
  std::size_t queue_frames = 256;             ///< likewise
  std::chrono::milliseconds ping{25'000};     ///< without a byte from the client a ping is sent
  std::chrono::milliseconds silence{60'000};  ///< without a byte from the client it is gone
  std::chrono::milliseconds stall{20'000};    ///< without taking a byte of what is queued it is slow
  std::chrono::milliseconds close{5'000};     ///< for the answer to a close frame
  wire::CloseCode slow_code = wire::CloseCode::kTryAgainLater;
  std::string slow_reason = "too slow: what was queued is dropped";
};

/// Makes the handler of a socket that was just opened. The handler lives as long as the socket. May keep the
/// socket weakly.
using OpenWebSocket =
    std::function<std::unique_ptr<WebSocketHandler>(const std::shared_ptr<WebSocket>&, const Request&)>;

/// A path that speaks WebSocket. A page of another site may not open it, whatever its access but kOwn.
struct WebSocketRoute {
  std::string pattern;
  Access access = Access::kRead;
  CheckHead check;
  WebSocketLimits limits;
  std::vector<std::string> protocols;  ///< Sec-WebSocket-Protocol, the preferred one first; may be empty
  OpenWebSocket open;
};

/// The answer to a request for an upgrade: 101 with its headers, or why not (400, 403, 426).
/// Source: RFC 6455 section 4.2. Threads: pure.
[[nodiscard]] Response websocket_handshake(const Request& request, const WebSocketRoute& route);

/// The sockets that get the same. Threads: the I/O thread, except `size`.
class WebSocketGroup {
 public:
  void join(const std::shared_ptr<WebSocket>& socket);
  void leave(const WebSocket* socket);
  /// One frame, shared by all.
  void send(const wire::Frame& frame);
  /// Threads: any.
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::unordered_map<const WebSocket*, std::shared_ptr<WebSocket>> members_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace headroom::net
