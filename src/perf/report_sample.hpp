#pragma once

// One small, fixed history for the golden files of the reports and of the command line: two users of one
// database, an N+1, a slow statement, profiles, bodies, a collision, a hostile method name, and a session of
// the same name in another database.

#include "perf/record.hpp"

namespace headroom::perf {

[[nodiscard]] Batch sample_batch();

}  // namespace headroom::perf
