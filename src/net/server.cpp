#include "net/server.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <list>
#include <utility>

#include "base/clock.hpp"
#include "net/impl/connection.hpp"
#include "net/impl/held_connection.hpp"
#include "net/impl/websocket_connection.hpp"
#include "net/sign_in.hpp"

namespace headroom::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::ErrorCode;
using base::fail;
using base::Result;
using boost::system::error_code;
using local = asio::local::stream_protocol;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
/// Before it a connection is not closed for another one.
constexpr auto kLeastStay = std::chrono::nanoseconds(std::chrono::milliseconds(500));
constexpr auto kTick = std::chrono::milliseconds(250);
constexpr auto kPauseAfterAcceptError = std::chrono::milliseconds(100);

tl::unexpected<base::Error> cannot_listen(const Endpoint& endpoint, const error_code& error) {
  const std::string what = fmt::format("cannot listen on {}: {}", endpoint.text(), error.message());
  if (error == asio::error::address_in_use) {
    return fail(ErrorCode::kConflict, what + "; is another 'headroom serve' running?");
  }
  if (error == asio::error::access_denied || error == boost::system::errc::operation_not_permitted) {
    return fail(ErrorCode::kDenied, what);
  }
  if (error == boost::system::errc::address_not_available) return fail(ErrorCode::kInvalidArgument, what);
  return fail(ErrorCode::kIo, what);
}

/// All who listen there have to say so, and be of one user: nobody else takes connections away.
error_code share_port(tcp::acceptor& acceptor) {
  const int on = 1;
  if (::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) return {};
  return {errno, boost::system::system_category()};
}

/// Opens, binds and listens; the first error ends it.
template <typename Protocol>
error_code listen_on(typename Protocol::acceptor& acceptor, const typename Protocol::endpoint& where) {
  error_code error;
  acceptor.bind(where, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

Result<tcp::acceptor> listen_tcp(asio::io_context& context, Endpoint& endpoint) {
  error_code error;
  const tcp::endpoint where(asio::ip::make_address(endpoint.address, error), endpoint.port);
  if (error) return cannot_listen(endpoint, error);
  tcp::acceptor acceptor(context);
  acceptor.open(where.protocol(), error);
  if (error) return cannot_listen(endpoint, error);
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (where.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (endpoint.shared) error = share_port(acceptor);
  if (error) return cannot_listen(endpoint, error);
  error = listen_on<tcp>(acceptor, where);
  if (error) return cannot_listen(endpoint, error);
  endpoint.port = acceptor.local_endpoint(error).port();
  return acceptor;
}

/// A socket file outlives a server that was killed: it is removed when nobody answers behind it.
error_code remove_stale_socket(asio::io_context& context, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode))
    return boost::system::errc::make_error_code(boost::system::errc::file_exists);
  error_code error;
  local::socket probe(context);
  probe.connect(local::endpoint(path), error);
  if (error != asio::error::connection_refused) return asio::error::address_in_use;
  ::unlink(path.c_str());
  return {};
}

Result<local::acceptor> listen_unix(asio::io_context& context, const Endpoint& endpoint) {
  error_code error = remove_stale_socket(context, endpoint.path);
  if (error) return cannot_listen(endpoint, error);
  local::acceptor acceptor(context);
  acceptor.open(local(), error);
  if (error) return cannot_listen(endpoint, error);
  // The file gets the mode of the socket, less the umask: it is never open to others, not even for a moment.
  ::fchmod(acceptor.native_handle(), 0660);
  error = listen_on<local>(acceptor, local::endpoint(endpoint.path));
  if (error) return cannot_listen(endpoint, error);
  ::chmod(endpoint.path.c_str(), 0660);
  return acceptor;
}

Remote remote_of(const tcp::socket& socket, const Endpoint& listener) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  return {error ? std::string("unknown") : peer.address().to_string(), listener.is_local(), false,
          listener.shared};
}

Remote remote_of(const local::socket& /*socket*/, const Endpoint& /*listener*/) {
  return {"unix", true};
}

void prepare(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
}

void prepare(local::socket& /*socket*/) {}

/// One more than the bound: told so as far as the socket's buffer takes it, without waiting.
template <typename Socket>
void turn_away(Socket& socket) {
  Response response = error_response(503, "overloaded", "too many connections");
  response.headers.add("Retry-After", "1");
  WireOptions options;
  options.keep_alive = false;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(base::utc_now().time_since_epoch());
  const std::string bytes = serialize_head(response, options, now.count()) + response.body;
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.send(asio::buffer(bytes), 0, ignored);
  socket.shutdown(asio::socket_base::shutdown_send, ignored);
}

