#pragma once

// Objects of the protocol as text: what the hub sends, and the members of what clients send.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/impl/json.hpp"
#include "bus/message.hpp"
#include "wire/websocket.hpp"

namespace headroom::bus {

[[nodiscard]] wire::Frame text_frame(std::string_view text);
/// The members `offset` and `epoch`.
[[nodiscard]] std::string position_json(const Position& position);
/// The member `error`.
[[nodiscard]] std::string error_json(const Error& error);
/// The push of a message.
[[nodiscard]] std::string message_json(std::string_view channel, const Message& message);

/// Null when there is none of that name.
[[nodiscard]] const JsonPart* member(const JsonParts& object, std::string_view key);
[[nodiscard]] std::optional<std::string> text_member(const JsonParts& object, std::string_view key);
/// A list of texts. Errors: invalid_argument, too_large; the message names the member.
[[nodiscard]] Result<std::vector<std::string>> names_of(const JsonParts& object, std::string_view key,
                                                        std::size_t most);
/// The member `since`, where there is one. Errors: invalid_argument.
[[nodiscard]] Result<std::optional<Position>> since_of(const JsonParts& object);

}  // namespace headroom::bus
