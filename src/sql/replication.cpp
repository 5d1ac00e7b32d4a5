#include "sql/replication.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "sql/impl/libpq.hpp"

namespace headroom::sql {

using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

/// The first two columns of both answers are texts, the third is a position or a text.
constexpr std::size_t kColumns = 4;

std::string text_in(const PostgresRows& rows, std::size_t column) {
  return rows[0][column].value_or("");
}

bool is_answer(const PostgresRows& rows) {
  return rows.size() == 1 && rows[0].size() == kColumns;
}

std::string quoted_text(std::string_view text) {
  std::string quoted = "'";
  for (const char character : text) quoted.append(character == '\'' ? 2 : 1, character);
  return quoted + '\'';
}

std::string publication_list(const std::vector<std::string>& publications) {
  std::string list;
  for (const std::string& name : publications) list += (list.empty() ? "" : ",") + quoted_name(name);
  return quoted_text(list);
}

/// What the server says of rights and limits at the handshake has no SQLSTATE for a client that connects.
Error handshake_error(pg_conn* connection) {
  Error error = connection_error(connection);
  const std::string& message = error.message();
  if (message.find("replication role") != std::string::npos)
    return {ErrorCode::kDenied, message + "; run: ALTER ROLE ... REPLICATION"};
  if (message.find("max_wal_senders") != std::string::npos)
    return {ErrorCode::kOverloaded, message + "; raise it, and restart PostgreSQL"};
  return error;
}

/// By SQLSTATE, with what to do about it.
Error replication_error(const PGresult* result) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  Error error = statement_error(result);
  const std::string& message = error.message();
  if (state == "55006" || state == "42710") return {ErrorCode::kConflict, message};
  if (state == "42704") return {ErrorCode::kNotFound, message};
  if (state == "53400" || message.find("max_replication_slots") != std::string::npos)
    return {ErrorCode::kOverloaded, message + "; raise max_replication_slots, and restart PostgreSQL"};
  if (state == "42501") return {ErrorCode::kDenied, message + "; run: ALTER ROLE ... REPLICATION"};
  if (state == "55000" && message.find("wal_level") != std::string::npos) {
    return {ErrorCode::kUnsupported,
            message + "; run: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL"};
  }
  if (state == "55000" || state == "58P01") {
    return {ErrorCode::kNotFound, fmt::format("{}: what it kept is lost ({})", message,
                                              one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL)))};
  }
  return error;
}

std::int64_t microseconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<SystemIdentity> system_identity(const PostgresRows& rows) {
  if (!is_answer(rows)) return fail(ErrorCode::kProtocol, "the database's answer is no identity");
  SystemIdentity identity;
  identity.system = text_in(rows, 0);
  const std::string timeline = text_in(rows, 1);
  (void)std::from_chars(timeline.data(), timeline.data() + timeline.size(), identity.timeline);
  auto flushed = parse_lsn(text_in(rows, 2));
  if (!flushed) return fail(ErrorCode::kProtocol, flushed.error().message());
  identity.flushed = *flushed;
  identity.database = text_in(rows, 3);
  return identity;
}

Result<MadeSlot> made_slot(const PostgresRows& rows) {
  if (!is_answer(rows)) return fail(ErrorCode::kProtocol, "the database's answer is no slot");
  auto consistent = parse_lsn(text_in(rows, 1));
  if (!consistent) return fail(ErrorCode::kProtocol, consistent.error().message());
  return MadeSlot{*consistent, text_in(rows, 2)};
}

namespace {

/// Where a tab or a backslash stands, or the end.
std::size_t end_of_plain(std::string_view line) {
  std::size_t end = 0;
  while (end < line.size() && line[end] != '\t' && line[end] != '\\') ++end;
  return end;
}

char unescaped(char escaped) {
  constexpr std::string_view kNames = "bfnrtv";
  constexpr std::string_view kMeant = "\b\f\n\r\t\v";
  const std::size_t known = kNames.find(escaped);
  return known == std::string_view::npos ? escaped : kMeant[known];
}

}  // namespace

