#pragma once

// Plans of SQLite, over its own C interface.

#include <filesystem>
#include <string>

#include "sql/explain.hpp"

namespace headroom::sql {

/// Asks the file for the plan of a statement. The file is opened read-only, and nothing is run: EXPLAIN QUERY
/// PLAN only prepares. A function that SQLite itself does not have, as applications give their own
/// connections, is made up by its name, up to 64 of them. ANALYZE does not exist there.
/// Errors: as `explain`; unsupported for ANALYZE, not_found when there is no such file.
[[nodiscard]] Result<Plan> explain_in_sqlite(const std::filesystem::path& file,
                                             const ExplainQuestion& question, const ExplainOptions& options);

}  // namespace headroom::sql
