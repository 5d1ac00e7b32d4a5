// The life of one connection, as one coroutine: wait, read a head, decide, read the body, handle, respond,
// again.
//
// Refusals that need no body are sent before it is read, so that a stranger cannot make the server buffer
// anything. After such a refusal the connection closes, since the body still stands between this request and
// the next; it lingers a moment, because closing a socket with unread bytes makes the kernel drop the
// response that was just written.
//
// Every wait has a deadline: `expires_after` of Beast's stream covers all operations that follow it, so a
// client that sends one byte a second does not renew it. A deadline closes the socket without an answer, as
// there may be half a message in it.
//
// g++ 12 destroys twice a braced aggregate temporary or a capturing lambda inside an expression with
// co_await. So whatever is handed to an awaited function here has a name first. With the undefined-behaviour
// sanitizer it also makes a trap of a loop whose condition awaits, so loops here await in their body.

#include <spdlog/spdlog.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>

#include <array>
#include <chrono>

#include "base/clock.hpp"
#include "net/impl/connection.hpp"
#include "net/impl/held_connection.hpp"
#include "net/impl/websocket_connection.hpp"
#include "net/target.hpp"

namespace headroom::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kLingerBytes = 256 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(1);

/// The answer to what cannot be read as a request; nothing when the client is gone and nobody would read an
/// answer.
std::optional<Response> answer_to(error_code error) {
  if (error == http::error::header_limit) {
    return error_response(431, "too_large", "the request line and headers are too large");
  }
  if (error == http::error::body_limit) return error_response(413, "too_large", "the body is too large");
  if (error == http::error::bad_version)
    return error_response(505, "unsupported", "only HTTP/1.0 and HTTP/1.1");
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (gone || error.category() != error_code(http::error::bad_method).category()) return std::nullopt;
  return error_response(400, "protocol", "not a well-formed HTTP request: " + error.message());
}

Response run_handler(const Route& route, const Request& request, ServerStats& stats) {
  try {
    return route.handler(request);
  } catch (const std::exception& exception) {
    spdlog::error("{} {}: the handler failed: {}", request.method, route.pattern, exception.what());
  } catch (...) {
    spdlog::error("{} {}: the handler failed", request.method, route.pattern);
  }
  ++stats.failed_handlers;
  return error_response(500, "internal", "the request failed inside the server; its log says why");
}

/// One more than the bound of those that may stay for hours.
Response too_many_lasting(ServerStats& stats) {
  ++stats.lasting_refused;
  Response busy = error_response(503, "overloaded", "too many clients wait for messages here");
  busy.headers.add("Retry-After", "5");
  return busy;
}

bool is_denial(int status) {
  return status == 401 || status == 403 || status == 421 || status == 429;
}

}  // namespace

Connection::Connection(ServerCore& core, Socket socket, Remote remote, std::string_view early)
    : core_(core),
      stream_(std::move(socket)),
      remote_(std::move(remote)),
      over_unix_(remote_.address == "unix"),
      since_ns_(base::monotonic_ns()) {
  buffer_.commit(asio::buffer_copy(buffer_.prepare(early.size()), asio::buffer(early)));
  if (!over_unix_ && !core_.gate.is_proxy(remote_.address)) {
    stranger_ = limiter_key(remote_.address);
    core_.stranger_came(stranger_);
  }
  core_.open.insert(this);
  core_.stats.connections_open = core_.open.size();
}

Connection::~Connection() {
  become_known();
  core_.open.erase(this);
  core_.stats.connections_open = core_.open.size();
  core_.left();
}

void Connection::stop() {
  if (idle_) cut();
}

void Connection::cut() {
  displaced_ = true;
  stream_.close();
  if (pending_) pending_->wake.cancel();
}

std::optional<std::int64_t> Connection::waits_since_ns() const {
  if (displaced_ || (!idle_ && stranger_.empty())) return std::nullopt;
  return since_ns_;
}

void Connection::become_known() {
  if (!stranger_.empty()) core_.stranger_left(stranger_);
  stranger_.clear();
}

asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  bool goes_on = true;
  while (goes_on) goes_on = co_await self->serve_one();
  if (self->unread_) co_await self->linger();
  self->stream_.close();
}

asio::awaitable<bool> Connection::serve_one() {
  unread_ = false;
  if (!co_await wait_for_bytes()) co_return false;
  Exchange exchange;
  exchange.started_ns = base::monotonic_ns();
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(core_.limits.header_bytes));
  parser.body_limit(core_.limits.body_bytes);
  stream_.expires_after(core_.limits.read);
  const auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, kAsTuple);
  if (error) co_return co_await refuse(exchange, error);
  unread_ = !parser.is_done();
  std::optional<Response> refusal = take_head(parser, exchange);
  if (!refusal) refusal = limit_body(parser, exchange);
  if (refusal) {
    if (unread_) exchange.keep_alive = false;
    co_return co_await respond(exchange, std::move(*refusal));
  }
  if (exchange.route->websocket != nullptr && !unread_) co_return co_await upgrade(exchange);
  if (!co_await read_body(parser, exchange)) co_return false;
  become_known();
  if (exchange.route->held != nullptr) co_return co_await hold(exchange);
  Response response = co_await handle(exchange);
  co_return co_await respond(exchange, std::move(response));
}

