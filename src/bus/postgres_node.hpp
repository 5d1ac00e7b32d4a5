#pragma once

// What a node asks a PostgreSQL database, as state machines without connections: each has one connection of
// its own, gives the next statement that is due there and is given its answer.
//
//   Sequencer   campaigns; while it leads, gives offsets to what became visible
//   LogQueue    what the sequencer read of the write-ahead log: postgres_log.hpp
//   Keeper      while the node leads, empties slots and forgets channels that nobody needs
//   Reader      reads the stream once for the node, and proves after each loss that it is the same
//   Writer      publishes what the node's clients publish, in groups
//   Inquirer    positions and histories
//
// The schema, and why it is so: sql/*.sql, docs/decisions/0004-the-outbox-of-the-bus-in-postgresql.md.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bus/message.hpp"
#include "bus/postgres_log.hpp"
#include "bus/rules.hpp"
#include "sql/rows.hpp"

namespace headroom::bus {

using PostgresTime = std::chrono::steady_clock::time_point;

struct Question {
  std::string statement;
  std::vector<std::string> parameters;
};

/// An array of texts as PostgreSQL reads it.
[[nodiscard]] std::string array_literal(const std::vector<std::string>& values);

/// When to look again: often while messages come, seldom while none do.
class PollPace final {
 public:
  static constexpr std::chrono::milliseconds kBusy{5};
  static constexpr std::chrono::milliseconds kIdle{100};
  static constexpr std::chrono::milliseconds kBusyFor{1'000};

  static constexpr std::chrono::milliseconds kLeast{1};

  [[nodiscard]] PostgresTime next() const { return next_; }
  /// `asked` is when the look began: one that takes long is followed sooner, by kLeast after its end.
  void looked(PostgresTime asked, PostgresTime now, std::size_t found, bool more);
  /// Something is known to be there.
  void wake(PostgresTime now);
  /// Next to nothing is expected here.
  void rest(PostgresTime now) { next_ = now + kResting; }

  static constexpr std::chrono::milliseconds kResting{1'000};

 private:
  PostgresTime next_{};
  PostgresTime busy_until_{};
};

/// Where publications come from: a table, or the write-ahead log (and the table until there is a slot).
enum class PostgresSource : std::uint8_t { kOutbox, kLog };

class Sequencer final {
 public:
  /// `retention_s`: how long the stream is kept, at least.
  Sequencer(std::string node, std::int64_t retention_s, PostgresSource source = PostgresSource::kOutbox)
      : node_(std::move(node)), retention_s_(retention_s), source_(source) {}

  [[nodiscard]] std::optional<Question> next(PostgresTime now);
  void answered(PostgresTime now, const Result<sql::PostgresRows>& rows);
  /// The session ended, and with it the lock.
  void lost();
  /// The outbox has something; when it is the source.
  void wake(PostgresTime now);
  [[nodiscard]] PostgresTime wake_at() const { return term_ == 0 ? campaign_at_ : pace_.next(); }
  /// The log is read from now on, and the outbox seldom; or no more.
  void read_log(bool reads, PostgresTime now);
  /// A step with publications of the log, at once; while it leads and none other is under way.
  [[nodiscard]] Question step(PostgresTime now, const LogPart& part);

  /// 0 while another node leads.
  [[nodiscard]] std::int64_t term() const { return term_; }
  [[nodiscard]] std::uint64_t sequenced() const { return sequenced_; }
  /// The session has to end: whoever is fenced must not keep the lock.
  [[nodiscard]] bool must_leave() const { return must_leave_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

  static constexpr int kMost = 1'000;  ///< messages of one step

 private:
  void campaigned(PostgresTime now, const sql::PostgresRows& rows);

  [[nodiscard]] Question step(PostgresTime now);

  std::string node_;
  std::int64_t retention_s_;
  PostgresSource source_;
  bool reads_log_ = false;
  std::int64_t term_ = 0;
  PostgresTime asked_at_{};
  PostgresTime campaign_at_{};
  PostgresTime keep_at_{};
  PollPace pace_;
  bool must_leave_ = false;
  std::uint64_t sequenced_ = 0;
  std::string problem_;
};

/// How long what is kept in the database, and what else is looked after.
struct KeeperTimes {
  std::chrono::seconds retention{300};  ///< of the stream, at least
  /// A channel without messages is forgotten when none came for so long and no node uses it.
  std::chrono::seconds forget_after{86'400};
  /// In which every node may say that it does.
  std::chrono::seconds object_within{300};
  PostgresSource source = PostgresSource::kOutbox;
};

class Keeper final {
 public:
  explicit Keeper(const KeeperTimes& times) : times_(times) {}

  [[nodiscard]] std::optional<Question> next(PostgresTime now, std::int64_t term);
  /// Gives channels that will be forgotten: the node keeps those that it uses.
  [[nodiscard]] std::vector<std::string> answered(PostgresTime now, const Result<sql::PostgresRows>& rows);
  void keep(const std::vector<std::string>& channels);
  [[nodiscard]] PostgresTime wake_at(std::int64_t term) const;
  [[nodiscard]] std::uint64_t emptied() const { return emptied_; }
  [[nodiscard]] std::uint64_t forgotten() const { return forgotten_; }
  /// How the log stood a few seconds ago; nothing when it is no source.
  [[nodiscard]] const std::optional<LogState>& log() const { return log_; }

 private:
  /// What is done in turn while the node leads, and what every node does.
  enum class Work : std::uint8_t { kOutbox, kStream, kChannels, kLook, kObject, kLog };
  [[nodiscard]] Question clean(std::int64_t term) const;

  KeeperTimes times_;
  PostgresTime at_{};
  PostgresTime look_at_{};
  PostgresTime log_at_{};
  std::optional<LogState> log_;
  Work turn_ = Work::kOutbox;
  Work asked_ = Work::kOutbox;
  std::vector<std::string> kept_;
  std::uint64_t emptied_ = 0;
  std::uint64_t forgotten_ = 0;
};

/// One row of the stream; without data it repeats the message at its offset.
struct StreamRow {
  std::int64_t ticket = 0;  ///< 0: published in SQL
  std::string channel;
  std::uint64_t offset = 0;
  std::shared_ptr<const std::string> data;
};

/// What became known by an answer to the reader.
struct ReaderNews {
  /// The history is another, or rows may have been missed: everybody's position is to be compared.
  bool compare = false;
  bool available = false;  ///< the stream is being read
  std::string epoch;
  std::vector<StreamRow> rows;
};

class Reader final {
 public:
  [[nodiscard]] std::optional<Question> next(PostgresTime now);
  [[nodiscard]] ReaderNews answered(PostgresTime now, const Result<sql::PostgresRows>& rows);
  /// What the node's own sequencer stored, as it was answered: when it is what comes next, nothing is read
  /// for it, and the next look is far off. Nothing: it has to be read.
  [[nodiscard]] std::optional<ReaderNews> given(PostgresTime now, const sql::PostgresRows& rows);
  void lost();
  void wake(PostgresTime now) { pace_.wake(now); }
  [[nodiscard]] PostgresTime wake_at() const { return step_ == Step::kPoll ? pace_.next() : retry_at_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::int64_t seq() const { return seq_; }
  /// What is published or answered from now on can't be missed.
  [[nodiscard]] bool began() const { return began_; }

  static constexpr int kMost = 256;   ///< rows of one answer
  static constexpr int kVersion = 1;  ///< of the schema

 private:
  enum class Step : std::uint8_t { kState, kBreak, kPoll };
  void learned(PostgresTime now, const sql::PostgresRows& rows, ReaderNews& news);
  void polled(PostgresTime now, const sql::PostgresRows& rows, ReaderNews& news);
  void take(const sql::PostgresRows& rows, ReaderNews& news);
  void take(const std::vector<std::optional<std::string>>& row, ReaderNews& news);

  Step step_ = Step::kState;
  PostgresTime retry_at_{};
  PostgresTime asked_at_{};
  PollPace pace_;
  std::string epoch_;
  std::int64_t seq_ = 0;     ///< of the newest row that was read
  std::int64_t source_ = 0;  ///< its origin, which proves that it is the same row
  bool began_ = false;
  std::string problem_;
};

/// What is to be published, and how it is known again in the stream.
struct Ticketed {
  std::int64_t ticket = 0;
  PostgresTime deadline{};
  Publication publication;
};

class Writer final {
 public:
  /// Tells a ticket that will never come back from the stream.
  using Refuse = std::function<void(std::int64_t ticket, Error error)>;
  explicit Writer(Refuse refuse) : refuse_(std::move(refuse)) {}

  void add(Ticketed publication) { queue_.push_back(std::move(publication)); }
  [[nodiscard]] std::optional<Question> next(PostgresTime now);
  void answered(const Result<sql::PostgresRows>& rows);
  /// What was under way may have been kept: the stream, or the deadline, will tell.
  void lost() { group_.clear(); }
  /// Refuses what waited too long for a connection.
  void expire(PostgresTime now);
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }

  static constexpr std::size_t kMostGroup = 256;
  static constexpr std::size_t kMostGroupBytes = 1024 * 1024;

 private:
  Refuse refuse_;
  std::deque<Ticketed> queue_;
  std::vector<Ticketed> group_;  ///< under way
  std::size_t alone_ = 0;        ///< of the front of the queue, so many go one by one: their group failed
};

/// A question about channels.
struct Inquiry {
  enum class Kind : std::uint8_t { kPosition, kHistory };
  std::int64_t number = 0;
  Kind kind = Kind::kPosition;
  std::string channel;
  std::optional<Position> since;
  std::size_t limit = 0;
  std::size_t bytes = 0;
  ChannelRule rule;
};

class Inquirer final {
 public:
  using Answer = std::function<void(std::int64_t number, Result<HistoryPage> page)>;
  explicit Inquirer(Answer answer) : answer_(std::move(answer)) {}

  void add(Inquiry inquiry) { queue_.push_back(std::move(inquiry)); }
  [[nodiscard]] std::optional<Question> next();
  void answered(const Result<sql::PostgresRows>& rows);
  void lost(const Error& error);

  static constexpr std::size_t kMostPositions = 256;  ///< of one statement

 private:
  void answer_all(const Error& error);

  Answer answer_;
  std::deque<Inquiry> queue_;
  std::vector<Inquiry> asked_;
};

/// The answer to a history out of the rows of headroom.history. Errors: protocol.
[[nodiscard]] Result<HistoryPage> page_of(const Inquiry& inquiry, const sql::PostgresRows& rows);

}  // namespace headroom::bus
