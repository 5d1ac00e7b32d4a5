#pragma once

// What nodes tell each other beside messages through PostgreSQL, as a state machine without a connection: who
// is there, who is in which channel, and who may not come in any more. sql/nodes.sql is its other half.
//
//   hear ──> all that is revoked is read; everybody is named anew, and the others are asked to do so ──> talk
//    ^                                                                                                    │
//    └──────────────────────────────── the connection is lost ────────────────────────────────────────────┘
//
// What is said of users is notified, in a transaction of its own, and kept nowhere: who was away asks. What
// is revoked is a row, and read as such; a notification only says when.

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/exchange.hpp"
#include "bus/postgres_node.hpp"
#include "sql/rows.hpp"

namespace headroom::bus {

/// Of whom something is said: users, or users in channels.
enum class Crowd : std::uint8_t { kUsers, kMembers };
constexpr std::size_t kCrowds = 2;
[[nodiscard]] constexpr std::size_t index_of(Crowd crowd) {
  return static_cast<std::size_t>(crowd);
}

/// A part of what a node said, or "left", "ask" or "revoked".
struct SaidPart {
  enum class Kind : std::uint8_t { kWord, kLeft, kAsk, kRevoked };
  Kind kind = Kind::kRevoked;
  std::string_view node;  ///< that said it
  Crowd crowd = Crowd::kUsers;
  std::string_view asked;  ///< kAsk: the node that is to name everybody; empty: all nodes
  std::uint64_t number = 0;
  bool whole = false;
  std::uint32_t part = 1;  ///< of `parts`
  std::uint32_t parts = 1;
  std::string_view users;  ///< as presence_text writes them
};
/// Nothing when it is none.
[[nodiscard]] std::optional<SaidPart> parse_said(std::string_view payload);
/// A word in notifications that PostgreSQL takes: less than 8,000 bytes each.
[[nodiscard]] std::vector<std::string> said_parts(Crowd crowd, std::string_view node,
                                                  const PresenceWord& word);

/// What is to be told to the hub.
struct TalkNews {
  struct Word {
    Crowd crowd = Crowd::kUsers;
    std::string node;
    bool left = false;  ///< the node ended in good order, of both crowds
    PresenceWord word;
  };
  std::vector<Word> words;
  std::array<bool, kCrowds> name_all{};  ///< for PresenceTable::announce_whole
  std::vector<Revocation> revoked;
  bool tell_revoked = false;  ///< all that is revoked here is to be announced

  [[nodiscard]] bool empty() const {
    return words.empty() && revoked.empty() && !tell_revoked && !name_all[0] && !name_all[1];
  }
};

/// Bounds: those of PresenceWords and RevocationWords, and kMostUntaken words that the hub has not taken;
/// what comes beyond them is missed, and asked for.
class Talk final {
 public:
  /// `node`: another for every run, of kMostNodeBytes at most.
  explicit Talk(std::string node) : node_(std::move(node)) {}

  void say(Crowd crowd, const PresenceWord& word);
  void ask(Crowd crowd, std::string_view node);
  void revoke(const Revocation& revocation) { revocations_.add(revocation); }
  /// The node ends in good order, and says nothing after that.
  void leave() { leaving_ = true; }
  /// It has said so, or can't.
  [[nodiscard]] bool has_left() const { return leaving_ && (!hears_ || has_said_left_); }

  [[nodiscard]] std::optional<Question> next(PostgresTime now);
  void answered(PostgresTime now, const Result<sql::PostgresRows>& rows);
  /// What was notified.
  void heard(PostgresTime now, std::string_view payload);
  void lost();
  /// When something may be due.
  [[nodiscard]] PostgresTime wake_at() const;

  [[nodiscard]] TalkNews take_news();
  [[nodiscard]] const ExchangeCounts& counts(Crowd crowd) const { return counts_[index_of(crowd)]; }
  [[nodiscard]] const RevocationCounts& revocation_counts() const { return revocation_counts_; }
  /// Why the database did not do what was asked last; empty.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  static constexpr std::chrono::milliseconds kLookEvery{2'000};  ///< a notification may not have come
  static constexpr std::chrono::milliseconds kRetryAfter{1'000};
  static constexpr std::size_t kMostUntaken = 1'000;

 private:
  enum class Asked : std::uint8_t { kNothing, kHear, kTell, kLeave, kRevoke, kLook };
  /// The parts of one word come one after another.
  struct Assembly {
    TalkNews::Word word;
    std::uint32_t next_part = 0;
  };
  [[nodiscard]] std::optional<Question> next_told();
  [[nodiscard]] static Question tell(const std::vector<std::string>& parts);
  [[nodiscard]] Question look();
  void begin(PostgresTime now);
  void name_all(Crowd crowd);
  void told();
  void missed();
  void looked(PostgresTime now, const sql::PostgresRows& rows);
  void take_part(const SaidPart& said);
  [[nodiscard]] bool has_something() const;

  std::string node_;
  bool hears_ = false;
  Asked asked_ = Asked::kNothing;
  PostgresTime retry_at_{};
  PostgresTime look_at_{};
  std::array<PresenceWords, kCrowds> words_;
  std::deque<std::string> asks_;  ///< payloads
  std::array<std::uint64_t, kCrowds> under_way_{};
  RevocationWords revocations_;
  std::optional<Revocation> revoking_;
  std::string since_;
  bool leaving_ = false;
  bool has_said_left_ = false;
  Assembly assembly_;
  TalkNews news_;
  std::array<ExchangeCounts, kCrowds> counts_;
  RevocationCounts revocation_counts_;
  std::string problem_;
};

}  // namespace headroom::bus
