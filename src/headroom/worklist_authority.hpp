#pragma once

#include <string>

#include "headroom/bus_service.hpp"
#include "headroom/tryton_bus.hpp"
#include "headroom/worklist_api.hpp"

namespace headroom::cli {

/// Tokens of the bus, and sessions of that database of Tryton; of what is null or empty none.
/// Lifetime: both outlive it.
[[nodiscard]] WorklistAuthority worklist_authority(BusService* bus, TrytonBus* tryton,
                                                   const std::string& database);

}  // namespace headroom::cli
