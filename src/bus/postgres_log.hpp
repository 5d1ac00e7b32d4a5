#pragma once

// Publications that come out of PostgreSQL's write-ahead log (source = "logical"): what is known of their
// slot, and the queue between the slot and the sequencer's steps. State machines without connections.
//
// A publication is a message of pg_logical_emit_message inside a transaction. Its order is that of the
// commits, its position the commit's and its number in the transaction. With each step the sequencer writes
// down the position up to which it stored, in the same transaction; the server is told to forget only what
// was stored. So a message that the slot sends again is known by its position, and dropped: none is lost,
// none comes twice.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/message.hpp"
#include "sql/pgoutput.hpp"
#include "sql/rows.hpp"

namespace headroom::bus {

/// A place in the log: so many messages of the transaction whose commit stands there.
struct LogPosition {
  sql::Lsn commit = 0;
  std::int64_t read = 0;
  [[nodiscard]] bool operator==(const LogPosition&) const = default;
};

/// The answer of headroom.log_state().
struct LogState {
  std::string slot;
  /// "missing", "lost", "making", or how the log is kept for it: "reserved", "extended", "unreserved".
  std::string slot_state;
  int process = 0;  ///< that reads it; 0: none
  std::uint64_t retained_bytes = 0;
  std::optional<std::uint64_t> bound_bytes;  ///< max_slot_wal_keep_size; nothing: the disk
  std::string wal_level;
  bool publication = false;
  bool may_replicate = false;
  std::string prefix;
  bool logged = false;  ///< publications go into the log
  bool lost = false;    ///< an earlier slot, and none began since
  LogPosition position;

  [[nodiscard]] bool is_gone() const { return slot_state == "missing" || slot_state == "lost"; }
};

/// Errors: protocol.
[[nodiscard]] Result<LogState> log_state(const sql::PostgresRows& rows);

inline constexpr std::string_view kLogPublication = "headroom_bus";

/// What headroom.publish writes: "channel\nticket\nbytes of the id\nid" and the data. Nothing when it is
/// none.
struct LoggedPublication {
  std::string_view channel;
  std::string_view ticket;
  std::string_view id;
  std::string_view data;
};
[[nodiscard]] std::optional<LoggedPublication> parse_logged(std::string_view content);

/// Publications for one step of the sequencer, and the position behind them.
struct LogPart {
  std::vector<std::string> channels;
  std::vector<std::string> ids;
  std::vector<std::string> tickets;
  std::vector<std::string> datas;
  LogPosition position;
};

class LogQueue final {
 public:
  static constexpr std::size_t kMost = 1'000;  ///< of one part
  static constexpr std::size_t kMostBytes = 1U << 20U;

  /// Empty; what is not behind `position` is dropped from now on.
  void begin(std::string prefix, LogPosition position);
  void clear();

  /// A message of the slot. Errors: protocol.
  [[nodiscard]] Result<void> take(std::string_view message);
  /// Nothing more is to be taken until a part was stored.
  [[nodiscard]] bool is_full() const { return entries_.size() >= kMost || bytes_ >= kMostBytes; }
  [[nodiscard]] bool empty() const { return entries_.empty(); }

  /// The oldest ones; they stay until `stored`, and none other is given before.
  [[nodiscard]] std::optional<LogPart> next();
  /// The part that was given is durable.
  void stored();
  /// It is not, and may be given again.
  void refused() { given_ = 0; }

  /// What the server may forget: all transactions up to here are stored. `passed` is how far the slot told
  /// that it is, with nothing of ours behind what was taken.
  [[nodiscard]] sql::Lsn confirmable(sql::Lsn passed);
  /// Messages of ours that could not be read.
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  struct Entry {
    std::string channel;
    std::string id;
    std::string ticket;
    std::string data;
    LogPosition position;
    std::size_t bytes = 0;
  };
  /// A commit, and how many entries came before it.
  struct End {
    std::uint64_t entries = 0;
    sql::Lsn lsn = 0;
  };
  void add(std::string_view content);

  std::string prefix_;
  LogPosition behind_;  ///< of what was stored when it began
  LogPosition at_;      ///< of the newest message
  std::deque<Entry> entries_;
  std::deque<End> ends_;
  std::size_t bytes_ = 0;
  std::size_t given_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t stored_ = 0;
  sql::Lsn confirmable_ = 0;
  bool open_ = false;  ///< inside a transaction
  std::uint64_t malformed_ = 0;
};

}  // namespace headroom::bus