Result<void> CopiedColumns::read(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  columns_.clear();
  unescaped_.clear();
  // What stands there already stays where it is.
  unescaped_.reserve(line.size());
  while (true) {
    const std::size_t end = end_of_plain(line);
    if (end < line.size() && line[end] == '\\') {
      if (auto read = read_escaped(line); !read) return read;
    } else {
      columns_.emplace_back(line.substr(0, end));
      line.remove_prefix(end);
    }
    if (line.empty()) return {};
    line.remove_prefix(1);
  }
}

/// A column with a backslash; `line` begins with the tab behind it afterwards.
Result<void> CopiedColumns::read_escaped(std::string_view& line) {
  const std::size_t begin = unescaped_.size();
  bool is_null = false;
  std::size_t at = 0;
  for (; at < line.size() && line[at] != '\t'; ++at) {
    if (line[at] != '\\') {
      unescaped_ += line[at];
    } else if (++at == line.size()) {
      return fail(ErrorCode::kProtocol, "a line of COPY ends within a character");
    } else if (line[at] == 'N') {
      is_null = true;
    } else {
      unescaped_ += unescaped(line[at]);
    }
  }
  const std::string_view all = unescaped_;
  columns_.push_back(is_null ? std::nullopt : std::optional(all.substr(begin)));
  line.remove_prefix(at);
  return {};
}

void CopiedLine::Free::operator()(char* memory) const {
  PQfreemem(memory);
}

void ReplicationConnection::Finish::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

// Connecting
// ---------------------------------------------------------------------------------------------------------

Result<ReplicationConnection> ReplicationConnection::open(ReplicationOptions options, Time now) {
  if (auto checked = check_postgres_url(options.url); !checked) return fail(std::move(checked.error()));
  ReplicationConnection made(std::move(options));
  const ReplicationOptions& wish = made.options_;
  made.now_ = now;
  made.deadline_ = now + wish.connect_within;
  made.connection_.reset(
      start_connection({wish.url, wish.database, wish.application_name, ConnectionKind::kReplication}));
  if (made.connection_ == nullptr) {
    made.end({ErrorCode::kUnavailable, "out of memory"});
  } else if (PQstatus(made.connection_.get()) == CONNECTION_BAD) {
    made.end(handshake_error(made.connection_.get()));
  }
  return made;
}

int ReplicationConnection::socket() const {
  return connection_ == nullptr ? -1 : PQsocket(connection_.get());
}

bool ReplicationConnection::wants_read() const {
  return state_ == State::kConnecting ? !connect_writes_ : !brings_data() || drained_;
}

bool ReplicationConnection::wants_write() const {
  return state_ == State::kConnecting ? connect_writes_ : unsent_;
}

ReplicationConnection::Time ReplicationConnection::wake_at() const {
  if (state_ == State::kStreaming) return std::min(status_at_, heard_at_ + options_.silence);
  return state_ == State::kIdle || state_ == State::kEnded ? Time::max() : deadline_;
}

int ReplicationConnection::backend() const {
  return connection_ == nullptr ? 0 : PQbackendPID(connection_.get());
}

void ReplicationConnection::advance(Time now) {
  now_ = now;
  if (state_ == State::kEnded) return;
  if (state_ == State::kConnecting) return go_on(now);
  receive(now);
  if (state_ == State::kStreaming) return keep_alive(now);
  if (state_ != State::kIdle && state_ != State::kEnded && now >= deadline_)
    end({ErrorCode::kTimedOut, "the database did not answer in time"});
}

void ReplicationConnection::go_on(Time now) {
  const Handshake handshake = go_on_connecting(connection_.get(), connect_writes_);
  if (handshake == Handshake::kBroken) return end(handshake_error(connection_.get()));
  if (handshake == Handshake::kDone) return prepare(now);
  if (now >= deadline_) end({ErrorCode::kTimedOut, "the database did not answer in time"});
}

/// How values are written is the session's, as in any other; and a node that is gone without a word must not
/// keep its slot from the next one for wal_sender_timeout, a minute.
void ReplicationConnection::prepare(Time now) {
  send(now, State::kPreparing,
       fmt::format("SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC';"
                   " SET extra_float_digits = 3; SET bytea_output = 'hex'; SET wal_sender_timeout = {}",
                   options_.silence.count()),
       options_.answer_within);
}

