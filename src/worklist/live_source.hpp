#pragma once

// Counters that follow a PostgreSQL database: its tables are copied once, in the transaction that makes a
// temporary slot, and from there on every change comes out of the write-ahead log. Nothing here waits.
//
//   away ─> waiting ─> loading ─> catching up <─> current
//             ^                        │
//             └── rebuilding <─────────┘  (a lost connection, an altered table)
//
// waiting      a slot begins when every transaction that writes has ended: `status` names the one waited for
// rebuilding   the counts of before are served until the new ones have caught up
//
// The slot is temporary: it ends with its connection, so a node that is gone keeps no log, and a connection
// that is lost costs a new copy. A permanent one was rejected: with the counters in memory it serves a broken
// connection alone, and fills the disk of a database whose Headroom was uninstalled.
//
// How old the counts are is asked: twice a second the database says how far its log is, and once that much is
// counted, the counts are as fresh as the question was.
//
// The same question tells what the log does not: that a table was made anew, rewritten or truncated, has
// other partitions, or is published no more. Then all is counted anew, also where the log did tell of a
// TRUNCATE. So it is after VACUUM FULL and CLUSTER, which change nothing.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/listener.hpp"
#include "sql/replication.hpp"
#include "sql/waiting.hpp"
#include "worklist/live_table.hpp"

namespace headroom::worklist {

struct LiveSourceOptions {
  std::string url;  ///< of a login with REPLICATION that may SELECT the tables
  std::string publication = "headroom_worklist";
  /// How long a slot may wait for open transactions, and a COPY for its next line.
  std::chrono::milliseconds load_within{600'000};
  std::size_t most_waiting = 10'000;  ///< readers that wait for a position
  std::size_t most_changes = 20'000;  ///< of one `advance`
};

enum class LiveState : std::uint8_t { kAway, kWaiting, kLoading, kCatchingUp, kCurrent, kRebuilding };

/// "away", "waiting", "loading", "catching up", "current", "rebuilding".
[[nodiscard]] std::string_view name(LiveState state);

struct LiveStatus {
  LiveState state = LiveState::kAway;
  /// Waited for before a slot can begin; 0: none, or not known yet.
  int process = 0;
  std::chrono::seconds age{0};  ///< of its transaction
  sql::Lsn applied = 0;
  std::uint64_t documents = 0;
  std::uint64_t changes = 0;   ///< of rows, since the start
  std::uint64_t rebuilds = 0;  ///< begun
  std::string problem;         ///< of the last attempt; empty
  /// All that had committed so long ago is counted; nothing before that was known once.
  std::optional<std::chrono::milliseconds> behind;

  /// "waiting for transaction of process 4711, open for 12 s", "current".
  [[nodiscard]] std::string text() const;
};

/// The statement that publishes the tables of all catalogs that can be counted live, those of their look-ups
/// too, for whoever owns them.
[[nodiscard]] std::string publication_statement(const Definitions& definitions, std::string_view publication);

/// The caller waits until one of `waited` can go on or `wake_at` is reached, and calls `advance`.
/// Guarantees: after `wait_for(lsn)` said yes, counts hold every transaction that committed before it.
/// While `is_whole` says no, a count may hold a part of the transaction that is being applied. Counts of
/// before are served while it rebuilds. Attempts are at most 1 s apart. Bounds: memory is that of the
/// counters (twice while it rebuilds); `most_changes` changes an `advance`. Threads: none, one at a time.
/// Lifetime: the definitions outlive it.
class LiveSource final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Whether the position was reached in time.
  using Reached = std::function<void(bool reached)>;

  /// Errors: invalid_argument (the URL), unsupported (a catalog that check_live refuses), overloaded later.
  [[nodiscard]] static Result<std::unique_ptr<LiveSource>> make(const Definitions& definitions,
                                                                LiveSourceOptions options, base::UtcTime now);

  void advance(Time now);
  [[nodiscard]] std::array<sql::Waited, 2> waited() const;
  [[nodiscard]] Time wake_at() const;

  [[nodiscard]] LiveStatus status(Time now) const;
  /// Nothing before the first load. Lifetime: until the next `advance`.
  [[nodiscard]] const LiveCounters* counters(std::size_t catalog) const;
  /// Whether the counts are those of a moment: there are some, and none holds a part of a transaction.
  [[nodiscard]] bool is_whole() const { return !served_.empty() && !torn_; }
  /// Another number whenever a count may be another one.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  /// By catalog: whose counts may be others than they were at the last call. Everybody's the first time.
  [[nodiscard]] std::vector<TouchedRows> take_touched();
  /// It is another time now: lists that speak of it may count others. Cost: that of LiveCounters::advance.
  void set_moment(base::UtcTime now);
  /// When `set_moment` is due; never too late.
  [[nodiscard]] std::optional<base::UtcTime> next_moment() const;
  /// Counts anew, as after a loss.
  void rebuild(Time now);

