#pragma once

// What the service says of itself and of its store, as `headroom status` does.

#include "headroom/configuration.hpp"
#include "headroom/serve_stores.hpp"
#include "headroom/status.hpp"

namespace headroom::cli {

/// A store that is away is part of the answer: `store_error` says why, and the rest is there.
/// Threads: all.
[[nodiscard]] Status service_status(const Configuration& configuration, const StoreChoice& choice,
                                    StorePool& stores);

}  // namespace headroom::cli