void ReplicationConnection::end(Error error) {
  if (state_ == State::kAsked) answer_ = fail(error);
  error_ = std::move(error);
  state_ = State::kEnded;
  connection_.reset();
  unsent_ = false;
}

// Commands
// ---------------------------------------------------------------------------------------------------------

void ReplicationConnection::identify(Time now) {
  send(now, State::kAsked, "IDENTIFY_SYSTEM", options_.answer_within);
}

void ReplicationConnection::make_slot(Time now, const SlotWish& wish) {
  const bool is_temporary = wish.life == SlotWish::Life::kTemporary;
  const std::string_view snapshot = wish.snapshot == SlotWish::Snapshot::kExported ? "export"
                                    : wish.snapshot == SlotWish::Snapshot::kOwn    ? "use"
                                                                                   : "nothing";
  send(now, State::kAsked,
       fmt::format("CREATE_REPLICATION_SLOT {}{} LOGICAL pgoutput (SNAPSHOT '{}')", quoted_name(wish.name),
                   is_temporary ? " TEMPORARY" : "", snapshot),
       options_.create_within);
}

void ReplicationConnection::drop_slot(Time now, const std::string& name) {
  send(now, State::kAsked, "DROP_REPLICATION_SLOT " + quoted_name(name), options_.answer_within);
}

void ReplicationConnection::query(Time now, const std::string& statement, std::chrono::milliseconds within) {
  send(now, State::kAsked, statement, within);
}

void ReplicationConnection::copy(Time now, const std::string& statement, std::chrono::milliseconds within) {
  send(now, State::kAsked, statement, within);
}

void ReplicationConnection::stream(Time now, const StreamWish& wish) {
  send(now, State::kAsked,
       fmt::format("START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}, messages "
                   "'true')",
                   quoted_name(wish.slot), lsn_text(wish.from), publication_list(wish.publications)),
       options_.answer_within);
  confirmed_ = wish.from;
}

std::optional<Result<PostgresRows>> ReplicationConnection::take_answer() {
  return std::exchange(answer_, std::nullopt);
}

void ReplicationConnection::send(Time now, State state, const std::string& command,
                                 std::chrono::milliseconds within) {
  now_ = now;
  within_ = within;
  deadline_ = now + within;
  state_ = state;
  begins_ = State::kIdle;
  if (PQsendQuery(connection_.get(), command.c_str()) == 0) return end(connection_error(connection_.get()));
  receive(now);
}

/// What was read is taken before more is: libpq's memory is the only one that holds it. A silence until then
/// is the owner's, not the server's.
void ReplicationConnection::receive(Time now) {
  flush();
  if (state_ == State::kEnded) return;
  if (brings_data() && !drained_) {
    heard_at_ = now;
    deadline_ = now + within_;
    return;
  }
  drained_ = !brings_data();
  if (PQconsumeInput(connection_.get()) == 0) return end(connection_error(connection_.get()));
  if (!brings_data() && state_ != State::kIdle) take_results(now);
}

void ReplicationConnection::flush() {
  const int unsent = PQflush(connection_.get());
  if (unsent < 0) return end(connection_error(connection_.get()));
  unsent_ = unsent > 0;
}

void ReplicationConnection::take_results(Time now) {
  while (PQisBusy(connection_.get()) == 0) {
    const ResultOwner result(PQgetResult(connection_.get()));
    if (result != nullptr) {
      take_result(result.get());
      // A stream that the server ended answers for ever.
      if (begins_ == State::kIdle && state_ != State::kEnding) continue;
    }
    return finish_command(now);
  }
}

void ReplicationConnection::take_result(const pg_result* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK) {
    result_ = rows_of(result);
  } else if (status == PGRES_COPY_BOTH) {
    begins_ = State::kStreaming;
    result_ = PostgresRows{};
  } else if (status == PGRES_COPY_OUT) {
    begins_ = State::kCopying;
  } else if (status == PGRES_COMMAND_OK || status == PGRES_COPY_IN) {
    if (!result_) result_ = PostgresRows{};
  } else {
    result_ = fail(replication_error(result));
  }
}

