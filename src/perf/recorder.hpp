#pragma once

// The recorder of one process. Calls end on the application's threads, which only put what they know into a
// bounded buffer; one thread of our own, which never needs the interpreter's lock, turns it into records and
// writes them in batches. It also polls the rules, adds up the counts of every method, shows that the process
// lives, reports calls of processes that were killed, and prunes the store.
//
// Overflow: a buffer that is half full is written at once, a full one drops the oldest record; drops are
// counted and shown. A store that is away is tried again with a pause that grows to 2 s; calls go on. The
// buffer is bounded in bytes, the counts in methods.
//
// Fork: `before_fork` waits until the thread holds no lock of its own or of a library, and closes the store.
// The child abandons the parent's recorder as it is (its thread does not exist there) and makes a new one
// with the same settings; what was buffered stays with the parent. An open store would be a danger to the
// file: SQLite in the child remembers the locks of the parent's connection, which the child does not hold,
// and would not take them for a connection of its own.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>

#include "perf/active_call.hpp"
#include "perf/record.hpp"
#include "perf/rule.hpp"
#include "perf/scoreboard.hpp"
#include "perf/stack_exchange.hpp"
#include "perf/statement_texts.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

class Resolver;

struct RecorderSettings {
  static constexpr std::size_t kLargestBody = 16U << 20;
  static constexpr std::size_t kLeastBuffer = 64U << 10;  ///< less would drop every call that keeps details
  static constexpr std::size_t kLargestBuffer = 1U << 30;
  static constexpr Microseconds kLongestTime = std::chrono::hours{24};  ///< of a threshold or an interval

  std::string broker;  ///< store URL
  std::string state;   ///< folder of the scoreboards; empty: none
  std::string host;
  std::string role;
  std::string version;
  std::vector<Rule> rules;  ///< of the configuration; those of the store come on top
  std::vector<std::string> secrets;
  std::size_t body_limit = 64U << 10;
  std::size_t buffer_limit = 4U << 20;
  Microseconds flush_interval = std::chrono::milliseconds{250};
  bool killed_calls = true;         ///< sweep the scoreboards of dead processes
  bool coroutine = false;           ///< greenlets share threads, so a thread's CPU time is nobody's
  std::string store_refused;        ///< why this process must not open its store; empty: it may
  std::set<std::string> databases;  ///< that are known to exist
  TakeStack take_stack;             ///< of a running call, for other processes; empty: none is told
};

struct RecorderStatus {
  ProcessInfo process;
  std::size_t queued = 0;
  std::size_t counted = 0;  ///< methods whose counts wait
  std::string store_error;  ///< empty when the last write succeeded
};

/// Threads: every function from any thread, unless it says otherwise.
class Recorder {
 public:
  explicit Recorder(RecorderSettings settings);
  /// For the child of a fork: obeys the parent's rules until it has read its own.
  Recorder(RecorderSettings settings, std::shared_ptr<const std::vector<Rule>> rules);
  /// Waits for the thread, which the store's deadlines bound; call `stop` before to lose nothing.
  ~Recorder();

  /// Starts the thread and waits until it has read the rules, at most `patience`.
  /// Returns the store's error, or an empty text.
  /// Without patience (in the child of a fork) it first touches the store after one flush interval, so that a
  /// child that only executes another program never does.
  std::string start(Microseconds patience);
  /// Writes what is waiting. True when all of it was stored in time.
  bool flush(Microseconds timeout);
  /// After the timeout the thread is left alone; the object must then outlive it.
  bool stop(Microseconds timeout);

  /// The rules now in force: those of the configuration and of the store, expired ones included.
  [[nodiscard]] std::shared_ptr<const std::vector<Rule>> rules() const;
  [[nodiscard]] StatementTexts& texts() { return texts_; }
  [[nodiscard]] Scoreboard* scoreboard() { return scoreboard_.get(); }
  [[nodiscard]] RecorderStatus status() const;

