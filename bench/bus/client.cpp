#include "client.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace bench {

namespace wire = headroom::wire;

namespace {

constexpr std::size_t kMostBytes = 1024 * 1024;

}  // namespace

Client::Client(const Dialect& dialect, const Address& address, std::size_t number, std::uint64_t next)
    : dialect_(dialect),
      number_(number),
      socket_(address, static_cast<unsigned>(number)),
      reader_(wire::Sender::kServer, kMostBytes),
      next_(next) {
  socket_.send(dialect_.upgrade());
}

std::string_view Client::read_upgrade(std::string_view bytes) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const std::size_t before = head_.size();
  head_ += bytes;
  const std::size_t end = head_.find(kEnd);
  if (end == std::string::npos) return {};
  if (!head_.starts_with("HTTP/1.1 101")) give_up(fmt::format("no WebSocket: {:.300}", head_));
  bytes.remove_prefix(end + kEnd.size() - before);
  head_ = {};
  upgraded_ = true;
  subscribed_ = dialect_.subscribed_by_upgrade();
  for (const std::string& text : dialect_.greeting(number_)) send(wire::Opcode::kText, text);
  return bytes;
}

std::optional<std::uint64_t> Client::take(const wire::Event& event) {
  using Kind = wire::Event::Kind;
  if (event.kind == Kind::kPing) send(wire::Opcode::kPong, event.payload);
  if (event.kind == Kind::kClose || event.kind == Kind::kFailed)
    give_up(fmt::format("client {} was closed: {} {}", number_, static_cast<int>(event.code), event.payload));
  if (event.kind != Kind::kText && event.kind != Kind::kBinary) return std::nullopt;
  const Heard heard = dialect_.hear(event.payload);
  if (!heard.answer.empty()) send(wire::Opcode::kText, heard.answer);
  subscribed_ = subscribed_ || heard.subscribed;
  if (heard.beat) ++beats_;
  if (heard.message && *heard.message != std::exchange(next_, next_ + 1))
    give_up(fmt::format("client {} got message {} and expected {}", number_, *heard.message, next_ - 1));
  return heard.message;
}

void Client::send(wire::Opcode opcode, std::string_view payload) {
  socket_.send(wire::masked_frame(opcode, payload, {1, 2, 3, 4}));
}

}  // namespace bench
