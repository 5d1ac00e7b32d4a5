#pragma once

// What the server and its connections share. Heavy: only server.cpp and connection.cpp include it.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/access.hpp"
#include "net/router.hpp"
#include "net/server.hpp"
#include "net/worker_pool.hpp"

namespace headroom::net {

class Connection;
class WebSocketConnection;
class HeldConnection;

/// The state of one server. Threads: the I/O thread, except `stats`, `context` (post) and `pool`.
struct ServerCore {
  ServerCore(ServerOptions options, Router routes)
      : router(std::move(routes)),
        limits(options.limits),
        gate(std::move(options.access)),
        observe(std::move(options.observe)),
        pool(limits.workers, limits.queue) {}

  [[nodiscard]] bool is_empty() const { return open.empty() && sockets.empty() && held.empty(); }
  /// WebSockets and held requests: what may stay for hours.
  [[nodiscard]] std::size_t lasting() const { return sockets.size() + held.size(); }
  /// Whether one more connection may come in from there; makes room for it if it can.
  bool has_room_for(const Remote& remote);
  /// Counts a connection that has not brought a request yet, and no longer.
  void stranger_came(const std::string& key) { ++strangers[key]; }
  void stranger_left(const std::string& key);
  /// The last one that is gone ends the wait for all.
  void left();
  /// Takes a socket in until it has ended, and looks at its deadlines now and then.
  void take_in(std::shared_ptr<WebSocketConnection> socket);
  void take_in(std::shared_ptr<HeldConnection> request);
  void take_out(const std::shared_ptr<WebSocketConnection>& socket);
  void take_out(const std::shared_ptr<HeldConnection>& request);
  /// A connection whose held request is answered reads its next one.
  void go_on(boost::asio::generic::stream_protocol::socket socket, Remote remote, std::string_view early);
  /// Tells what lasts that the server stops.
  void close_lasting();
  void cut_lasting();

  /// What is done again and again.
  struct Duty {
    boost::asio::steady_timer timer;
    std::chrono::milliseconds period;
    std::function<void()> work;
  };
  void run_duty(Duty& duty);

  Router router;
  Limits limits;
  Gate gate;
  std::function<void(const Observation&)> observe;
  ServerStats stats;
  bool stopping = false;
  std::unordered_set<Connection*> open;
  std::unordered_map<std::string, std::size_t> strangers;  ///< by limiter_key
  std::unordered_set<std::shared_ptr<WebSocketConnection>> sockets;
  std::unordered_set<std::shared_ptr<HeldConnection>> held;
  /// Into which all sockets read, one after the other: none keeps a buffer while it is idle.
  std::vector<char> read_space;
  boost::asio::io_context context{1};
  boost::asio::steady_timer stop_timer{context};
  boost::asio::steady_timer tick_timer{context};
  bool ticking = false;
  std::list<Duty> duties;  ///< a list: their timers keep references
  /// Last: its threads post to `context` until they are joined.
  WorkerPool pool;

 private:
  void tick();
};

/// A request on its way to the handler and its response on the way back, shared by the I/O thread and one
/// worker. Protocol: the worker only reads `request` and `abandoned`; everything else belongs to the I/O
/// thread.
struct Pending {
  Pending(boost::asio::io_context& context, Request what) : request(std::move(what)), wake(context) {}

  Request request;
  Response response;
  bool done = false;
  std::atomic<bool> abandoned{false};
  boost::asio::steady_timer wake;
};

/// One client. It reads a request, has it answered, writes the response, and begins again.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  /// `early`: bytes that were read already.
  Connection(ServerCore& core, Socket socket, Remote remote, std::string_view early = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The life of the connection. `self` keeps it alive until the end.
  static boost::asio::awaitable<void> run(std::shared_ptr<Connection> self);
  /// The server stops: closes when no request is under way.
  void stop();
  /// Ends it whatever it does.
  void cut();
  /// Since when it only waits for its client: the first request, or the next one. Nothing while one is
  /// served.
  [[nodiscard]] std::optional<std::int64_t> waits_since_ns() const;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  /// One request from its head to its answer.
  struct Exchange {
    Request request;
    std::string authority;
    std::int64_t started_ns = 0;
    std::string method_class = "other";
    bool keep_alive = false;
    bool head_only = false;
    const Route* route = nullptr;
  };

  /// Each returns whether the connection goes on.
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> wait_for_bytes();
  boost::asio::awaitable<bool> read_body(Parser& parser, Exchange& exchange);
  boost::asio::awaitable<bool> respond(Exchange& exchange, Response response);
  boost::asio::awaitable<bool> refuse(Exchange& exchange, boost::system::error_code error);
  boost::asio::awaitable<bool> write(const std::string& head, std::string_view body);
  boost::asio::awaitable<Response> handle(Exchange& exchange);
  boost::asio::awaitable<Response> handle_on_worker(Exchange& exchange);
  boost::asio::awaitable<bool> upgrade(Exchange& exchange);
  boost::asio::awaitable<bool> hold(Exchange& exchange);
  boost::asio::awaitable<void> linger();

  /// Fills the exchange from the head; the response is a refusal.
  std::optional<Response> take_head(const Parser& parser, Exchange& exchange);
  /// Bounds the body by the route; the response is a refusal.
  std::optional<Response> limit_body(Parser& parser, const Exchange& exchange);
  /// The first request is whole: the client is no stranger any more.
  void become_known();
  /// Decides by host, token and route; the response is a refusal.
  std::optional<Response> admit(Exchange& exchange, Match match);
  void observe(const Exchange& exchange, int status, std::size_t bytes_out) const;

  ServerCore& core_;
  boost::beast::basic_stream<boost::asio::generic::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  Remote remote_;
  bool over_unix_;
  std::string stranger_;  ///< its limiter_key until the first request is whole
  std::int64_t since_ns_;
  bool displaced_ = false;
  bool idle_ = false;
  bool unread_ = false;  ///< a part of the request is still in the socket
  std::shared_ptr<Pending> pending_;
};

}  // namespace headroom::net