template <typename Socket>
void admit(ServerCore& core, Socket socket, const Endpoint& listener) {
  Remote remote = remote_of(socket, listener);
  if (!core.has_room_for(remote)) return turn_away(socket);
  ++core.stats.connections;
  prepare(socket);
  const auto connection = std::make_shared<Connection>(core, std::move(socket), std::move(remote));
  asio::co_spawn(core.context, Connection::run(connection), asio::detached);
}

template <typename Acceptor>
asio::awaitable<void> accept_loop(ServerCore& core, Acceptor& acceptor, const Endpoint& listener) {
  while (acceptor.is_open()) {
    auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
    if (!acceptor.is_open()) co_return;
    if (!error) {
      admit(core, std::move(socket), listener);
      continue;
    }
    // No free descriptor, most likely: accepting again at once would only burn the processor.
    ++core.stats.accept_errors;
    asio::steady_timer pause(core.context, kPauseAfterAcceptError);
    co_await pause.async_wait(kAsTuple);
  }
}

}  // namespace

void ServerCore::take_in(std::shared_ptr<WebSocketConnection> socket) {
  sockets.insert(std::move(socket));
  ++stats.websockets;
  stats.websockets_open = sockets.size();
  if (!ticking) tick();
}

void ServerCore::take_in(std::shared_ptr<HeldConnection> request) {
  held.insert(std::move(request));
  ++stats.held;
  stats.held_open = held.size();
  if (!ticking) tick();
}

void ServerCore::take_out(const std::shared_ptr<WebSocketConnection>& socket) {
  sockets.erase(socket);
  stats.websockets_open = sockets.size();
  left();
}

void ServerCore::take_out(const std::shared_ptr<HeldConnection>& request) {
  held.erase(request);
  stats.held_open = held.size();
  left();
}

// Whoever only waits can be asked to come again; whoever is served can't. So a table that is full of idle
// clients, or of some who never finish their request, refuses nobody.
bool ServerCore::has_room_for(const Remote& remote) {
  const auto crowd = strangers.find(limiter_key(remote.address));
  if (crowd != strangers.end() && crowd->second >= limits.strangers) {
    ++stats.strangers_refused;
    return false;
  }
  if (open.size() < limits.connections) return true;
  Connection* longest = nullptr;
  for (Connection* one : open) {
    const auto since = one->waits_since_ns();
    if (since && (longest == nullptr || *since < *longest->waits_since_ns())) longest = one;
  }
  if (longest == nullptr || base::monotonic_ns() - *longest->waits_since_ns() < kLeastStay.count()) {
    ++stats.connections_refused;
    return false;
  }
  longest->cut();
  ++stats.connections_displaced;
  return true;
}

void ServerCore::stranger_left(const std::string& key) {
  const auto found = strangers.find(key);
  if (found != strangers.end() && --found->second == 0) strangers.erase(found);
}

void ServerCore::left() {
  if (lasting() == 0) tick_timer.cancel();
  if (!stopping || !is_empty()) return;
  stop_timer.cancel();
  for (Duty& duty : duties) duty.timer.cancel();
}

void ServerCore::run_duty(Duty& duty) {
  duty.timer.expires_after(duty.period);
  duty.timer.async_wait([this, &duty](const error_code& error) {
    if (error || (stopping && is_empty())) return;
    duty.work();
    run_duty(duty);
  });
}

void ServerCore::go_on(asio::generic::stream_protocol::socket socket, Remote remote, std::string_view early) {
  const auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(remote), early);
  asio::co_spawn(context, Connection::run(connection), asio::detached);
}

void ServerCore::tick() {
  ticking = true;
  tick_timer.expires_after(kTick);
  tick_timer.async_wait([this](const error_code&) {
    ticking = false;
    if (lasting() == 0) return;
    const std::int64_t now_ns = base::monotonic_ns();
    for (const auto& socket : sockets) socket->tick(now_ns);
    for (const auto& request : held) request->tick(now_ns);
    tick();
  });
}

void ServerCore::close_lasting() {
  for (const auto& socket : sockets) socket->close(wire::CloseCode::kGoingAway, "the server stops");
  for (const auto& request : held) request->expire(Expiry::kStopping);
}

void ServerCore::cut_lasting() {
  for (const auto& socket : sockets) socket->cut();
  for (const auto& request : held) request->cut();
}

