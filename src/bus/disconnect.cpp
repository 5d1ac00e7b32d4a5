#include "bus/disconnect.hpp"

#include <fmt/format.h>

#include "bus/impl/json.hpp"

namespace headroom::bus {
namespace {

constexpr std::size_t kMostReason = 123;

bool comes_back(DisconnectCode code) {
  return static_cast<int>(code) < 4200;
}

std::string body(const Disconnect& disconnect, std::size_t most) {
  if (comes_back(disconnect.code)) {
    return fmt::format(R"("code":"{}","reconnect":{{"after_ms":{},"window_ms":{}}})", name(disconnect.code),
                       disconnect.reconnect.after_ms, disconnect.reconnect.window_ms);
  }
  std::string message = disconnect.message;
  while (true) {
    std::string text = fmt::format(R"("code":"{}","message":{})", name(disconnect.code), quoted(message));
    if (text.size() <= most || message.empty()) return text;
    message.pop_back();
    while (!message.empty() && (static_cast<unsigned char>(message.back()) & 0xc0U) == 0x80U)
      message.pop_back();
    if (!message.empty() && static_cast<unsigned char>(message.back()) >= 0xc0U) message.pop_back();
  }
}

}  // namespace

std::string_view name(DisconnectCode code) {
  switch (code) {
    case DisconnectCode::kGoingAway:
      return "going_away";
    case DisconnectCode::kSlow:
      return "slow";
    case DisconnectCode::kOverloaded:
      return "overloaded";
    case DisconnectCode::kRateLimited:
      return "rate_limited";
    case DisconnectCode::kBrokerLost:
      return "broker_lost";
    case DisconnectCode::kDisconnected:
      return "disconnected";
    case DisconnectCode::kInternal:
      return "internal";
    case DisconnectCode::kConnectTimeout:
      return "connect_timeout";
    case DisconnectCode::kTokenExpired:
      return "token_expired";
    case DisconnectCode::kTokenRevoked:
      return "token_revoked";
    case DisconnectCode::kProtocol:
      return "protocol";
    case DisconnectCode::kTokenInvalid:
      return "token_invalid";
    case DisconnectCode::kUnsupported:
      break;
  }
  return "unsupported";
}

std::string reason(const Disconnect& disconnect) {
  return "{" + body(disconnect, kMostReason - 2) + "}";
}

std::string disconnect_push(const Disconnect& disconnect) {
  return fmt::format(R"({{"disconnect":{{"close":{},{}}}}})", static_cast<int>(disconnect.code),
                     body(disconnect, 1024));
}

}  // namespace headroom::bus
