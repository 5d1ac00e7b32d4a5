#pragma once

// Who is there: online, away or offline per user, over all tabs, devices and nodes. In memory; no heartbeat
// reaches a database. Each node holds a lease on what it says; when a node dies its users go offline after
// the lease, and not before.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/message.hpp"

namespace headroom::bus {

enum class PresenceState : std::uint8_t { kOffline, kAway, kOnline };

/// "online", "away", "offline".
[[nodiscard]] std::string_view name(PresenceState state);

/// How the tabs of a connection are used: it is active when one tab is, idle when none is but there are some.
struct Activity {
  std::uint32_t active = 1;
  std::uint32_t idle = 0;
};

struct PresenceLimits {
  std::int64_t away_after_ns = 300'000'000'000;
  std::int64_t lease_ns = 60'000'000'000;         ///< of another node, from its last word
  std::int64_t gather_ns = 500'000'000;           ///< changes are told this much later at least, together
  std::int64_t offline_after_ns = 5'000'000'000;  ///< a user who comes back before was never gone
  std::size_t users = 200'000;  ///< beyond it a new user is not tracked and seems offline; counted
};

/// What one node knows of a user.
struct NodePresence {
  std::string user;
  PresenceState state = PresenceState::kOffline;
};

/// Carries what one node knows to the others. A bus of one node has none.
class PresenceExchange {
 public:
  virtual ~PresenceExchange() = default;
  /// Tells the other nodes, which give it to `PresenceTable::heard`. Comes a few times per lease, also
  /// without changes, so that it renews the lease.
  virtual void announce(const std::vector<NodePresence>& changes, const Now& now) = 0;
};

/// Whatever may change by time alone stands in a queue by its time, so nobody is looked at for nothing.
/// Threads: that of the hub. Cost: O(log) per event; `tick` is O(what is due).
class PresenceTable {
 public:
  using Changed = std::function<void(const std::vector<NodePresence>& changes)>;

  explicit PresenceTable(const PresenceLimits& limits);
  ~PresenceTable();
  PresenceTable(const PresenceTable&) = delete;
  PresenceTable& operator=(const PresenceTable&) = delete;

  /// The exchange outlives the table.
  void use(PresenceExchange& exchange);

  /// One connection of the user more, or less. A connection counts as active until it reports.
  void connected(std::string_view user, const Now& now);
  void disconnected(std::string_view user, const Activity& last, const Now& now);
  void reported(std::string_view user, const Activity& before, const Activity& after, const Now& now);

  /// What another node said; it is forgotten `lease_ns` after its last word.
  void heard(std::string_view node, const std::vector<NodePresence>& changes, const Now& now);
  /// The node ended in good order.
  void node_left(std::string_view node, const Now& now);

  /// At the time of the last event or tick.
  [[nodiscard]] PresenceState state(std::string_view user) const;
  /// The users of this node who are not offline: what another node that just came needs to be told.
  [[nodiscard]] std::vector<NodePresence> local() const;
  /// What is due: users who became away, are really gone, whose lease is over. Tells every user whose state
  /// is another than told last, once.
  void tick(const Now& now, const Changed& changed);
  [[nodiscard]] std::size_t users() const;
  [[nodiscard]] std::uint64_t untracked() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::bus