void ReplicationConnection::finish_command(Time now) {
  drained_ = false;  // something may have come with the answer
  if (begins_ == State::kCopying) {
    state_ = std::exchange(begins_, State::kIdle);
    return;
  }
  Result<PostgresRows> result = std::exchange(result_, std::nullopt)
                                    .value_or(fail(ErrorCode::kProtocol, "the database gave no answer"));
  if (state_ == State::kEnding) {
    return end(result ? Error(ErrorCode::kUnavailable, "the database ended the stream")
                      : std::move(result.error()));
  }
  const bool is_command = state_ == State::kAsked;
  if (!is_command && !result) return end(std::move(result.error()));
  state_ = std::exchange(begins_, State::kIdle);
  if (is_command) answer_ = std::move(result);
  if (state_ != State::kStreaming) return;
  status_at_ = now + options_.status_every;
  heard_at_ = now;
}

// Streaming
// ---------------------------------------------------------------------------------------------------------

std::optional<ReceivedMessage> ReplicationConnection::take() {
  while (state_ == State::kStreaming) {
    auto data = take_data();
    if (!data) return std::nullopt;
    auto frame = parse_replication_frame(data->text());
    if (!frame) {
      end(std::move(frame.error()));
      return std::nullopt;
    }
    if (const auto* alive = std::get_if<KeepAlive>(&*frame)) {
      take_keep_alive(*alive);
      continue;
    }
    ReceivedMessage received;
    received.data_ = std::get<WalData>(*frame);
    received.memory_ = std::move(*data);
    return received;
  }
  return std::nullopt;
}

std::optional<CopiedLine> ReplicationConnection::take_line() {
  if (state_ != State::kCopying) return std::nullopt;
  deadline_ = now_ + within_;
  return take_data();
}

std::optional<CopiedLine> ReplicationConnection::take_data() {
  if (drained_) return std::nullopt;
  CopiedLine line;
  char* memory = nullptr;
  constexpr int kWithoutWaiting = 1;
  const int size = PQgetCopyData(connection_.get(), &memory, kWithoutWaiting);
  if (size > 0) {
    line.memory_.reset(memory);
    line.size_ = static_cast<std::size_t>(size);
    heard_at_ = now_;
    return line;
  }
  constexpr int kEndOfData = -1;
  drained_ = size == 0;
  if (size == kEndOfData) end_of_data();
  if (size < kEndOfData) end(connection_error(connection_.get()));
  return std::nullopt;
}

void ReplicationConnection::take_keep_alive(const KeepAlive& alive) {
  passed_ = std::max(passed_, alive.server_end);
  asked_ = false;
  if (alive.wants_reply) status_at_ = now_;
}

/// What the server says behind it: that the copy is whole, or why it or the stream ended.
void ReplicationConnection::end_of_data() {
  state_ = state_ == State::kCopying ? State::kAsked : State::kEnding;
  deadline_ = now_ + options_.answer_within;
  receive(now_);
}

void ReplicationConnection::confirm(Lsn lsn) {
  confirmed_ = std::max(confirmed_, lsn);
}

void ReplicationConnection::ask_position(Time now) {
  if (state_ == State::kStreaming && !asked_) send_status(now, true);
}

void ReplicationConnection::keep_alive(Time now) {
  const auto silence = now - heard_at_;
  if (silence >= options_.silence) return end({ErrorCode::kTimedOut, "the database has fallen silent"});
  if (now >= status_at_) send_status(now, silence >= options_.silence / 2);
}

void ReplicationConnection::send_status(Time now, bool wants_reply) {
  const std::string status = standby_status(confirmed_, microseconds_since_1970(), wants_reply);
  const int put = PQputCopyData(connection_.get(), status.data(), static_cast<int>(status.size()));
  if (put < 0) return end(connection_error(connection_.get()));
  status_at_ = now + options_.status_every;
  if (put == 0) return;  // what was sent before is still on its way
  asked_ = asked_ || wants_reply;
  flush();
}

}  // namespace headroom::sql
