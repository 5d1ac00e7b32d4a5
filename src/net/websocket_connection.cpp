// One WebSocket, without coroutines: a coroutine's frame and a read buffer for each of ten thousand idle
// clients would be most of their memory. The socket is non-blocking; the reactor says when it is ready, and
// then it is read into a buffer that all sockets of the thread share.
//
// Sending is tried at once and waits for the reactor only when the kernel's buffer is full. There is no timer
// for each socket: the server looks at all of them a few times a second.
//
// Closing (RFC 6455 section 7): whoever begins sends a close frame and waits for the other's; what waits
// longer than `WebSocketLimits::close` is cut. The handler is told once, and never from within a call that it
// made itself: `finish` posts.

#include "net/impl/websocket_connection.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "base/clock.hpp"
#include "net/access.hpp"
#include "net/impl/connection.hpp"
#include "net/impl/exact_allocator.hpp"

namespace headroom::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using wire::CloseCode;

constexpr std::size_t kReadSpace = 64 * 1024;
/// One client that sends without end must not keep the others waiting.
constexpr int kReadsInARow = 4;

std::int64_t ns(std::chrono::milliseconds span) {
  return std::chrono::nanoseconds(span).count();
}

bool must_wait(const error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

WebSocketConnection::WebSocketConnection(ServerCore& core, Socket socket,
                                         std::shared_ptr<const WebSocketRoute> route, const Request& request)
    : core_(core),
      socket_(std::move(socket)),
      route_(std::move(route)),
      caller_(request.caller),
      reader_(wire::Sender::kClient, route_->limits.message_bytes),
      received_ns_(base::monotonic_ns()) {
  if (caller_.has_session()) session_ = session_cookie(request);
}

void WebSocketConnection::start(const Request& request, std::string_view early) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  open_handler(request);
  if (core_.stopping) close(CloseCode::kGoingAway, "the server stops");
  take(early);
  wait_to_read();
}

void WebSocketConnection::open_handler(const Request& request) {
  try {
    handler_ = route_->open(shared_from_this(), request);
  } catch (const std::exception& error) {
    spdlog::error("WebSocket {}: the handler failed: {}", route_->pattern, error.what());
  }
  if (handler_ == nullptr) close(CloseCode::kInternalError, "the server can't serve it");
}

void WebSocketConnection::wait_to_read() {
  if (state_ == State::kClosed) return;
  auto read = [self = shared_from_this()](const error_code& error) {
    if (error) return self->finish(CloseCode::kAbnormal);
    self->read_some();
  };
  socket_.async_wait(asio::socket_base::wait_read,
                     asio::bind_allocator(ExactAllocator<char>(), std::move(read)));
}

void WebSocketConnection::read_some() {
  core_.read_space.resize(kReadSpace);
  for (int i = 0; i < kReadsInARow && state_ != State::kClosed; ++i) {
    error_code error;
    const std::size_t size = socket_.read_some(asio::buffer(core_.read_space), error);
    if (must_wait(error)) break;
    if (error) return finish(CloseCode::kAbnormal);
    take({core_.read_space.data(), size});
    if (size < kReadSpace) break;
  }
  wait_to_read();
}

void WebSocketConnection::take(std::string_view bytes) {
  if (bytes.empty()) return;
  received_ns_ = base::monotonic_ns();
  pinged_ = false;
  while (!bytes.empty() && state_ != State::kClosed) {
    if (auto event = reader_.next(bytes)) handle(*event);
  }
}

void WebSocketConnection::handle(wire::Event& event) {
  using Kind = wire::Event::Kind;
  if (event.kind == Kind::kClose) return answer_close(event);
  if (event.kind == Kind::kFailed) return close(event.code, event.payload);
  if (state_ != State::kOpen || event.kind == Kind::kPong) return;
  if (event.kind == Kind::kPing) return send(wire::make_frame(wire::Opcode::kPong, event.payload));
  try {
    if (event.kind == Kind::kText) return handler_->received_text(event.payload);
    handler_->received_binary(event.payload);
  } catch (const std::exception& error) {
    spdlog::error("WebSocket {}: the handler failed: {}", route_->pattern, error.what());
    close(CloseCode::kInternalError, "the server failed");
  }
}

void WebSocketConnection::answer_close(const wire::Event& event) {
  answered_ = true;
  peer_code_ = event.code;
  if (state_ == State::kOpen) return close(event.code, {});
  if (queue_.empty()) finish(peer_code_);
}

void WebSocketConnection::send(wire::Frame frame) {
  if (state_ != State::kOpen) return;
  if (writing_) {
    queue_.push(std::move(frame));
  } else {
    settle(queue_.send(socket_, std::move(frame)));
  }
  const WebSocketLimits& limits = route_->limits;
  const bool full = queue_.bytes() > limits.queue_bytes || queue_.size() > limits.queue_frames;
  if (full && state_ == State::kOpen) close_slow();
}

void WebSocketConnection::close(CloseCode code, std::string_view reason) {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  closing_ns_ = base::monotonic_ns();
  queue_.push(wire::make_close_frame(code, reason));
  if (!writing_) flush();
}

/// What it did not take is dropped, but for the frame that is half sent: a close frame can follow that only.
void WebSocketConnection::drop_and_close(CloseCode code, std::string_view reason) {
  if (state_ != State::kOpen) return;
  ++core_.stats.slow_websockets;
  queue_.drop_unsent();
  close(code, reason);
}

void WebSocketConnection::close_slow() {
  end_ = SocketEnd::kSlow;
  drop_and_close(route_->limits.slow_code, route_->limits.slow_reason);
}

void WebSocketConnection::flush() {
  settle(queue_.write(socket_));
}

void WebSocketConnection::settle(SendQueue::Outcome outcome) {
  if (outcome == SendQueue::Outcome::kWaits) return wait_to_write();
  if (outcome == SendQueue::Outcome::kFailed) return finish(CloseCode::kAbnormal);
  if (state_ == State::kClosing && answered_) finish(peer_code_);
}

void WebSocketConnection::wait_to_write() {
  writing_ = true;
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](const error_code& error) {
    self->writing_ = false;
    if (error) return self->finish(CloseCode::kAbnormal);
    if (self->state_ != State::kClosed) self->flush();
  });
}

void WebSocketConnection::tick(std::int64_t now_ns) {
  const WebSocketLimits& limits = route_->limits;
  if (state_ == State::kClosing && now_ns - closing_ns_ >= ns(limits.close)) return cut();
  if (state_ != State::kOpen) return;
  if (!session_.empty() && !core_.gate.session_goes_on(session_, now_ns))
    return close(CloseCode::kPolicyViolation, "the session has ended");
  if (!queue_.empty() && now_ns - queue_.progress_ns() >= ns(limits.stall)) return close_slow();
  if (now_ns - received_ns_ >= ns(limits.silence)) return cut();
  if (pinged_ || now_ns - received_ns_ < ns(limits.ping)) return;
  pinged_ = true;
  static const wire::Frame kPing = wire::make_frame(wire::Opcode::kPing, {});
  send(kPing);
}

void WebSocketConnection::finish(CloseCode code) {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_both, ignored);
  socket_.close(ignored);
  queue_.clear();
  asio::post(core_.context, [self = shared_from_this(), code] {
    if (self->handler_ != nullptr) self->handler_->closed(code, self->end_);
    self->handler_.reset();
    self->core_.take_out(self);
  });
}

}  // namespace headroom::net
