#include "bus/presence.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace headroom::bus {
namespace {

/// What is known of one user here.
struct Local {
  std::uint32_t connections = 0;
  std::uint32_t active = 0;
  std::uint32_t idle = 0;
  std::int64_t idle_since_ns = 0;  ///< when the last active tab was
  std::int64_t gone_since_ns = 0;  ///< when the last tab went
  PresenceState told = PresenceState::kOffline;
};

struct Node {
  std::int64_t heard_ns = 0;
  std::unordered_map<std::string, PresenceState> users;
};

}  // namespace

struct PresenceTable::Impl {
  explicit Impl(const PresenceLimits& given) : limits(given) {}

  [[nodiscard]] PresenceState here(const Local& local, std::int64_t now_ns) const {
    if (local.active > 0) return PresenceState::kOnline;
    if (local.idle > 0)
      return now_ns - local.idle_since_ns >= limits.away_after_ns ? PresenceState::kAway
                                                                  : PresenceState::kOnline;
    if (local.told == PresenceState::kOffline || now_ns - local.gone_since_ns >= limits.offline_after_ns)
      return PresenceState::kOffline;
    return local.told;
  }
  [[nodiscard]] PresenceState everywhere(const std::string& user, PresenceState state) const {
    for (const auto& [name, node] : nodes) {
      const auto found = node.users.find(user);
      if (found != node.users.end()) state = std::max(state, found->second);
    }
    return state;
  }
  void touch(const std::string& user) { changed.insert(user); }
  void count(Local& local, const Activity& activity, bool more) const {
    if (more) {
      local.active += activity.active;
      local.idle += activity.idle;
    } else {
      local.active -= std::min(local.active, activity.active);
      local.idle -= std::min(local.idle, activity.idle);
    }
  }
  void settle(Local& local, std::int64_t now_ns, bool was_active, bool was_there) const {
    if (was_active && local.active == 0) local.idle_since_ns = now_ns;
    if (was_there && local.active == 0 && local.idle == 0) local.gone_since_ns = now_ns;
  }

  PresenceLimits limits;
  std::unordered_map<std::string, Local> users;
  std::unordered_map<std::string, Node> nodes;
  std::set<std::string> changed;  ///< looked at by the next tick
  std::int64_t last_tick_ns = 0;
  std::uint64_t untracked = 0;
};

std::string_view name(PresenceState state) {
  static constexpr std::array<std::string_view, 3> kNames{"offline", "away", "online"};
  return kNames.at(static_cast<std::size_t>(state));
}

PresenceTable::PresenceTable(const PresenceLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}

PresenceTable::~PresenceTable() = default;

void PresenceTable::connected(std::string_view user, const Now& now) {
  const std::string key(user);
  if (!impl_->users.contains(key) && impl_->users.size() >= impl_->limits.users) {
    ++impl_->untracked;
    return;
  }
  Local& local = impl_->users[key];
  ++local.connections;
  impl_->count(local, {}, true);
  impl_->settle(local, now.monotonic_ns, false, false);
  impl_->touch(key);
}

void PresenceTable::disconnected(std::string_view user, const Activity& last, const Now& now) {
  const auto found = impl_->users.find(std::string(user));
  if (found == impl_->users.end()) return;
  Local& local = found->second;
  const bool was_active = local.active > 0;
  const bool was_there = was_active || local.idle > 0;
  local.connections -= std::min(local.connections, 1U);
  impl_->count(local, last, false);
  impl_->settle(local, now.monotonic_ns, was_active, was_there);
  impl_->touch(found->first);
}

void PresenceTable::reported(std::string_view user, const Activity& before, const Activity& now_active,
                             const Now& now) {
  const auto found = impl_->users.find(std::string(user));
  if (found == impl_->users.end()) return;
  Local& local = found->second;
  const bool was_active = local.active > 0;
  const bool was_there = was_active || local.idle > 0;
  impl_->count(local, before, false);
  impl_->count(local, now_active, true);
  impl_->settle(local, now.monotonic_ns, was_active, was_there);
  impl_->touch(found->first);
}

void PresenceTable::heard(std::string_view node, const std::vector<NodePresence>& changes, const Now& now) {
  Node& known = impl_->nodes[std::string(node)];
  known.heard_ns = now.monotonic_ns;
  for (const NodePresence& change : changes) {
    if (change.state == PresenceState::kOffline) {
      known.users.erase(change.user);
    } else {
      known.users[change.user] = change.state;
    }
    impl_->users.try_emplace(change.user);
    impl_->touch(change.user);
  }
}

void PresenceTable::node_left(std::string_view node, const Now& /*now*/) {
  const auto found = impl_->nodes.find(std::string(node));
  if (found == impl_->nodes.end()) return;
  for (const auto& [user, state] : found->second.users) impl_->touch(user);
  impl_->nodes.erase(found);
}

PresenceState PresenceTable::state(std::string_view user) const {
  const std::string key(user);
  const auto found = impl_->users.find(key);
  PresenceState here = PresenceState::kOffline;
  if (found != impl_->users.end()) {
    const Local& local = found->second;
    here = local.told;
    if (here == PresenceState::kOffline && (local.active > 0 || local.idle > 0))
      here = PresenceState::kOnline;
  }
  return impl_->everywhere(key, here);
}

void PresenceTable::tick(const Now& now, const Changed& changed) {
  if (now.monotonic_ns - impl_->last_tick_ns < impl_->limits.gather_ns) return;
  impl_->last_tick_ns = now.monotonic_ns;
  std::vector<std::string> silent;
  for (const auto& [name, node] : impl_->nodes) {
    if (now.monotonic_ns - node.heard_ns >= impl_->limits.lease_ns) silent.push_back(name);
  }
  for (const std::string& node : silent) node_left(node, now);
  std::vector<NodePresence> told;
  std::set<std::string> later;
  for (const std::string& user : std::exchange(impl_->changed, {})) {
    const auto found = impl_->users.find(user);
    if (found == impl_->users.end()) continue;
    Local& local = found->second;
    const PresenceState here = impl_->here(local, now.monotonic_ns);
    const PresenceState state = impl_->everywhere(user, here);
    if (state != local.told) told.push_back({user, state});
    local.told = state;
    const bool becomes_away = local.active == 0 && local.idle > 0 && here == PresenceState::kOnline;
    const bool goes = local.active == 0 && local.idle == 0 && here != PresenceState::kOffline;
    if (becomes_away || goes) later.insert(user);
    if (state == PresenceState::kOffline && local.connections == 0) impl_->users.erase(found);
  }
  impl_->changed.merge(later);
  if (!told.empty()) changed(told);
}

std::size_t PresenceTable::users() const {
  return impl_->users.size();
}

std::uint64_t PresenceTable::untracked() const {
  return impl_->untracked;
}

}  // namespace headroom::bus