  /// Counts a call, traced or not. `known` is false when its caller was not authenticated: such names are not
  /// kept.
  void count(const CallSummary& call, bool known);
  void submit(FinishedCall call);
  /// The application opened this database, so it exists; 256 are remembered.
  void know_database(std::string_view database);
  /// False for a name that may be one that a caller made up: such a name is not kept.
  [[nodiscard]] bool knows_database(std::string_view database) const;
  /// A failed login may be recorded: at most 10 a second are, so that an attacker can't fill the store.
  [[nodiscard]] bool allow_failed_login(std::int64_t now_ns);
  /// Something inside the recorder failed; counted, and written to stderr at most once a minute, by the
  /// thread.
  void error(std::string_view what);

  void before_fork();
  /// In the parent and in the child, where the object is then to be leaked, never destroyed.
  void after_fork();
  /// In the child, before it makes its own recorder: gives up what only the parent may use.
  void abandon();
  [[nodiscard]] const RecorderSettings& settings() const { return settings_; }
  /// What a child needs to make its own recorder. Call it in the child.
  [[nodiscard]] RecorderSettings settings_of_child() const;

 private:
  using CountKey = std::tuple<std::string, std::string, CallKind, std::int64_t>;

  enum class First { kWork, kWait };

  void show_calls();
  void run(First first);
  void work();
  void ship();
  bool write();
  bool ensure_store();
  void take();
  void drop_pending();
  void log_error();
  void poll_rules();
  void keep_house();
  void prune(std::int64_t now);
  [[nodiscard]] ProcessInfo process_info() const;
  void store_failed(const base::Error& error);

  RecorderSettings settings_;
  StatementTexts texts_;
  std::unique_ptr<Scoreboard> scoreboard_;
  std::unique_ptr<StackAnswers> stacks_;  ///< after the scoreboard, which it reads

  mutable std::mutex
      mutex_;  ///< guards what the application's threads and ours share, for a few instructions
  std::condition_variable changed_;
  std::deque<FinishedCall> queue_;
  std::size_t queue_bytes_ = 0;
  std::map<CountKey, MethodCount> counts_;
  std::set<std::string, std::less<>> databases_;  ///< that exist: opened, or somebody was authenticated in it
  std::shared_ptr<const std::vector<Rule>> rules_;
  std::uint64_t submitted_ = 0;  ///< grows with each submit and count
  std::uint64_t stored_ = 0;     ///< the value of `submitted_` up to which all is stored or dropped
  std::uint64_t flush_wanted_ = 0;
  bool hurry_ = false;     ///< the buffer is half full: write before the interval is over
  bool told_ = false;      ///< the store has a line about this process
  bool ending_ = false;    ///< `stop` was asked for: the last batch says so
  bool farewell_ = false;  ///< that batch was made
  bool stopping_ = false;
  bool rules_read_ = false;
  bool stopped_ = false;
  std::string store_error_;
  std::uint64_t calls_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t rules_version_ = 0;
  std::string last_error_;
  std::int64_t last_log_ns_ = 0;
  std::string unlogged_;  ///< the error that stderr is to be told
  std::int64_t login_second_ = 0;
  int failed_logins_ = 0;
  UtcTime started_{};

  // Owned by the thread.
  std::timed_mutex work_mutex_;  ///< held while the thread is inside a library: a fork waits for it
  bool forked_between_work_ = false;
  OpenStore store_;
  std::unique_ptr<Resolver> resolver_;
  std::optional<Batch> pending_;
  std::uint64_t pending_upto_ = 0;
  std::int64_t next_try_ns_ = 0;
  std::int64_t pause_ns_ = 0;
  std::int64_t next_rules_ns_ = 0;
  std::int64_t next_info_ns_ = 0;
  std::int64_t next_counts_ns_ = 0;
  std::int64_t next_sweep_ns_ = 0;
  std::int64_t next_prune_ns_ = 0;
  std::thread thread_;
};

}  // namespace headroom::perf
