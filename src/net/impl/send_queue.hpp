#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/websocket.hpp"

namespace headroom::net {

/// What waits for one socket that does not block: shared pieces, in order. Keeps no memory while it is empty.
/// Threads: the I/O thread.
class SendQueue {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  enum class Outcome : std::uint8_t {
    kSent,   ///< all of it
    kWaits,  ///< the kernel takes no more now
    kFailed,
  };

  void push(wire::Frame frame);
  /// The usual case, while nothing waits: hands it over without queueing it; what the kernel does not take is
  /// pushed.
  Outcome send(Socket& socket, wire::Frame frame);
  /// Hands over what the kernel takes.
  Outcome write(Socket& socket);
  /// Drops what is not begun: what is half sent has to go on.
  void drop_unsent();
  void clear();

  [[nodiscard]] bool empty() const { return first_ == frames_.size(); }
  [[nodiscard]] std::size_t size() const { return frames_.size() - first_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// When the kernel last took something, or the queue began.
  [[nodiscard]] std::int64_t progress_ns() const { return progress_ns_; }

 private:
  Outcome write_some(Socket& socket);
  void advance(std::size_t size);

  std::vector<wire::Frame> frames_;
  std::size_t first_ = 0;  ///< of `frames_`: what stands before it is sent
  std::size_t sent_of_first_ = 0;
  std::size_t bytes_ = 0;
  std::int64_t progress_ns_ = 0;
};

}  // namespace headroom::net
