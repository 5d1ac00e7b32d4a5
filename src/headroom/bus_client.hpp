#pragma once

// The command line's side of the bus: requests to the running service, and a WebSocket. Blocking, each wait
// with a deadline.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "headroom/configuration.hpp"
#include "net/endpoint.hpp"
#include "wire/websocket.hpp"

namespace headroom::cli {

struct BusReply {
  int status = 0;
  std::string body;
};

/// A connected socket. Every wait ends at its deadline.
class BusChannel {
 public:
  /// Errors: unavailable (the message names the address), timed_out.
  [[nodiscard]] static base::Result<BusChannel> connect(const net::Endpoint& endpoint,
                                                        std::chrono::milliseconds timeout);
  BusChannel(BusChannel&& other) noexcept;
  BusChannel& operator=(BusChannel&& other) noexcept;
  ~BusChannel();

  [[nodiscard]] base::Result<void> write(std::string_view bytes);
  /// What comes next, at most `timeout` later: empty when the other side has closed, nothing when none came.
  [[nodiscard]] base::Result<std::optional<std::string>> read(std::chrono::milliseconds timeout);

 private:
  explicit BusChannel(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// Where the service of this configuration is reached, and with which token.
struct BusAccess {
  net::Endpoint endpoint;
  std::string token;  ///< empty: none is sent
};

/// The token of a file, else one that the first of [bus] secret_files signs, for an hour and with every right
/// of an administrator. Errors: invalid_argument when there is neither, those of reading the file.
[[nodiscard]] base::Result<BusAccess> bus_access(const Configuration& configuration,
                                                 const std::string& token_file);

/// One request. Errors: unavailable, timed_out, protocol; and what the service answers beside 2xx, with its
/// message.
[[nodiscard]] base::Result<BusReply> ask_bus(const BusAccess& access, std::string_view method,
                                             std::string_view target, std::string_view body = {});

/// A WebSocket of the bus.
class BusConnection {
 public:
  /// Errors: as ask_bus.
  [[nodiscard]] static base::Result<BusConnection> open(const BusAccess& access);
  [[nodiscard]] base::Result<void> send(std::string_view object);
  /// The next event, or nothing when none came within `timeout`. The end of the connection is an event
  /// kClose.
  [[nodiscard]] base::Result<std::optional<wire::Event>> next(std::chrono::milliseconds timeout);

 private:
  BusConnection(BusChannel channel, std::string early)
      : channel_(std::move(channel)), bytes_(std::move(early)), reader_(wire::Sender::kServer, 8U << 20U) {}

  BusChannel channel_;
  std::string bytes_;
  wire::FrameReader reader_;
};

/// The values of the members `data` of an object that the service sent, in their order, byte for byte: who
/// reads numbers writes them anew. What stands within such a value is its own. Lifetime: that of `object`.
[[nodiscard]] std::vector<std::string_view> data_in(std::string_view object);
/// The object with `null` in place of them, for who can't read every number there is.
[[nodiscard]] std::string without_data(std::string_view object);
/// A JSON value for a terminal: characters that would steer it are escaped, so it stays the same value.
[[nodiscard]] std::string harmless_json(std::string_view value);

/// `text` as it stands in a query.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace headroom::cli
