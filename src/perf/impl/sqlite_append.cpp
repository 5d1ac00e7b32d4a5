// Writing a batch: one short transaction that takes the write lock at its begin, so that it never has to give
// up in the middle. Everything that can be computed without the lock (coding, deflating) is done before; sums
// over the batch are added up in memory and written once at the end.

#include "perf/impl/sqlite_append.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "perf/impl/sqlite_rows.hpp"
#include "perf/record_codec.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;

constexpr std::int64_t kRowsPerHour = 10'000;  // of counts
constexpr std::size_t kMaxText = 1U << 20;     // of a name; whatever is longer is no name
constexpr std::size_t kMaxPart = 64U << 20;    // of a profile or a body

/// The parts of one call, coded and deflated before the lock is taken.
using Parts = std::vector<std::pair<PartKind, StoredPart>>;

struct Prepared {
  const CallRecord* record = nullptr;
  Parts parts;
};

void check_size(std::string_view what, std::size_t size, std::size_t limit) {
  if (size <= limit) return;
  throw SqliteError(ErrorCode::kTooLarge, 0,
                    fmt::format("{} of {} bytes: at most {} are accepted", what, size, limit));
}

void check_names(const CallSummary& call) {
  check_size("a call's id", call.id.size(), kMaxText);
  check_size("a database's name", call.database.size(), kMaxText);
  check_size("a session's name", call.session.size(), kMaxText);
  check_size("a method's name", call.method.size(), kMaxText);
  check_size("a login", call.user.size(), kMaxText);
}

void add_part(Parts& parts, PartKind kind, std::string bytes) {
  check_size("a part of a call", bytes.size(), kMaxPart);
  parts.emplace_back(kind, deflate_part(std::move(bytes)));
}

Prepared prepare(const CallRecord& record) {
  check_names(record.summary);
  for (const auto& total : record.statements) check_size("a backtrace", total.backtrace.size(), kMaxText);
  Prepared prepared{&record, {}};
  add_part(prepared.parts, PartKind::kDetail, encode_detail(record, Totals::kApart));
  if (record.exact_profile) add_part(prepared.parts, PartKind::kExactProfile, encode(*record.exact_profile));
  if (record.sampled_profile)
    add_part(prepared.parts, PartKind::kSampledProfile, encode(*record.sampled_profile));
  if (record.request) add_part(prepared.parts, PartKind::kRequest, encode(*record.request));
  if (record.response) add_part(prepared.parts, PartKind::kResponse, encode(*record.response));
  return prepared;
}

struct Session {
  std::int64_t n = 0;
  std::int64_t account = 0;
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last = std::numeric_limits<std::int64_t>::min();
  std::int64_t calls = 0;
  std::int64_t time = 0;
  std::int64_t last_rank = 0;
};

class Appender final {
 public:
  explicit Appender(SqliteDatabase& database) : database_(database) {}

  void add_statement(const StatementInfo& info, std::int64_t day);
  void add_call(const Prepared& prepared);
  void add_count(const MethodCount& count);
  void set_process(const ProcessInfo& process);
  void forget_process(const ProcessInfo& process);
  /// Writes the sums over all that was added.
  void finish();

 private:
  using Key = std::pair<std::int64_t, std::int64_t>;

  bool is_known(const std::string& id);
  bool is_counted(const MethodCount& count);
  /// Whether the hour has room for one more row of counts.
  bool has_room(std::int64_t hour);
  void write_count(const MethodCount& count);
  std::int64_t statement(std::uint64_t fingerprint, std::int64_t day);
  std::int64_t method(const std::string& name, std::int64_t day);
  std::int64_t account(const CallSummary& call, std::int64_t day);
  std::int64_t backtrace(const std::string& text, std::int64_t day);
  Session& session(const CallSummary& call, std::int64_t account);
  std::string pack_statements(const CallRecord& record, std::int64_t session, std::int64_t day);
  void insert_call(const CallSummary& call, const Session& session, std::int64_t account, std::int64_t method,
                   std::string_view statements);
  void insert_parts(std::int64_t call, const Parts& parts);
  /// The row that `find` gives (n, used), its `used` brought up to `day`; 0 when there is none.
  std::int64_t touch(SqliteStatement& find, const char* table, std::int64_t day);

  SqliteDatabase& database_;
  std::map<std::pair<std::string, std::string>, Session> sessions_;
  std::map<Key, Sum> methods_;
  std::map<Key, Sum> statements_;
  std::map<std::int64_t, std::int64_t> rows_;  ///< of counts, by hour
};

