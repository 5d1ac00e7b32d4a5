#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/websocket.hpp"

namespace headroom::bus {

/// Why a connection ends; the number is the close code. Its range tells the client what to do: 40xx come
/// back and resume, 41xx the same with a new token, 42xx do not come back. See docs/protocols/bus.md.
enum class DisconnectCode : std::uint16_t {
  kGoingAway = 4000,
  kSlow = 4001,
  kOverloaded = 4002,
  kRateLimited = 4003,
  kBrokerLost = 4004,
  kDisconnected = 4005,
  kInternal = 4006,
  kConnectTimeout = 4008,
  kTokenExpired = 4100,
  kTokenRevoked = 4101,
  kProtocol = 4200,
  kTokenInvalid = 4201,
  kUnsupported = 4202,
};

/// When to come back: after `after_ms` and a random part of `window_ms`.
struct Reconnect {
  std::int64_t after_ms = 0;
  std::int64_t window_ms = 1000;
};

struct Disconnect {
  DisconnectCode code = DisconnectCode::kInternal;
  Reconnect reconnect;  ///< told for 40xx and 41xx
  std::string message;  ///< told for 42xx; cut to fit
};

/// "going_away" and so on, as in the reason.
[[nodiscard]] std::string_view name(DisconnectCode code);
[[nodiscard]] inline wire::CloseCode close_code(DisconnectCode code) {
  return static_cast<wire::CloseCode>(code);
}
/// The JSON of a close frame's reason: at most 123 bytes.
[[nodiscard]] std::string reason(const Disconnect& disconnect);
/// The last object of a door without close frames.
[[nodiscard]] std::string disconnect_push(const Disconnect& disconnect);

}  // namespace headroom::bus
