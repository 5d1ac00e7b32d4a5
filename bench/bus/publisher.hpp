#pragma once

#include <string>

#include "socket.hpp"

namespace bench {

/// A connection that publishes over HTTP, one message at a time.
class Publisher {
 public:
  explicit Publisher(const Address& address) : socket_(address, 0) {}

  void send(const std::string& request);
  /// Reads the answer; a refusal ends the program.
  void read();
  [[nodiscard]] bool idle() const { return !waits_; }
  [[nodiscard]] int descriptor() const { return socket_.descriptor(); }

 private:
  Socket socket_;
  std::string answer_;
  bool waits_ = false;
};

}  // namespace bench
