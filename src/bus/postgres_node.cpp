#include "bus/postgres_node.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

using base::fail;
using sql::PostgresRows;
using Cell = std::optional<std::string>;

constexpr std::chrono::milliseconds kCampaignEvery{250};
constexpr std::chrono::milliseconds kRetryAfter{250};
constexpr std::chrono::seconds kKeepEvery{10};
constexpr std::chrono::seconds kCleanEvery{2};
constexpr std::chrono::seconds kLogEvery{5};

constexpr std::string_view kOldSchema =
    "the schema headroom is older than this executable; run: headroom bus sql | psql";

/// Of headroom.poll and headroom.sequence: epoch, seq, source, ticket, channel, channel_offset, data.
constexpr std::size_t kStreamColumns = 7;
constexpr std::size_t kSeqColumn = 1;

std::int64_t number_in(const Cell& cell) {
  std::int64_t value = 0;
  if (cell) (void)std::from_chars(cell->data(), cell->data() + cell->size(), value);
  return value;
}

bool is_shape(const PostgresRows& rows, std::size_t columns) {
  return !rows.empty() &&
         std::all_of(rows.begin(), rows.end(), [&](const auto& row) { return row.size() == columns; });
}

}  // namespace

std::string array_literal(const std::vector<std::string>& values) {
  std::string text = "{";
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (const char character : value) {
      if (character == '"' || character == '\\') text += '\\';
      text += character;
    }
    text += '"';
  }
  return text + '}';
}

void PollPace::looked(PostgresTime asked, PostgresTime now, std::size_t found, bool more) {
  if (found > 0) busy_until_ = now + kBusyFor;
  next_ = more ? now : std::max(asked + (now < busy_until_ ? kBusy : kIdle), now + kLeast);
}

void PollPace::wake(PostgresTime now) {
  busy_until_ = now + kBusyFor;
  next_ = std::min(next_, now);
}

// Sequencer
// ---------------------------------------------------------------------------------------------------------

std::optional<Question> Sequencer::next(PostgresTime now) {
  if (must_leave_ || now < wake_at()) return std::nullopt;
  asked_at_ = now;
  if (term_ != 0) return step(now);
  if (source_ == PostgresSource::kOutbox)
    return Question{"SELECT headroom.campaign($1, $2)", {node_, std::to_string(retention_s_)}};
  return Question{"SELECT headroom.campaign($1, $2, true)", {node_, std::to_string(retention_s_)}};
}

Question Sequencer::step(PostgresTime now) {
  asked_at_ = now;
  const bool keep = now >= keep_at_;
  if (keep) keep_at_ = now + kKeepEvery;
  return Question{"SELECT * FROM headroom.sequence($1, $2, $3)",
                  {std::to_string(term_), std::to_string(kMost), keep ? "t" : "f"}};
}

Question Sequencer::step(PostgresTime now, const LogPart& part) {
  Question question = step(now);
  question.statement = "SELECT * FROM headroom.sequence($1, $2, $3, $4, $5, $6, $7, $8, $9)";
  for (const auto* values : {&part.channels, &part.ids, &part.tickets, &part.datas})
    question.parameters.push_back(array_literal(*values));
  question.parameters.push_back(sql::lsn_text(part.position.commit));
  question.parameters.push_back(std::to_string(part.position.read));
  return question;
}

void Sequencer::wake(PostgresTime now) {
  if (!reads_log_) pace_.wake(now);
}

void Sequencer::read_log(bool reads, PostgresTime now) {
  if (reads == reads_log_) return;
  reads_log_ = reads;
  pace_.wake(now);
}

void Sequencer::answered(PostgresTime now, const Result<PostgresRows>& rows) {
  if (!rows || !is_shape(*rows, term_ == 0 ? 1 : kStreamColumns)) {
    problem_ = rows ? std::string(kOldSchema) : rows.error().message();
    campaign_at_ = now + kCampaignEvery;
    must_leave_ = term_ != 0;
    return;
  }
  problem_.clear();
  if (term_ == 0) return campaigned(now, *rows);
  const auto found = static_cast<std::size_t>(number_in(rows->front()[kSeqColumn]));
  sequenced_ += found;
  pace_.looked(asked_at_, now, found, found >= kMost);
  if (reads_log_ && found < kMost) pace_.rest(now);
}

void Sequencer::campaigned(PostgresTime now, const PostgresRows& rows) {
  term_ = number_in(rows.front().front());
  campaign_at_ = now + kCampaignEvery;
  if (term_ == 0) return;
  keep_at_ = now;
  pace_.wake(now);
}

