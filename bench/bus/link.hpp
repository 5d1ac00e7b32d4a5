#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

/// A TCP connection to a port of this machine that may fail, as a client's does whose server is restarted.
class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { close(); }

  /// Begins to connect, from the source address 127.1.0.`source` of 64; false when it was refused at once.
  [[nodiscard]] bool connect(std::uint16_t port, unsigned source);
  /// Once it is writable: whether it is connected.
  [[nodiscard]] bool connected() const;
  /// False when the connection is gone: what is sent here fits into the kernel's buffer.
  [[nodiscard]] bool send(std::string_view bytes) const;

  struct Received {
    std::string_view bytes;  ///< in a buffer that all links share
    bool over = false;       ///< the peer has closed, or the connection is lost
  };
  [[nodiscard]] Received receive() const;
  [[nodiscard]] int descriptor() const { return descriptor_; }
  void close();

 private:
  int descriptor_ = -1;
};

}  // namespace bench
