#pragma once

#include <string_view>

#include "base/result.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// Opens the store in a Redis server, 7.0 or later: `redis://`, `rediss://` or `unix://` (see
/// redis/README.md). A server without our keys is an empty store. kRead sends no command that writes.
/// Guarantees: `append` is atomic per session and per hour of counts, and idempotent when sent again: calls
/// by id, counts when the same object sends the same batch within 15 minutes after an error. A page is read
/// in steps; calls that are appended or pruned meanwhile may be in it or not. Ranks of a session begin anew
/// after its last call was pruned. The server must not evict: set maxmemory-policy noeviction, or keys vanish
/// without a trace. Errors: as `open_store`; protocol when the schema is newer than ours.
[[nodiscard]] Result<OpenStore> open_redis_store(std::string_view url, OpenMode mode);

}  // namespace headroom::perf
