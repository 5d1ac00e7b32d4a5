#include "bus/presence.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

namespace headroom::bus {
namespace {

constexpr std::array kStateNames = std::to_array<std::string_view>({"offline", "away", "online"});
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

bool is_active(const Activity& activity) {
  return activity.active > 0;
}
bool is_idle(const Activity& activity) {
  return activity.active == 0 && activity.idle > 0;
}

}  // namespace

std::string_view name(PresenceState state) {
  return kStateNames[static_cast<std::size_t>(state)];
}

struct PresenceTable::Impl {
  struct Remote {
    const void* node = nullptr;
    PresenceState state = PresenceState::kOffline;
  };
  struct User {
    std::string name;
    std::uint32_t active = 0;  ///< connections of this node
    std::uint32_t idle = 0;
    std::int64_t idle_ns = 0;  ///< since when none is active
    std::int64_t gone_ns = 0;  ///< since when there is none
    std::int64_t due_ns = kNever;
    std::vector<Remote> remote;
    PresenceState before_gone = PresenceState::kOffline;
    PresenceState told = PresenceState::kOffline;
    PresenceState announced = PresenceState::kOffline;
  };
  struct Node {
    std::uint64_t number = 0;   ///< of its last word
    std::int64_t until_ns = 0;  ///< the end of its lease
    std::int64_t asked_ns = 0;
    bool doubtful = false;            ///< a word was missed: the whole is asked for
    std::unordered_set<User*> users;  ///< that name this node in `remote`
  };
  struct Due {
    std::int64_t at_ns = 0;
    std::string user;
    bool operator>(const Due& other) const { return at_ns > other.at_ns; }
  };

  explicit Impl(const PresenceLimits& given) : limits(given) {}

  void at(const Now& now) { seen_ns = std::max(seen_ns, now.monotonic_ns); }

  User* find(std::string_view user) {
    const auto found = users.find(user);
    return found == users.end() ? nullptr : found->second.get();
  }

  User* find_or_add(std::string_view user) {
    if (User* found = find(user)) return found;
    if (users.size() >= limits.users) {
      ++untracked;
      return nullptr;
    }
    auto added = std::make_unique<User>();
    added->name = user;
    User* kept = added.get();
    users.emplace(kept->name, std::move(added));
    return kept;
  }

  [[nodiscard]] PresenceState local_state(const User& user, std::int64_t now_ns) const {
    if (user.active > 0) return PresenceState::kOnline;
    if (user.idle > 0)
      return now_ns - user.idle_ns >= limits.away_after_ns ? PresenceState::kAway : PresenceState::kOnline;
    return now_ns - user.gone_ns < limits.offline_after_ns ? user.before_gone : PresenceState::kOffline;
  }

  [[nodiscard]] PresenceState state_of(const User& user, std::int64_t now_ns) const {
    PresenceState state = local_state(user, now_ns);
    for (const Remote& each : user.remote) state = std::max(state, each.state);
    return state;
  }

  void look_at(User& user, std::int64_t at_ns) {
    if (at_ns >= user.due_ns) return;
    user.due_ns = at_ns;
    due.push({at_ns, user.name});
  }

  /// Applies a change of this node's connections to a user.
  template <typename Change>
  void change(std::string_view name, const Now& now, Change apply) {
    at(now);
    User* user = find_or_add(name);
    if (user == nullptr) return;
    const PresenceState before = local_state(*user, now.monotonic_ns);
    const bool was_active = user->active > 0;
    const bool was_there = was_active || user->idle > 0;
    apply(*user);
    if (was_active && user->active == 0) user->idle_ns = now.monotonic_ns;
    if (!was_there && user->active == 0) user->idle_ns = now.monotonic_ns;
    if (was_there && user->active == 0 && user->idle == 0) {
      user->gone_ns = now.monotonic_ns;
      user->before_gone = before;
    }
    look_at(*user, now.monotonic_ns + limits.gather_ns);
  }

  /// The next time at which this user may be something else without an event.
  void plan(User& user, std::int64_t now_ns) {
    if (user.active > 0) return;
    const std::int64_t at =
        user.idle > 0 ? user.idle_ns + limits.away_after_ns : user.gone_ns + limits.offline_after_ns;
    if (at > now_ns) look_at(user, at);
  }

  void evaluate(User& user, std::int64_t now_ns, std::vector<NodePresence>& changes,
                std::vector<NodePresence>& announcements) {
    user.due_ns = kNever;
    const PresenceState local = local_state(user, now_ns);
    if (local != user.announced) announcements.push_back({user.name, user.announced = local});
    const PresenceState state = state_of(user, now_ns);
    if (state != user.told) changes.push_back({user.name, user.told = state});
    plan(user, now_ns);
    const bool over = user.active == 0 && user.idle == 0 && user.remote.empty() && user.due_ns == kNever;
    if (over && state == PresenceState::kOffline) users.erase(users.find(user.name));
  }

