#pragma once

// Reading JSON where it lies: values stay slices of the text, so that what somebody sends goes on byte for
// byte, and nothing is built for what nobody asks for.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headroom::wire {

/// How deep a stranger's text may be nested.
constexpr std::size_t kDeepestJson = 64;

/// A member of an object, or an element of a list (without a key): where its value lies.
struct JsonPart {
  std::string key;
  std::string_view value;
};

/// What was read until the end, or until the byte (from 1) where it stops being JSON.
struct JsonParts {
  std::vector<JsonPart> parts;
  std::optional<std::size_t> wrong_at;
  std::size_t deepest = kDeepestJson;  ///< how deep it was allowed to be
  bool is_container = false;           ///< it began as one
  bool too_deep = false;               ///< why it stops there: it is nested deeper
};

/// The members of the object, or elements of the list, that the text is. `text` must be UTF-8.
/// Cost: O(text); depth costs a byte a level, and no stack.
[[nodiscard]] JsonParts read_object(std::string_view text, std::size_t deepest = kDeepestJson);
[[nodiscard]] JsonParts read_list(std::string_view text, std::size_t deepest = kDeepestJson);

/// Why it is none: "not JSON at byte 7".
[[nodiscard]] std::string why_wrong(const JsonParts& parts);

/// A whole, valid JSON value: these look at what read_object gave.
[[nodiscard]] std::optional<std::string> json_string(std::string_view value);
[[nodiscard]] std::optional<std::uint64_t> json_integer(std::string_view value);
[[nodiscard]] std::optional<bool> json_bool(std::string_view value);
/// Without the blanks between tokens.
[[nodiscard]] std::string compact(std::string_view value);
/// A JSON string with its quotes.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace headroom::wire
