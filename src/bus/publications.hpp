#pragma once

// What a program asks to publish in one request.

#include <string_view>
#include <vector>

#include "bus/message.hpp"

namespace headroom::bus {

/// One message, or many that are judged each alone.
struct WantedPublications {
  std::vector<Result<Publication>> all;
  bool batch = false;
};

/// Reads {"channel":...,"data":...,"id":...}, or {"messages":[...]} with up to `most` of them. What stands in
/// `data` is published as it is but for the blanks between its tokens: no number is read. Of a member that
/// stands twice the first one counts.
/// Errors: invalid_argument (not UTF-8, not JSON, nested deeper than 64, another form), too_large (more of
/// them). Those of one of `all`: invalid_argument.
[[nodiscard]] Result<WantedPublications> parse_publications(std::string_view body, std::size_t most);

}  // namespace headroom::bus
