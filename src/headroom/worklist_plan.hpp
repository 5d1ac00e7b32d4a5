#pragma once

// What counting a user's lists in the database costs, each way and list by list, and how it is done.

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sql/reader.hpp"
#include "worklist/plan.hpp"

namespace headroom::cli {

/// What is asked for beside the user.
struct WorklistPlanWish {
  std::string list;                  ///< this one alone, by key; empty: all
  std::optional<worklist::Way> way;  ///< the passes and statements of this one; none: of the chosen one
};

/// Of a text of the plan so many bytes are told, and so many of its statements.
inline constexpr std::size_t kMostPlanText = 64 * 1024;
inline constexpr std::size_t kMostPlanStatements = 200;

/// As docs/api.md describes it. Asks the database for its sizes, and counts nothing. `not_live`: by list of
/// the definitions, empty where it is counted live.
/// Errors: not_found and conflict (the list); denied: the site does not allow the way that is wished for;
/// those of worklist::read_sizes, choose_way and explain_plan. Cost: three plans for each list, and three for
/// all.
[[nodiscard]] base::Result<nlohmann::json> plan_worklists(
    sql::Reader& reader, const worklist::Definitions& definitions, const std::vector<std::string>& not_live,
    const worklist::User& user, const std::set<worklist::Way>& allowed, const WorklistPlanWish& wish);

}  // namespace headroom::cli
