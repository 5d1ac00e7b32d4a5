#include "sql/pgoutput.hpp"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
constexpr std::int64_t kEpoch = 946'684'800'000'000;

/// Reads big-endian numbers and texts; after the end of the bytes everything is 0, and `cut` says so.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}

  template <typename Number>
  Number number() {
    const std::string_view bytes = take(sizeof(Number));
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8U | static_cast<unsigned char>(byte);
    return static_cast<Number>(value);
  }
  char letter() { return static_cast<char>(number<std::uint8_t>()); }
  std::int64_t time() { return plus(number<std::int64_t>(), kEpoch); }
  /// Up to a NUL.
  std::string_view text() {
    const std::size_t end = left_.find('\0');
    if (end == std::string_view::npos) {
      cut_ = true;
      return {};
    }
    const std::string_view found = left_.substr(0, end);
    left_.remove_prefix(end + 1);
    return found;
  }
  std::string_view take(std::size_t size) {
    if (size > left_.size()) {
      cut_ = true;
      left_ = {};
      return {};
    }
    const std::string_view found = left_.substr(0, size);
    left_.remove_prefix(size);
    return found;
  }
  /// A count of things with so many bytes each at least: never more than the bytes could hold.
  template <typename Number>
  std::size_t count(std::size_t least_bytes) {
    const auto count = number<Number>();
    if (count < 0 || static_cast<std::size_t>(count) > left_.size() / least_bytes) {
      cut_ = true;
      return 0;
    }
    return static_cast<std::size_t>(count);
  }
  void refuse() { cut_ = true; }
  [[nodiscard]] bool cut() const { return cut_; }
  [[nodiscard]] bool finished() const { return !cut_ && left_.empty(); }
  [[nodiscard]] std::string_view left() const { return left_; }

 private:
  static std::int64_t plus(std::int64_t left, std::int64_t right) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right));
  }

  std::string_view left_;
  bool cut_ = false;
};

ReplicatedValue read_value(Bytes& bytes) {
  ReplicatedValue value;
  switch (bytes.letter()) {
    case 'n':
      return value;
    case 'u':
      value.kind = ReplicatedValue::Kind::kUnchanged;
      return value;
    case 't':
      value.kind = ReplicatedValue::Kind::kText;
      break;
    case 'b':
      value.kind = ReplicatedValue::Kind::kBinary;
      break;
    default:
      bytes.refuse();
      return value;
  }
  value.data = bytes.take(bytes.count<std::int32_t>(1));
  return value;
}

ReplicatedRow read_row(Bytes& bytes) {
  ReplicatedRow row;
  const std::size_t columns = bytes.count<std::int16_t>(1);
  for (std::size_t i = 0; i < columns && !bytes.cut(); ++i) row.push_back(read_value(bytes));
  return row;
}

TransactionBegin read_begin(Bytes& bytes) {
  TransactionBegin begin;
  begin.commit = bytes.number<Lsn>();
  begin.commit_us = bytes.time();
  begin.transaction = bytes.number<std::uint32_t>();
  return begin;
}

TransactionCommit read_commit(Bytes& bytes) {
  (void)bytes.letter();  // flags, none of which is used
  TransactionCommit commit;
  commit.commit = bytes.number<Lsn>();
  commit.end = bytes.number<Lsn>();
  commit.commit_us = bytes.time();
  return commit;
}

ReplicatedRelation read_relation(Bytes& bytes) {
  ReplicatedRelation relation;
  relation.relation = bytes.number<std::uint32_t>();
  relation.schema = bytes.text();
  if (relation.schema.empty()) relation.schema = "pg_catalog";
  relation.name = bytes.text();
  relation.identity = bytes.letter();
  constexpr std::size_t kLeastColumn = 10;
  const std::size_t columns = bytes.count<std::int16_t>(kLeastColumn);
  for (std::size_t i = 0; i < columns && !bytes.cut(); ++i) {
    ReplicatedColumn column;
    column.is_key = (static_cast<unsigned char>(bytes.letter()) & 1U) != 0;
    column.name = bytes.text();
    column.type = bytes.number<std::uint32_t>();
    column.modifier = bytes.number<std::int32_t>();
    relation.columns.push_back(column);
  }
  return relation;
}

RowInserted read_insert(Bytes& bytes) {
  RowInserted inserted;
  inserted.relation = bytes.number<std::uint32_t>();
  if (bytes.letter() != 'N') bytes.refuse();
  inserted.row = read_row(bytes);
  return inserted;
}

RowUpdated read_update(Bytes& bytes) {
  RowUpdated updated;
  updated.relation = bytes.number<std::uint32_t>();
  char part = bytes.letter();
  if (part == 'K' || part == 'O') {
    updated.old_is_key = part == 'K';
    updated.old_row = read_row(bytes);
    part = bytes.letter();
  }
  if (part != 'N') bytes.refuse();
  updated.row = read_row(bytes);
  return updated;
}