  void set_remote(Node& node, User& user, PresenceState state) {
    auto found = std::find_if(user.remote.begin(), user.remote.end(),
                              [&](const Remote& each) { return each.node == &node; });
    if (state == PresenceState::kOffline) {
      if (found == user.remote.end()) return;
      user.remote.erase(found);
      node.users.erase(&user);
    } else if (found == user.remote.end()) {
      user.remote.push_back({&node, state});
      node.users.insert(&user);
    } else {
      found->state = state;
    }
  }

  void forget(Node& node, std::int64_t now_ns) {
    for (User* user : node.users) {
      std::erase_if(user->remote, [&](const Remote& each) { return each.node == &node; });
      look_at(*user, now_ns);
    }
  }

  void look_at_nodes(const Now& now) {
    for (auto each = nodes.begin(); each != nodes.end();) {
      Node& node = *each->second;
      const bool over = now.monotonic_ns >= node.until_ns;
      if (over) forget(node, now.monotonic_ns);
      if (!over && node.doubtful && now.monotonic_ns - node.asked_ns >= limits.ask_again_ns)
        ask(each->first, node, now);
      each = over ? nodes.erase(each) : std::next(each);
    }
  }

  Node* find_or_add_node(std::string_view name) {
    const auto found = nodes.find(std::string(name));
    if (found != nodes.end()) return found->second.get();
    if (name.empty() || name.size() > kMostNodeBytes) return nullptr;
    if (nodes.size() >= limits.nodes) {
      ++untracked;
      return nullptr;
    }
    return nodes.emplace(name, std::make_unique<Node>()).first->second.get();
  }

  void ask(std::string_view name, Node& node, const Now& now) {
    node.doubtful = true;
    node.asked_ns = now.monotonic_ns;
    if (exchange != nullptr) exchange->ask(name, now);
  }

  /// Whether it says something new. A whole that is older than what was heard since would undo that.
  static bool goes_on(const Node& node, const PresenceWord& word) {
    return word.whole ? word.number >= node.number : word.number > node.number;
  }

  void take(Node& node, const PresenceWord& word, const Now& now) {
    const std::int64_t at_ns = now.monotonic_ns + limits.gather_ns;
    std::unordered_set<const User*> named;
    for (const NodePresence& one : word.states) {
      const bool gone = one.state == PresenceState::kOffline;
      if (!limits.check(one.user)) continue;
      User* user = gone ? find(one.user) : find_or_add(one.user);
      if (user == nullptr) continue;
      named.insert(user);
      set_remote(node, *user, one.state);
      look_at(*user, at_ns);
    }
    if (!word.whole) return;
    for (User* user : std::vector<User*>(node.users.begin(), node.users.end())) {
      if (named.contains(user)) continue;
      set_remote(node, *user, PresenceState::kOffline);
      look_at(*user, at_ns);
    }
  }

  void announce(std::vector<NodePresence> changes, const Now& now) {
    if (exchange == nullptr) return;
    const bool renew = now.monotonic_ns - announced_ns >= limits.lease_ns / 4;
    if (!whole_due && changes.empty() && !renew) return;
    announced_ns = now.monotonic_ns;
    PresenceWord word{++words, std::exchange(whole_due, false), std::move(changes)};
    if (word.whole) word.states = announce_all(now.monotonic_ns);
    exchange->announce(word, now);
  }

  std::vector<NodePresence> announce_all(std::int64_t now_ns) {
    std::vector<NodePresence> all;
    for (const auto& [unused, user] : users) {
      user->announced = local_state(*user, now_ns);
      if (user->announced != PresenceState::kOffline) all.push_back({user->name, user->announced});
    }
    return all;
  }

