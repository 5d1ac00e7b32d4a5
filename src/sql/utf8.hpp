#pragma once

#include <string>
#include <string_view>

namespace headroom::sql {

/// True when `text` is well-formed UTF-8 without NUL bytes: fit for C strings, JSON and every store.
[[nodiscard]] bool is_clean_utf8(std::string_view text);
/// The text with each malformed byte and each NUL replaced by U+FFFD. Cost: O(text).
[[nodiscard]] std::string clean_utf8(std::string_view text);
/// The longest prefix of at most `limit` bytes that does not end within a character.
[[nodiscard]] std::string_view cut_utf8(std::string_view text, std::size_t limit);

}  // namespace headroom::sql
