#include "worklist/live_source.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "worklist/impl/sql_text.hpp"

namespace headroom::worklist {

namespace {

using base::Error;
using base::fail;
using impl::SqlText;
using sql::PostgresListener;
using sql::ReplicationConnection;
using State = ReplicationConnection::State;

constexpr std::chrono::milliseconds kAnswerWithin{5'000};
constexpr std::chrono::milliseconds kFirstBackoff{50};
constexpr std::chrono::milliseconds kLongestBackoff{1'000};
constexpr std::chrono::milliseconds kAskEvery{2};
constexpr std::chrono::milliseconds kBlockerEvery{500};
constexpr std::chrono::milliseconds kBehindAfter{1'000};
constexpr std::chrono::milliseconds kProbeEvery{500};
/// Older than that, with probes on their way, and the counts are behind.
constexpr std::chrono::milliseconds kFreshWithin{2'000};
/// Rows of a COPY that are counted at once.
constexpr std::size_t kRowsTogether = 512;

/// Slots are of the whole server, and one of a connection that just broke may still be there.
std::string new_slot_name() {
  std::random_device random;
  return fmt::format("headroom_worklist_{:08x}{:08x}", random(), random());
}

/// Who holds what the process of the slot waits for. His transaction's age is told to those who may see it.
constexpr std::string_view kBlocker =
    "SELECT h.pid, coalesce(extract(epoch FROM now() - a.xact_start)::bigint, 0) FROM pg_catalog.pg_locks w"
    " JOIN pg_catalog.pg_locks h ON h.locktype = w.locktype AND h.transactionid = w.transactionid AND "
    "h.granted"
    " LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid WHERE w.pid = $1::int AND NOT w.granted LIMIT "
    "1";

/// How far the log is, and a digest of the tables' shape. 0: their names, 1: those of their columns, 2: the
/// publication. What is unique there too: a look-up's key has to stay so.
constexpr std::string_view kShape =
    "SELECT pg_catalog.pg_current_wal_flush_lsn(), pg_catalog.md5(coalesce(pg_catalog.string_agg(shape, ',' "
    "ORDER"
    " BY ord), '')) FROM (SELECT t.ord, pg_catalog.concat_ws(':', t.name, c.oid, c.relreplident,"
    " pg_catalog.pg_relation_filenode(c.oid), (SELECT pg_catalog.string_agg(pg_catalog.concat_ws('/',"
    " p.relid::oid, pg_catalog.pg_relation_filenode(p.relid)), ' ' ORDER BY p.relid::oid) FROM"
    " pg_catalog.pg_partition_tree(c.oid) p), (SELECT pg_catalog.string_agg(pg_catalog.concat_ws('/', "
    "a.attname,"
    " a.attnum, a.atttypid), ' ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid "
    "AND"
    " a.attname = ANY (ARRAY[{1}]::pg_catalog.name[]) AND NOT a.attisdropped), (SELECT"
    " pg_catalog.string_agg(i.indkey::text, '/' ORDER BY i.indkey::text) FROM pg_catalog.pg_index i WHERE"
    " i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL), "
    "(SELECT"
    " count(*) FROM"
    " pg_catalog.pg_publication_tables u WHERE u.pubname = {2} AND u.schemaname = n.nspname AND u.tablename ="
    " c.relname)) AS shape FROM pg_catalog.unnest(ARRAY[{0}]::text[]) WITH ORDINALITY t(name, ord) LEFT JOIN"
    " pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name) LEFT JOIN pg_catalog.pg_namespace n ON "
    "n.oid"
    " = c.relnamespace) AS shapes";

template <typename Number>
Number number_in(const std::optional<std::string>& cell) {
  Number value{};
  if (cell) (void)std::from_chars(cell->data(), cell->data() + cell->size(), value);
  return value;
}

}  // namespace

std::string_view name(LiveState state) {
  constexpr std::array<std::string_view, 6> kNames{"away",        "waiting", "loading",
                                                   "catching up", "current", "rebuilding"};
  return kNames.at(static_cast<std::size_t>(state));
}

std::string LiveStatus::text() const {
  std::string told(name(state));
  if (process != 0)
    told += fmt::format(" for transaction of process {}, open for {} s", process, age.count());
  return problem.empty() ? told : told + ": " + problem;
}

std::string publication_statement(const Definitions& definitions, std::string_view publication) {
  std::set<std::string> tables;
  for (const Catalog& catalog : definitions.catalogs) {
    if (!check_live(catalog)) continue;
    for (const LiveTable& table : live_tables(catalog)) tables.insert(table.table());
  }
  return fmt::format("CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)",
                     SqlText::quoted(publication), fmt::join(tables, ", "));
}

// Making
// ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<LiveSource>> LiveSource::make(const Definitions& definitions,
                                                     LiveSourceOptions options, base::UtcTime now) {
  for (const Catalog& catalog : definitions.catalogs) {
    if (auto live = check_live(catalog); !live) return fail(std::move(live.error()));
  }
  sql::PostgresListenerOptions asking;
  asking.url = options.url;
  asking.application_name = "headroom worklist";
  auto asker = PostgresListener::create(std::move(asking));
  if (!asker) return fail(std::move(asker.error()));
  return std::unique_ptr<LiveSource>(new LiveSource(definitions, std::move(options), std::move(*asker), now));
}

LiveSource::LiveSource(const Definitions& definitions, LiveSourceOptions options, PostgresListener asker,
                       base::UtcTime now)
    : definitions_(definitions), options_(std::move(options)), moment_(now), asker_(std::move(asker)) {
  for (std::size_t i = 0; i < definitions.catalogs.size(); ++i) {
    for (LiveTable& table : live_tables(definitions.catalogs[i])) {
      tables_.push_back(std::move(table));
      catalog_of_.push_back(i);
    }
  }
  copied_.resize(kRowsTogether);
}

std::vector<std::unique_ptr<LiveCounters>> LiveSource::new_counters() const {
  std::vector<std::unique_ptr<LiveCounters>> made;
  for (const Catalog& catalog : definitions_.catalogs)
    made.push_back(std::make_unique<LiveCounters>(catalog));
  return made;
}

/// Counts what was copied. All at once is a tenth of what it would take document by document.
void LiveSource::set_lists() {
  for (std::size_t i = 0; i < filling_.size(); ++i)
    filling_[i]->set_lists(timed_lists(definitions_, i), moment_);
}

void LiveSource::set_moment(base::UtcTime now) {
  moment_ = now;
  ++version_;
  touch_all();
  for (auto* all : {&served_, &filling_}) {
    for (auto& counters : *all) counters->advance(now);
  }
}

std::optional<base::UtcTime> LiveSource::next_moment() const {
  std::optional<base::UtcTime> next;
  for (const auto* all : {&served_, &filling_}) {
    for (const auto& counters : *all) {
      const auto change = counters->next_change();
      if (change && (!next || *change < *next)) next = change;
    }
  }
  return next;
}

LiveCounters& LiveSource::filled(std::size_t catalog) {
  return filling_.empty() ? *served_[catalog] : *filling_[catalog];
}

const LiveCounters* LiveSource::counters(std::size_t catalog) const {
  return served_.empty() ? nullptr : served_[catalog].get();
}

// Loading
// ---------------------------------------------------------------------------------------------------------

void LiveSource::advance(Time now) {
  if (step_ == Step::kAway && now >= retry_at_) connect(now);
  if (connection_) {
    connection_->advance(now);
    go_on(now);
  }
  advance_asker(now);
  tell_readers(now);
}

void LiveSource::connect(Time now) {
  sql::ReplicationOptions options;
  options.url = options_.url;
  options.application_name = "headroom worklist log";
  options.create_within = options_.load_within;
  auto opened = ReplicationConnection::open(std::move(options), now);
  if (!opened) return fail_later(now, opened.error());
  connection_.emplace(std::move(*opened));
  step_ = Step::kConnect;
  if (!served_.empty()) ++rebuilds_;
}

void LiveSource::fail_later(Time now, const Error& error) {
  problem_ = error.message();
  connection_.reset();
  filling_.clear();
  step_ = Step::kAway;
  open_ = false;
  behind_since_.reset();
  probe_.reset();
  blocker_ = 0;
  backoff_ = std::min(backoff_.count() == 0 ? kFirstBackoff : backoff_ * 2, kLongestBackoff);
  retry_at_ = now + backoff_;
}

void LiveSource::rebuild(Time now) {
  fail_later(now, {ErrorCode::kConflict, "it was asked to count anew"});
  retry_at_ = now;
}

void LiveSource::go_on(Time now) {
  if (step_ == Step::kCopy) take_lines(now);
  if (!connection_) return;
  if (const auto answer = connection_->take_answer()) {
    if (!*answer) return fail_later(now, answer->error());
    return answered(now, **answer);
  }
  if (connection_->state() == State::kEnded) return fail_later(now, connection_->error());
  if (step_ == Step::kConnect && connection_->state() == State::kIdle) next_table(now, Step::kCheck);
  if (step_ == Step::kFollow) follow(now);
}

void LiveSource::answered(Time now, const sql::PostgresRows& rows) {
  switch (step_) {
    case Step::kCheck:
      if (auto checked = tables_[table_].checked(rows, options_.publication); !checked)
        return fail_later(now, checked.error());
      ++table_;
      return next_table(now, Step::kCheck);
    case Step::kShape:
      if (rows.size() != 1 || rows[0].size() != 2 || !rows[0][1])
        return fail_later(now, {ErrorCode::kProtocol, "the database's answer is no shape of tables"});
      shape_ = *rows[0][1];
      step_ = Step::kBegin;
      return connection_->query(now, "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ", kAnswerWithin);
    case Step::kBegin:
      step_ = Step::kSlot;
      slot_ = new_slot_name();
      return connection_->make_slot(now,
                                    {slot_, sql::SlotWish::Life::kTemporary, sql::SlotWish::Snapshot::kOwn});
    case Step::kSlot:
      blocker_ = 0;
      filling_ = new_counters();
      table_ = 0;
      return next_table(now, Step::kCopy);
    case Step::kCopy:
      ++table_;
      return next_table(now, Step::kCopy);
    case Step::kEnd:
      step_ = Step::kWhere;
      target_at_ = now;
      return connection_->identify(now);
    case Step::kWhere: {
      const auto identity = sql::system_identity(rows);
      if (!identity) return fail_later(now, identity.error());
      target_ = identity->flushed;
      applied_ = 0;
      step_ = Step::kStart;
      return connection_->stream(now, {slot_, {options_.publication}, 0});
    }
    case Step::kStart:
      step_ = Step::kFollow;
      return follow(now);
    default:
      return;
  }
}

/// The next table's question, or what follows the last one.
void LiveSource::next_table(Time now, Step step) {
  const bool is_first = step_ != step;
  if (is_first) table_ = 0;
  step_ = step;
  if (table_ < tables_.size()) {
    const LiveTable& table = tables_[table_];
    if (step == Step::kCheck)
      return connection_->query(now, table.check_statement(options_.publication), kAnswerWithin);
    return connection_->copy(now, table.copy_statement(), options_.load_within);
  }
  if (step == Step::kCopy) set_lists();
  // The shape before the slot: what changes in between is another one at the next look.
  step_ = step == Step::kCheck ? Step::kShape : Step::kEnd;
  connection_->query(now, step_ == Step::kShape ? shape_statement() : "COMMIT", kAnswerWithin);
}

void LiveSource::take_lines(Time now) {
  LiveCounters& counters = *filling_[catalog_of_[table_]];
  for (std::size_t taken = 0; taken < options_.most_changes; taken += kRowsTogether) {
    const auto rows = read_lines();
    auto counted = rows ? tables_[table_].put_all(std::span(copied_).first(*rows), counters)
                        : Result<void>(fail(rows.error()));
    if (!counted) return fail_later(now, std::move(counted.error()).within(tables_[table_].what()));
    if (*rows < kRowsTogether) return;
  }
}

/// How many lines there were, at most as many as are counted at once.
Result<std::size_t> LiveSource::read_lines() {
  std::size_t rows = 0;
  for (; rows < kRowsTogether; ++rows) {
    const auto line = connection_->take_line();
    if (!line) break;
    if (auto read = tables_[table_].read(line->text(), copied_[rows]); !read)
      return fail(std::move(read.error()));
  }
  return rows;
}

// Following
// ---------------------------------------------------------------------------------------------------------

void LiveSource::follow(Time now) {
  std::size_t taken = 0;
  for (; taken < options_.most_changes; ++taken) {
    const auto received = connection_->take();
    if (!received) break;
    if (auto applied = take(*received); !applied) return fail_later(now, applied.error());
  }
  if (connection_->state() == State::kEnded) return fail_later(now, connection_->error());
  const bool is_behind = taken == options_.most_changes;
  if (!is_behind) behind_since_.reset();
  if (is_behind && !behind_since_) behind_since_ = now;
  if (!open_ && !is_behind) applied_ = std::max(applied_, connection_->passed());
  connection_->confirm(applied_);
  if (!filling_.empty() && applied_ >= target_) caught_up();
  prove_freshness();
  const bool is_waited_for = !filling_.empty() || !readers_.empty() || (probe_ && probe_->end);
  if (is_waited_for && now >= ask_at_) {
    ask_at_ = now + kAskEvery;
    connection_->ask_position(now);
  }
}

void LiveSource::caught_up() {
  served_ = std::exchange(filling_, {});
  torn_ = open_;
  ++version_;
  touch_all();
  fresh_at_ = target_at_;
  problem_.clear();
  backoff_ = std::chrono::milliseconds{0};
}

Result<void> LiveSource::take(const sql::ReceivedMessage& received) {
  const auto message = sql::parse_replication_message(received.bytes());
  if (!message) return fail(message.error());
  return apply(*message);
}

Result<void> LiveSource::apply(const sql::ReplicationMessage& message) {
  if (std::holds_alternative<sql::TransactionBegin>(message)) {
    open_ = true;
  } else if (const auto* commit = std::get_if<sql::TransactionCommit>(&message)) {
    open_ = false;
    if (filling_.empty()) torn_ = false;
    applied_ = std::max(applied_, commit->end);
  } else if (const auto* relation = std::get_if<sql::ReplicatedRelation>(&message)) {
    return learn(*relation);
  } else if (const auto* inserted = std::get_if<sql::RowInserted>(&message)) {
    return change(*inserted);
  } else if (const auto* updated = std::get_if<sql::RowUpdated>(&message)) {
    return change(*updated);
  } else if (const auto* deleted = std::get_if<sql::RowDeleted>(&message)) {
    return change(*deleted);
  } else if (const auto* truncated = std::get_if<sql::RelationsTruncated>(&message)) {
    truncate(*truncated);
  }
  return {};
}

Result<void> LiveSource::learn(const sql::ReplicatedRelation& relation) {
  for (LiveTable& table : tables_) {
    if (!table.is(relation)) continue;
    if (auto learnt = table.learn(relation); !learnt) return learnt;
  }
  return {};
}

void LiveSource::touch() {
  ++changes_;
  if (!filling_.empty()) return;
  ++version_;
  torn_ = open_;
}

/// Several catalogs and look-ups may be of one table.
template <typename Change>
Result<void> LiveSource::change(const Change& change) {
  touch();
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (!tables_[i].is(change.relation)) continue;
    const std::size_t catalog = catalog_of_[i];
    TouchedRows* touched = filling_.empty() && !touched_.empty() ? &touched_[catalog] : nullptr;
    if (auto applied = tables_[i].apply(change, filled(catalog), touched); !applied) return applied;
  }
  return {};
}

void LiveSource::truncate(const sql::RelationsTruncated& truncated) {
  touch();
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (std::any_of(truncated.relations.begin(), truncated.relations.end(),
                    [&](std::uint32_t relation) { return tables_[i].is(relation); }))
      tables_[i].clear(filled(catalog_of_[i]));
  }
  touch_all();
}

void LiveSource::touch_all() {
  for (TouchedRows& touched : touched_) touched.add_all();
}

std::vector<TouchedRows> LiveSource::nothing_touched() const {
  std::vector<TouchedRows> nothing;
  for (const Catalog& catalog : definitions_.catalogs) nothing.emplace_back(catalog);
  return nothing;
}

std::vector<TouchedRows> LiveSource::take_touched() {
  const bool is_first = touched_.empty();
  auto taken = std::exchange(touched_, nothing_touched());
  if (!is_first) return taken;
  taken = nothing_touched();
  for (TouchedRows& touched : taken) touched.add_all();
  return taken;
}

// Readers
// ---------------------------------------------------------------------------------------------------------

Result<void> LiveSource::wait_for(sql::Lsn lsn, Time now, Time until, Reached done) {
  if (follows() && applied_ >= lsn) {
    done(true);
    return {};
  }
  if (readers_.size() >= options_.most_waiting)
    return fail(ErrorCode::kOverloaded, "too many readers wait for the counts; ask again later");
  readers_.emplace(lsn, Reader{until, std::move(done)});
  ask_at_ = std::min(ask_at_, now);
  return {};
}

void LiveSource::tell_readers(Time now) {
  std::vector<std::pair<Reached, bool>> told;
  for (auto reader = readers_.begin(); reader != readers_.end();) {
    const bool is_reached = follows() && reader->first <= applied_;
    if (!is_reached && now < reader->second.until) {
      ++reader;
      continue;
    }
    told.emplace_back(std::move(reader->second.done), is_reached);
    reader = readers_.erase(reader);
  }
  for (const auto& [done, is_reached] : told) done(is_reached);
}

/// While the slot waits: for whom. Then how far the log is.
void LiveSource::advance_asker(Time now) {
  asker_.advance(now);
  if (const auto answer = asker_.take_answer()) {
    const sql::PostgresRows* rows = *answer && !(*answer)->empty() ? &**answer : nullptr;
    if (probe_ && !probe_->end) {
      take_probe(now, rows);
    } else {
      take_blocker(rows);
    }
  }
  if (!asker_.is_free()) return;
  if (step_ == Step::kSlot && now >= ask_at_) {
    ask_at_ = now + kBlockerEvery;
    asker_.ask(now, std::string(kBlocker), {std::to_string(connection_->backend())});
  } else if (follows() && !probe_ && now >= probe_at_) {
    probe_at_ = now + kProbeEvery;
    probe_ = Probe{now, std::nullopt};
    asker_.ask(now, shape_statement(), {});
  }
}

void LiveSource::take_blocker(const sql::PostgresRows* rows) {
  const bool is_known = step_ == Step::kSlot && rows != nullptr && rows->front().size() == 2;
  blocker_ = is_known ? number_in<int>(rows->front()[0]) : 0;
  blocker_age_ = std::chrono::seconds{is_known ? number_in<std::int64_t>(rows->front()[1]) : 0};
}

void LiveSource::take_probe(Time now, const sql::PostgresRows* rows) {
  const bool is_answer = rows != nullptr && rows->front().size() == 2 && rows->front()[0] && rows->front()[1];
  const auto end = is_answer ? sql::parse_lsn(*rows->front()[0]) : base::Result<sql::Lsn>(sql::Lsn{0});
  if (!end || *end == 0) return probe_.reset();
  if (*rows->front()[1] != shape_) {
    return fail_later(now,
                      {ErrorCode::kConflict,
                       "a table was made anew, rewritten or truncated, or has other partitions or unique "
                       "keys, or is published otherwise"});
  }
  probe_->end = *end;
  prove_freshness();
}

std::string LiveSource::shape_statement() const {
  std::set<std::string> tables;
  std::set<std::string> columns;
  for (const LiveTable& table : tables_) {
    tables.insert(SqlText::quoted_text(table.table()));
    for (const Column& column : table.columns()) columns.insert(SqlText::quoted_text(column.column));
  }
  return fmt::format(kShape, fmt::join(tables, ", "), fmt::join(columns, ", "),
                     SqlText::quoted_text(options_.publication));
}

void LiveSource::prove_freshness() {
  if (!probe_ || !probe_->end || !follows() || torn_ || applied_ < *probe_->end) return;
  fresh_at_ = probe_->asked;
  probe_.reset();
}

// What is told
// ---------------------------------------------------------------------------------------------------------

std::array<sql::Waited, 2> LiveSource::waited() const {
  std::array<sql::Waited, 2> all{sql::waited(asker_), sql::Waited{}};
  if (connection_) all[1] = {connection_->socket(), connection_->wants_read(), connection_->wants_write()};
  return all;
}

LiveSource::Time LiveSource::wake_at() const {
  Time at = asker_.wake_at();
  at = std::min(at, connection_ ? connection_->wake_at() : retry_at_);
  const bool is_waited_for = !filling_.empty() || !readers_.empty() || (probe_ && probe_->end);
  if (step_ == Step::kSlot || (step_ == Step::kFollow && is_waited_for)) at = std::min(at, ask_at_);
  if (follows() && !probe_ && asker_.is_free()) at = std::min(at, probe_at_);
  const bool has_more = behind_since_ || (step_ == Step::kCopy && connection_ && !connection_->wants_read());
  if (has_more) at = Time{};
  for (const auto& [lsn, reader] : readers_) at = std::min(at, reader.until);
  return at;
}

LiveStatus LiveSource::status(Time now) const {
  LiveStatus status;
  status.applied = applied_;
  status.changes = changes_;
  status.rebuilds = rebuilds_;
  status.problem = problem_;
  status.process = blocker_;
  status.age = blocker_age_;
  for (const auto& counters : served_) status.documents += counters->size().documents;
  if (fresh_at_) status.behind = std::chrono::duration_cast<std::chrono::milliseconds>(now - *fresh_at_);
  const bool is_late = fresh_at_ && now - *fresh_at_ >= kFreshWithin;
  const bool is_behind = is_late || (behind_since_ && now - *behind_since_ >= kBehindAfter);
  if (follows()) {
    status.state = is_behind ? LiveState::kCatchingUp : LiveState::kCurrent;
  } else if (!served_.empty()) {
    status.state = LiveState::kRebuilding;
  } else if (step_ == Step::kFollow) {
    status.state = LiveState::kCatchingUp;
  } else if (step_ == Step::kSlot) {
    status.state = LiveState::kWaiting;
  } else if (step_ >= Step::kCopy) {
    status.state = LiveState::kLoading;
  }
  return status;
}

}  // namespace headroom::worklist
