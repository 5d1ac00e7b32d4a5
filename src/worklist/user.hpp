#pragma once

// A user, what guards say to him, and which documents he may see.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "worklist/definition.hpp"

namespace headroom::worklist {

/// Security uids stand for sets of users; this is one that the user is in.
struct SecurityUid {
  std::int64_t uid = 0;
  std::string role;   ///< that the user has for documents with it; may be empty
  std::string group;  ///< as SecurityColumn::group
  [[nodiscard]] auto operator<=>(const SecurityUid&) const = default;
};

inline constexpr std::size_t kMostSecurityUids = 200'000;

struct User {
  std::string id;
  std::set<std::string> roles;
  std::set<std::string> groups;
  std::set<std::string> permissions;
  std::set<SecurityUid> security_uids;
  /// Conditions of guards (their text) that hold for the user's row.
  std::set<std::string> conditions;
};

/// {"id": "7", "roles": [...], "groups": [...], "permissions": [...], "security_uids": [1, {"uid": 2, "role":
/// "Assignor", "group": "team"}]}; the id may be a number. Errors: invalid_argument, too_large; the message
/// names the key.
[[nodiscard]] Result<User> read_user(std::string_view json);

/// Empty when the user may have the list, else why not.
[[nodiscard]] std::string refusal(const Guard& guard, const User& user);

/// Only documents whose column holds the user.
struct HeldBy {
  std::size_t holder = 0;  ///< of Catalog::holders
  Value user;
  [[nodiscard]] bool operator==(const HeldBy&) const = default;
};

/// A security column, and the values with which it grants: one user, or security uids.
struct Grant {
  std::size_t security = 0;   ///< of Catalog::security
  std::vector<Value> values;  ///< sorted, at least one
  std::optional<HeldBy> held;
  [[nodiscard]] bool operator==(const Grant&) const = default;
};

/// Which documents of a catalog a user may see for a list: those that any of `grants` names, in the catalog's
/// order of columns.
struct Scope {
  bool everything = false;  ///< the catalog has no security columns
  std::vector<Grant> grants;
  [[nodiscard]] bool operator==(const Scope&) const = default;
};

/// Without required roles each way of seeing a document is one; with them, the columns of these roles, and
/// the security uids that the user has in these roles. For a role that has a holder, it is each way again, of
/// those documents that hold the user.
/// Errors: invalid_argument: the user's id is of another type than the column that holds users.
[[nodiscard]] Result<Scope> scope_of(const Catalog& catalog, const std::set<std::string>& roles,
                                     const User& user);

/// As SQL: TRUE when one of the grants is. `row` has the values of the catalog's columns.
[[nodiscard]] bool is_visible(const Catalog& catalog, const Scope& scope, const std::vector<Value>& row);

}  // namespace headroom::worklist
