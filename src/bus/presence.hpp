#pragma once

// Who is there: online, away or offline per user, over all tabs, devices and nodes. In memory; no heartbeat
// reaches a database. Each node holds a lease on what it says; when a node dies its users go offline after
// the lease, and not before.
//
// Nodes tell each other changes only, in numbered words. Who misses one notices it by the number of the next,
// at the latest when the lease is renewed, and asks for the whole. A node's name is that of one run of it:
// one that was started anew is another node, so whoever was on the old one is believed until its lease ends,
// and has that long to come back. A lease runs by the clock of the node that holds it against others; clocks
// of different machines are never compared.

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
  std::int64_t ask_again_ns = 5'000'000'000;      ///< for the whole that has not come
  std::int64_t gather_ns = 500'000'000;           ///< changes are told this much later at least, together
  std::int64_t offline_after_ns = 5'000'000'000;  ///< a user who comes back before was never gone
  std::size_t users = 200'000;  ///< beyond it a new user is not tracked and seems offline; counted
  std::size_t nodes = 256;      ///< beyond it a new node is not heard; its words are counted
  Result<void> (*check)(std::string_view name) = check_user;  ///< what other nodes may name
};

/// What one node knows of a user.
struct NodePresence {
  std::string user;
  PresenceState state = PresenceState::kOffline;
};

/// What a node says. Numbers begin at 1 and have no gaps.
struct PresenceWord {
  std::uint64_t number = 0;
  bool whole = false;  ///< all users who are not offline; else changes, none when it renews the lease alone
  std::vector<NodePresence> states;
};

constexpr std::size_t kMostNodeBytes = 128;

/// A user who is not offline, for pages and the command line.
struct PresentUser {
  std::string user;
  PresenceState state = PresenceState::kOffline;
  std::uint32_t connections = 0;  ///< of this node
};

/// Which of them are asked for.
struct PresenceQuery {
  std::string_view part;                          ///< of the name; empty: any
  PresenceState state = PresenceState::kOffline;  ///< these alone; kOffline: online and away
  std::size_t first = 0;
  std::size_t most = 100;
};

/// Some of them, by name; and how many names hold the part, whatever the state that was asked for.
struct PresencePage {
  std::vector<PresentUser> users;
  std::size_t online = 0;
  std::size_t away = 0;
};

/// Carries what one node knows to the others. A bus of one node has none.
class PresenceExchange {
 public:
  virtual ~PresenceExchange() = default;

  /// Gives it to `PresenceTable::heard` of the other nodes, in order; a word may get lost or come twice. Four
  /// words come per lease at least, so that it is renewed. What could not be sent is made up for by
  /// `PresenceTable::announce_whole`, once it can.
  virtual void announce(const PresenceWord& word, const Now& now) = 0;
  /// Something that the node said was missed: a whole word of it is wanted, from wherever it is kept, or by
  /// that node's `announce_whole`. Asked again when it does not come.
  virtual void ask(std::string_view node, const Now& now) = 0;
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

  /// The exchange outlives the table. The first word that it is told is a whole one.
  void use(PresenceExchange& exchange);
  [[nodiscard]] bool is_shared() const;
  /// The next word, with the next tick, is a whole one: nobody can know what was said before.
  void announce_whole();

  /// One connection of the user more, or less. A connection counts as active until it reports.
  void connected(std::string_view user, const Now& now);
  void disconnected(std::string_view user, const Activity& last, const Now& now);
  void reported(std::string_view user, const Activity& before, const Activity& after, const Now& now);

  /// What another node said; it is forgotten `lease_ns` after its last word. `late_ns`: how long the word was
  /// on its way, or kept, as far as the exchange knows: the lease began so much earlier. Words that come
  /// again and names that are no user's or node's are ignored.
  void heard(std::string_view node, const PresenceWord& word, const Now& now, std::int64_t late_ns = 0);
  /// The node ended in good order: its users have `offline_after_ns` to come back elsewhere.
  void node_left(std::string_view node, const Now& now);

  /// At the time of the last event or tick.
  [[nodiscard]] PresenceState state(std::string_view user) const;
  /// The users of this node who are not offline.
  [[nodiscard]] std::vector<NodePresence> local() const;
  /// At the time of the last event or tick. Cost: O(users), and O(log (first + most)) for each that is found.
  [[nodiscard]] PresencePage find(const PresenceQuery& query) const;
  /// What is due: users who became away, are really gone, whose lease is over. Tells every user whose state
  /// is another than told last, once.
  void tick(const Now& now, const Changed& changed);
  [[nodiscard]] std::size_t users() const;
  [[nodiscard]] std::size_t nodes() const;
  [[nodiscard]] std::uint64_t untracked() const;  ///< users and words that found no room

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::bus
