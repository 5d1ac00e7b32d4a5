#pragma once

// Whether a database has what definitions speak of.

#include <string>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/definition.hpp"

namespace headroom::worklist {

struct DatabaseProblem {
  std::string subject;  ///< "catalog 'sale'", "catalog 'sale': column 'state'", "users: roles"
  std::string problem;
};

/// Asks for each catalog whether its table, columns and look-ups are there, whether the columns' types are
/// those of the database (PostgreSQL, and MariaDB's tables and views; SQLite has none), whether look-ups find
/// one row at most, whether MariaDB's tables are part of its snapshots, and whether the statements of `users`
/// and the conditions of guards can run. Nothing is counted.
/// Errors: those of the reader that say nothing about the definitions (timed_out, unavailable, denied).
[[nodiscard]] Result<std::vector<DatabaseProblem>> check_database(sql::Reader& reader,
                                                                  const Definitions& definitions);

/// The same, where the users are in another database than the documents.
[[nodiscard]] Result<std::vector<DatabaseProblem>> check_database(sql::Reader& documents, sql::Reader& users,
                                                                  const Definitions& definitions);

}  // namespace headroom::worklist
