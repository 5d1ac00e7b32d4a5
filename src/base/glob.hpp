#pragma once

#include <string_view>

namespace headroom::base {

/// Matches `*` (any run), `?` (one character), `[abc]`, `[a-z]` and `[!abc]`; everything else literally.
/// Cost: O(pattern x text) at worst, no recursion. Threads: pure.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view text);

/// False when a '[' has no ']': such a pattern matches nothing. A ']' that stands first in a class is one of
/// its characters.
[[nodiscard]] bool glob_is_closed(std::string_view pattern);

}  // namespace headroom::base
