#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "net/held.hpp"
#include "net/impl/send_queue.hpp"
#include "net/server.hpp"

namespace headroom::net {

struct ServerCore;

/// What a connection knows of its request when it hands it over.
struct HandOver {
  const Route* route = nullptr;
  Remote peer;  ///< of the socket: the connection goes on with it
  std::int64_t started_ns = 0;
  bool keep_alive = false;
  bool head_only = false;
  std::string early;  ///< bytes of the next request that came already
};

/// The socket behind a held request. Threads: the I/O thread.
class HeldConnection final : public HeldRequest, public std::enable_shared_from_this<HeldConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  HeldConnection(ServerCore& core, Socket socket, HandOver from, const Request& request);

  /// Makes the handler.
  void start(Request request);
  void answer(Response response) override;
  void begin(Response head) override;
  void send(wire::Frame piece) override;
  [[nodiscard]] std::size_t queued_bytes() const override { return queue_.bytes(); }
  void end() override;
  [[nodiscard]] const Caller& caller() const override { return caller_; }

  /// Looks at the deadlines.
  void tick(std::int64_t now_ns);
  void expire(Expiry why);
  /// Ends it whatever it does.
  void cut() { finish(HeldEnd::kDisconnected); }

 private:
  enum class State : std::uint8_t { kWaiting, kStreaming, kEnding, kClosed };

  void wait_to_read();
  void look_for_end();
  void wait_to_write();
  void queue_head(const Response& response, bool with_length);
  void flush();
  void close_slow();
  void finish(HeldEnd end);
  /// The handler is told, and the socket goes on with its next request or closes.
  void leave(HeldEnd end);
  void observe() const;

  ServerCore& core_;
  Socket socket_;
  HandOver from_;
  std::unique_ptr<HeldHandler> handler_;
  Caller caller_;
  std::string session_;  ///< the cookie's id
  std::string path_;
  std::string address_;
  SendQueue queue_;
  std::int64_t deadline_ns_;
  std::int64_t sent_ns_ = 0;  ///< when something was queued last
  std::size_t bytes_out_ = 0;
  int status_ = 0;
  State state_ = State::kWaiting;
  bool writing_ = false;  ///< waits until the kernel takes more
  bool half_closed_ = false;
};

}  // namespace headroom::net
