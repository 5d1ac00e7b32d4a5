// One held request, without coroutines, as websocket_connection.cpp is and for the same reason: what waits
// for minutes must be small. The client's end is watched by peeking: bytes of a further request stay where
// they are, and from then on a client that leaves is noticed only when it is written to.

#include "net/impl/held_connection.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <limits>
#include <utility>

#include "base/clock.hpp"
#include "net/access.hpp"
#include "net/impl/connection.hpp"
#include "net/impl/exact_allocator.hpp"

namespace headroom::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

std::int64_t ns(std::chrono::milliseconds span) {
  return std::chrono::nanoseconds(span).count();
}

std::int64_t deadline_of(const HeldLimits& limits) {
  if (!limits.deadline) return std::numeric_limits<std::int64_t>::max();
  return base::monotonic_ns() + ns(*limits.deadline);
}

Response refusal_of(Expiry why) {
  if (why == Expiry::kDeadline) return error_response(504, "timed_out", "nothing came before the deadline");
  if (why == Expiry::kSessionEnded) return error_response(401, "unauthorized", "the session has ended");
  Response response = error_response(503, "unavailable", "the server stops");
  response.headers.add("Retry-After", "1");
  return response;
}

wire::Frame shared(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

}  // namespace

HeldConnection::HeldConnection(ServerCore& core, Socket socket, HandOver from, const Request& request)
    : core_(core),
      socket_(std::move(socket)),
      from_(std::move(from)),
      caller_(request.caller),
      path_(request.path),
      address_(request.remote.address),
      deadline_ns_(deadline_of(from_.route->held->limits)) {
  if (caller_.has_session()) session_ = session_cookie(request);
}

void HeldConnection::start(Request request) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  try {
    handler_ = from_.route->held->open(shared_from_this(), std::move(request));
  } catch (const std::exception& error) {
    spdlog::error("{}: the handler failed: {}", from_.route->pattern, error.what());
    ++core_.stats.failed_handlers;
    answer(error_response(500, "internal", "the request failed inside the server; its log says why"));
  }
  if (handler_ == nullptr && state_ == State::kWaiting)
    answer(error_response(500, "internal", "the request was not taken"));
  if (core_.stopping) expire(Expiry::kStopping);
  wait_to_read();
}

void HeldConnection::wait_to_read() {
  if (state_ == State::kClosed || !from_.early.empty()) return;
  auto look = [self = shared_from_this()](const error_code& error) {
    if (self->state_ == State::kClosed || error == asio::error::operation_aborted) return;
    if (error) return self->finish(HeldEnd::kDisconnected);
    self->look_for_end();
  };
  socket_.async_wait(asio::socket_base::wait_read,
                     asio::bind_allocator(ExactAllocator<char>(), std::move(look)));
}

void HeldConnection::look_for_end() {
  std::array<char, 1> byte{};
  error_code error;
  socket_.receive(asio::buffer(byte), asio::socket_base::message_peek, error);
  if (error == asio::error::would_block || error == asio::error::try_again) return wait_to_read();
  if (!error) return;
  half_closed_ = true;
  // An answer that is on its way may still be read; nobody waits for one that has not begun.
  if (state_ != State::kEnding || error != asio::error::eof) finish(HeldEnd::kDisconnected);
}

void HeldConnection::queue_head(const Response& response, bool with_length) {
  WireOptions options;
  options.keep_alive = from_.keep_alive && with_length && !core_.stopping;
  options.head_only = from_.head_only;
  options.with_length = with_length;
  from_.keep_alive = options.keep_alive;
  status_ = response.status;
  ++core_.stats.requests;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(base::utc_now().time_since_epoch());
  std::string bytes = serialize_head(response, options, now.count());
  if (!from_.head_only) bytes.append(response.content());
  bytes_out_ = from_.head_only ? 0 : response.content().size();
  sent_ns_ = base::monotonic_ns();
  queue_.push(shared(std::move(bytes)));
}

void HeldConnection::answer(Response response) {
  if (state_ != State::kWaiting) return;
  state_ = State::kEnding;
  queue_head(response, true);
  deadline_ns_ = base::monotonic_ns() + ns(core_.limits.write);
  if (!writing_) flush();
}

