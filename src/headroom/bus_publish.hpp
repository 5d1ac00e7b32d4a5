#pragma once

// Publishing by HTTP: what a body asks for is published, and answered.

#include <functional>

#include "bus/hub.hpp"
#include "bus/publications.hpp"
#include "net/http.hpp"

namespace headroom::cli {

inline constexpr std::size_t kMostPublishBody = 1024 * 1024;
inline constexpr std::size_t kMostPublications = 256;

/// Publishes those that the grant allows, and answers when each one's outcome is known: the position of the
/// one, or {"results":[...]} of a batch, in its order, with an `error` where one failed. `answer` is called
/// once.
void publish_all(bus::Hub& hub, bus::WantedPublications wanted, const bus::Grant& grant,
                 std::function<void(net::Response)> answer);

}  // namespace headroom::cli
