#pragma once

#include <cstddef>
#include <string>

#include "bench/worklist/world.hpp"

namespace headroom::bench {

/// Fills counters in memory with the documents, measures them, and checks each figure's numbers against
/// adding up documents one by one. JSON: figures by name, times in milliseconds. Errors: std::runtime_error,
/// where a number is wrong.
[[nodiscard]] std::string measure_live(World& world, Keys keys, unsigned threads, std::size_t sample);

/// Counts for the first `sample` users in a database, with the statements of a way: each time and the counts,
/// as JSON.
[[nodiscard]] std::string measure_sql(World& world, const std::string& url, const std::string& way,
                                      std::size_t sample, std::size_t rounds);

/// The counts of the first `sample` users, added up document by document.
[[nodiscard]] std::vector<std::vector<std::uint64_t>> add_up(const World& world, std::size_t sample);

}  // namespace headroom::bench