namespace {

bool can_prove(const AccessOptions& access) {
  return access.sign_in != nullptr && (access.sign_in->has_token() || access.sign_in->has_passwords());
}

Result<void> check(const ServerOptions& options) {
  if (options.listen.empty()) return fail(ErrorCode::kInvalidArgument, "no address to listen on");
  // Where it is shared nothing is served that asks for them.
  const auto open_to_all =
      std::find_if(options.listen.begin(), options.listen.end(),
                   [](const Endpoint& endpoint) { return !endpoint.is_local() && !endpoint.shared; });
  if (open_to_all != options.listen.end() && !can_prove(options.access)) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("listening on {}, which is not a loopback address, requires a token or a password file",
                    open_to_all->text()));
  }
  return {};
}

}  // namespace

struct Server::Impl {
  Impl(ServerOptions options, Router router)
      : endpoints(options.listen), core(std::move(options), std::move(router)) {}

  ~Impl() { remove_socket_files(); }

  Result<void> listen() {
    for (Endpoint& endpoint : endpoints) {
      if (auto done = endpoint.is_unix() ? open_unix(endpoint) : open_tcp(endpoint); !done) return done;
    }
    return {};
  }

  Result<void> open_tcp(Endpoint& endpoint) {
    auto acceptor = listen_tcp(core.context, endpoint);
    if (!acceptor) return fail(std::move(acceptor.error()));
    tcp_acceptors.emplace_back(std::move(*acceptor), &endpoint);
    return {};
  }

  Result<void> open_unix(Endpoint& endpoint) {
    auto acceptor = listen_unix(core.context, endpoint);
    if (!acceptor) return fail(std::move(acceptor.error()));
    unix_acceptors.emplace_back(std::move(*acceptor), &endpoint);
    return {};
  }

  void accept() {
    for (auto& [acceptor, endpoint] : tcp_acceptors) {
      asio::co_spawn(core.context, accept_loop(core, acceptor, *endpoint), asio::detached);
    }
    for (auto& [acceptor, endpoint] : unix_acceptors) {
      asio::co_spawn(core.context, accept_loop(core, acceptor, *endpoint), asio::detached);
    }
  }

  /// On the I/O thread.
  void begin_stop() {
    if (core.stopping) return;
    core.stopping = true;
    error_code ignored;
    for (auto& entry : tcp_acceptors) entry.first.close(ignored);
    for (auto& entry : unix_acceptors) entry.first.close(ignored);
    remove_socket_files();
    if (core.is_empty()) return core.left();
    for (Connection* connection : core.open) connection->stop();
    core.close_lasting();
    core.stop_timer.expires_after(core.limits.stop);
    core.stop_timer.async_wait([this](const error_code& error) {
      if (error) return;
      spdlog::warn("cutting {} connections that did not finish in time", core.open.size() + core.lasting());
      for (Connection* connection : core.open) connection->cut();
      core.cut_lasting();
    });
  }

  /// Once: another server may own the path later.
  void remove_socket_files() {
    if (std::exchange(socket_files_removed, true)) return;
    for (const auto& entry : unix_acceptors) ::unlink(entry.second->path.c_str());
  }

  std::vector<Endpoint> endpoints;
  ServerCore core;
  // Lists: a coroutine keeps a reference to its acceptor.
  std::list<std::pair<tcp::acceptor, const Endpoint*>> tcp_acceptors;
  std::list<std::pair<local::acceptor, const Endpoint*>> unix_acceptors;
  bool socket_files_removed = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::create(ServerOptions options, Router router) {
  if (auto checked = check(options); !checked) return fail(std::move(checked.error()));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(router));
  if (auto listening = impl->listen(); !listening) return fail(std::move(listening.error()));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

bool Server::run() {
  impl_->accept();
  impl_->core.context.run();
  return impl_->core.pool.stop(std::chrono::milliseconds(500));
}

void Server::stop() {
  asio::post(impl_->core.context, [impl = impl_.get()] { impl->begin_stop(); });
}

void Server::leave_shared() {
  asio::post(impl_->core.context, [impl = impl_.get()] {
    error_code ignored;
    for (auto& [acceptor, endpoint] : impl->tcp_acceptors) {
      if (endpoint->shared) acceptor.close(ignored);
    }
  });
}

void Server::post(std::function<void()> work) {
  asio::post(impl_->core.context, std::move(work));
}

void Server::repeat(std::chrono::milliseconds period, std::function<void()> work) {
  ServerCore& core = impl_->core;
  asio::post(core.context, [&core, period, work = std::move(work)]() mutable {
    core.duties.push_back({asio::steady_timer(core.context), period, std::move(work)});
    core.run_duty(core.duties.back());
  });
}

const std::vector<Endpoint>& Server::endpoints() const {
  return impl_->endpoints;
}

const ServerStats& Server::stats() const {
  return impl_->core.stats;
}

std::size_t Server::queued() const {
  return impl_->core.pool.queued();
}

std::size_t Server::running() const {
  return impl_->core.pool.running();
}

}  // namespace headroom::net
