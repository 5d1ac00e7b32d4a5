#pragma once

// Counting in memory, document by document: what every other way has to agree with.

#include <cstdint>
#include <span>
#include <vector>

#include "worklist/user.hpp"

namespace headroom::worklist {

/// The documents of one catalog; each has a value for every column, those of look-ups too.
using Documents = std::vector<std::vector<Value>>;

/// The user's count of each list, in the order of `definitions.lists`; 0 where a guard refuses.
/// `documents` are by catalog.
/// Errors: as scope_of. Cost: O(lists x documents). Threads: pure.
[[nodiscard]] Result<std::vector<std::uint64_t>> count_in_memory(const Definitions& definitions,
                                                                 const std::vector<Documents>& documents,
                                                                 const User& user, base::UtcTime now);

/// The same for several users, by user: what a document meets is asked once.
[[nodiscard]] Result<std::vector<std::vector<std::uint64_t>>> count_in_memory(
    const Definitions& definitions, const std::vector<Documents>& documents, std::span<const User> users,
    base::UtcTime now);

}  // namespace headroom::worklist