asio::awaitable<bool> Connection::wait_for_bytes() {
  if (buffer_.size() > 0) co_return true;
  if (core_.stopping) co_return false;
  idle_ = true;
  since_ns_ = stranger_.empty() ? base::monotonic_ns() : since_ns_;
  stream_.expires_after(core_.limits.idle);
  const asio::mutable_buffer space = buffer_.prepare(4096);
  const auto [error, size] = co_await stream_.async_read_some(space, kAsTuple);
  idle_ = false;
  buffer_.commit(size);
  co_return !error;
}

std::optional<Response> Connection::take_head(const Parser& parser, Exchange& exchange) {
  const auto& head = parser.get();
  Request& request = exchange.request;
  request.remote = remote_;
  request.method = std::string(head.method_string());
  exchange.method_class = std::string(method_class(request.method));
  exchange.head_only = request.method == "HEAD";
  exchange.keep_alive = parser.keep_alive();
  for (const auto& field : head)
    request.headers.add(std::string(field.name_string()), std::string(field.value()));
  const std::string* expectation = request.headers.find("Expect");
  if (expectation != nullptr && !equals_ignoring_case(*expectation, "100-continue")) {
    ++core_.stats.bad_requests;
    return error_response(417, "unsupported", "the only expectation known is 100-continue");
  }
  auto target = parse_target(std::string_view(head.target().data(), head.target().size()));
  if (!target) {
    ++core_.stats.bad_requests;
    return error_response(target.error());
  }
  exchange.authority = std::move(target->authority);
  request.path = target->path();
  request.query = std::move(target->query);
  return admit(exchange, core_.router.match(request.method, target->segments));
}

std::optional<Response> Connection::limit_body(Parser& parser, const Exchange& exchange) {
  const std::size_t most = exchange.route->body_bytes.value_or(core_.limits.body_bytes);
  parser.body_limit(most);
  if (parser.content_length().value_or(0) <= most) return std::nullopt;
  ++core_.stats.bad_requests;
  return error_response(413, "too_large", "the body is too large");
}

std::optional<Response> Connection::admit(Exchange& exchange, Match match) {
  Request& request = exchange.request;
  const Claim claim{request, exchange.authority, over_unix_};
  core_.gate.see_through_proxy(request);
  if (auto refusal = core_.gate.check_host(claim)) return refusal;
  if (auto refusal = Gate::check_shared(request, match.route)) return refusal;
  const bool own = match.route != nullptr && match.route->access == Access::kOwn;
  if (!own) {
    if (auto refusal = core_.gate.authenticate(request, exchange.started_ns)) return refusal;
  }
  exchange.route = match.route;
  request.parameters = std::move(match.parameters);
  if (match.route != nullptr) {
    auto refusal = core_.gate.authorize(request, match.route->access);
    if (!refusal && match.route->check) refusal = match.route->check(request);
    return refusal;
  }
  // Who may read nothing is not told either which paths exist.
  if (auto refusal = core_.gate.authorize(request, Access::kRead)) return refusal;
  if (match.allow.empty()) return error_response(404, "not_found", "nothing is served at " + request.path);
  Response response = error_response(405, "unsupported", request.path + " accepts " + match.allow);
  response.headers.add("Allow", match.allow);
  return response;
}

asio::awaitable<bool> Connection::read_body(Parser& parser, Exchange& exchange) {
  if (!unread_) co_return true;
  stream_.expires_after(core_.limits.read);
  if (exchange.request.headers.find("Expect") != nullptr) {
    static const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!co_await write(kContinue, std::string_view{})) co_return false;
  }
  const auto [error, size] = co_await http::async_read(stream_, buffer_, parser, kAsTuple);
  if (error) co_return co_await refuse(exchange, error);
  unread_ = false;
  exchange.request.body = std::move(parser.get().body());
  co_return true;
}

asio::awaitable<bool> Connection::refuse(Exchange& exchange, error_code error) {
  if (error == beast::error::timeout) ++core_.stats.slow_clients;
  std::optional<Response> answer = answer_to(error);
  if (answer) {
    ++core_.stats.bad_requests;
    unread_ = true;
    exchange.keep_alive = false;
    co_await respond(exchange, std::move(*answer));
  }
  co_return false;
}

asio::awaitable<Response> Connection::handle(Exchange& exchange) {
  const auto allowed = exchange.route->deadline.value_or(core_.limits.handler);
  exchange.request.deadline_ns = base::monotonic_ns() + std::chrono::nanoseconds(allowed).count();
  if (exchange.route->run_on == RunOn::kEventLoop) {
    co_return run_handler(*exchange.route, exchange.request, core_.stats);
  }
  co_return co_await handle_on_worker(exchange);
}

