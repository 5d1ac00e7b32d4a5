#include "bus/authority.hpp"

#include <algorithm>
#include <utility>

namespace headroom::bus {

bool grants(const std::vector<std::string>& patterns, std::string_view channel) {
  return std::any_of(patterns.begin(), patterns.end(), [channel](std::string_view pattern) {
    if (!pattern.ends_with('*')) return pattern == channel;
    pattern.remove_suffix(1);
    return channel.starts_with(pattern);
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

void Revocations::revoke_user(std::string_view user, const Now& now) {
  revoke("u" + std::string(user), now);
}

void Revocations::revoke_session(std::string_view session, const Now& now) {
  revoke("s" + std::string(session), now);
}

void Revocations::revoke(std::string key, const Now& now) {
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), key,
                       [](const Entry& entry, const std::string& wanted) { return entry.key < wanted; });
  // A token of this very second is one of before.
  const std::int64_t before = now.unix_s + 1;
  if (at != entries_.end() && at->key == key) {
    at->before_unix_s = before;
    return;
  }
  entries_.insert(at, {std::move(key), before});
  if (entries_.size() <= limits_.most) return;
  entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.before_unix_s < b.before_unix_s;
  }));
  ++forgotten_early_;
}

bool Revocations::covers(std::string_view kind, std::string_view name, std::int64_t issued_unix_s) const {
  if (name.empty()) return false;
  const std::string key = std::string(kind).append(name);
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), key,
                       [](const Entry& entry, const std::string& wanted) { return entry.key < wanted; });
  return at != entries_.end() && at->key == key && issued_unix_s < at->before_unix_s;
}

bool Revocations::is_revoked(const Grant& grant) const {
  return covers("u", grant.user, grant.issued_unix_s) || covers("s", grant.session, grant.issued_unix_s);
}

void Revocations::forget_old(const Now& now) {
  std::erase_if(entries_,
                [&](const Entry& entry) { return now.unix_s - entry.before_unix_s > limits_.keep_s; });
}

}  // namespace headroom::bus
