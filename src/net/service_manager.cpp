#include "net/service_manager.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace headroom::net {

using base::ErrorCode;
using base::fail;
using base::Result;

ServiceManager ServiceManager::from_environment() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  ServiceManager manager(name == nullptr ? "" : name);
  ::unsetenv("NOTIFY_SOCKET");
  return manager;
}

Result<void> ServiceManager::notify(std::string_view state) const {
  if (socket_name_.empty()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool named = socket_name_.front() == '/' || socket_name_.front() == '@';
  if (!named || socket_name_.size() >= sizeof(address.sun_path)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("NOTIFY_SOCKET '{}' is no socket name", socket_name_));
  }
  std::memcpy(address.sun_path, socket_name_.data(), socket_name_.size());
  if (socket_name_.front() == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name_.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return fail(ErrorCode::kIo, fmt::format("notifying systemd: {}", std::strerror(errno)));
  const ssize_t sent = ::sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), size);
  const int error = errno;
  ::close(descriptor);
  if (sent < 0) return fail(ErrorCode::kIo, fmt::format("notifying systemd: {}", std::strerror(error)));
  return {};
}

}  // namespace headroom::net