void Sequencer::lost() {
  term_ = 0;
  reads_log_ = false;
  must_leave_ = false;
}

// Keeper
// ---------------------------------------------------------------------------------------------------------

std::optional<Question> Keeper::next(PostgresTime now, std::int64_t term) {
  if (!kept_.empty()) {
    asked_ = Work::kObject;
    return Question{"SELECT headroom.keep_channels($1)", {array_literal(std::exchange(kept_, {}))}};
  }
  if (now >= look_at_) {
    constexpr int kLooks = 5;  // until it is too late
    look_at_ = now + std::chrono::milliseconds(times_.object_within) / kLooks;
    asked_ = Work::kLook;
    return Question{"SELECT headroom.doomed_channels()", {}};
  }
  if (times_.source == PostgresSource::kLog && now >= log_at_) {
    log_at_ = now + kLogEvery;
    asked_ = Work::kLog;
    return Question{"SELECT * FROM headroom.log_state()", {}};
  }
  if (term == 0 || now < at_) return std::nullopt;
  at_ = now + kCleanEvery;
  asked_ = turn_;
  return clean(term);
}

Question Keeper::clean(std::int64_t term) const {
  const std::string own_term = std::to_string(term);
  if (turn_ == Work::kOutbox) return {"SELECT headroom.clean_outbox($1)", {own_term}};
  if (turn_ == Work::kStream)
    return {"SELECT headroom.clean_stream($1, $2)", {own_term, std::to_string(times_.retention.count())}};
  return {
      "SELECT headroom.forget_channels($1, $2, $3)",
      {own_term, std::to_string(times_.forget_after.count()), std::to_string(times_.object_within.count())}};
}

std::vector<std::string> Keeper::answered(PostgresTime now, const Result<PostgresRows>& rows) {
  std::vector<std::string> doomed;
  if (asked_ == Work::kObject) return doomed;
  if (asked_ == Work::kLog) {
    if (!rows) return doomed;
    if (auto state = log_state(*rows)) log_ = std::move(*state);
    return doomed;
  }
  if (asked_ == Work::kLook) {
    if (!rows || !is_shape(*rows, 1)) return doomed;
    for (const auto& row : *rows) doomed.push_back(row.front().value_or(""));
    return doomed;
  }
  const auto done =
      rows && is_shape(*rows, 1) ? static_cast<std::uint64_t>(number_in(rows->front().front())) : 0;
  if (done > 0) {
    (asked_ == Work::kChannels ? forgotten_ : emptied_) += done;
    at_ = now;
    return doomed;
  }
  turn_ = turn_ == Work::kOutbox ? Work::kStream : turn_ == Work::kStream ? Work::kChannels : Work::kOutbox;
  return doomed;
}

void Keeper::keep(const std::vector<std::string>& channels) {
  kept_.insert(kept_.end(), channels.begin(), channels.end());
}

PostgresTime Keeper::wake_at(std::int64_t term) const {
  if (!kept_.empty()) return {};
  const PostgresTime at = times_.source == PostgresSource::kLog ? std::min(look_at_, log_at_) : look_at_;
  return term == 0 ? at : std::min(at, at_);
}

// Reader
// ---------------------------------------------------------------------------------------------------------

std::optional<Question> Reader::next(PostgresTime now) {
  if (now < wake_at()) return std::nullopt;
  asked_at_ = now;
  if (step_ == Step::kPoll)
    return Question{"SELECT * FROM headroom.poll($1, $2)", {std::to_string(seq_), std::to_string(kMost)}};
  if (step_ == Step::kBreak) return Question{"SELECT headroom.break_history($1)", {epoch_}};
  return Question{"SELECT * FROM headroom.node_state($1, $2)",
                  {std::to_string(seq_), std::to_string(source_)}};
}

ReaderNews Reader::answered(PostgresTime now, const Result<PostgresRows>& rows) {
  ReaderNews news;
  if (!rows) {
    problem_ = rows.error().message();
    step_ = Step::kState;
    retry_at_ = now + kRetryAfter;
  } else if (step_ == Step::kState) {
    learned(now, *rows, news);
  } else if (step_ == Step::kBreak) {
    began_ = false;
    seq_ = 0;
    step_ = Step::kState;
  } else {
    polled(now, *rows, news);
  }
  news.available = step_ == Step::kPoll;
  news.epoch = epoch_;
  return news;
}

