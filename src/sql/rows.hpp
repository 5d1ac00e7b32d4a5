#pragma once

#include <optional>
#include <string>
#include <vector>

namespace headroom::sql {

/// Rows as text; nothing for NULL.
using PostgresRows = std::vector<std::vector<std::optional<std::string>>>;

}  // namespace headroom::sql