std::int64_t Appender::touch(SqliteStatement& find, const char* table, std::int64_t day) {
  std::int64_t n = 0;
  std::int64_t used = 0;
  {
    const SqliteCursor cursor(find);
    if (!cursor->step()) return 0;
    n = cursor->integer(0);
    used = cursor->integer(1);
  }
  if (used < day) {
    database_.prepared(fmt::format("UPDATE {} SET used = ?2 WHERE n = ?1", table))
        .bind(1, n)
        .bind(2, day)
        .run();
  }
  return n;
}

std::int64_t Appender::statement(std::uint64_t fingerprint, std::int64_t day) {
  auto& find =
      database_.prepared("SELECT n, used FROM statement WHERE fingerprint = ?1").bind(1, fingerprint);
  if (const auto n = touch(find, "statement", day); n != 0) return n;
  database_.prepared("INSERT INTO statement(used, fingerprint) VALUES(?1, ?2)")
      .bind(1, day)
      .bind(2, fingerprint)
      .run();
  return database_.last_row();
}

std::int64_t Appender::method(const std::string& name, std::int64_t day) {
  auto& find = database_.prepared("SELECT n, used FROM method WHERE name = ?1").bind(1, name);
  if (const auto n = touch(find, "method", day); n != 0) return n;
  database_.prepared("INSERT INTO method(used, name) VALUES(?1, ?2)").bind(1, day).bind(2, name).run();
  return database_.last_row();
}

std::int64_t Appender::account(const CallSummary& call, std::int64_t day) {
  auto& find = database_.prepared("SELECT n, used FROM account WHERE login = ?1 AND user_id IS ?2");
  if (const auto n = touch(find.bind(1, call.user).bind(2, call.user_id), "account", day); n != 0) return n;
  database_.prepared("INSERT INTO account(used, login, user_id) VALUES(?1, ?2, ?3)")
      .bind(1, day)
      .bind(2, call.user)
      .bind(3, call.user_id)
      .run();
  return database_.last_row();
}

std::int64_t Appender::backtrace(const std::string& text, std::int64_t day) {
  if (text.empty()) return 0;
  const auto hash = static_cast<std::int64_t>(XXH3_64bits(text.data(), text.size()));
  auto& find = database_.prepared("SELECT n, used FROM backtrace WHERE hash = ?1 AND text = ?2");
  if (const auto n = touch(find.bind(1, hash).bind(2, text), "backtrace", day); n != 0) return n;
  database_.prepared("INSERT INTO backtrace(used, hash, text) VALUES(?1, ?2, ?3)")
      .bind(1, day)
      .bind(2, hash)
      .bind(3, text)
      .run();
  return database_.last_row();
}

bool Appender::is_known(const std::string& id) {
  const SqliteCursor cursor(database_.prepared("SELECT 1 FROM call WHERE id = ?1").bind(1, id));
  return cursor->step();
}

Session& Appender::session(const CallSummary& call, std::int64_t account) {
  const auto [found, added] = sessions_.try_emplace({call.database, call.session});
  Session& session = found->second;
  if (!added) return session;
  {
    const SqliteCursor cursor(
        database_
            .prepared("SELECT n, account, first, last, calls, time, last_rank FROM session "
                      "WHERE database = ?1 AND token = ?2")
            .bind(1, call.database)
            .bind(2, call.session));
    if (cursor->step()) {
      session = {cursor->integer(0), cursor->integer(1), cursor->integer(2), cursor->integer(3),
                 cursor->integer(4), cursor->integer(5), cursor->integer(6)};
      return session;
    }
  }
  database_
      .prepared(
          "INSERT INTO session(database, token, account, first, last, calls, time, last_rank) "
          "VALUES(?1, ?2, ?3, 0, 0, 0, 0, 0)")
      .bind(1, call.database)
      .bind(2, call.session)
      .bind(3, account)
      .run();
  session.n = database_.last_row();
  session.account = account;
  return session;
}

std::string Appender::pack_statements(const CallRecord& record, std::int64_t session, std::int64_t day) {
  std::string bytes;
  for (const auto& total : record.statements) {
    const auto n = statement(total.fingerprint, day);
    pack(bytes, {n, total.count, total.time, total.longest, total.rows, backtrace(total.backtrace, day)});
    Sum& sum = statements_[{session, n}];
    sum.number += total.count;
    sum.time += total.time.count();
  }
  return bytes;
}

