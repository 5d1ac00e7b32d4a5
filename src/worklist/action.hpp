#pragma once

// What a user is shown of a list.

#include <cstdint>
#include <string>

#include "worklist/definition.hpp"

namespace headroom::worklist {

struct Action {
  std::string list;  ///< "workflow/id"
  std::string workflow;
  std::string name;  ///< the title with the count
  std::string url;   ///< empty when the list has none
  std::string category;
  std::uint64_t count = 0;
};

/// Fills title and URL of a list. A place in a title has the values of its column with commas; in a URL they
/// are escaped, and each one but the first repeats the parameter that stands before the place:
/// "state:list=%(state)s" becomes "state:list=draft&state:list=sent".
[[nodiscard]] Action action_of(const Definitions& definitions, std::size_t list, std::uint64_t count,
                               base::UtcTime now);

}  // namespace headroom::worklist
