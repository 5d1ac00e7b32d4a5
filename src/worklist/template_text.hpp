#pragma once

// Titles and URLs with places such as %(count)s.

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "worklist/value.hpp"

namespace headroom::worklist {

/// The names of its places. Errors: invalid_argument for any other `%`; `%%` is the sign itself.
[[nodiscard]] Result<std::set<std::string>> places_of(std::string_view text);

/// What stands at a place; `before` is the text filled until there.
using PlaceValue = std::function<std::string(std::string_view place, std::string_view before)>;

/// Fills each place. For texts whose places were read without an error.
[[nodiscard]] std::string fill(std::string_view text, const PlaceValue& value_of);

/// As a part of a URL: everything but letters, digits and -._~ escaped.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace headroom::worklist
