#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

/// A server on this machine.
struct Address {
  std::uint16_t port = 0;
  /// Small windows and segments, as a client has that is far away and does not read: the kernel of the server
  /// takes little for it.
  bool narrow = false;
};

/// Addresses from which clients come, so that neither ports nor limits per address run out.
constexpr unsigned kSources = 64;

[[nodiscard]] sockaddr_in address_of(std::uint32_t host, std::uint16_t port);
[[nodiscard]] const sockaddr* generic(const sockaddr_in& address);

/// A TCP connection that does not block. Every failure ends the program: it measures nothing then.
class Socket {
 public:
  /// From one of the source addresses above 127.1.0.0, by `source`.
  Socket(const Address& address, unsigned source);
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// All of it: what is sent here fits into the kernel's buffer.
  void send(std::string_view bytes) const;
  /// What is there, in a buffer that all sockets share; empty when nothing is. Fails when the peer has
  /// closed.
  [[nodiscard]] std::string_view receive() const;
  void close();

 private:
  int descriptor_ = -1;
};

/// Says why on stderr and ends the program.
[[noreturn]] void give_up(const std::string& why);

}  // namespace bench