  /// Calls `done` when all that committed before `lsn` is counted, or at `until`; within this call when it is
  /// so already. Errors: overloaded.
  [[nodiscard]] Result<void> wait_for(sql::Lsn lsn, Time now, Time until, Reached done);

 private:
  enum class Step : std::uint8_t {
    kAway,
    kConnect,
    kCheck,
    kShape,
    kBegin,
    kSlot,
    kCopy,
    kEnd,
    kWhere,
    kStart,
    kFollow
  };
  struct Reader {
    Time until;
    Reached done;
  };
  /// How far the log was, which the counts have to reach to be as fresh as that.
  struct Probe {
    Time asked;
    std::optional<sql::Lsn> end;  ///< nothing: not answered yet
  };

  LiveSource(const Definitions& definitions, LiveSourceOptions options, sql::PostgresListener asker,
             base::UtcTime now);
  void connect(Time now);
  void fail_later(Time now, const base::Error& error);
  void go_on(Time now);
  void answered(Time now, const sql::PostgresRows& rows);
  void next_table(Time now, Step step);
  void begin_copy(Time now);
  void take_lines(Time now);
  [[nodiscard]] Result<std::size_t> read_lines();
  void follow(Time now);
  [[nodiscard]] Result<void> take(const sql::ReceivedMessage& received);
  [[nodiscard]] Result<void> apply(const sql::ReplicationMessage& message);
  [[nodiscard]] Result<void> learn(const sql::ReplicatedRelation& relation);
  void touch();
  void touch_all();
  [[nodiscard]] std::vector<TouchedRows> nothing_touched() const;
  template <typename Change>
  [[nodiscard]] Result<void> change(const Change& change);
  void truncate(const sql::RelationsTruncated& truncated);
  void caught_up();
  void tell_readers(Time now);
  [[nodiscard]] bool follows() const { return step_ == Step::kFollow && filling_.empty(); }
  void advance_asker(Time now);
  void take_blocker(const sql::PostgresRows* rows);
  void take_probe(Time now, const sql::PostgresRows* rows);
  [[nodiscard]] std::string shape_statement() const;
  void prove_freshness();
  [[nodiscard]] LiveCounters& filled(std::size_t catalog);
  [[nodiscard]] std::vector<std::unique_ptr<LiveCounters>> new_counters() const;
  void set_lists();

  const Definitions& definitions_;
  LiveSourceOptions options_;
  base::UtcTime moment_;
  std::vector<LiveTable> tables_;        ///< of the first catalog, then those of the next
  std::vector<std::size_t> catalog_of_;  ///< by table
  /// What is served, and what is being filled; the same from the moment that it has caught up.
  std::vector<std::unique_ptr<LiveCounters>> served_;
  std::vector<std::unique_ptr<LiveCounters>> filling_;

  std::optional<sql::ReplicationConnection> connection_;
  sql::PostgresListener asker_;
  Step step_ = Step::kAway;
  std::size_t table_ = 0;                   ///< that is checked or copied
  std::vector<std::vector<Value>> copied_;  ///< rows of it, whose memory is used again
  std::string slot_;
  sql::Lsn applied_ = 0;
  sql::Lsn target_ = 0;  ///< up to which the load has to be followed
  Time target_at_{};     ///< when it was asked for
  bool open_ = false;    ///< inside a transaction
  bool torn_ = false;    ///< what is served holds a part of one
  std::uint64_t version_ = 0;
  std::vector<TouchedRows> touched_;  ///< by catalog; empty: nobody ever asked
  /// What the log does not tell of the tables: which they are, their files, partitions and columns. Of when
  /// they were loaded.
  std::string shape_;
  std::optional<Probe> probe_;
  std::optional<Time> fresh_at_;
  std::optional<Time> behind_since_;
  Time retry_at_{};
  std::chrono::milliseconds backoff_{0};
  Time ask_at_{};
  Time probe_at_{};
  int blocker_ = 0;
  std::chrono::seconds blocker_age_{0};
  std::multimap<sql::Lsn, Reader> readers_;
  std::uint64_t changes_ = 0;
  std::uint64_t rebuilds_ = 0;
  std::string problem_;
};

}  // namespace headroom::worklist
