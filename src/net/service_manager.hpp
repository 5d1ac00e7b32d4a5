#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace headroom::net {

/// Tells systemd how the service does ("READY=1", "STOPPING=1", "STATUS=..."), through the datagram socket
/// that it names in $NOTIFY_SOCKET. Without that variable it does nothing. Source: sd_notify(3), section
/// "Notes" (the protocol is stable and may be spoken without the library).
class ServiceManager {
 public:
  /// Takes the socket's name from the environment and removes it there, so that child processes do not speak
  /// for the service.
  [[nodiscard]] static ServiceManager from_environment();
  explicit ServiceManager(std::string socket_name) : socket_name_(std::move(socket_name)) {}

  [[nodiscard]] bool listens() const { return !socket_name_.empty(); }
  /// `state`: lines of NAME=VALUE. Never blocks. Errors: io, invalid_argument (a socket name that is neither
  /// a path nor abstract).
  [[nodiscard]] base::Result<void> notify(std::string_view state) const;

 private:
  std::string socket_name_;
};

}  // namespace headroom::net
