#pragma once

// A user's counts as server-sent events: all of them first, then those that change.

#include "headroom/worklist_api.hpp"
#include "net/router.hpp"

namespace headroom::cli {

/// GET /worklist/events and /api/worklist/users/{user}/events. A client that does not keep up is told the
/// newest counts alone once it does: of each stream at most one message waits beside what is queued.
void add_worklist_events(net::Router& router, const WorklistDoors& doors);

}  // namespace headroom::cli