void HeldConnection::begin(Response head) {
  if (state_ != State::kWaiting) return;
  state_ = State::kStreaming;
  queue_head(head, false);
  if (from_.head_only) return end();
  if (!writing_) flush();
}

void HeldConnection::send(wire::Frame piece) {
  if (state_ != State::kStreaming) return;
  bytes_out_ += piece->size();
  sent_ns_ = base::monotonic_ns();
  queue_.push(std::move(piece));
  if (!writing_) flush();
  const HeldLimits& limits = from_.route->held->limits;
  const bool full = queue_.bytes() > limits.queue_bytes || queue_.size() > limits.queue_pieces;
  if (full && state_ == State::kStreaming) close_slow();
}

void HeldConnection::end() {
  if (state_ != State::kStreaming) return;
  state_ = State::kEnding;
  deadline_ns_ = base::monotonic_ns() + ns(core_.limits.write);
  if (!writing_) flush();
}

void HeldConnection::flush() {
  const SendQueue::Outcome outcome = queue_.write(socket_);
  if (outcome == SendQueue::Outcome::kWaits) return wait_to_write();
  if (outcome == SendQueue::Outcome::kFailed) return finish(HeldEnd::kDisconnected);
  if (state_ == State::kEnding) finish(HeldEnd::kAnswered);
}

void HeldConnection::wait_to_write() {
  writing_ = true;
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](const error_code& error) {
    self->writing_ = false;
    if (self->state_ == State::kClosed) return;
    if (error) return self->finish(HeldEnd::kDisconnected);
    self->flush();
  });
}

void HeldConnection::tick(std::int64_t now_ns) {
  if (state_ == State::kClosed) return;
  const HeldLimits& limits = from_.route->held->limits;
  if (state_ == State::kEnding) {
    if (now_ns >= deadline_ns_) close_slow();
    return;
  }
  if (!session_.empty() && !core_.gate.session_goes_on(session_, now_ns))
    return expire(Expiry::kSessionEnded);
  if (now_ns >= deadline_ns_) return expire(Expiry::kDeadline);
  if (state_ != State::kStreaming) return;
  if (!queue_.empty() && now_ns - queue_.progress_ns() >= ns(limits.stall)) return close_slow();
  if (limits.ping_piece != nullptr && now_ns - sent_ns_ >= ns(limits.ping)) send(limits.ping_piece);
}

void HeldConnection::expire(Expiry why) {
  if (state_ != State::kWaiting && state_ != State::kStreaming) return;
  if (handler_ != nullptr) handler_->expired(why);
  if (state_ == State::kWaiting) answer(refusal_of(why));
  end();
}

void HeldConnection::close_slow() {
  ++core_.stats.slow_clients;
  finish(HeldEnd::kSlow);
}

void HeldConnection::finish(HeldEnd end) {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  if (status_ != 0) observe();
  queue_.clear();
  error_code ignored;
  socket_.cancel(ignored);
  asio::post(core_.context, [self = shared_from_this(), end] { self->leave(end); });
}

void HeldConnection::leave(HeldEnd end) {
  if (handler_ != nullptr) handler_->closed(end);
  handler_.reset();
  if (end == HeldEnd::kAnswered && from_.keep_alive && !half_closed_ && !core_.stopping) {
    core_.go_on(std::move(socket_), std::move(from_.peer), from_.early);
  } else {
    error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
    socket_.close(ignored);
  }
  core_.take_out(shared_from_this());
}

void HeldConnection::observe() const {
  if (!core_.observe) return;
  Observation seen;
  seen.method = from_.route->method;
  seen.route = from_.route->pattern;
  seen.path = path_;
  seen.address = address_.empty() ? from_.peer.address : address_;
  seen.status = status_;
  seen.duration = std::chrono::microseconds((base::monotonic_ns() - from_.started_ns) / 1000);
  seen.bytes_out = bytes_out_;
  core_.observe(seen);
}

}  // namespace headroom::net
