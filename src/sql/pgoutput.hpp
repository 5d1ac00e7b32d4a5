#pragma once

// What PostgreSQL sends over a replication connection whose slot decodes with pgoutput, protocol version 1: a
// codec without a connection.
//
// Source: PostgreSQL 15, "Logical Replication Message Formats" and "Streaming Replication Protocol".

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace headroom::sql {

/// A position in the write-ahead log.
using Lsn = std::uint64_t;

/// "16/B374D848". Errors of the inverse: invalid_argument.
[[nodiscard]] std::string lsn_text(Lsn lsn);
[[nodiscard]] base::Result<Lsn> parse_lsn(std::string_view text);

// Frames
// ---------------------------------------------------------------------------------------------------------

/// Carries one message.
struct WalData {
  Lsn start = 0;
  Lsn server_end = 0;
  std::string_view message;
};

/// The server is there; `wants_reply` when it will hang up otherwise.
struct KeepAlive {
  Lsn server_end = 0;
  bool wants_reply = false;
};

using ReplicationFrame = std::variant<WalData, KeepAlive>;

/// The contents of one CopyData. Lifetime: the views point into `bytes`. Errors: protocol. Threads: pure.
[[nodiscard]] base::Result<ReplicationFrame> parse_replication_frame(std::string_view bytes);

/// The standby's status: what it has durably, which the server may forget. `now_us` counts from 1970.
[[nodiscard]] std::string standby_status(Lsn confirmed, std::int64_t now_us, bool wants_reply);

// Messages
// ---------------------------------------------------------------------------------------------------------

struct ReplicatedColumn {
  bool is_key = false;  ///< of the replica identity
  std::string_view name;
  std::uint32_t type = 0;  ///< its oid
  std::int32_t modifier = 0;
};

/// Comes before the first change of a relation, and again when it was altered.
struct ReplicatedRelation {
  std::uint32_t relation = 0;  ///< its oid
  std::string_view schema;
  std::string_view name;
  char identity = 'd';  ///< d default, n nothing, f full, i index
  std::vector<ReplicatedColumn> columns;
};

struct ReplicatedValue {
  enum class Kind : std::uint8_t {
    kNull,
    kUnchanged,  ///< a value that is stored apart and was not touched: it is not sent
    kText,
    kBinary,
  };
  Kind kind = Kind::kNull;
  std::string_view data;
};

/// By the relation's columns.
using ReplicatedRow = std::vector<ReplicatedValue>;

struct TransactionBegin {
  Lsn commit = 0;
  std::int64_t commit_us = 0;  ///< since 1970
  std::uint32_t transaction = 0;
};

struct TransactionCommit {
  Lsn commit = 0;
  Lsn end = 0;  ///< what to confirm once the transaction is applied
  std::int64_t commit_us = 0;
};

struct RowInserted {
  std::uint32_t relation = 0;
  ReplicatedRow row;
};

/// `old_row` is empty unless the replica identity changed or is full.
struct RowUpdated {
  std::uint32_t relation = 0;
  bool old_is_key = false;  ///< of `old_row` only the key's columns are set
  ReplicatedRow old_row;
  ReplicatedRow row;
};

struct RowDeleted {
  std::uint32_t relation = 0;
  bool old_is_key = false;
  ReplicatedRow old_row;
};

struct RelationsTruncated {
  bool cascade = false;
  bool restart_identity = false;
  std::vector<std::uint32_t> relations;
};

/// What an application wrote into the log with pg_logical_emit_message. One of a transaction stands between
/// its begin and commit; the others stand alone.
struct LogicalMessage {
  bool transactional = false;
  Lsn at = 0;
  std::string_view prefix;
  std::string_view content;
};

/// Origins and types, which say nothing of rows.
struct OtherMessage {
  char kind = 0;
};

using ReplicationMessage =
    std::variant<TransactionBegin, TransactionCommit, ReplicatedRelation, RowInserted, RowUpdated, RowDeleted,
                 RelationsTruncated, LogicalMessage, OtherMessage>;

/// What a WalData carries. Lifetime: the views point into `bytes`.
/// Errors: protocol: cut, a kind that is unknown, or bytes left over. Cost: O(bytes). Threads: pure.
[[nodiscard]] base::Result<ReplicationMessage> parse_replication_message(std::string_view bytes);

}  // namespace headroom::sql
