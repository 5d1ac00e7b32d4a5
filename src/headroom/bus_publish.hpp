#pragma once

// Publishing by HTTP: a body with one message or many, and the answer to it.

#include <functional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bus/hub.hpp"
#include "net/http.hpp"

namespace headroom::cli {

inline constexpr std::size_t kMostPublishBody = 1024 * 1024;
inline constexpr std::size_t kMostPublications = 256;

/// What a body asks for: {"channel":...,"data":...,"id":...}, or {"messages":[...]} with up to
/// kMostPublications of them, each judged alone.
struct WantedPublications {
  std::vector<base::Result<bus::Publication>> all;
  bool batch = false;
};

/// Errors: invalid_argument (not JSON, nested deeper than 64, another form), too_large (more of them).
[[nodiscard]] base::Result<WantedPublications> parse_publications(std::string_view body);

/// Publishes those that the grant allows, and answers when each one's outcome is known: the position of the
/// one, or {"results":[...]} of a batch, in its order, with an `error` where one failed. `answer` is called
/// once.
void publish_all(bus::Hub& hub, WantedPublications wanted, const bus::Grant& grant,
                 std::function<void(net::Response)> answer);

}  // namespace headroom::cli