asio::awaitable<Response> Connection::handle_on_worker(Exchange& exchange) {
  const auto pending = std::make_shared<Pending>(core_.context, std::move(exchange.request));
  const auto allowed = std::chrono::nanoseconds(pending->request.deadline_ns - base::monotonic_ns());
  ServerCore& core = core_;
  const Route& route = *exchange.route;
  std::function<void()> work = [pending, &core, &route] {
    if (pending->abandoned) return;
    Response response = run_handler(route, pending->request, core.stats);
    asio::post(core.context, [pending, response = std::move(response)]() mutable {
      pending->response = std::move(response);
      pending->done = true;
      pending->wake.cancel();
    });
  };
  pending->wake.expires_after(allowed);
  if (!core_.pool.submit(std::move(work))) {
    ++core_.stats.overflows;
    Response busy = error_response(503, "overloaded", "too many requests are waiting");
    busy.headers.add("Retry-After", "1");
    co_return busy;
  }
  pending_ = pending;
  co_await pending->wake.async_wait(kAsTuple);
  pending_.reset();
  // Copied, not moved back: a worker that is late may still read it.
  exchange.request.path = pending->request.path;
  exchange.request.remote = pending->request.remote;
  if (pending->done) co_return std::move(pending->response);
  pending->abandoned = true;
  ++core_.stats.late_handlers;
  co_return error_response(504, "timed_out", "the request was not finished within its deadline");
}

asio::awaitable<bool> Connection::upgrade(Exchange& exchange) {
  const std::shared_ptr<const WebSocketRoute> route = exchange.route->websocket;
  Response answer = websocket_handshake(exchange.request, *route);
  if (answer.status == 101 && core_.lasting() >= core_.limits.lasting) answer = too_many_lasting(core_.stats);
  if (answer.status != 101) co_return co_await respond(exchange, std::move(answer));
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(base::utc_now().time_since_epoch());
  const std::string head = serialize_head(answer, {}, now.count());
  ++core_.stats.requests;
  stream_.expires_after(core_.limits.write);
  const bool written = co_await write(head, std::string_view{});
  observe(exchange, answer.status, 0);
  if (!written) co_return false;
  stream_.expires_never();
  const auto socket =
      std::make_shared<WebSocketConnection>(core_, stream_.release_socket(), route, exchange.request);
  core_.take_in(socket);
  const auto early = buffer_.data();
  socket->start(exchange.request, {static_cast<const char*>(early.data()), early.size()});
  co_return false;
}

asio::awaitable<bool> Connection::hold(Exchange& exchange) {
  if (core_.lasting() >= core_.limits.lasting) {
    Response busy = too_many_lasting(core_.stats);
    co_return co_await respond(exchange, std::move(busy));
  }
  const auto early = buffer_.data();
  HandOver from;
  from.route = exchange.route;
  from.peer = remote_;
  from.started_ns = exchange.started_ns;
  from.keep_alive = exchange.keep_alive;
  from.head_only = exchange.head_only;
  from.early.assign(static_cast<const char*>(early.data()), early.size());
  const auto held =
      std::make_shared<HeldConnection>(core_, stream_.release_socket(), std::move(from), exchange.request);
  core_.take_in(held);
  held->start(std::move(exchange.request));
  co_return false;
}

asio::awaitable<bool> Connection::respond(Exchange& exchange, Response response) {
  WireOptions options;
  options.keep_alive = exchange.keep_alive && !core_.stopping;
  options.head_only = exchange.head_only;
  ++core_.stats.requests;
  if (is_denial(response.status)) ++core_.stats.denied;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(base::utc_now().time_since_epoch());
  const std::string head = serialize_head(response, options, now.count());
  const std::string_view body = options.head_only ? std::string_view{} : response.content();
  stream_.expires_after(core_.limits.write);
  const bool written = co_await write(head, body);
  observe(exchange, response.status, body.size());
  co_return written&& options.keep_alive;
}

asio::awaitable<bool> Connection::write(const std::string& head, std::string_view body) {
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(body)};
  const auto [error, size] = co_await asio::async_write(stream_, buffers, kAsTuple);
  if (error == beast::error::timeout) ++core_.stats.slow_clients;
  co_return !error;
}

asio::awaitable<void> Connection::linger() {
  error_code ignored;
  stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  stream_.expires_after(kLingerTime);
  std::array<char, 4096> waste{};
  const asio::mutable_buffer space = asio::buffer(waste);
  for (std::size_t seen = 0; seen < kLingerBytes;) {
    const auto [error, size] = co_await stream_.async_read_some(space, kAsTuple);
    if (error) co_return;
    seen += size;
  }
}

void Connection::observe(const Exchange& exchange, int status, std::size_t bytes_out) const {
  if (!core_.observe) return;
  Observation seen;
  seen.method = exchange.method_class;
  seen.route =
      exchange.route == nullptr ? std::string_view("none") : std::string_view(exchange.route->pattern);
  seen.path = exchange.request.path;
  const std::string& client = exchange.request.remote.address;
  seen.address = client.empty() ? remote_.address : client;
  seen.status = status;
  seen.duration = std::chrono::microseconds((base::monotonic_ns() - exchange.started_ns) / 1000);
  seen.bytes_out = bytes_out;
  core_.observe(seen);
}

}  // namespace headroom::net
