#pragma once

// A connection over which PostgreSQL sends what its log says of one database: logical replication with
// pgoutput. Nothing here waits: the caller waits for many sockets at once, as for a PostgresListener.
//
//   connecting -> idle <-> asked (IDENTIFY_SYSTEM, slots, SQL) -> streaming -> ended
//                      <-> asked <-> copying
//
// It is one connection and no more: after its end the owner makes another one, where its slot goes on behind
// what was confirmed. A message may come twice then, and the owner knows by its position that it did.
//
// Source: PostgreSQL 15, "Streaming Replication Protocol" and "Logical Streaming Replication Protocol".

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sql/pgoutput.hpp"
#include "sql/rows.hpp"

struct pg_conn;
struct pg_result;

namespace headroom::sql {

struct ReplicationOptions {
  std::string url;       ///< of a login with the attribute REPLICATION
  std::string database;  ///< in place of the one of the URL; empty keeps that
  std::string application_name = "headroom replication";
  std::chrono::milliseconds connect_within{5'000};
  std::chrono::milliseconds answer_within{5'000};
  /// To make a slot the server waits for every transaction that was writing when it was asked.
  std::chrono::milliseconds create_within{600'000};
  /// While it streams: how often the server is told what is confirmed.
  std::chrono::milliseconds status_every{1'000};
  /// While it streams: whoever hears nothing of the other for so long ends the connection; the server too.
  std::chrono::milliseconds silence{10'000};
};

struct SlotWish {
  enum class Life : std::uint8_t {
    kPermanent,  ///< keeps the log for whoever comes back, until it is dropped
    kTemporary,  ///< ends with the connection
  };
  enum class Snapshot : std::uint8_t {
    kNone,
    kExported,  ///< another transaction may see the database as it was where the slot begins
    kOwn,       ///< this connection's transaction, which began REPEATABLE READ just before, sees it so
  };
  std::string name;  ///< lower-case letters, digits and underscores, at most 63
  Life life = Life::kPermanent;
  Snapshot snapshot = Snapshot::kNone;
};

struct MadeSlot {
  Lsn consistent = 0;    ///< what commits after it is sent
  std::string snapshot;  ///< for SET TRANSACTION SNAPSHOT until the next command; empty: none was exported
};

struct StreamWish {
  std::string slot;
  std::vector<std::string> publications;
  /// Not before it; 0 is where the slot was confirmed, which is never passed over by a smaller one.
  Lsn from = 0;
};

struct SystemIdentity {
  std::string system;
  std::uint32_t timeline = 0;
  Lsn flushed = 0;
  std::string database;
};

/// What IDENTIFY_SYSTEM and CREATE_REPLICATION_SLOT answer. Errors: protocol.
[[nodiscard]] base::Result<SystemIdentity> system_identity(const PostgresRows& rows);
[[nodiscard]] base::Result<MadeSlot> made_slot(const PostgresRows& rows);

/// A line of a COPY ... TO STDOUT, in libpq's own memory.
class CopiedLine final {
 public:
  /// With the end of the line. Lifetime: that of this object.
  [[nodiscard]] std::string_view text() const { return {memory_.get(), size_}; }

 private:
  friend class ReplicationConnection;
  struct Free {
    void operator()(char* memory) const;
  };
  std::unique_ptr<char, Free> memory_;
  std::size_t size_ = 0;
};

/// The columns of a line of COPY's text format, line after line in the same memory.
class CopiedColumns final {
 public:
  /// Goes over to a line. Errors: protocol.
  [[nodiscard]] base::Result<void> read(std::string_view line);
  /// Nothing for NULL. Lifetime: that of the line's text, until the next `read`.
  [[nodiscard]] const std::vector<std::optional<std::string_view>>& columns() const { return columns_; }

 private:
  [[nodiscard]] base::Result<void> read_escaped(std::string_view& line);

  std::vector<std::optional<std::string_view>> columns_;
  std::string unescaped_;  ///< the columns that do not stand in the line as they are
};

/// A message of the log, in libpq's own memory.
class ReceivedMessage final {
 public:
  [[nodiscard]] Lsn start() const { return data_.start; }
  /// For parse_replication_message. Lifetime: that of this object.
  [[nodiscard]] std::string_view bytes() const { return data_.message; }

 private:
  friend class ReplicationConnection;
  CopiedLine memory_;
  WalData data_;
};

/// The caller waits until `socket` is readable (as `wants_read` says) or writable (`wants_write`), or
/// `wake_at` is reached, calls `advance`, and takes what there is.
/// Bounds: nothing is read from the socket before all that was read is taken, so a slow owner slows the
/// server down, and memory holds 64 KiB or one message. Every wait has a deadline. Errors of a command, after
/// which the connection is idle: unsupported (wal_level), denied (no REPLICATION), conflict (the slot is in
/// use, by which process; or is there already), not_found (no such slot, or it lost what it kept), overloaded
/// (no slot is free), invalid_argument; one line with what to do. Errors of the connection: `error` of these
/// codes, or unavailable, timed_out, protocol. No message holds the URL. Not bounded: the look-up of a host's
/// name, which libpq does by the system's resolver. Threads: none, one at a time.
class ReplicationConnection final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class State : std::uint8_t {
    kConnecting,
    kPreparing,
    kIdle,
    kAsked,
    kCopying,
    kStreaming,
    kEnding,
    kEnded
  };

  /// Begins to connect. Errors: invalid_argument (the URL).
  [[nodiscard]] static base::Result<ReplicationConnection> open(ReplicationOptions options, Time now);

  void advance(Time now);
  /// -1 when it has ended.
  [[nodiscard]] int socket() const;
  [[nodiscard]] bool wants_read() const;
  [[nodiscard]] bool wants_write() const;
  [[nodiscard]] Time wake_at() const;
  [[nodiscard]] State state() const { return state_; }
  /// Why it ended.
  [[nodiscard]] const base::Error& error() const { return *error_; }
  /// The server's process of this session; 0 before there is one.
  [[nodiscard]] int backend() const;

  // Commands, of which each needs kIdle

  void identify(Time now);
  void make_slot(Time now, const SlotWish& wish);
  void drop_slot(Time now, const std::string& name);
  /// One statement of SQL, without parameters. `within`: of its answer.
  void query(Time now, const std::string& statement, std::chrono::milliseconds within);
  /// COPY ... TO STDOUT. Answered with no rows when all lines were taken. `within`: between two of them.
  void copy(Time now, const std::string& statement, std::chrono::milliseconds within);
  /// The next line; nothing when none came whole yet, or it has ended.
  [[nodiscard]] std::optional<CopiedLine> take_line();
  /// Answered with no rows when it streams.
  void stream(Time now, const StreamWish& wish);
  [[nodiscard]] std::optional<base::Result<PostgresRows>> take_answer();

  // Streaming

  /// The next message; nothing when none came whole yet.
  [[nodiscard]] std::optional<ReceivedMessage> take();
  /// Everything that committed before it was taken: behind the last message, further when the log goes on
  /// without one.
  [[nodiscard]] Lsn passed() const { return passed_; }
  /// The owner has all up to here, durably: the server may forget it. Never goes back.
  void confirm(Lsn lsn);
  [[nodiscard]] Lsn confirmed() const { return confirmed_; }
  /// Asks how far the server is: `passed` tells it soon. At most one such question is under way.
  void ask_position(Time now);

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };

  explicit ReplicationConnection(ReplicationOptions options) : options_(std::move(options)) {}
  void go_on(Time now);
  void prepare(Time now);
  void send(Time now, State state, const std::string& command, std::chrono::milliseconds within);
  void receive(Time now);
  void take_results(Time now);
  void take_result(const pg_result* result);
  void finish_command(Time now);
  void keep_alive(Time now);
  [[nodiscard]] bool brings_data() const { return state_ == State::kStreaming || state_ == State::kCopying; }
  [[nodiscard]] std::optional<CopiedLine> take_data();
  void send_status(Time now, bool wants_reply);
  void flush();
  void take_keep_alive(const KeepAlive& alive);
  void end_of_data();
  void end(base::Error error);

  ReplicationOptions options_;
  std::unique_ptr<pg_conn, Finish> connection_;
  State state_ = State::kConnecting;
  bool connect_writes_ = true;  ///< what the handshake waits for
  bool unsent_ = false;
  State begins_ = State::kIdle;  ///< what the answer says that begins
  std::chrono::milliseconds within_{0};
  bool drained_ = true;  ///< all that was read is taken
  bool asked_ = false;   ///< it was asked for a sign of life
  Time now_{};           ///< of the last `advance`
  Time deadline_{};      ///< of what is under way
  Time status_at_{};
  Time heard_at_{};
  Lsn passed_ = 0;
  Lsn confirmed_ = 0;
  std::optional<base::Result<PostgresRows>> result_;
  std::optional<base::Result<PostgresRows>> answer_;
  std::optional<base::Error> error_;
};

}  // namespace headroom::sql