void Reader::learned(PostgresTime now, const PostgresRows& rows, ReaderNews& news) {
  constexpr std::size_t kColumns = 4;
  retry_at_ = now + kRetryAfter;
  if (!is_shape(rows, kColumns) || number_in(rows[0][0]) != kVersion || !rows[0][1] || !rows[0][2]) {
    problem_ = fmt::format(
        "the schema headroom of the database is not of version {}; run: headroom bus sql | psql", kVersion);
    return;
  }
  const bool proven = rows[0][3] == "t";
  epoch_ = *rows[0][1];
  if (!proven) {
    step_ = Step::kBreak;
    retry_at_ = now;
    return;
  }
  // What came meanwhile is read from where the last connection stopped.
  if (!began_) seq_ = number_in(rows[0][2]);
  began_ = true;
  problem_.clear();
  news.compare = true;
  step_ = Step::kPoll;
  pace_.wake(now);
}

void Reader::polled(PostgresTime now, const PostgresRows& rows, ReaderNews& news) {
  if (!is_shape(rows, kStreamColumns) || !rows[0][0]) {
    step_ = Step::kState;
    retry_at_ = now;
    return;
  }
  take(rows, news);
  pace_.looked(asked_at_, now, news.rows.size(), news.rows.size() >= kMost);
}

std::optional<ReaderNews> Reader::given(PostgresTime now, const PostgresRows& rows) {
  const bool goes_on = step_ == Step::kPoll && rows.size() > 1 && is_shape(rows, kStreamColumns) &&
                       rows[0][0] && number_in(rows[1][kSeqColumn]) == seq_ + 1;
  if (!goes_on) return std::nullopt;
  ReaderNews news;
  take(rows, news);
  news.available = true;
  news.epoch = epoch_;
  pace_.rest(now);
  return news;
}

void Reader::take(const PostgresRows& rows, ReaderNews& news) {
  news.compare = epoch_ != *rows[0][0];
  epoch_ = *rows[0][0];
  for (std::size_t i = 1; i < rows.size(); ++i) take(rows[i], news);
}

/// The stream's numbers have no gap: one means that rows were cleaned away before they were read. Those that
/// were given while a look was under way come twice.
void Reader::take(const std::vector<Cell>& row, ReaderNews& news) {
  const std::int64_t seq = number_in(row[kSeqColumn]);
  if (seq <= seq_) return;
  if (seq != seq_ + 1) news.compare = true;
  seq_ = seq;
  source_ = number_in(row[2]);
  StreamRow taken;
  taken.ticket = number_in(row[3]);
  taken.channel = row[4].value_or("");
  taken.offset = static_cast<std::uint64_t>(number_in(row[5]));
  if (row[6]) taken.data = std::make_shared<const std::string>(*row[6]);
  news.rows.push_back(std::move(taken));
}

void Reader::lost() {
  step_ = Step::kState;
}

// Writer
// ---------------------------------------------------------------------------------------------------------

std::optional<Question> Writer::next(PostgresTime now) {
  expire(now);
  if (!group_.empty() || queue_.empty()) return std::nullopt;
  std::vector<std::string> channels;
  std::vector<std::string> ids;
  std::vector<std::string> tickets;
  std::vector<std::string> datas;
  std::size_t bytes = 0;
  const std::size_t most = alone_ > 0 ? 1 : kMostGroup;
  while (!queue_.empty() && group_.size() < most && bytes < kMostGroupBytes) {
    Ticketed& front = queue_.front();
    channels.push_back(front.publication.channel);
    ids.push_back(front.publication.id);
    tickets.push_back(std::to_string(front.ticket));
    datas.push_back(front.publication.data);
    bytes += front.publication.data.size();
    group_.push_back(std::move(front));
    queue_.pop_front();
  }
  alone_ -= std::min(alone_, group_.size());
  return Question{
      "SELECT headroom.accept($1, $2, $3, $4)",
      {array_literal(channels), array_literal(ids), array_literal(tickets), array_literal(datas)}};
}

/// One that the database refuses takes nothing from the others of its group.
void Writer::answered(const Result<PostgresRows>& rows) {
  std::vector<Ticketed> group = std::exchange(group_, {});
  if (rows) return;
  if (group.size() == 1) return refuse_(group.front().ticket, rows.error());
  alone_ += group.size();
  queue_.insert(queue_.begin(), std::make_move_iterator(group.begin()), std::make_move_iterator(group.end()));
}

void Writer::expire(PostgresTime now) {
  while (!queue_.empty() && queue_.front().deadline <= now) {
    refuse_(queue_.front().ticket, Error(base::ErrorCode::kUnavailable, "the database can't be reached"));
    queue_.pop_front();
    alone_ -= std::min<std::size_t>(alone_, 1);
  }
}

// Inquirer
// ---------------------------------------------------------------------------------------------------------

