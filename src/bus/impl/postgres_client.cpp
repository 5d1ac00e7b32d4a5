#include "bus/impl/postgres_client.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "bus/memory_broker.hpp"

namespace headroom::bus {

namespace {

using base::fail;
using sql::PostgresListener;
using sql::PostgresListenerOptions;

constexpr int kMostNews = 8;

PostgresListenerOptions connection_for(const PostgresBrokerOptions& options, const std::string& part,
                                       const std::string& channel) {
  PostgresListenerOptions wanted;
  wanted.url = options.url;
  wanted.channel = channel;
  wanted.application_name = "headroom " + part;
  return wanted;
}

/// Asks what is due, when something is.
void ask(PostgresListener& connection, PostgresTime now, const std::optional<Question>& question) {
  if (question) connection.ask(now, question->statement, question->parameters);
}

Error broken() {
  return {base::ErrorCode::kUnavailable, "the connection to the database broke"};
}

}  // namespace

Result<std::unique_ptr<PostgresClient>> PostgresClient::make(const PostgresBrokerOptions& options,
                                                             PostgresEvents events) {
  auto sequencer = PostgresListener::create(connection_for(options, "sequencer", "headroom_outbox"));
  if (!sequencer) return fail(std::move(sequencer.error()));
  // The URL of all five is the same, so none of the others fails.
  Connections connections{
      std::move(*sequencer), std::move(*PostgresListener::create(connection_for(options, "keeper", ""))),
      std::move(*PostgresListener::create(connection_for(options, "reader", "headroom_stream"))),
      std::move(*PostgresListener::create(connection_for(options, "writer", ""))),
      std::move(*PostgresListener::create(connection_for(options, "inquirer", "")))};
  return std::unique_ptr<PostgresClient>(
      new PostgresClient(options, std::move(connections), std::move(events)));
}

PostgresClient::PostgresClient(const PostgresBrokerOptions& options, Connections connections,
                               PostgresEvents events)
    : events_(std::move(events)),
      connections_(std::move(connections)),
      all_{&connections_.sequencer, &connections_.keeper, &connections_.reader, &connections_.writer,
           &connections_.inquirer},
      source_(options.source),
      sequencer_(options.node, options.retention.count(), options.source),
      log_(options.url),
      keeper_({options.retention, options.forget_after, options.object_within, options.source}),
      writer_([this](std::int64_t ticket, Error error) { events_.refused(ticket, std::move(error)); }),
      inquirer_([this](std::int64_t number, Result<HistoryPage> page) {
        events_.inquired(number, std::move(page));
      }),
      talk_(fmt::format("{}:{}", options.node, random_epoch())) {}

PostgresClient::~PostgresClient() {
  stopping_ = true;
  waker_.wake();
  if (thread_.joinable()) thread_.join();
}

void PostgresClient::start() {
  thread_ = std::thread([this] { run(); });
}

void PostgresClient::publish(Ticketed publication) {
  const std::lock_guard lock(mutex_);
  publishes_.push_back(std::move(publication));
  waker_.wake();
}

void PostgresClient::inquire(Inquiry inquiry) {
  const std::lock_guard lock(mutex_);
  inquiries_.push_back(std::move(inquiry));
  waker_.wake();
}

void PostgresClient::keep(std::vector<std::string> channels) {
  const std::lock_guard lock(mutex_);
  kept_.insert(kept_.end(), std::make_move_iterator(channels.begin()),
               std::make_move_iterator(channels.end()));
  waker_.wake();
}

void PostgresClient::news_taken() {
  if (news_under_way_.fetch_sub(1) == kMostNews) waker_.wake();
}

void PostgresClient::talk_taken() {
  if (talk_under_way_.fetch_sub(1) == kMostNews) waker_.wake();
}

void PostgresClient::talk() {
  const std::lock_guard lock(mutex_);
  orders_.begins = true;
  waker_.wake();
}

void PostgresClient::say(Crowd crowd, const PresenceWord& word) {
  const std::lock_guard lock(mutex_);
  orders_.words.emplace_back(crowd, word);
  waker_.wake();
}

void PostgresClient::ask_node(Crowd crowd, std::string_view node) {
  const std::lock_guard lock(mutex_);
  orders_.asks.emplace_back(crowd, node);
  waker_.wake();
}

void PostgresClient::revoke(const Revocation& revocation) {
  const std::lock_guard lock(mutex_);
  orders_.revocations.push_back(revocation);
  waker_.wake();
}

void PostgresClient::leave(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  orders_.leaves = true;
  waker_.wake();
  left_.wait_for(lock, patience, [this] { return has_left_; });
}

PostgresBrokerCounts PostgresClient::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

// On its own thread
// ---------------------------------------------------------------------------------------------------------

void PostgresClient::run() {
  while (!stopping_) {
    waker_.clear();
    take_orders();
    const PostgresTime now = std::chrono::steady_clock::now();
    advance(now);
    remember();
    wait(now);
  }
}

void PostgresClient::wait(PostgresTime now) {
  std::array<sql::Waited, 6> waited;
  for (std::size_t i = 0; i < all_.size(); ++i) waited.at(i) = sql::waited(*all_.at(i));
  waited.back() = log_.waited();
  sql::wait(std::span<const sql::Waited>(waited), waker_, wake_at(now));
}

void PostgresClient::take_orders() {
  const std::lock_guard lock(mutex_);
  for (Ticketed& publication : publishes_) writer_.add(std::move(publication));
  for (Inquiry& inquiry : inquiries_) inquirer_.add(std::move(inquiry));
  keeper_.keep(kept_);
  take_talk_orders();
  publishes_.clear();
  inquiries_.clear();
  kept_.clear();
}

void PostgresClient::take_talk_orders() {
  talks_ = talks_ || orders_.begins;
  for (const auto& [crowd, word] : orders_.words) talk_.say(crowd, word);
  for (const auto& [crowd, node] : orders_.asks) talk_.ask(crowd, node);
  for (const Revocation& revocation : orders_.revocations) talk_.revoke(revocation);
  if (orders_.leaves) talk_.leave();
  orders_ = {};
}

void PostgresClient::advance(PostgresTime now) {
  for (PostgresListener* connection : all_) connection->advance(now);
  advance_reader(now);
  advance_writer(now);
  advance_sequencer(now);
  advance_inquirer(now);
  advance_keeper(now);
}

void PostgresClient::advance_sequencer(PostgresTime now) {
  PostgresListener& connection = connections_.sequencer;
  if (const auto answer = connection.take_answer()) take_step(now, *answer);
  if (!connection.take_payloads().empty()) sequencer_.wake(now);
  if (sequencer_.must_leave()) connection.leave(now);
  if (!connection.is_listening()) lose_term(now);
  if (source_ == PostgresSource::kLog) advance_log(now);
  if (connection.is_free()) ask(connection, now, next_step(now));
}

/// Its last step may be stored, though nobody was given it.
void PostgresClient::lose_term(PostgresTime now) {
  if (sequencer_.term() != 0) reader_.wake(now);
  sequencer_.lost();
}

void PostgresClient::take_step(PostgresTime now, const Result<sql::PostgresRows>& answer) {
  if (asked_ == Asked::kLog) return log_.answered(now, answer);
  const std::uint64_t before = sequencer_.sequenced();
  sequencer_.answered(now, answer);
  if (sequencer_.sequenced() > before) give(now, answer);
  if (asked_ == Asked::kLogStep && answer) log_.queue().stored();
}

/// A step that failed ends the session, and with it what waits for the slot: it comes again.
void PostgresClient::advance_log(PostgresTime now) {
  log_.lead(sequencer_.must_leave() ? 0 : sequencer_.term());
  log_.advance(now);
  sequencer_.read_log(log_.is_streaming(), now);
}

std::optional<Question> PostgresClient::next_step(PostgresTime now) {
  if (sequencer_.term() != 0 && !sequencer_.must_leave()) {
    asked_ = Asked::kLog;
    if (auto question = log_.next(now)) return question;
    asked_ = Asked::kLogStep;
    if (const auto part = log_.queue().next()) return sequencer_.step(now, *part);
  }
  asked_ = Asked::kStep;
  return sequencer_.next(now);
}

void PostgresClient::advance_keeper(PostgresTime now) {
  PostgresListener& connection = connections_.keeper;
  if (const auto answer = connection.take_answer()) {
    std::vector<std::string> doomed = keeper_.answered(now, *answer);
    if (!doomed.empty()) events_.doomed(std::move(doomed));
  }
  if (connection.is_free()) ask(connection, now, keeper_.next(now, sequencer_.term()));
}

void PostgresClient::advance_reader(PostgresTime now) {
  PostgresListener& connection = connections_.reader;
  if (const auto answer = connection.take_answer()) take_read(now, *answer);
  hear(now);
  advance_talk(now);
  if (!connection.is_listening()) {
    reader_.lost();
    if (reading_) events_.lost();
    reading_ = false;
  } else if (may_read()) {
    ask(connection, now, reader_.next(now));
  }
}

void PostgresClient::take_read(PostgresTime now, const Result<sql::PostgresRows>& answer) {
  if (!std::exchange(talk_asked_, false)) return tell(reader_.answered(now, answer));
  // What breaks the connection is told to the talk as such.
  if (answer || connections_.reader.is_listening()) talk_.answered(now, answer);
}

/// A term says that its sequencer has stored something; all else is what other nodes say.
void PostgresClient::hear(PostgresTime now) {
  const std::string own_term = std::to_string(sequencer_.term());
  for (const std::string& payload : connections_.reader.take_payloads()) {
    const bool is_term = payload.empty() || (payload.front() >= '0' && payload.front() <= '9');
    if (!is_term) talk_.heard(now, payload);
    if (is_term && payload != own_term) reader_.wake(now);
  }
}

/// It says little, and first, so a busy reader does not hold it up.
void PostgresClient::advance_talk(PostgresTime now) {
  if (!talks_) return;
  PostgresListener& connection = connections_.reader;
  if (!connection.is_listening()) talk_.lost();
  if (connection.is_free()) {
    const auto question = talk_.next(now);
    talk_asked_ = question.has_value();
    ask(connection, now, question);
  }
  if (talk_under_way_ >= kMostNews) return;
  TalkNews news = talk_.take_news();
  if (news.empty()) return;
  ++talk_under_way_;
  events_.talked(std::move(news));
}

/// What the node's own sequencer stored need not be read.
void PostgresClient::give(PostgresTime now, const Result<sql::PostgresRows>& step) {
  if (step && news_under_way_ < kMostNews) {
    if (auto news = reader_.given(now, *step)) return tell(std::move(*news));
  }
  reader_.wake(now);
}

void PostgresClient::tell(ReaderNews news) {
  const bool is_news = news.compare || !news.rows.empty() || news.available != reading_;
  reading_ = news.available;
  if (!is_news) return;
  ++news_under_way_;
  events_.news(std::move(news));
}

bool PostgresClient::may_read() const {
  return connections_.reader.is_free() && news_under_way_ < kMostNews;
}

void PostgresClient::advance_writer(PostgresTime now) {
  PostgresListener& connection = connections_.writer;
  if (const auto answer = connection.take_answer()) {
    const bool is_unknown = !*answer && !connection.is_listening();
    if (is_unknown) {
      writer_.lost();
    } else {
      writer_.answered(*answer);
    }
    sequencer_.wake(now);
  }
  if (connection.is_free() && reader_.began()) {
    ask(connection, now, writer_.next(now));
  } else {
    writer_.expire(now);
  }
}

void PostgresClient::advance_inquirer(PostgresTime now) {
  PostgresListener& connection = connections_.inquirer;
  if (const auto answer = connection.take_answer()) inquirer_.answered(*answer);
  if (!connection.is_listening()) inquirer_.lost(broken());
  if (connection.is_free() && reader_.began()) ask(connection, now, inquirer_.next());
}

void PostgresClient::remember() {
  const std::lock_guard lock(mutex_);
  counts_.term = sequencer_.term();
  counts_.seq = reader_.seq();
  counts_.sequenced = sequencer_.sequenced();
  counts_.emptied_slots = keeper_.emptied();
  counts_.forgotten_channels = keeper_.forgotten();
  counts_.losses = connections_.reader.losses();
  counts_.reads_log = log_.is_streaming();
  counts_.malformed = log_.queue().malformed();
  counts_.log = keeper_.log();
  counts_.presence = talk_.counts(Crowd::kUsers);
  counts_.members = talk_.counts(Crowd::kMembers);
  counts_.revocations = talk_.revocation_counts();
  has_left_ = !talks_ || talk_.has_left();
  if (has_left_) left_.notify_all();
  counts_.problem = !connections_.reader.problem().empty() ? connections_.reader.problem()
                    : !reader_.problem().empty()           ? reader_.problem()
                    : !sequencer_.problem().empty()        ? sequencer_.problem()
                    : !log_.problem().empty()              ? log_.problem()
                                                           : talk_.problem();
}

/// A connection that was asked tells by its socket when it has the answer; one that is free goes on by time.
PostgresTime PostgresClient::wake_at(PostgresTime now) const {
  PostgresTime at = std::min(now + std::chrono::seconds{1}, log_.wake_at());
  for (const PostgresListener* connection : all_) at = std::min(at, connection->wake_at());
  if (connections_.sequencer.is_free()) at = std::min({at, sequencer_.wake_at(), log_.ask_at()});
  if (may_read()) at = std::min(at, reader_.wake_at());
  if (connections_.keeper.is_free()) at = std::min(at, keeper_.wake_at(sequencer_.term()));
  if (talks_ && connections_.reader.is_free()) at = std::min(at, talk_.wake_at());
  return at;
}

}  // namespace headroom::bus