  PresenceLimits limits;
  std::unordered_map<std::string_view, std::unique_ptr<User>> users;
  std::unordered_map<std::string, std::unique_ptr<Node>> nodes;
  /// An entry whose time is not its user's `due_ns` is out of date.
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
  PresenceExchange* exchange = nullptr;
  std::int64_t seen_ns = 0;  ///< of the last event or tick
  std::int64_t announced_ns = 0;
  std::uint64_t words = 0;  ///< that this node has said
  bool whole_due = true;
  std::uint64_t untracked = 0;
};

PresenceTable::PresenceTable(const PresenceLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
PresenceTable::~PresenceTable() = default;

void PresenceTable::use(PresenceExchange& exchange) {
  impl_->exchange = &exchange;
  impl_->whole_due = true;
}

bool PresenceTable::is_shared() const {
  return impl_->exchange != nullptr;
}

void PresenceTable::announce_whole() {
  impl_->whole_due = true;
}

void PresenceTable::connected(std::string_view user, const Now& now) {
  impl_->change(user, now, [](Impl::User& each) { ++each.active; });
}

void PresenceTable::reported(std::string_view user, const Activity& before, const Activity& after,
                             const Now& now) {
  impl_->change(user, now, [&](Impl::User& each) {
    if (is_active(before) && each.active > 0) --each.active;
    if (is_idle(before) && each.idle > 0) --each.idle;
    each.active += is_active(after) ? 1 : 0;
    each.idle += is_idle(after) ? 1 : 0;
  });
}

void PresenceTable::disconnected(std::string_view user, const Activity& last, const Now& now) {
  if (impl_->find(user) != nullptr) reported(user, last, {0, 0}, now);
}

void PresenceTable::heard(std::string_view node, const PresenceWord& word, const Now& now,
                          std::int64_t late_ns) {
  impl_->at(now);
  const std::int64_t until_ns = now.monotonic_ns - late_ns + impl_->limits.lease_ns;
  if (until_ns <= now.monotonic_ns) return;
  Impl::Node* known = impl_->find_or_add_node(node);
  if (known == nullptr) return;
  // Only what the node said since shows that it lives; a whole word may come from where it is kept.
  if (word.number > known->number) known->until_ns = std::max(known->until_ns, until_ns);
  if (!Impl::goes_on(*known, word)) return;
  const bool missed = !word.whole && word.number != known->number + 1;
  known->number = word.number;
  if (word.whole) known->doubtful = false;
  impl_->take(*known, word, now);
  if (missed && !known->doubtful) impl_->ask(node, *known, now);
}

void PresenceTable::node_left(std::string_view node, const Now& now) {
  impl_->at(now);
  const auto found = impl_->nodes.find(std::string(node));
  if (found == impl_->nodes.end()) return;
  found->second->until_ns =
      std::min(found->second->until_ns, now.monotonic_ns + impl_->limits.offline_after_ns);
}

PresenceState PresenceTable::state(std::string_view user) const {
  const Impl::User* found = impl_->find(user);
  return found == nullptr ? PresenceState::kOffline : impl_->state_of(*found, impl_->seen_ns);
}

std::vector<NodePresence> PresenceTable::local() const {
  std::vector<NodePresence> all;
  for (const auto& [unused, user] : impl_->users) {
    const PresenceState state = impl_->local_state(*user, impl_->seen_ns);
    if (state != PresenceState::kOffline) all.push_back({user->name, state});
  }
  return all;
}

PresencePage PresenceTable::find(const PresenceQuery& query) const {
  PresencePage page;
  std::vector<const Impl::User*> found;
  for (const auto& [user_name, user] : impl_->users) {
    if (user_name.find(query.part) == std::string_view::npos) continue;
    const PresenceState state = impl_->state_of(*user, impl_->seen_ns);
    if (state == PresenceState::kOffline) continue;
    ++(state == PresenceState::kOnline ? page.online : page.away);
    if (query.state == PresenceState::kOffline || query.state == state) found.push_back(user.get());
  }
  const std::size_t first = std::min(query.first, found.size());
  const std::size_t last = first + std::min(query.most, found.size() - first);
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(last), found.end(),
                    [](const Impl::User* a, const Impl::User* b) { return a->name < b->name; });
  for (std::size_t i = first; i < last; ++i) {
    const Impl::User& user = *found[i];
    page.users.push_back({user.name, impl_->state_of(user, impl_->seen_ns), user.active + user.idle});
  }
  return page;
}

void PresenceTable::tick(const Now& now, const Changed& changed) {
  impl_->at(now);
  impl_->look_at_nodes(now);
  std::vector<NodePresence> changes;
  std::vector<NodePresence> announcements;
  while (!impl_->due.empty() && impl_->due.top().at_ns <= now.monotonic_ns) {
    const Impl::Due next = impl_->due.top();
    impl_->due.pop();
    Impl::User* user = impl_->find(next.user);
    if (user != nullptr && user->due_ns == next.at_ns)
      impl_->evaluate(*user, now.monotonic_ns, changes, announcements);
  }
  impl_->announce(std::move(announcements), now);
  if (!changes.empty()) changed(changes);
}

std::size_t PresenceTable::users() const {
  return impl_->users.size();
}

std::size_t PresenceTable::nodes() const {
  return impl_->nodes.size();
}

std::uint64_t PresenceTable::untracked() const {
  return impl_->untracked;
}

}  // namespace headroom::bus
