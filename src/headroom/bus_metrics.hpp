#pragma once

#include <optional>
#include <string>

#include "bus/hub.hpp"
#include "bus/memory_broker.hpp"
#include "bus/postgres_broker.hpp"
#include "bus/redis_broker.hpp"
#include "bus/redis_presence.hpp"

namespace headroom::cli {

/// The counts of the bus in Prometheus text format 0.0.4. Threads: pure.
[[nodiscard]] std::string bus_metrics(const bus::HubCounts& counts, const bus::MemoryCounts& memory,
                                      const std::optional<bus::PostgresBrokerCounts>& postgres,
                                      const std::optional<bus::RedisBrokerCounts>& redis,
                                      const std::optional<bus::ExchangeCounts>& presence);

}  // namespace headroom::cli