void Appender::insert_call(const CallSummary& call, const Session& session, std::int64_t account,
                           std::int64_t method, std::string_view statements) {
  std::optional<std::int64_t> cpu;
  if (call.cpu) cpu = call.cpu->count();
  database_
      .prepared(
          "INSERT INTO call(session, start, rank, method, account, has, most_repeated, wall, kind, status, "
          "cpu, "
          "connection_wait, lock_wait, commit_time, sql_time, statement_count, row_count, bytes_in, "
          "bytes_out, "
          "attempts, http_status, id, statements) "
          "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23)")
      .bind(1, session.n)
      .bind(2, call.start.time_since_epoch().count())
      .bind(3, session.last_rank)
      .bind(4, method)
      .bind(5, account)
      .bind(6, static_cast<int>(call.has))
      .bind(7, call.most_repeated)
      .bind(8, call.wall.count())
      .bind(9, static_cast<int>(call.kind))
      .bind(10, static_cast<int>(call.status))
      .bind(11, cpu)
      .bind(12, call.connection_wait.count())
      .bind(13, call.lock_wait.count())
      .bind(14, call.commit.count())
      .bind(15, call.sql.count())
      .bind(16, call.statements)
      .bind(17, call.rows)
      .bind(18, call.bytes_in)
      .bind(19, call.bytes_out)
      .bind(20, call.attempts)
      .bind(21, call.http_status)
      .bind(22, call.id)
      .bind_blob(23, statements)
      .run();
}

void Appender::insert_parts(std::int64_t call, const Parts& parts) {
  for (const auto& [kind, part] : parts) {
    database_.prepared("INSERT INTO part(n, size, bytes) VALUES(?1, ?2, ?3)")
        .bind(1, call * kPartsPerCall + static_cast<std::int64_t>(kind))
        .bind(2, part.size)
        .bind_blob(3, part.bytes)
        .run();
  }
}

void Appender::add_call(const Prepared& prepared) {
  const CallSummary& call = prepared.record->summary;
  if (is_known(call.id)) return;
  const auto day = day_of(call.start);
  const auto account_n = account(call, day);
  const auto method_n = method(call.method, day);
  Session& in = session(call, account_n);
  const auto statements = pack_statements(*prepared.record, in.n, day);
  const auto start = call.start.time_since_epoch().count();
  in.first = in.calls == 0 ? start : std::min(in.first, start);
  in.last = in.calls == 0 ? start : std::max(in.last, start);
  const bool names_user = call.user_id || !call.user.empty();
  if (names_user && prepared.record->parent.empty()) in.account = account_n;  // a task may run as another one
  ++in.calls;
  ++in.last_rank;
  in.time += call.wall.count();
  Sum& sum = methods_[{in.n, method_n}];
  ++sum.number;
  sum.time += call.wall.count();
  insert_call(call, in, account_n, method_n, statements);
  insert_parts(database_.last_row(), prepared.parts);
}

void Appender::add_statement(const StatementInfo& info, std::int64_t day) {
  check_size("a statement", info.normalized.size(), kMaxText);
  const auto bytes = encode(info);
  const auto n = statement(info.fingerprint, day);
  database_.prepared("UPDATE statement SET info = ?2 WHERE n = ?1 AND info IS NULL")
      .bind(1, n)
      .bind_blob(2, bytes)
      .run();
}

bool Appender::is_counted(const MethodCount& count) {
  const SqliteCursor cursor(database_
                                .prepared("SELECT 1 FROM method_count WHERE hour = ?1 AND database = ?2 "
                                          "AND method = (SELECT n FROM method WHERE name = ?3) AND kind = ?4")
                                .bind(1, count.hour)
                                .bind(2, count.database)
                                .bind(3, count.method)
                                .bind(4, static_cast<int>(count.kind)));
  return cursor->step();
}

bool Appender::has_room(std::int64_t hour) {
  const auto [found, added] = rows_.try_emplace(hour, 0);
  if (added) {
    const SqliteCursor cursor(
        database_.prepared("SELECT count(*) FROM method_count WHERE hour = ?1").bind(1, hour));
    cursor->step();
    found->second = cursor->integer(0);
  }
  if (found->second >= kRowsPerHour) return false;
  ++found->second;
  return true;
}

