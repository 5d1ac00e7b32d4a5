#include "socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace bench {
namespace {

constexpr int kNarrowWindow = 4096;
constexpr int kNarrowSegment = 1400;
constexpr timeval kConnectPatience{20, 0};
constexpr std::size_t kReadSpace = 64 * 1024;

void set(int descriptor, int level, int option, int value) {
  if (::setsockopt(descriptor, level, option, &value, sizeof value) != 0)
    give_up(fmt::format("setsockopt {}: {}", option, std::strerror(errno)));
}

}  // namespace

sockaddr_in address_of(std::uint32_t host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Socket::Socket(const Address& address, unsigned source)
    : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (descriptor_ < 0) give_up(fmt::format("socket: {}", std::strerror(errno)));
  if (address.narrow) {
    set(descriptor_, SOL_SOCKET, SO_RCVBUF, kNarrowWindow);
    set(descriptor_, IPPROTO_TCP, TCP_MAXSEG, kNarrowSegment);
  }
  set(descriptor_, IPPROTO_TCP, TCP_NODELAY, 1);
  // The port is chosen when the other end is known: each pair of addresses has ports of its own.
  set(descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &kConnectPatience, sizeof kConnectPatience);
  const sockaddr_in from = address_of(0x7f010001U + source % kSources, 0);
  const sockaddr_in to = address_of(INADDR_LOOPBACK, address.port);
  if (::bind(descriptor_, generic(from), sizeof from) != 0 ||
      ::connect(descriptor_, generic(to), sizeof to) != 0)
    give_up(fmt::format("port {}: {}", address.port, std::strerror(errno)));
  ::fcntl(descriptor_, F_SETFL, O_NONBLOCK);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  return *this;
}

void Socket::send(std::string_view bytes) const {
  const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(bytes.size()))
    give_up(fmt::format("send: {}", sent < 0 ? std::strerror(errno) : "the kernel took a part only"));
}

std::string_view Socket::receive() const {
  static std::array<char, kReadSpace> space;
  const auto got = ::recv(descriptor_, space.data(), space.size(), 0);
  if (got > 0) return {space.data(), static_cast<std::size_t>(got)};
  if (got < 0 && errno == EAGAIN) return {};
  give_up(got == 0 ? "the server closed a connection" : fmt::format("recv: {}", std::strerror(errno)));
}

void Socket::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void give_up(const std::string& why) {
  fmt::print(stderr, "bus_load: {}\n", why);
  std::exit(1);
}

}  // namespace bench