std::optional<Question> Inquirer::next() {
  if (!asked_.empty() || queue_.empty()) return std::nullopt;
  const Inquiry::Kind kind = queue_.front().kind;
  const std::size_t most = kind == Inquiry::Kind::kPosition ? kMostPositions : 1;
  while (!queue_.empty() && queue_.front().kind == kind && asked_.size() < most) {
    asked_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (kind == Inquiry::Kind::kPosition) {
    std::vector<std::string> channels;
    for (const Inquiry& inquiry : asked_) channels.push_back(inquiry.channel);
    return Question{"SELECT * FROM headroom.positions($1)", {array_literal(channels)}};
  }
  const Inquiry& inquiry = asked_.front();
  constexpr std::size_t kMostMessages = 100'000;
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  // Without a position the newest ones are meant; -1 can't be one.
  return Question{"SELECT * FROM headroom.history($1, nullif($2::bigint, -1), $3, $4, $5, $6)",
                  {inquiry.channel, inquiry.since ? std::to_string(inquiry.since->offset) : "-1",
                   std::to_string(std::min(inquiry.limit, kMostMessages) + (inquiry.since ? 1 : 0)),
                   std::to_string(std::min(inquiry.rule.history_messages, kMostMessages)),
                   std::to_string(inquiry.rule.history_bytes),
                   std::to_string((inquiry.rule.history_age_ns + kNsPerSecond - 1) / kNsPerSecond)}};
}

void Inquirer::answered(const Result<PostgresRows>& rows) {
  if (!rows) return answer_all(rows.error());
  const std::vector<Inquiry> asked = std::exchange(asked_, {});
  if (asked.empty()) return;
  if (asked.front().kind == Inquiry::Kind::kHistory)
    return answer_(asked.front().number, page_of(asked.front(), *rows));
  constexpr std::size_t kColumns = 3;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (i >= rows->size() || (*rows)[i].size() != kColumns) {
      answer_(asked[i].number, fail(base::ErrorCode::kProtocol, "the database's answer is no position"));
      continue;
    }
    const auto& row = (*rows)[i];
    HistoryPage page;
    page.position = {static_cast<std::uint64_t>(number_in(row[2])), row[0].value_or("")};
    answer_(asked[i].number, std::move(page));
  }
}

void Inquirer::lost(const Error& error) {
  answer_all(error);
}

void Inquirer::answer_all(const Error& error) {
  for (const Inquiry& inquiry : std::exchange(asked_, {})) answer_(inquiry.number, fail(error));
}

Result<HistoryPage> page_of(const Inquiry& inquiry, const PostgresRows& rows) {
  constexpr std::size_t kColumns = 4;
  if (!is_shape(rows, kColumns) || !rows[0][0])
    return fail(base::ErrorCode::kProtocol, "the database's answer is no history");
  HistoryPage page;
  page.position = {static_cast<std::uint64_t>(number_in(rows[0][1])), *rows[0][0]};
  const auto oldest = static_cast<std::uint64_t>(number_in(rows[0][2]));
  if (inquiry.since) {
    const Position& since = *inquiry.since;
    page.lost = since.epoch != page.position.epoch || since.offset > page.position.offset ||
                since.offset + 1 < oldest;
    if (page.lost) return page;
  }
  std::size_t bytes = 0;
  // Without a position it is the oldest ones that are left out, so the rows are taken from the end.
  const std::size_t messages = rows.size() - 1;
  for (std::size_t i = 0; i < messages; ++i) {
    const auto& row = inquiry.since ? rows[1 + i] : rows[rows.size() - 1 - i];
    Message message;
    message.offset = static_cast<std::uint64_t>(number_in(row[1]));
    message.data = std::make_shared<const std::string>(row[3].value_or(""));
    bytes += message.data->size();
    if (page.messages.size() >= inquiry.limit || (bytes > inquiry.bytes && !page.messages.empty())) break;
    page.messages.push_back(std::move(message));
  }
  if (!inquiry.since) std::reverse(page.messages.begin(), page.messages.end());
  // Rows that were emptied while they were read.
  std::uint64_t expected = inquiry.since           ? inquiry.since->offset + 1
                           : page.messages.empty() ? 0
                                                   : page.messages.front().offset;
  for (const Message& message : page.messages) page.lost = page.lost || message.offset != expected++;
  if (inquiry.since && inquiry.limit > 0 && page.messages.empty())
    page.lost = expected <= page.position.offset;
  if (page.lost) page.messages.clear();
  if (inquiry.since && !page.lost) page.more = expected - 1 < page.position.offset;
  return page;
}

}  // namespace headroom::bus
