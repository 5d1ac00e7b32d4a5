#pragma once

// Whether a database lets lists be counted live, and what to run where it does not.

#include <string>
#include <string_view>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/database_check.hpp"
#include "worklist/live_lists.hpp"

namespace headroom::worklist {

struct LiveCheck {
  /// Of the server and the login: they keep every list from being live.
  std::vector<DatabaseProblem> problems;
  /// By all lists: why it can't be counted live here; empty where it can.
  std::vector<std::string> why;
};

/// Asks for wal_level, the login's REPLICATION, a free slot, the publication, and for each table whether it
/// is published, may be read, and tells its key. Problems name the statement to run and who may run it.
/// `reader` is of the login that would read the log. Nothing is changed. Errors: those of the reader;
/// unsupported: it is no PostgreSQL.
[[nodiscard]] Result<LiveCheck> check_live_database(sql::Reader& reader, const Definitions& definitions,
                                                    std::string_view publication);

}  // namespace headroom::worklist
