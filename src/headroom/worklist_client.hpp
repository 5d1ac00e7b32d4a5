#pragma once

// The command line's side of the work lists of a running service. Blocking, each wait with a deadline.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "headroom/bus_client.hpp"
#include "headroom/configuration.hpp"

namespace headroom::cli {

/// Where the service of this configuration is, with the token of [serve] token_file where that can be read:
/// who uses this machine may read without one. Errors: those of reading the file, for `changes`.
enum class ServiceUse : std::uint8_t { kReads, kChanges };
[[nodiscard]] base::Result<BusAccess> service_access(const Configuration& configuration, ServiceUse use);

/// "/api/worklist/users/7/counts?all=1"
[[nodiscard]] std::string worklist_target(std::string_view user, std::string_view tail);

/// Server-sent events of a user.
class WorklistEvents {
 public:
  struct Event {
    std::string name;
    std::string data;  ///< JSON
  };

  /// Errors: unavailable, timed_out, protocol; what the service answers in place of a stream.
  [[nodiscard]] static base::Result<WorklistEvents> open(const BusAccess& access, std::string_view user);
  /// The next one; nothing when none came within `timeout`. Errors: unavailable: the stream has ended.
  [[nodiscard]] base::Result<std::optional<Event>> next(std::chrono::milliseconds timeout);

 private:
  WorklistEvents(BusChannel channel, std::string early)
      : channel_(std::move(channel)), bytes_(std::move(early)) {}
  [[nodiscard]] std::optional<Event> take();

  BusChannel channel_;
  std::string bytes_;
};

}  // namespace headroom::cli