void Appender::add_count(const MethodCount& count) {
  check_size("a database's name", count.database.size(), kMaxText);
  check_size("a method's name", count.method.size(), kMaxText);
  if (is_counted(count) || has_room(count.hour)) return write_count(count);
  MethodCount other = count;
  other.database = kOther;
  other.method = kOther;
  write_count(other);
}

void Appender::write_count(const MethodCount& count) {
  const auto method_n = method(count.method, count.hour / 24);
  auto histogram = count.histogram;
  {
    const SqliteCursor cursor(
        database_
            .prepared("SELECT histogram FROM method_count WHERE hour = ?1 AND database = ?2 "
                      "AND method = ?3 AND kind = ?4")
            .bind(1, count.hour)
            .bind(2, count.database)
            .bind(3, method_n)
            .bind(4, static_cast<int>(count.kind)));
    if (cursor->step()) {
      const auto stored = base::Histogram::decode(cursor->bytes(0));
      if (!stored) raise_malformed("the histogram of a method");
      histogram.merge(*stored);
    }
  }
  const auto text = histogram.encode();
  database_
      .prepared(
          "INSERT INTO method_count VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
          "ON CONFLICT DO UPDATE SET count = count + ?5, errors = errors + ?6, time = time + ?7, "
          "sql_time = sql_time + ?8, statements = statements + ?9, histogram = ?10")
      .bind(1, count.hour)
      .bind(2, count.database)
      .bind(3, method_n)
      .bind(4, static_cast<int>(count.kind))
      .bind(5, count.count)
      .bind(6, count.errors)
      .bind(7, count.time.count())
      .bind(8, count.sql.count())
      .bind(9, count.statements)
      .bind(10, text)
      .run();
}

void Appender::set_process(const ProcessInfo& process) {
  if (process.ended) return forget_process(process);
  const auto bytes = encode(process);
  database_
      .prepared(
          "INSERT INTO process VALUES(?1, ?2, ?3, ?4) "
          "ON CONFLICT DO UPDATE SET seen = ?3, info = ?4 WHERE seen <= ?3")
      .bind(1, process.host)
      .bind(2, std::int64_t{process.process})
      .bind(3, process.seen.time_since_epoch().count())
      .bind_blob(4, bytes)
      .run();
}

/// Not one that was seen later: another process may have got the same number.
void Appender::forget_process(const ProcessInfo& process) {
  database_.prepared("DELETE FROM process WHERE host = ?1 AND process = ?2 AND seen <= ?3")
      .bind(1, process.host)
      .bind(2, std::int64_t{process.process})
      .bind(3, process.seen.time_since_epoch().count())
      .run();
}

void Appender::finish() {
  for (const auto& [key, session] : sessions_) {
    database_
        .prepared(
            "UPDATE session SET account = ?2, first = ?3, last = ?4, calls = ?5, time = ?6, last_rank = ?7 "
            "WHERE n = ?1")
        .bind(1, session.n)
        .bind(2, session.account)
        .bind(3, session.first)
        .bind(4, session.last)
        .bind(5, session.calls)
        .bind(6, session.time)
        .bind(7, session.last_rank)
        .run();
  }
  const auto add = [this](const std::map<Key, Sum>& sums, const char* sql) {
    for (const auto& [key, sum] : sums) {
      database_.prepared(sql)
          .bind(1, key.first)
          .bind(2, key.second)
          .bind(3, sum.number)
          .bind(4, sum.time)
          .run();
    }
  };
  add(methods_,
      "INSERT INTO session_method VALUES(?1, ?2, ?3, ?4) "
      "ON CONFLICT DO UPDATE SET calls = calls + ?3, time = time + ?4");
  add(statements_,
      "INSERT INTO session_statement VALUES(?1, ?2, ?3, ?4) "
      "ON CONFLICT DO UPDATE SET number = number + ?3, time = time + ?4");
}

}  // namespace

void append_batch(SqliteDatabase& database, const Batch& batch) {
  std::vector<Prepared> calls;
  calls.reserve(batch.calls.size());
  for (const auto& record : batch.calls) calls.push_back(prepare(record));

  SqliteTransaction transaction(database, SqliteTransaction::Kind::kWrite);
  Appender appender(database);
  const auto today = day_of(base::utc_now());
  for (const auto& info : batch.statements) appender.add_statement(info, today);
  for (const auto& call : calls) appender.add_call(call);
  for (const auto& count : batch.counts) appender.add_count(count);
  if (batch.process) appender.set_process(*batch.process);
  appender.finish();
  transaction.commit();
}

}  // namespace headroom::perf
