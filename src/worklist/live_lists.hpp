#pragma once

// Which lists can be counted live, and the counts of those that are.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "worklist/count.hpp"
#include "worklist/definition.hpp"
#include "worklist/live_source.hpp"
#include "worklist/user.hpp"

namespace headroom::worklist {

/// Some of the lists, as definitions of their own: with the catalogs that they speak of alone.
struct ListPart {
  Definitions definitions;
  std::vector<std::size_t> lists;  ///< by its lists: the place among all
};

/// The lists that `keep` names, in their order.
[[nodiscard]] ListPart part_of(const Definitions& definitions, const std::vector<bool>& keep);

struct LiveLists {
  ListPart live;
  std::vector<std::string> why;  ///< by all lists: why not live; empty where it is
};

/// Whether a list can be counted live is said by its catalog: check_live.
[[nodiscard]] LiveLists live_lists(const Definitions& definitions);
/// Of a database that is no PostgreSQL: none can.
[[nodiscard]] LiveLists no_live_lists(const Definitions& definitions);
inline constexpr std::string_view kPostgresAlone = "the log of PostgreSQL alone tells of changes";

/// The user's count of each list of the definitions that the source was made with, or that its guard refuses
/// it. Errors: unavailable (nothing was loaded yet), those of LiveCounters::count.
/// Cost: that of LiveCounters::count for each catalog.
[[nodiscard]] Result<std::vector<Count>> count_live(const LiveSource& source, const Definitions& definitions,
                                                    const User& user);

}  // namespace headroom::worklist
