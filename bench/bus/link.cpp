#include "link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "socket.hpp"

namespace bench {
namespace {

constexpr std::size_t kReadSpace = 64 * 1024;

}  // namespace

bool Link::connect(std::uint16_t port, unsigned source) {
  close();
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) give_up(fmt::format("socket: {}", std::strerror(errno)));
  const int on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // The port is chosen when the other end is known: each pair of addresses has ports of its own.
  ::setsockopt(descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const sockaddr_in from = address_of(0x7f010001U + source % kSources, 0);
  const sockaddr_in to = address_of(INADDR_LOOPBACK, port);
  if (::bind(descriptor_, generic(from), sizeof from) != 0) give_up(std::strerror(errno));
  return ::connect(descriptor_, generic(to), sizeof to) == 0 || errno == EINPROGRESS;
}

bool Link::connected() const {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

bool Link::send(std::string_view bytes) const {
  return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

Link::Received Link::receive() const {
  static std::array<char, kReadSpace> space;
  const auto got = ::recv(descriptor_, space.data(), space.size(), 0);
  if (got > 0) return {{space.data(), static_cast<std::size_t>(got)}, false};
  return {{}, got == 0 || (errno != EAGAIN && errno != EINTR)};
}

void Link::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

}  // namespace bench
