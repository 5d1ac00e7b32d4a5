#include "bus/postgres_log.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace headroom::bus {

namespace {

using base::ErrorCode;
using base::fail;
using sql::PostgresRows;

using Cell = std::optional<std::string>;

template <typename Number>
Number number_in(const Cell& cell) {
  Number value{};
  if (cell) (void)std::from_chars(cell->data(), cell->data() + cell->size(), value);
  return value;
}

/// Up to the end of the line, which is taken as well.
std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

Result<LogState> log_state(const PostgresRows& rows) {
  constexpr std::size_t kColumns = 13;
  if (rows.size() != 1 || rows[0].size() != kColumns || !rows[0][0] || !rows[0][11])
    return fail(ErrorCode::kProtocol, "the database's answer is no state of the log");
  const auto& row = rows[0];
  LogState state;
  state.slot = *row[0];
  state.slot_state = row[1].value_or("missing");
  state.process = number_in<int>(row[2]);
  state.retained_bytes = number_in<std::uint64_t>(row[3]);
  if (row[4]) state.bound_bytes = number_in<std::uint64_t>(row[4]);
  state.wal_level = row[5].value_or("");
  state.publication = row[6] == "t";
  state.may_replicate = row[7] == "t";
  state.prefix = row[8].value_or("");
  state.logged = row[9] == "t";
  state.lost = row[10] == "t";
  auto commit = sql::parse_lsn(*row[11]);
  if (!commit) return fail(ErrorCode::kProtocol, commit.error().message());
  state.position = {*commit, number_in<std::int64_t>(row[12])};
  return state;
}

std::optional<LoggedPublication> parse_logged(std::string_view content) {
  const auto channel = take_line(content);
  const auto ticket = channel ? take_line(content) : std::nullopt;
  const auto size = ticket ? take_line(content) : std::nullopt;
  if (!size || channel->empty()) return std::nullopt;
  std::size_t id_size = 0;
  if (!size->empty()) {
    const auto [end, error] = std::from_chars(size->data(), size->data() + size->size(), id_size);
    if (error != std::errc() || end != size->data() + size->size() || id_size > content.size())
      return std::nullopt;
  }
  return LoggedPublication{*channel, *ticket, content.substr(0, id_size), content.substr(id_size)};
}

// The queue
// ---------------------------------------------------------------------------------------------------------

void LogQueue::begin(std::string prefix, LogPosition position) {
  clear();
  prefix_ = std::move(prefix);
  behind_ = position;
}

void LogQueue::clear() {
  entries_.clear();
  ends_.clear();
  bytes_ = given_ = 0;
  taken_ = stored_ = 0;
  confirmable_ = 0;
  open_ = false;
  at_ = {};
}

Result<void> LogQueue::take(std::string_view bytes) {
  const auto message = sql::parse_replication_message(bytes);
  if (!message) return fail(message.error());
  if (const auto* begin = std::get_if<sql::TransactionBegin>(&*message)) {
    at_ = {begin->commit, 0};
    open_ = true;
  } else if (const auto* said = std::get_if<sql::LogicalMessage>(&*message)) {
    if (said->transactional && said->prefix == prefix_) add(said->content);
  } else if (const auto* commit = std::get_if<sql::TransactionCommit>(&*message)) {
    open_ = false;
    if (!ends_.empty() && ends_.back().entries == taken_) ends_.pop_back();
    ends_.push_back({taken_, commit->end});
  }
  return {};
}

/// Commits grow, so what is not behind the position at which it began was stored before.
void LogQueue::add(std::string_view content) {
  ++at_.read;
  if (at_.commit < behind_.commit || (at_.commit == behind_.commit && at_.read <= behind_.read)) return;
  const auto publication = parse_logged(content);
  if (!publication) {
    ++malformed_;
    return;
  }
  entries_.push_back({std::string(publication->channel), std::string(publication->id),
                      std::string(publication->ticket), std::string(publication->data), at_, content.size()});
  bytes_ += content.size();
  ++taken_;
}

std::optional<LogPart> LogQueue::next() {
  if (given_ > 0 || entries_.empty()) return std::nullopt;
  LogPart part;
  std::size_t bytes = 0;
  while (given_ < entries_.size() && given_ < kMost && bytes < kMostBytes) {
    const Entry& entry = entries_[given_++];
    part.channels.push_back(entry.channel);
    part.ids.push_back(entry.id);
    part.tickets.push_back(entry.ticket.empty() ? "0" : entry.ticket);
    part.datas.push_back(entry.data);
    part.position = entry.position;
    bytes += entry.data.size();
  }
  return part;
}

void LogQueue::stored() {
  for (; given_ > 0; --given_, ++stored_) {
    bytes_ -= entries_.front().bytes;
    entries_.pop_front();
  }
}

sql::Lsn LogQueue::confirmable(sql::Lsn passed) {
  for (; !ends_.empty() && ends_.front().entries <= stored_; ends_.pop_front())
    confirmable_ = std::max(confirmable_, ends_.front().lsn);
  if (stored_ == taken_ && !open_) confirmable_ = std::max(confirmable_, passed);
  return confirmable_;
}

}  // namespace headroom::bus
