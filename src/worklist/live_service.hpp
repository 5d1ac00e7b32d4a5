#pragma once

// A LiveSource on a thread of its own: counts for whoever asks, and for whoever watches whenever they change.
//
//   any thread ── orders ──> the thread: advance the source, answer, tell ──> callbacks
//
// Counts are answered and told between transactions alone, so each answer is a moment of the database. Who
// watches is counted again after a change, one user after the other, and between them the log is read on:
// what changed meanwhile is counted with the next round. So a burst costs a round or two, not one for each
// change.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "sql/waiting.hpp"
#include "worklist/live_lists.hpp"
#include "worklist/live_source.hpp"

namespace headroom::worklist {

/// A user's counts, in the order of the definitions' lists, and how fresh they are.
struct LiveCounts {
  std::shared_ptr<const std::vector<Count>> counts;  ///< none: nothing was loaded yet
  LiveStatus status;
};

struct LiveQuestion {
  std::shared_ptr<const User> user;
  std::optional<sql::Lsn> after;  ///< counts have to hold all that committed before it
  std::chrono::steady_clock::time_point until;
};

/// Guarantees: every question is answered once, at its deadline at the latest or a turn of the thread behind
/// it. Bounds: kMostQuestions, kMostWatchers; beyond it `overloaded`. Threads: any; callbacks run on the
/// service's own, may not block, and may not call back into it but to ask, watch and unwatch. Lifetime: the
/// definitions outlive it.
class LiveService final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Errors: unavailable (nothing is loaded; `message` has the state), timed_out (the position was not
  /// reached or a transaction was being applied all the time), overloaded, those of count_live.
  using Answered = std::function<void(Result<LiveCounts>)>;
  using Watcher = std::uint64_t;

  static constexpr std::size_t kMostQuestions = 10'000;
  static constexpr std::size_t kMostWatchers = 10'000;

  /// Errors: those of LiveSource::make.
  [[nodiscard]] static Result<std::unique_ptr<LiveService>> make(const Definitions& definitions,
                                                                 LiveSourceOptions options);
  ~LiveService();
  LiveService(const LiveService&) = delete;
  LiveService& operator=(const LiveService&) = delete;

  void start();
  /// Answers what waits; nothing is called back after it.
  void stop();

  void ask(LiveQuestion question, const Answered& answered);
  /// Tells the counts as soon as there are some, and then whenever one of them or the state is another.
  /// An error is told once, until the user is another. It may be called once more behind `unwatch`.
  [[nodiscard]] Watcher watch(std::shared_ptr<const User> user, Answered told);
  /// The watcher's rights are others.
  void change(Watcher watcher, std::shared_ptr<const User> user);
  void unwatch(Watcher watcher);
  void rebuild();

  [[nodiscard]] LiveStatus status() const;
  [[nodiscard]] std::size_t watching() const;

 private:
  struct Question {
    LiveQuestion asked;
    Answered answered;
    /// Whether `after` was reached; the source tells it, maybe behind the question's end.
    std::shared_ptr<bool> is_reached = std::make_shared<bool>(false);
  };
  struct Watched {
    std::shared_ptr<const User> user;
    Answered told;
    std::vector<Scope> scopes;       ///< by catalog; empty: not known, every change concerns him
    bool is_stale = true;            ///< a change may concern him
    std::optional<LiveState> state;  ///< told
    std::shared_ptr<const std::vector<Count>> counts;
  };
  /// What everybody who watches was told of.
  struct Round {
    std::uint64_t version = 0;
    LiveState state = LiveState::kAway;
    bool is_whole = false;
    bool operator==(const Round&) const = default;
  };
  using Order = std::function<void(LiveService&)>;

  LiveService(const Definitions& definitions, std::unique_ptr<LiveSource> source)
      : definitions_(definitions), source_(std::move(source)) {}
  /// False behind `stop`: it is dropped.
  bool post(Order order);
  void run();
  void take_orders();
  void move_time(Time now);
  void begin(Question question);
  void answer(Time now);
  void answer_one(Time now, Question& question) const;
  [[nodiscard]] bool is_due(Time now, const Question& question) const;
  [[nodiscard]] std::vector<Scope> scopes_of(const User& user) const;
  void mark_stale();
  [[nodiscard]] bool tell(Time now);
  void tell_one(Watched& watched, const LiveStatus& status);
  void wait(Time now);

  const Definitions& definitions_;
  std::unique_ptr<LiveSource> source_;

  // Of the thread
  std::list<Question> questions_;
  std::map<Watcher, Watched> watchers_;
  Watcher next_watched_ = 0;  ///< whose turn it is
  std::optional<Round> round_;
  std::optional<std::uint64_t> marked_;  ///< the version up to which everybody concerned is stale
  Time look_at_time_{};

  sql::Waker waker_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> asked_{0};
  std::atomic<std::size_t> watching_{0};
  mutable std::mutex mutex_;  ///< of what follows
  std::vector<Order> orders_;
  bool is_closed_ = false;
  LiveStatus status_;
  Watcher last_watcher_ = 0;

  std::thread thread_;
};

}  // namespace headroom::worklist
