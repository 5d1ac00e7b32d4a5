#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "redis/impl/transport.hpp"

namespace headroom::redis {

namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

class Descriptor final {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// Waits until the socket is ready. Errors: timed_out; unavailable when it is interrupted. poll passes over
/// a negative descriptor.
Result<void> wait_for(const Descriptor& socket, short events, Deadline deadline, int interrupt) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(ErrorCode::kTimedOut, "no answer in time");
    std::array<pollfd, 2> waited{pollfd{.fd = socket.get(), .events = events, .revents = 0},
                                 pollfd{.fd = interrupt, .events = POLLIN, .revents = 0}};
    const int ready =
        ::poll(waited.data(), waited.size(), static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0 && waited[1].revents != 0) return fail(ErrorCode::kUnavailable, "interrupted");
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(ErrorCode::kIo, fmt::format("poll: {}", reason(errno)));
  }
}

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

class Socket final : public Transport {
 public:
  Socket(Descriptor socket, int interrupt) : socket_(std::move(socket)), interrupt_(interrupt) {}

  Result<void> send(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (would_block(errno)) {
        if (auto ready = wait_for(socket_, POLLOUT, deadline, interrupt_); !ready) return ready;
      } else if (errno != EINTR) {
        return fail(ErrorCode::kUnavailable, fmt::format("connection lost: {}", reason(errno)));
      }
    }
    return {};
  }

  Result<std::size_t> receive(std::span<char> buffer, Deadline deadline) override {
    for (;;) {
      const auto received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
      if (received > 0) return static_cast<std::size_t>(received);
      if (received == 0) return fail(ErrorCode::kUnavailable, "connection closed by the server");
      if (would_block(errno)) {
        auto ready = wait_for(socket_, POLLIN, deadline, interrupt_);
        if (!ready) return fail(std::move(ready.error()));
      } else if (errno != EINTR) {
        return fail(ErrorCode::kUnavailable, fmt::format("connection lost: {}", reason(errno)));
      }
    }
  }

  bool closed_by_server() override {
    char byte = 0;
    const auto received = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return received == 0 || (received < 0 && !would_block(errno) && errno != EINTR);
  }

 private:
  Descriptor socket_;
  int interrupt_;
};

/// Unix sockets give EAGAIN while the server's backlog is full, and nothing to wait on: that is unavailable.
Result<std::unique_ptr<Transport>> connect_to(const sockaddr* address, socklen_t size, Deadline deadline,
                                              int interrupt) {
  Descriptor socket(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail(ErrorCode::kUnavailable, fmt::format("socket: {}", reason(errno)));
  if (::connect(socket.get(), address, size) != 0) {
    if (errno != EINPROGRESS) return fail(ErrorCode::kUnavailable, reason(errno));
    auto ready = wait_for(socket, POLLOUT, deadline, interrupt);
    if (!ready) return fail(std::move(ready.error()));
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) return fail(ErrorCode::kUnavailable, reason(error));
  }
  if (address->sa_family != AF_UNIX) {
    const int on = 1;
    // A pipeline is written whole: waiting for more to send would only add latency. Failing is harmless.
    static_cast<void>(::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    static_cast<void>(::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
  }
  return std::make_unique<Socket>(std::move(socket), interrupt);
}

Result<std::unique_ptr<Transport>> connect_unix(const Url& url, Deadline deadline, int interrupt) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  url.path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline, interrupt);
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> look_up(const Url& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const auto port = std::to_string(url.port);
  int error = ::getaddrinfo(url.host.c_str(), port.c_str(), &hints, &list);
  if (error != 0) {
    // Without a configured network AI_ADDRCONFIG hides even ::1.
    hints.ai_flags = 0;
    error = ::getaddrinfo(url.host.c_str(), port.c_str(), &hints, &list);
  }
  if (error != 0)
    return fail(ErrorCode::kUnavailable, fmt::format("unknown host: {}", ::gai_strerror(error)));
  return Addresses(list);
}

/// Every address in turn; each gets its share of the time that is left.
Result<std::unique_ptr<Transport>> connect_tcp(const Url& url, Deadline deadline, int interrupt) {
  auto addresses = look_up(url);
  if (!addresses) return fail(std::move(addresses.error()));
  int left = 0;
  for (const auto* at = addresses->get(); at != nullptr; at = at->ai_next) ++left;
  auto result = Result<std::unique_ptr<Transport>>(fail(ErrorCode::kUnavailable, "the host has no address"));
  for (const auto* at = addresses->get(); at != nullptr; at = at->ai_next, --left) {
    const auto now = std::chrono::steady_clock::now();
    result = connect_to(at->ai_addr, at->ai_addrlen, now + (deadline - now) / left, interrupt);
    if (result) break;
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<Transport>> connect(const Url& url, Deadline deadline, int interrupt) {
  if (url.transport == Url::Transport::kUnix) return connect_unix(url, deadline, interrupt);
  auto stream = connect_tcp(url, deadline, interrupt);
  if (!stream || url.transport == Url::Transport::kTcp) return stream;
  return start_tls(std::move(*stream), url, deadline);
}

}  // namespace headroom::redis
