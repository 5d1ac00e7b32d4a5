#pragma once

// Users out of the database, as `users` of worklists.yaml says.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/user.hpp"

namespace headroom::worklist {

/// A user by id: roles, groups, permissions and security uids, and which of the guards' conditions hold.
/// Errors: not_found (users has rows, and none is his), invalid_argument (an answer that is no security uid),
/// too_large (over kMostSecurityUids), those of the reader, within the part of `users` that was asked.
[[nodiscard]] Result<User> load_user(sql::Reader& reader, const Definitions& definitions,
                                     const std::string& id);

/// For a user who came from elsewhere: only the conditions, which need his row. Nothing is asked when no
/// guard has one. Errors: as above.
[[nodiscard]] Result<void> load_conditions(sql::Reader& reader, const Definitions& definitions, User& user);

/// Ids of users that begin with `beginning`, sorted as texts, at most `most`. Errors: conflict (users has no
/// rows), those of the reader. Cost: reads the keys of all users.
[[nodiscard]] Result<std::vector<std::string>> find_users(sql::Reader& reader, const Definitions& definitions,
                                                          const std::string& beginning, std::size_t most);

namespace impl {

/// A statement of UserSource with `user` in place of :user.
[[nodiscard]] std::string user_statement(const std::string& statement, std::string_view user);
/// The row of a user, and which conditions of guards hold for it.
[[nodiscard]] std::string conditions_statement(const Definitions& definitions, std::string_view user);

}  // namespace impl

}  // namespace headroom::worklist
