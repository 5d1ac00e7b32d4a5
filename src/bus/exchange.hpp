#pragma once

// What exchanges between nodes have in common, whatever carries them: what is yet to be said, and how users
// are written. Pure; an exchange with a thread of its own guards these.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bus/authority.hpp"
#include "bus/presence.hpp"

namespace headroom::bus {

/// Counts of an exchange of presence since its start.
struct ExchangeCounts {
  std::uint64_t announced = 0;  ///< changes of this node that were taken
  std::uint64_t heard = 0;      ///< of other nodes
  std::uint64_t losses = 0;     ///< of the connection
};

/// Likewise of revocations.
struct RevocationCounts {
  std::uint64_t announced = 0;  ///< by this node, that were taken
  std::uint64_t heard = 0;      ///< read where they are kept, its own too
};

/// A line for each user: "n" (online), "a" (away) or "f" (offline) and the name.
[[nodiscard]] std::string presence_text(const std::vector<NodePresence>& users);
/// Lines of another form are passed over.
[[nodiscard]] std::vector<NodePresence> read_presence_text(std::string_view text);

/// What a node has yet to say of its presence. Bounds: kMost words wait; then one account of everybody who is
/// there takes their place.
class PresenceWords final {
 public:
  static constexpr std::size_t kMost = 64;

  /// What was said before is not known to the others: nothing is said until everybody was named. False: that
  /// was asked for already.
  [[nodiscard]] bool start_anew();
  /// False: there is no room, or everybody has to be named first. Then see `start_anew`.
  [[nodiscard]] bool add(const PresenceWord& word);
  [[nodiscard]] std::deque<PresenceWord> take();
  [[nodiscard]] bool empty() const { return words_.empty(); }

 private:
  bool wants_all_ = false;
  std::deque<PresenceWord> words_;
};

/// Whether somebody else's word may be one: 'u' or 's' and a name of a bounded size.
[[nodiscard]] bool is_revocation_key(std::string_view key);

/// What a node has yet to tell of revocations to where they are kept, and lacks there. Bounds: kMost wait;
/// what finds no room is told when there is room again.
class RevocationWords final {
 public:
  static constexpr std::size_t kMost = 10'000;

  /// Another connection: what is kept there is not known.
  void start_anew();
  /// It is kept there.
  void heard(const Revocation& revocation);
  void add(const Revocation& revocation);
  /// The next one that is not kept there; it stays the next one until it was `heard`.
  [[nodiscard]] std::optional<Revocation> next();
  /// Whether the node has to add all that it knows: once after `start_anew`, and when something found no
  /// room.
  [[nodiscard]] bool takes_all();
  [[nodiscard]] bool empty() const { return words_.empty(); }

 private:
  [[nodiscard]] bool is_kept(const Revocation& revocation) const;

  std::deque<Revocation> words_;
  std::unordered_map<std::string, std::int64_t> kept_;
  bool has_told_all_ = false;
  bool has_dropped_ = false;
};

}  // namespace headroom::bus
