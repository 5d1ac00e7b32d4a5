#include "headroom/rule_check.hpp"

#include <array>
#include <string>

#include <fmt/format.h>

#include "base/glob.hpp"

namespace headroom::cli {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

Result<void> check_glob(std::string_view what, std::string_view glob) {
  if (auto given = check_not_empty(what, glob); !given) return given;
  if (base::glob_is_closed(glob)) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{} '{}': the [ is not closed; a glob has *, ?, [abc], [a-z] and [!abc]", what, glob));
}

Result<void> check_globs(const perf::Rule& rule) {
  const std::array<std::pair<std::string_view, const std::vector<std::string>*>, 5> lists{
      {{"method", &rule.methods},
       {"profile", &rule.profile},
       {"sampling profile", &rule.sample},
       {"db", &rule.db},
       {"io", &rule.io}}};
  for (const auto& [what, globs] : lists) {
    for (const std::string& glob : *globs) {
      if (auto checked = check_glob(what, glob); !checked) return checked;
    }
  }
  return rule.database.empty() ? Result<void>() : check_glob("database", rule.database);
}

Result<void> check_users(const perf::Rule& rule) {
  for (const perf::UserPattern& user : rule.users) {
    if (user.id) continue;
    if (user.login.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "user without a name: expected a login, digits for an id, or login:NAME");
    }
    if (auto checked = check_glob("user", user.login); !checked) return checked;
  }
  return {};
}

}  // namespace

Result<void> check_not_empty(std::string_view what, std::string_view value) {
  if (value.find_first_not_of(", \t\r\n") != std::string_view::npos) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{} '{}': expected a value; leave it out where nothing shall be restricted", what, value));
}

Result<void> check_rule(const perf::Rule& rule) {
  if (auto users = check_users(rule); !users) return users;
  if (auto globs = check_globs(rule); !globs) return globs;
  if (rule.expires && *rule.expires <= rule.created) {
    return fail(ErrorCode::kInvalidArgument,
                "a rule that ends at once records nothing: expected a time span such as 10m or 1d");
  }
  const bool limited = !rule.users.empty() || !rule.methods.empty() || !rule.database.empty() ||
                       rule.one_in > 1 || rule.slower_than.count() > 0;
  if (limited) return {};
  return fail(ErrorCode::kInvalidArgument,
              "a rule that restricts nothing would record everybody: give a user, method, database, "
              "slower-than over 0 or a sample of 1/2 or less; the method '*' is everybody");
}

}  // namespace headroom::cli
