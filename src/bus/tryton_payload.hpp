#pragma once

// What travels on Tryton's bus: the payload of its NOTIFY, and the body of a client's poll.
//
// A message is never decoded: its bytes go from the payload into the answer as trytond wrote them. Only its
// name, its id and where it ends are read.
//
// Source: trytond 6.0, trytond/bus.py (`publish`, `subscribe`) and protocols/wrappers.py (the header).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace headroom::bus {

/// A message as it is answered.
struct TrytonMessage {
  std::string channel;            ///< decoded: "user:1"
  std::string id;                 ///< `message_id`, decoded
  std::string body;               ///< `{"message":...,"channel":...}`, with the sender's bytes in it
  std::size_t message_bytes = 0;  ///< of the message alone, in the body

  /// The message alone, on one line.
  [[nodiscard]] std::string message() const;
};

/// Reads `{"channel":...,"message":{...,"message_id":...}}`; a repeated key counts where it stands last, as
/// in Python. Errors: protocol (no such JSON, no message_id: a client that got it could not go on from
/// there), too_large (a channel's name over 255 bytes). Cost: two passes over the text. Threads: pure.
[[nodiscard]] base::Result<TrytonMessage> parse_tryton_payload(std::string_view text);

/// What a poll of nothing is answered.
inline constexpr std::string_view kTrytonNothing = R"({"message":null,"channel":null})";

/// A client's session: its user, and the SHA-256 of its key in hex. The key itself is not kept.
struct TrytonSession {
  std::int32_t user = 0;
  std::string digest;

  friend auto operator<=>(const TrytonSession&, const TrytonSession&) = default;
};

/// The session of `Authorization: Session base64(login:user:key)`; nothing for any other value. The login
/// only claims, as for trytond.
[[nodiscard]] std::optional<TrytonSession> parse_tryton_authorization(std::string_view header);

/// What a client asks for.
struct TrytonPoll {
  /// Without `user:*`, which a client cannot choose; each once.
  std::vector<std::string> channels;
  /// The message after which it goes on. What is no string is none, and trytond knows no message of that id
  /// either.
  std::optional<std::string> last_message;
};

inline constexpr std::size_t kTrytonChannels = 64;
inline constexpr std::size_t kTrytonChannelBytes = 255;

/// Errors: invalid_argument (no JSON object, channels that are no list of strings), too_large (more than 64
/// channels, a name over 255 bytes).
[[nodiscard]] base::Result<TrytonPoll> parse_tryton_poll(std::string_view body);

}  // namespace headroom::bus
