#include "bus/authority.hpp"

#include <algorithm>
#include <utility>

namespace headroom::bus {

bool grants(const std::vector<std::string>& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(), [name](std::string_view pattern) {
    if (!pattern.ends_with('*')) return pattern == name;
    pattern.remove_suffix(1);
    return name.starts_with(pattern);
  });
}

void SchemeAuthority::add(std::string_view scheme, Authority& authority) {
  schemes_.emplace_back(std::string(scheme) + ' ', &authority);
}

void SchemeAuthority::authenticate(std::string_view token, const Now& now, Done<Grant> done) {
  const auto found = std::find_if(schemes_.begin(), schemes_.end(),
                                  [token](const auto& one) { return token.starts_with(one.first); });
  (found == schemes_.end() ? otherwise_ : *found->second).authenticate(token, now, std::move(done));
}

Revocation Revocations::revoke_user(std::string_view user, const Now& now) {
  return revoke("u" + std::string(user), now);
}

Revocation Revocations::revoke_session(std::string_view session, const Now& now) {
  return revoke("s" + std::string(session), now);
}

Revocation Revocations::revoke(std::string key, const Now& now) {
  // A token of this very second is one of before.
  Revocation revocation{std::move(key), now.unix_s + 1};
  add(revocation);
  return revocation;
}

bool Revocations::add(const Revocation& revocation) {
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), revocation.key,
                       [](const Revocation& entry, const std::string& wanted) { return entry.key < wanted; });
  if (at != entries_.end() && at->key == revocation.key) {
    if (at->before_unix_s >= revocation.before_unix_s) return false;
    at->before_unix_s = revocation.before_unix_s;
    return true;
  }
  entries_.insert(at, revocation);
  if (entries_.size() <= limits_.most) return true;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const Revocation& a, const Revocation& b) { return a.before_unix_s < b.before_unix_s; }));
  ++forgotten_early_;
  return true;
}

bool Revocations::covers(std::string_view kind, std::string_view name, std::int64_t issued_unix_s) const {
  if (name.empty()) return false;
  const std::string key = std::string(kind).append(name);
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), key,
                       [](const Revocation& entry, const std::string& wanted) { return entry.key < wanted; });
  return at != entries_.end() && at->key == key && issued_unix_s < at->before_unix_s;
}

bool Revocations::is_revoked(const Grant& grant) const {
  return covers("u", grant.user, grant.issued_unix_s) || covers("s", grant.session, grant.issued_unix_s);
}

void Revocations::forget_old(const Now& now) {
  std::erase_if(entries_,
                [&](const Revocation& entry) { return now.unix_s - entry.before_unix_s > limits_.keep_s; });
}

}  // namespace headroom::bus
