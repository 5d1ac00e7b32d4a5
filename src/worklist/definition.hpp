#pragma once

// What worklists.yaml says: catalogs (where documents are, and who may see them), work lists over them, and
// where users come from.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "worklist/criterion.hpp"
#include "worklist/value.hpp"

namespace headroom::worklist {

/// How many different values a column has: few (states, types) are grouped as they are, many (names,
/// references) by what the criteria tell apart. For texts; other types are always grouped the second way.
enum class Variety : std::uint8_t { kFew, kMany };

struct Column {
  std::string name;    ///< in definitions
  std::string column;  ///< in the database
  Type type = Type::kText;
  Variety variety = Variety::kFew;
  std::optional<std::size_t> look_up;  ///< of Catalog::look_ups; none: the catalog's own table
};

/// Another table with at most one row for each document: `key` there equals the document's column `by`.
struct LookUp {
  std::string name;
  std::string table;
  std::string key;
  std::size_t by = 0;  ///< of Catalog::columns, one of the catalog's own table
};

/// A column that grants: a document is visible to whom one of its security columns names.
struct SecurityColumn {
  std::size_t column = 0;
  /// Single-valued: the column holds a user, who has this role for the document. Empty: it holds a security
  /// uid, which stands for a set of users.
  std::string role;
  std::string group;  ///< of security uids: which of the user's sets is meant
};

/// A column that holds a user who has a role for the document, however he may see it.
struct Holder {
  std::size_t column = 0;
  std::string role;
};

struct Catalog {
  std::string name;
  std::string table;  ///< "invoice" or "schema.invoice"; empty when `query` is given
  std::string query;  ///< a SELECT
  std::size_t key = 0;
  std::vector<Column> columns;  ///< those of look-ups behind those of the table
  std::vector<LookUp> look_ups;
  /// In the order in which they are asked. Empty: everybody sees everything.
  std::vector<SecurityColumn> security;
  /// By the role: a list that wants it counts what its holder sees, by whatever column.
  std::vector<Holder> holders;

  [[nodiscard]] std::optional<std::size_t> find(std::string_view column) const;
  /// How many columns are those of the table.
  [[nodiscard]] std::size_t own_columns() const;
};

/// Who is shown a list at all. What is empty asks for nothing; of each other one is enough.
struct Guard {
  std::set<std::string> roles;
  std::set<std::string> groups;
  std::set<std::string> permissions;
  std::string condition;  ///< SQL over the user's row
};

struct WorkList {
  std::string id;
  std::string workflow;
  std::string title;  ///< with %(count)s
  std::string url;    ///< with %(column)s; several values repeat the parameter
  std::string category = "global";
  std::size_t catalog = 0;
  std::vector<Criterion> criteria;  ///< each column once
  /// Of the user for the document; empty: any way of seeing it is enough.
  std::set<std::string> roles;
  Guard guard;
  int line = 0;

  /// "workflow/id": what no two lists share, and by which they are sorted.
  [[nodiscard]] std::string key() const { return workflow + "/" + id; }
};

/// Statements of UserSource have the placeholder :user.
struct UserSource {
  std::string table;  ///< with a row for each user, for conditions; may be empty, or a query
  std::string query;
  std::string key = "id";
  std::string roles;
  std::string groups;
  std::string permissions;
  std::string security_uids;  ///< the uid; then, where there are such, the role and the group

  [[nodiscard]] bool has_rows() const { return !table.empty() || !query.empty(); }
};

struct Definitions {
  std::string file;
  std::vector<Catalog> catalogs;
  std::vector<WorkList> lists;  ///< by their keys
  UserSource users;

  /// By key, or by an id that one list alone has. Errors: not_found, conflict.
  [[nodiscard]] Result<std::size_t> find_list(std::string_view text) const;
};

/// Reads the text of worklists.yaml. `file` stands in messages.
/// Errors: too_large (over 8 MiB, 200,000 nodes, 32 levels deep), invalid_argument: one line with file, line,
/// list and criterion, and what is accepted. Nothing is passed over: an unknown key, a column that does not
/// exist, an empty list of values, a value of another type, an id twice, and criteria that no document can
/// meet (at `now`, where they have dates) are all refused.
/// Threads: pure.
[[nodiscard]] Result<Definitions> read_definitions(std::string_view text, std::string file,
                                                   base::UtcTime now);

}  // namespace headroom::worklist