RowDeleted read_delete(Bytes& bytes) {
  RowDeleted deleted;
  deleted.relation = bytes.number<std::uint32_t>();
  const char part = bytes.letter();
  if (part != 'K' && part != 'O') bytes.refuse();
  deleted.old_is_key = part == 'K';
  deleted.old_row = read_row(bytes);
  return deleted;
}

RelationsTruncated read_truncate(Bytes& bytes) {
  RelationsTruncated truncated;
  const auto relations = bytes.number<std::uint32_t>();
  const auto options = bytes.number<std::uint8_t>();
  truncated.cascade = (options & 1U) != 0;
  truncated.restart_identity = (options & 2U) != 0;
  if (relations > bytes.left().size() / sizeof(std::uint32_t)) bytes.refuse();
  for (std::size_t i = 0; i < relations && !bytes.cut(); ++i)
    truncated.relations.push_back(bytes.number<std::uint32_t>());
  return truncated;
}

LogicalMessage read_logical_message(Bytes& bytes) {
  LogicalMessage message;
  message.transactional = (static_cast<unsigned char>(bytes.letter()) & 1U) != 0;
  message.at = bytes.number<Lsn>();
  message.prefix = bytes.text();
  message.content = bytes.take(bytes.count<std::int32_t>(1));
  return message;
}

OtherMessage read_other(Bytes& bytes, char kind) {
  (void)bytes.take(bytes.left().size());
  return {kind};
}

std::optional<ReplicationMessage> read_message(Bytes& bytes) {
  const char kind = bytes.letter();
  switch (kind) {
    case 'B':
      return read_begin(bytes);
    case 'C':
      return read_commit(bytes);
    case 'R':
      return read_relation(bytes);
    case 'I':
      return read_insert(bytes);
    case 'U':
      return read_update(bytes);
    case 'D':
      return read_delete(bytes);
    case 'T':
      return read_truncate(bytes);
    case 'M':
      return read_logical_message(bytes);
    case 'O':
    case 'Y':
      return read_other(bytes, kind);
    default:
      return std::nullopt;
  }
}

template <typename Number>
void write(std::string& bytes, Number value) {
  for (std::size_t i = sizeof(Number); i > 0; --i)
    bytes += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * (i - 1)) & 0xffU);
}

std::optional<std::uint32_t> half_of_lsn(std::string_view text) {
  std::uint32_t half = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), half, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return half;
}

}  // namespace

std::string lsn_text(Lsn lsn) {
  return fmt::format("{:X}/{:X}", lsn >> 32U, lsn & 0xffffffffU);
}

Result<Lsn> parse_lsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto high = half_of_lsn(text.substr(0, slash));
  const auto low = slash == std::string_view::npos ? std::nullopt : half_of_lsn(text.substr(slash + 1));
  if (high && low) return static_cast<Lsn>(*high) << 32U | *low;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{:.40}' is no position in the log; expected one such as 16/B374D848", text));
}

Result<ReplicationFrame> parse_replication_frame(std::string_view frame) {
  Bytes bytes(frame);
  const char kind = bytes.letter();
  if (kind == 'w') {
    WalData data;
    data.start = bytes.number<Lsn>();
    data.server_end = bytes.number<Lsn>();
    (void)bytes.time();
    data.message = bytes.left();
    if (!bytes.cut()) return data;
  } else if (kind == 'k') {
    KeepAlive alive;
    alive.server_end = bytes.number<Lsn>();
    (void)bytes.time();
    alive.wants_reply = bytes.letter() != 0;
    if (bytes.finished()) return alive;
  }
  return fail(ErrorCode::kProtocol, fmt::format("a replication frame of {} bytes is none", frame.size()));
}

std::string standby_status(Lsn confirmed, std::int64_t now_us, bool wants_reply) {
  std::string bytes = "r";
  // Written, flushed and applied are one: what is confirmed was applied.
  for (int i = 0; i < 3; ++i) write(bytes, confirmed);
  write(bytes, now_us - kEpoch);
  bytes += wants_reply ? '\1' : '\0';
  return bytes;
}

Result<ReplicationMessage> parse_replication_message(std::string_view message) {
  Bytes bytes(message);
  auto read = read_message(bytes);
  if (read && bytes.finished()) return std::move(*read);
  const int kind = message.empty() ? 0 : static_cast<unsigned char>(message.front());
  return fail(ErrorCode::kProtocol,
              fmt::format("a replication message of kind {} and {} bytes is none", kind, message.size()));
}

}  // namespace headroom::sql
