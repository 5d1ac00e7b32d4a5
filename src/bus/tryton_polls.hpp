#pragma once

// The waiting polls of one Tryton database as a pure state machine: what a poll is answered and when, which
// sessions are to be looked up, and who may read which channel. No socket, no clock, no thread.
//
// A poll passes two gates. Its session was seen in the database within `fresh`: else it waits for the next
// look-up, of which there is one at a time and none sooner than `pause` after the one before, each for many
// sessions. Then there is a message for it: else it waits in the index of its channels, at most `wait`.
//
// While a poll waits its session is looked up again every `check_every`. One that is gone is answered at
// once; a database that does not answer keeps messages back from sessions that are not known to hold any
// more, and gives them when it answers again: the history keeps them that long.
//
// A connection that stays (of another door) is no poll: it holds its session, which is looked up likewise
// until it is released, and claims client channels that stay its user's.
//
// Rejected: a look-up per poll (5,000 clients would be 5,000 statements at each broadcast); trusting a
// session as long as its poll waits (a logout would not be seen for five minutes).

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bus/tryton_history.hpp"
#include "bus/tryton_payload.hpp"

namespace headroom::bus {

struct TrytonPollLimits {
  std::chrono::milliseconds wait{300'000};        ///< for a message; trytond's long_polling_timeout
  std::chrono::milliseconds check_within{5'000};  ///< for the first look-up of a session
  std::chrono::milliseconds check_every{2'000};   ///< while a poll waits
  std::chrono::milliseconds fresh{5'000};         ///< how long an answer of the database holds
  std::chrono::milliseconds pause{100};           ///< between two look-ups
  std::size_t sessions_per_check = 2'000;
  std::size_t polls = 50'000;  ///< one more is refused
  std::size_t claims =
      100'000;  ///< owners of client channels; the one that was used longest ago is forgotten
  TrytonRetention retention;
  /// Whoever holds sessions keeps messages so long; a client channel changes its owner later than that.
  std::chrono::milliseconds kept_elsewhere{0};
};

using TrytonPollId = std::uint64_t;

enum class TrytonOutcome : std::uint8_t {
  kMessage,
  kNothing,       ///< the wait is over
  kUnauthorized,  ///< no such session, or it has ended
  kAuthorized,    ///< of a poll that only asked for this
  kUnavailable,   ///< the session could not be looked up in time
};

struct TrytonAnswer {
  TrytonPollId poll = 0;
  TrytonOutcome outcome = TrytonOutcome::kNothing;
  TrytonHistory::Message message;  ///< of kMessage
};

/// Counts since start.
struct TrytonPollCounts {
  std::uint64_t polls = 0;
  std::uint64_t messages = 0;   ///< that arrived
  std::uint64_t delivered = 0;  ///< answers with a message
  std::uint64_t refused = 0;    ///< beyond the bound
  std::uint64_t unauthorized = 0;
  std::uint64_t unavailable = 0;
  std::uint64_t checks = 0;   ///< look-ups, each of many sessions
  std::uint64_t foreign = 0;  ///< channels of another user that a poll asked for
};

/// What a poll asks for, once its session is known to hold.
enum class TrytonWish : std::uint8_t { kMessages, kAuthorization };

/// Guarantees: every poll that `open` took is answered exactly once, unless it was closed; the messages of a
/// channel are answered in their order; a `client:` channel is read by one user only, the first who polls it,
/// until that user's session ends or nobody polls it for `wait` and the retention together. One that a
/// connection which stays has claimed does not end with the session.
/// Threads: none. Cost: of a message O(polls that wait for it); of a poll O(channels).
class TrytonPolls {
 public:
  using Time = TrytonHistory::Time;

  explicit TrytonPolls(const TrytonPollLimits& limits) : limits_(limits), history_(limits.retention) {}

  /// Nothing when there are too many polls.
  [[nodiscard]] std::optional<TrytonPollId> open(Time now, const TrytonSession& session, TrytonPoll poll,
                                                 TrytonWish wish = TrytonWish::kMessages);
  /// The client has gone; an id that is not known is passed over.
  void close(TrytonPollId id);
  void publish(Time now, const TrytonHistory::Message& message);

  /// The sessions to look up now; empty when there is none, or it is too soon. The caller must say how it
  /// went, by `checked` or `check_failed`.
  [[nodiscard]] std::vector<TrytonSession> next_check(Time now);
  void checked(Time now, const std::set<TrytonSession>& valid);
  void check_failed();

  /// A connection that stays lives by this session. False when the session is not known to hold.
  [[nodiscard]] bool hold(const TrytonSession& session);
  /// As often as it was held; one that has ended is passed over.
  void release(const TrytonSession& session);
  /// Sessions that were held and have ended, since the last time.
  [[nodiscard]] std::vector<TrytonSession> take_ended();
  [[nodiscard]] std::vector<TrytonSession> held() const;
  [[nodiscard]] bool has_held() const { return !held_seen_.empty(); }
  /// Whether every session that is held was seen within `fresh`: only then what comes may be told to it.
  [[nodiscard]] bool are_held_fresh(Time now) const;
  /// Whether a session that is held may read this channel. A client channel becomes its user's, also beyond
  /// the session's end.
  [[nodiscard]] bool may_hold(Time now, const TrytonSession& session, const std::string& channel);

  /// Ends what has waited too long and drops what is too old; to be called several times a second while there
  /// are polls, once in a while else.
  void tick(Time now);
  /// What was decided since the last time.
  [[nodiscard]] std::vector<TrytonAnswer> take_answers();

  [[nodiscard]] std::size_t waiting() const { return polls_.size(); }
  [[nodiscard]] const TrytonHistory& history() const { return history_; }
  [[nodiscard]] const TrytonPollCounts& counts() const { return counts_; }

 private:
  struct Poll {
    TrytonSession session;
    std::vector<std::string> channels;
    std::optional<std::string> last;
    TrytonWish wish = TrytonWish::kMessages;
    Time opened;
  };
  struct Session {
    std::optional<Time> asked;     ///< when it was looked up last, as far as there was an answer
    bool under_way = false;        ///< it is being looked up
    bool kept_back = false;        ///< a message came while it was not known to hold
    std::set<TrytonPollId> polls;  ///< in order, so that the first of two who want one channel gets it
    std::size_t holders = 0;       ///< connections that live by it
  };
  struct Claim {
    TrytonSession owner;  ///< the user, and the session that polled last
    Time used;
    bool is_held = false;  ///< it outlives the session: messages are kept elsewhere for its user
    std::list<std::string>::iterator order;
  };
  using Sessions = std::map<TrytonSession, Session>;

  [[nodiscard]] bool is_fresh(const Session& session, Time now) const;
  void begin(Time now, TrytonPollId id, const Poll& poll);
  void look(Time now, TrytonPollId id, const Poll& poll);
  void wait_for(TrytonPollId id, const Poll& poll);
  void answer(TrytonPollId id, TrytonOutcome outcome, TrytonHistory::Message message = nullptr);
  void end(TrytonPollId id);
  void forget_if_unused(Sessions::iterator session);
  void confirm(Time now, const TrytonSession& session);
  void revoke(const TrytonSession& session);
  [[nodiscard]] bool may_read(Time now, const TrytonSession& session, const std::string& channel);
  [[nodiscard]] static bool is_in_use(const Session& session);
  [[nodiscard]] bool is_held(const TrytonSession& session) const;
  void forget(const std::string& channel);
  void expire_claims(Time now);

  TrytonPollLimits limits_;
  TrytonHistory history_;
  TrytonPollCounts counts_;
  TrytonPollId last_id_ = 0;
  // Ids grow, so both are in order of opening, and of the end of the wait.
  std::map<TrytonPollId, Poll> polls_;
  std::set<TrytonPollId> unverified_;
  std::unordered_map<std::string, std::set<TrytonPollId>> waiting_for_;
  Sessions sessions_;
  /// By the time of the last look-up: first those that had none.
  std::set<std::pair<Time, TrytonSession>> turns_;
  std::vector<TrytonSession> asked_;
  Time asked_at_ = Time::min();
  std::unordered_map<std::string, Claim> claims_;
  std::list<std::string> claim_order_;  ///< first the one that was used longest ago
  std::vector<TrytonAnswer> answers_;
  std::multiset<Time> held_seen_;  ///< when each session that is held was looked up last
  std::vector<TrytonSession> ended_;
};

}  // namespace headroom::bus
