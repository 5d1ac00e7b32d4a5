#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <span>
#include <utility>

#include "base/clock.hpp"
#include "net/impl/send_queue.hpp"

namespace headroom::net {
namespace {

namespace asio = boost::asio;
constexpr std::size_t kFramesInAWrite = 16;

bool must_wait(const boost::system::error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

void SendQueue::push(wire::Frame frame) {
  if (empty()) progress_ns_ = base::monotonic_ns();
  bytes_ += frame->size();
  frames_.push_back(std::move(frame));
}

SendQueue::Outcome SendQueue::send(Socket& socket, wire::Frame frame) {
  boost::system::error_code error;
  const std::size_t size = socket.write_some(asio::buffer(*frame), error);
  if (error && !must_wait(error)) return Outcome::kFailed;
  if (size == frame->size()) return Outcome::kSent;
  push(std::move(frame));
  sent_of_first_ = size;
  bytes_ -= size;
  return Outcome::kWaits;
}

SendQueue::Outcome SendQueue::write(Socket& socket) {
  while (!empty()) {
    const Outcome outcome = write_some(socket);
    if (outcome != Outcome::kSent) return outcome;
  }
  clear();
  return Outcome::kSent;
}

SendQueue::Outcome SendQueue::write_some(Socket& socket) {
  std::array<asio::const_buffer, kFramesInAWrite> buffers;
  const std::size_t count = std::min(kFramesInAWrite, size());
  for (std::size_t i = 0; i < count; ++i) buffers.at(i) = asio::buffer(*frames_[first_ + i]);
  buffers.front() += sent_of_first_;
  boost::system::error_code error;
  const std::size_t size = socket.write_some(std::span(buffers.data(), count), error);
  if (must_wait(error)) return Outcome::kWaits;
  if (error) return Outcome::kFailed;
  advance(size);
  return Outcome::kSent;
}

void SendQueue::advance(std::size_t size) {
  progress_ns_ = base::monotonic_ns();
  bytes_ -= size;
  sent_of_first_ += size;
  while (!empty() && sent_of_first_ >= frames_[first_]->size()) {
    sent_of_first_ -= frames_[first_]->size();
    frames_[first_++].reset();
  }
  if (first_ > kFramesInAWrite * 4) {
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void SendQueue::drop_unsent() {
  const std::size_t keep = first_ + (sent_of_first_ > 0 ? 1 : 0);
  for (std::size_t i = keep; i < frames_.size(); ++i) bytes_ -= frames_[i]->size();
  frames_.resize(std::min(keep, frames_.size()));
}

void SendQueue::clear() {
  frames_ = {};
  first_ = 0;
  sent_of_first_ = 0;
  bytes_ = 0;
}

}  // namespace headroom::net
