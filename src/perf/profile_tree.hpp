#pragma once

// The call trees of one call as JSON, for whoever draws them.

#include <string>

#include "perf/report.hpp"

namespace headroom::perf {

/// The exact and the sampled profile of the call that the request's session and argument name.
/// Shape: {"profiles":[{"kind","samples","missed","dropped_nodes","frames":{"function","file","line"},
/// "nodes":{"parent","frame","calls","self_ns","cpu_ns"}}]}; the keys of frames and nodes are lists of equal
/// length. Parents come first; node 0 is the whole call and its frame says nothing. `cpu_ns` is empty in an
/// exact profile.
/// Units: nanoseconds, without children.
/// Errors: invalid_argument (no call was named), not_found (no such call, or it has no profile), those of the
/// store. Cost: about 25 bytes a node.
[[nodiscard]] Result<std::string> profile_trees(Store& store, const ReportRequest& request);

}  // namespace headroom::perf
