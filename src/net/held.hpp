#pragma once

// Held requests: the third kind of route. A request is read as a whole and then given to a handler on the I/O
// thread, which answers it later (a long poll) or a piece at a time (server-sent events).
//
// Made for many, as WebSockets are: a request that is held costs no thread, no coroutine and no buffer, only
// its socket and a small object. After a long poll's answer the connection goes on with its next request.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/http.hpp"
#include "net/router.hpp"
#include "wire/websocket.hpp"

namespace headroom::net {

/// One request that waits for its answer, as its handler sees it.
/// Threads: the I/O thread only; from elsewhere post to it (`Server::post`).
class HeldRequest {
 public:
  virtual ~HeldRequest() = default;

  /// The whole answer; ends it. Nothing happens when it was answered or begun before, or the client is gone.
  virtual void answer(Response response) = 0;
  /// Begins an answer in pieces: the head is sent without a length and its body as the first piece, and the
  /// connection closes at the end.
  virtual void begin(Response head) = 0;
  /// The next piece, after `begin`: bytes that many may share. Never waits: when the queue is full the client
  /// is cut and counted as a slow one.
  virtual void send(wire::Frame piece) = 0;
  /// What is queued and not yet taken by the kernel.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  /// Sends what is queued and closes.
  virtual void end() = 0;
  [[nodiscard]] virtual const Caller& caller() const = 0;
};

/// Why a request can't be held any longer.
enum class Expiry : std::uint8_t {
  kDeadline,      ///< of the route
  kStopping,      ///< the server stops
  kSessionEnded,  ///< the session whose cookie the request brought
};

/// How it ended.
enum class HeldEnd : std::uint8_t {
  kAnswered,      ///< all of it was handed to the kernel
  kDisconnected,  ///< the client was gone before
  kSlow,          ///< the client did not take what was queued
};

/// What stands behind one held request. Threads: the I/O thread; nothing in it may block or throw.
class HeldHandler {
 public:
  virtual ~HeldHandler() = default;

  /// The last chance to say something. What is not answered when it returns gets 504, 503 or 401, and what
  /// was begun ends.
  virtual void expired(Expiry why) = 0;
  /// The last call, however it ended; never from within a call that the handler made itself.
  virtual void closed(HeldEnd end) = 0;
};

struct HeldLimits {
  std::optional<std::chrono::milliseconds> deadline;  ///< none: as long as the client stays
  std::size_t body_bytes = 64 * 1024;                 ///< of the request
  std::size_t queue_bytes = 1024 * 1024;              ///< that wait for a client, of an answer in pieces
  std::size_t queue_pieces = 256;                     ///< likewise
  std::chrono::milliseconds stall{20'000};            ///< without taking a byte of what is queued it is slow
  /// Sent when nothing was for `ping`, so that proxies between keep the connection; none by default.
  wire::Frame ping_piece;
  std::chrono::milliseconds ping{25'000};
};

/// Makes the handler of a request that was just read. The handler lives until its `closed` has returned. It
/// may answer at once. May keep the held request weakly. Returns nothing when it has answered and needs no
/// notice.
using HoldRequest = std::function<std::unique_ptr<HeldHandler>(const std::shared_ptr<HeldRequest>&, Request)>;

/// A path whose requests are held. Guarantees: a client that is gone (also one that only ends its half of the
/// connection) is noticed at once, unless it sent bytes of a further request.
struct HeldRoute {
  std::string method = "GET";
  std::string pattern;
  Access access = Access::kRead;
  CheckHead check;
  HeldLimits limits;
  HoldRequest open;
};

}  // namespace headroom::net
