#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "dialect.hpp"
#include "socket.hpp"
#include "wire/websocket.hpp"

namespace bench {

/// One subscriber. It demands every message, once and in order, from the one that comes next when it opens.
class Client {
 public:
  Client(const Dialect& dialect, const Address& address, std::size_t number, std::uint64_t next);

  /// Takes what has come; `got` is called with the number of each message.
  template <typename Got>
  void read(Got&& got) {
    std::string_view bytes = socket_.receive();
    if (!upgraded_) bytes = read_upgrade(bytes);
    while (!bytes.empty()) {
      if (auto event = reader_.next(bytes)) {
        if (const auto message = take(*event)) got(*message);
      }
    }
  }
  /// Tells what the tabs do; the number of the beat says what that is.
  void beat(std::size_t number) { send(headroom::wire::Opcode::kText, dialect_.beat(number)); }
  /// How many were answered since it was last asked.
  std::size_t take_beats() { return std::exchange(beats_, 0); }
  [[nodiscard]] bool subscribed() const { return subscribed_; }
  [[nodiscard]] int descriptor() const { return socket_.descriptor(); }

 private:
  /// What stands behind the head of the answer, once that is whole.
  std::string_view read_upgrade(std::string_view bytes);
  std::optional<std::uint64_t> take(const headroom::wire::Event& event);
  void send(headroom::wire::Opcode opcode, std::string_view payload);

  const Dialect& dialect_;
  std::size_t number_;
  Socket socket_;
  std::string head_;
  headroom::wire::FrameReader reader_;
  std::uint64_t next_;
  bool upgraded_ = false;
  bool subscribed_ = false;
  std::size_t beats_ = 0;
};

}  // namespace bench
