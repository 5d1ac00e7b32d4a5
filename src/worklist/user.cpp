#include "worklist/user.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace headroom::worklist {

namespace {

using base::fail;
using nlohmann::json;

base::Error wrong(std::string_view key, std::string_view expected) {
  return {ErrorCode::kInvalidArgument, fmt::format("the user: {} has to be {}", key, expected)};
}

Result<std::set<std::string>> read_texts(const json& user, const char* key) {
  std::set<std::string> texts;
  const auto found = user.find(key);
  if (found == user.end()) return texts;
  if (!found->is_array()) return fail(wrong(key, "a list of texts"));
  for (const json& item : *found) {
    if (!item.is_string()) return fail(wrong(key, "a list of texts"));
    texts.insert(item.get<std::string>());
  }
  return texts;
}

std::optional<std::int64_t> whole(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  return value.get<std::int64_t>();
}

std::optional<SecurityUid> read_uid(const json& item) {
  if (const auto uid = whole(item)) return SecurityUid{*uid, {}, {}};
  if (!item.is_object() || !item.contains("uid")) return std::nullopt;
  SecurityUid read;
  for (const auto& [key, value] : item.items()) {
    if (key == "uid" && whole(value)) {
      read.uid = *whole(value);
    } else if (key == "role" && value.is_string()) {
      read.role = value.get<std::string>();
    } else if (key == "group" && value.is_string()) {
      read.group = value.get<std::string>();
    } else {
      return std::nullopt;
    }
  }
  return read;
}

Result<std::set<SecurityUid>> read_uids(const json& user) {
  std::set<SecurityUid> uids;
  const auto found = user.find("security_uids");
  if (found == user.end()) return uids;
  if (!found->is_array()) return fail(wrong("security_uids", "a list"));
  if (found->size() > kMostSecurityUids) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("the user has more than {} security uids", kMostSecurityUids));
  }
  for (const json& item : *found) {
    auto uid = read_uid(item);
    if (!uid) {
      return fail(
          wrong("each of security_uids", R"(a whole number, or {"uid": 1, "role": "...", "group": "..."})"));
    }
    uids.insert(std::move(*uid));
  }
  return uids;
}

Result<std::string> read_id(const json& user) {
  const auto found = user.find("id");
  if (found != user.end() && found->is_string() && !found->get<std::string>().empty())
    return found->get<std::string>();
  if (found != user.end() && found->is_number_integer()) return found->dump();
  return fail(wrong("id", "a text or a whole number"));
}

Result<void> check_keys(const json& user) {
  static constexpr std::array<std::string_view, 5> kKnown{"id", "roles", "groups", "permissions",
                                                          "security_uids"};
  for (const auto& [key, value] : user.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end()) continue;
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the user: unknown key '{:.60}'; accepted: {}", key, fmt::join(kKnown, ", ")));
  }
  return {};
}

bool has_one_of(const std::set<std::string>& wanted, const std::set<std::string>& own) {
  if (wanted.empty()) return true;
  return std::any_of(wanted.begin(), wanted.end(),
                     [&own](const std::string& one) { return own.contains(one); });
}

Result<Value> user_value(const Catalog& catalog, std::size_t column, const User& user) {
  auto id = parse_value(catalog.columns[column].type, user.id);
  if (!id) {
    return fail(std::move(id.error())
                    .within(fmt::format("the user's id, which column '{}' of catalog '{}' holds",
                                        catalog.columns[column].name, catalog.name)));
  }
  return id;
}

/// The values with which a column grants; none: it does not.
Result<std::vector<Value>> granting_values(const Catalog& catalog, const SecurityColumn& security,
                                           const std::set<std::string>& roles, const User& user) {
  std::vector<Value> values;
  if (security.role.empty()) {
    for (const SecurityUid& one : user.security_uids) {
      if (one.group == security.group && (roles.empty() || roles.contains(one.role)))
        values.emplace_back(one.uid);
    }
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return values;
  }
  if (!roles.empty() && !roles.contains(security.role)) return values;
  auto id = user_value(catalog, security.column, user);
  if (!id) return fail(std::move(id.error()));
  values.push_back(std::move(*id));
  return values;
}

Result<void> add_grants(const Catalog& catalog, const std::set<std::string>& roles, const User& user,
                        const std::optional<HeldBy>& held, Scope& scope) {
  for (std::size_t i = 0; i < catalog.security.size(); ++i) {
    auto values = granting_values(catalog, catalog.security[i], roles, user);
    if (!values) return fail(values.error());
    if (!values->empty()) scope.grants.push_back({i, std::move(*values), held});
  }
  return {};
}

}  // namespace

Result<User> read_user(std::string_view text) {
  const json read = json::parse(text.begin(), text.end(), nullptr, false);
  if (!read.is_object())
    return fail(ErrorCode::kInvalidArgument, "the user has to be a JSON object with an id");
  if (auto checked = check_keys(read); !checked) return fail(checked.error());
  User user;
  auto id = read_id(read);
  if (!id) return fail(id.error());
  user.id = std::move(*id);
  for (const auto& [key, target] : {std::pair{"roles", &user.roles}, std::pair{"groups", &user.groups},
                                    std::pair{"permissions", &user.permissions}}) {
    auto texts = read_texts(read, key);
    if (!texts) return fail(texts.error());
    *target = std::move(*texts);
  }
  auto uids = read_uids(read);
  if (!uids) return fail(uids.error());
  user.security_uids = std::move(*uids);
  return user;
}

std::string refusal(const Guard& guard, const User& user) {
  if (!has_one_of(guard.roles, user.roles))
    return fmt::format("the guard wants one of the roles {}", fmt::join(guard.roles, ", "));
  if (!has_one_of(guard.groups, user.groups))
    return fmt::format("the guard wants one of the groups {}", fmt::join(guard.groups, ", "));
  if (!has_one_of(guard.permissions, user.permissions))
    return fmt::format("the guard wants one of the permissions {}", fmt::join(guard.permissions, ", "));
  if (!guard.condition.empty() && !user.conditions.contains(guard.condition))
    return fmt::format("the guard's condition does not hold: {}", guard.condition);
  return {};
}

Result<Scope> scope_of(const Catalog& catalog, const std::set<std::string>& roles, const User& user) {
  Scope scope;
  scope.everything = catalog.security.empty();
  std::set<std::string> of_sight = roles;
  for (const Holder& holder : catalog.holders) of_sight.erase(holder.role);
  if (roles.empty() || !of_sight.empty()) {
    if (auto added = add_grants(catalog, of_sight, user, {}, scope); !added) return fail(added.error());
  }
  for (std::size_t i = 0; i < catalog.holders.size(); ++i) {
    if (!roles.contains(catalog.holders[i].role)) continue;
    auto id = user_value(catalog, catalog.holders[i].column, user);
    if (!id) return fail(id.error());
    if (auto added = add_grants(catalog, {}, user, HeldBy{i, std::move(*id)}, scope); !added)
      return fail(added.error());
  }
  return scope;
}

bool is_visible(const Catalog& catalog, const Scope& scope, const std::vector<Value>& row) {
  if (scope.everything) return true;
  return std::any_of(scope.grants.begin(), scope.grants.end(), [&](const Grant& grant) {
    if (grant.held && row[catalog.holders[grant.held->holder].column] != grant.held->user) return false;
    const Value& value = row[catalog.security[grant.security].column];
    return std::binary_search(grant.values.begin(), grant.values.end(), value);
  });
}

}  // namespace headroom::worklist
