#include "bus/impl/protocol.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace headroom::bus {

using base::fail;

wire::Frame text_frame(std::string_view text) {
  return wire::make_frame(wire::Opcode::kText, text);
}

std::string position_json(const Position& position) {
  return fmt::format(R"("offset":{},"epoch":"{}")", position.offset, position.epoch);
}

std::string error_json(const Error& error) {
  std::string text =
      fmt::format(R"("error":{{"code":"{}","message":{})", base::name(error.code()), quoted(error.message()));
  const auto code = error.code();
  const bool retry =
      code == ErrorCode::kTimedOut || code == ErrorCode::kUnavailable || code == ErrorCode::kOverloaded;
  return text + (retry ? R"(,"retry":true})" : "}");
}

std::string message_json(std::string_view channel, const Message& message) {
  return fmt::format(R"({{"message":{{"channel":"{}","offset":{},"data":{}}}}})", channel, message.offset,
                     *message.data);
}

const JsonPart* member(const JsonParts& object, std::string_view key) {
  const auto found = std::find_if(object.parts.begin(), object.parts.end(),
                                  [key](const JsonPart& part) { return part.key == key; });
  return found == object.parts.end() ? nullptr : &*found;
}

std::optional<std::string> text_member(const JsonParts& object, std::string_view key) {
  const JsonPart* part = member(object, key);
  return part == nullptr ? std::nullopt : json_string(part->value);
}

Result<std::vector<std::string>> names_of(const JsonParts& object, std::string_view key, std::size_t most) {
  const JsonPart* part = member(object, key);
  const JsonParts list = part == nullptr ? JsonParts{} : read_list(part->value);
  const auto no_list = [key] {
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is a list of texts", key));
  };
  std::vector<std::string> names;
  for (const JsonPart& one : list.parts) {
    auto name = json_string(one.value);
    if (!name) return no_list();
    names.push_back(std::move(*name));
  }
  if (!list.is_container) return no_list();
  if (names.size() > most)
    return fail(ErrorCode::kTooLarge,
                fmt::format("{} entries in '{}'; expected {} at most", names.size(), key, most));
  return names;
}

Result<std::optional<Position>> since_of(const JsonParts& object) {
  const JsonPart* part = member(object, "since");
  if (part == nullptr) return std::optional<Position>();
  const JsonParts since = read_object(part->value);
  const JsonPart* offset = member(since, "offset");
  const std::uint64_t none = kMostInteger + 1;
  const std::uint64_t number = offset == nullptr ? none : json_integer(offset->value).value_or(none);
  auto epoch = text_member(since, "epoch");
  if (number > kMostInteger || !epoch || epoch->size() > kMostEpochBytes)
    return fail(ErrorCode::kInvalidArgument, R"('since' is {"offset":N,"epoch":TEXT})");
  return std::optional<Position>(Position{number, std::move(*epoch)});
}

}  // namespace headroom::bus
