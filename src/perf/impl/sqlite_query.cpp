// Reading. What only database and session restrict is answered from the sums that are kept at write time;
// everything else scans `call`, over its covering index where that suffices, and adds up here rather than
// with GROUP BY, which would sort a million rows. Paging counts first, then walks the order from whichever
// end is nearer.
//
// Calls in another order than that of time: the keys of all that match are read, over the covering index
// where it has them, and sorted here; the order is kept, as numbers of rows, so that the further pages of a
// list cost what is on them. (Considered: ORDER BY with LIMIT, which sorts anew for each page; an index for
// each column, which every call would pay for.)

#include "perf/impl/sqlite_query.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "perf/call_order.hpp"
#include "perf/impl/sqlite_rows.hpp"
#include "perf/record_codec.hpp"

namespace headroom::perf {

namespace {

constexpr std::uint64_t kDefaultPage = 1000;

std::int64_t microseconds(UtcTime time) {
  return time.time_since_epoch().count();
}
UtcTime utc(std::int64_t time) {
  return UtcTime(Microseconds(time));
}

template <typename T>
T decoded(Result<T> result) {
  if (!result) raise_malformed(result.error().message());
  return *std::move(result);
}

template <typename Enum>
Enum checked(std::int64_t value, Enum last) {
  if (value < 0 || value > static_cast<std::int64_t>(last))
    raise_malformed("an enumeration has an unknown value");
  return static_cast<Enum>(value);
}

/// Conditions joined by AND, with the values for their question marks.
class Where final {
 public:
  template <typename... Value>
  void add(std::string_view condition, Value... values) {
    sql_.append(sql_.empty() ? " WHERE " : " AND ").append(condition);
    (values_.emplace_back(std::move(values)), ...);
  }
  /// "column IN (select WHERE ...)", with the conditions of `inner`.
  void add_in(std::string_view column, std::string_view select, Where inner) {
    add(fmt::format("{} IN ({}{})", column, select, inner.sql_));
    for (auto& value : inner.values_) values_.push_back(std::move(value));
  }
  [[nodiscard]] bool empty() const { return sql_.empty(); }
  [[nodiscard]] bool of_one_session() const { return of_one_session_; }
  void set_session(std::int64_t n) {
    add("session = ?", n);
    of_one_session_ = true;
  }
  /// `before` and `after` stand around " WHERE ...". The result borrows the values of this object.
  [[nodiscard]] SqliteStatement prepare(SqliteDatabase& database, std::string_view before,
                                        std::string_view after = {}) const {
    auto statement = database.prepare(fmt::format("{}{}{}", before, sql_, after));
    int index = 0;
    for (const auto& value : values_) {
      ++index;
      if (const auto* number = std::get_if<std::int64_t>(&value)) {
        statement.bind(index, *number);
      } else {
        statement.bind(index, std::string_view(std::get<std::string>(value)));
      }
    }
    return statement;
  }

 private:
  std::string sql_;
  bool of_one_session_ = false;
  std::vector<std::variant<std::int64_t, std::string>> values_;
};

// The filter, as conditions on the tables
// -------------------------------------------------------------------------

void restrict_database(const Filter& filter, Where& where) {
  if (!filter.database.empty()) where.add("database = ?", filter.database);
  if (!filter.databases.empty())
    where.add("(database = ? OR headroom_glob(?, database))", filter.databases, filter.databases);
}

Where session_key(const Filter& filter) {
  Where where;
  restrict_database(filter, where);
  if (!filter.session.empty()) where.add("token = ?", filter.session);
  return where;
}

/// A user is meant as in a rule: digits are an id, "login:42" is a login.
Where account_key(const std::string& user) {
  Where where;
  const auto pattern = UserPattern::parse(user);
  if (pattern.id) {
    where.add("user_id = ?", *pattern.id);
  } else {
    where.add("login = ?", pattern.login);
  }
  return where;
}

/// Restricts `session`; a single one becomes an equation, with which SQLite walks an index in the order of
/// calls.
void restrict_session(SqliteDatabase& database, const Filter& filter, Where& where) {
  const auto key = session_key(filter);
  if (key.empty()) return;
  auto find = key.prepare(database, "SELECT n FROM session", " LIMIT 2");
  std::vector<std::int64_t> found;
  while (find.step()) found.push_back(find.integer(0));
  if (found.size() == 1) {
    where.set_session(found.front());
  } else {
    where.add_in("session", "SELECT n FROM session", key);
  }
}

void restrict_method(const Filter& filter, Where& where) {
  if (filter.method.empty()) return;
  if (filter.method.find_first_of("*?[") == std::string::npos) {
    where.add("method = (SELECT n FROM method WHERE name = ?)", filter.method);
  } else {
    where.add("method IN (SELECT n FROM method WHERE headroom_glob(?, name))", filter.method);
  }
}

bool restricts_only_session(const Filter& filter) {
  return filter.user.empty() && !filter.since && !filter.until && filter.has == Has::kNothing &&
         filter.most_repeated_at_least == 0 && filter.rank == 0;
}

Where call_key(SqliteDatabase& database, const Filter& filter) {
  Where where;
  restrict_session(database, filter, where);
  restrict_method(filter, where);
  if (!filter.user.empty()) where.add_in("account", "SELECT n FROM account", account_key(filter.user));
  if (filter.since) where.add("start >= ?", microseconds(*filter.since));
  if (filter.until) where.add("start < ?", microseconds(*filter.until));
  if (filter.has != Has::kNothing) {
    where.add(fmt::format("has & {0} = {0}", static_cast<std::uint16_t>(filter.has)));
  }
  if (filter.most_repeated_at_least > 0) {
    where.add("most_repeated >= ?", std::int64_t{filter.most_repeated_at_least});
  }
  if (filter.rank > 0) where.add("rank = ?", static_cast<std::int64_t>(filter.rank));
  return where;
}

// Totals
// --------------------------------------------------------------------------------------------------------

/// Sums by number of a row. Rows are numbered from 1 without large gaps, so the numbers are indices, up to a
/// bound that a damaged file must not exceed.
class Sums final {
 public:
  void add(std::int64_t n, std::int64_t number, std::int64_t time) {
    if (n < 0 || n > kMaxRow) raise_malformed("a row's number");
    const auto index = static_cast<std::size_t>(n);
    if (index >= sums_.size()) sums_.resize(std::max(index + 1, sums_.size() * 2));
    sums_[index].number += number;
    sums_[index].time += time;
  }
  template <typename Each>
  void for_each(Each each) const {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      if (sums_[i].number != 0) each(static_cast<std::int64_t>(i), sums_[i]);
    }
  }

 private:
  static constexpr std::int64_t kMaxRow = 1 << 24;
  std::vector<Sum> sums_;
};

/// Methods by call, over the covering index alone.
Sums scan_methods(SqliteDatabase& database, const Filter& filter) {
  Sums sums;
  const auto where = call_key(database, filter);
  auto scan = where.prepare(database, "SELECT method, wall FROM call INDEXED BY call_by_session");
  while (scan.step()) sums.add(scan.integer(0), 1, scan.integer(1));
  return sums;
}

Sums scan_statements(SqliteDatabase& database, const Filter& filter) {
  Sums sums;
  const auto where = call_key(database, filter);
  auto scan = where.prepare(database, "SELECT statements FROM call");
  while (scan.step()) {
    PackedTotals totals(scan.bytes(0));
    for (PackedTotal total; totals.next(total);) sums.add(total.statement, total.count, total.time.count());
  }
  return sums;
}

Sums read_sums(SqliteDatabase& database, const Filter& filter, std::string_view select) {
  Sums sums;
  Where where;
  restrict_session(database, filter, where);
  auto read = where.prepare(database, select);
  while (read.step()) sums.add(read.integer(0), read.integer(1), read.integer(2));
  return sums;
}

bool sums_suffice(const Filter& filter) {
  return restricts_only_session(filter) && filter.method.empty();
}

std::vector<TotalRow> totals_by_method(SqliteDatabase& database, const Filter& filter) {
  const auto sums = sums_suffice(filter)
                        ? read_sums(database, filter, "SELECT method, calls, time FROM session_method")
                        : scan_methods(database, filter);
  std::vector<TotalRow> rows;
  auto& find = database.prepared("SELECT name FROM method WHERE n = ?1");
  sums.for_each([&](std::int64_t n, const Sum& sum) {
    const SqliteCursor cursor(find.bind(1, n));
    if (!cursor->step()) raise_malformed("a method has no name");
    rows.push_back({cursor->text(0), 0, static_cast<std::uint64_t>(sum.number), Microseconds(sum.time)});
  });
  return rows;
}

/// A statement by its row; one whose text no process has sent yet has its fingerprint only.
StatementInfo read_statement(SqliteDatabase& database, std::int64_t n) {
  const SqliteCursor cursor(
      database.prepared("SELECT fingerprint, info FROM statement WHERE n = ?1").bind(1, n));
  if (!cursor->step()) raise_malformed("a statement is missing");
  StatementInfo info;
  if (!cursor->bytes(1).empty()) info = decoded(decode_statement(cursor->bytes(1)));
  info.fingerprint = static_cast<std::uint64_t>(cursor->integer(0));
  return info;
}

std::vector<TotalRow> totals_by_statement(SqliteDatabase& database, const Filter& filter, GroupBy group) {
  const auto sums = sums_suffice(filter)
                        ? read_sums(database, filter, "SELECT statement, number, time FROM session_statement")
                        : scan_statements(database, filter);
  std::vector<TotalRow> rows;
  std::map<std::string, Sum> tables;
  sums.for_each([&](std::int64_t n, const Sum& sum) {
    auto info = read_statement(database, n);
    if (group == GroupBy::kFingerprint) {
      rows.push_back({std::move(info.normalized), info.fingerprint, static_cast<std::uint64_t>(sum.number),
                      Microseconds(sum.time)});
      return;
    }
    for (auto& table : info.tables) {
      Sum& total = tables[std::move(table)];
      total.number += sum.number;
      total.time += sum.time;
    }
  });
  for (const auto& [table, sum] : tables) {
    rows.push_back({table, 0, static_cast<std::uint64_t>(sum.number), Microseconds(sum.time)});
  }
  return rows;
}

// Calls
// ---------------------------------------------------------------------------------------------------------

std::uint64_t count_calls(SqliteDatabase& database, const Filter& filter) {
  std::string_view select = "SELECT count(*) FROM call";
  Where where;
  if (restricts_only_session(filter)) {
    restrict_session(database, filter, where);
    restrict_method(filter, where);
    select = "SELECT coalesce(sum(calls), 0) FROM session_method";
  } else {
    where = call_key(database, filter);
  }
  auto count = where.prepare(database, select);
  return count.step() ? static_cast<std::uint64_t>(count.integer(0)) : 0;
}

/// The rows of a page, in order. Walks from the far end when that is nearer.
std::vector<std::int64_t> find_page(SqliteDatabase& database, const Filter& filter, const Page& page,
                                    std::uint64_t total) {
  if (page.offset >= total) return {};
  const auto limit = std::min(page.limit == 0 ? kDefaultPage : page.limit, total - page.offset);
  const auto behind = total - page.offset - limit;
  const bool backwards = behind < page.offset;
  const std::string_view direction = backwards ? " DESC" : "";
  const auto where = call_key(database, filter);
  // Ranks differ within a session, and its index has no `n` behind them; over sessions they may be equal.
  const auto tie = where.of_one_session() ? std::string() : fmt::format(", n{}", direction);
  auto find = where.prepare(database, "SELECT n FROM call",
                            fmt::format(" ORDER BY start{0}, rank{0}{3} LIMIT {1} OFFSET {2}", direction,
                                        limit, backwards ? behind : page.offset, tie));
  std::vector<std::int64_t> rows;
  while (find.step()) rows.push_back(find.integer(0));
  if (backwards) std::reverse(rows.begin(), rows.end());
  return rows;
}

/// What the numbers of a key stand for.
enum class KeyText : std::uint8_t { kNumber, kMethod, kAccount, kStatus, kKind, kHas };

struct KeyColumn {
  CallKey key;
  std::string_view select;
  KeyText text = KeyText::kNumber;
};

constexpr std::array<KeyColumn, 19> kKeyColumns{{{CallKey::kStart, "start"},
                                                 {CallKey::kRank, "rank"},
                                                 {CallKey::kMethod, "method", KeyText::kMethod},
                                                 {CallKey::kWall, "wall"},
                                                 {CallKey::kStatements, "statement_count"},
                                                 {CallKey::kSql, "sql_time"},
                                                 {CallKey::kBytesIn, "bytes_in"},
                                                 {CallKey::kBytesOut, "bytes_out"},
                                                 {CallKey::kStatus, "status", KeyText::kStatus},
                                                 {CallKey::kCpu, "cpu"},
                                                 {CallKey::kWait, "connection_wait + lock_wait"},
                                                 {CallKey::kCommit, "commit_time"},
                                                 {CallKey::kRows, "row_count"},
                                                 {CallKey::kRepeated, "most_repeated"},
                                                 {CallKey::kAttempts, "attempts"},
                                                 {CallKey::kKind, "kind", KeyText::kKind},
                                                 {CallKey::kHas, "has", KeyText::kHas},
                                                 {CallKey::kUser, "account", KeyText::kAccount},
                                                 {CallKey::kHttpStatus, "nullif(http_status, 0)"}}};

const KeyColumn& key_column(CallKey key) {
  return *std::ranges::find(kKeyColumns, key, &KeyColumn::key);
}

struct KeyedRow {
  std::int64_t key = 0;
  std::int64_t n = 0;
};

/// The keys of the calls that match, by start, the first kMostSorted.
std::vector<KeyedRow> read_keys(SqliteDatabase& database, const Filter& filter, const KeyColumn& column) {
  const auto where = call_key(database, filter);
  const auto* const tie = where.of_one_session() ? "" : ", n";
  auto read = where.prepare(database, fmt::format("SELECT n, {} FROM call", column.select),
                            fmt::format(" ORDER BY start, rank{} LIMIT {}", tie, kMostSorted));
  std::vector<KeyedRow> rows;
  while (read.step()) {
    const auto key = read.optional_integer(1).value_or(std::numeric_limits<std::int64_t>::min());
    rows.push_back({key, read.integer(0)});
  }
  return rows;
}

std::string account_text(SqliteDatabase& database, std::int64_t n) {
  const SqliteCursor cursor(database.prepared("SELECT login, user_id FROM account WHERE n = ?1").bind(1, n));
  if (!cursor->step()) raise_malformed("an account is missing");
  const auto id = cursor->optional_integer(1);
  return cursor->bytes(0).empty() && id ? fmt::to_string(*id) : cursor->text(0);
}

std::string method_text(SqliteDatabase& database, std::int64_t n) {
  const SqliteCursor cursor(database.prepared("SELECT name FROM method WHERE n = ?1").bind(1, n));
  if (!cursor->step()) raise_malformed("a method has no name");
  return cursor->text(0);
}

std::string key_text(SqliteDatabase& database, KeyText text, std::int64_t key) {
  if (text == KeyText::kMethod) return method_text(database, key);
  if (text == KeyText::kAccount) return account_text(database, key);
  if (text == KeyText::kStatus) return std::string(name(checked(key, CallStatus::kKilled)));
  if (text == KeyText::kKind) return std::string(name(checked(key, CallKind::kStatic)));
  return details_text(static_cast<Has>(key));
}

/// Replaces keys that stand for texts by the places of these in their order. They are few: methods, users.
void order_texts(SqliteDatabase& database, KeyText text, std::vector<KeyedRow>& rows) {
  std::map<std::int64_t, std::string> texts;
  for (const KeyedRow& row : rows) {
    const auto [entry, made] = texts.try_emplace(row.key);
    if (made) entry->second = key_text(database, text, row.key);
  }
  std::vector<std::string_view> sorted;
  for (const auto& [key, value] : texts) sorted.push_back(value);
  std::ranges::sort(sorted);
  std::map<std::int64_t, std::int64_t> places;
  for (const auto& [key, value] : texts)
    places[key] = std::ranges::lower_bound(sorted, std::string_view(value)) - sorted.begin();
  for (KeyedRow& row : rows) row.key = places[row.key];
}

std::vector<std::int64_t> sorted_rows(SqliteDatabase& database, const Filter& filter,
                                      const CallOrder& order) {
  const KeyColumn& column = key_column(order.key);
  auto rows = read_keys(database, filter, column);
  if (column.text != KeyText::kNumber) order_texts(database, column.text, rows);
  std::ranges::stable_sort(rows, [&order](const KeyedRow& left, const KeyedRow& right) {
    return order.descending ? right.key < left.key : left.key < right.key;
  });
  std::vector<std::int64_t> numbers;
  numbers.reserve(rows.size());
  for (const KeyedRow& row : rows) numbers.push_back(row.n);
  return numbers;
}

constexpr const char* kSelectCall =
    "SELECT call.id, session.database, session.token, call.rank, kind, status, method.name, user_id, login, "
    "start, wall, "
    "cpu, connection_wait, lock_wait, commit_time, sql_time, statement_count, most_repeated, row_count, "
    "bytes_in, "
    "bytes_out, attempts, http_status, has, statements FROM call JOIN session ON session.n = call.session "
    "JOIN method ON method.n = call.method JOIN account ON account.n = call.account WHERE call.n = ?1";

CallSummary summary_of(const SqliteStatement& row) {
  CallSummary call;
  call.id = row.text(0);
  call.database = row.text(1);
  call.session = row.text(2);
  call.rank = static_cast<std::uint64_t>(row.integer(3));
  call.kind = checked(row.integer(4), CallKind::kStatic);
  call.status = checked(row.integer(5), CallStatus::kKilled);
  call.method = row.text(6);
  call.user_id = row.optional_integer(7);
  call.user = row.text(8);
  call.start = utc(row.integer(9));
  call.wall = Microseconds(row.integer(10));
  if (const auto cpu = row.optional_integer(11)) call.cpu = Microseconds(*cpu);
  call.connection_wait = Microseconds(row.integer(12));
  call.lock_wait = Microseconds(row.integer(13));
  call.commit = Microseconds(row.integer(14));
  call.sql = Microseconds(row.integer(15));
  call.statements = static_cast<std::uint32_t>(row.integer(16));
  call.most_repeated = static_cast<std::uint32_t>(row.integer(17));
  call.rows = row.integer(18);
  call.bytes_in = static_cast<std::uint64_t>(row.integer(19));
  call.bytes_out = static_cast<std::uint64_t>(row.integer(20));
  call.attempts = static_cast<std::uint32_t>(row.integer(21));
  call.http_status = static_cast<int>(row.integer(22));
  call.has = static_cast<Has>(row.integer(23));
  return call;
}

void add_summaries(SqliteDatabase& database, std::span<const std::int64_t> rows, CallPage& page) {
  auto& find = database.prepared(kSelectCall);
  for (const auto n : rows) {
    const SqliteCursor cursor(find.bind(1, n));
    if (!cursor->step()) raise_malformed("a call's session, method or account is missing");
    page.calls.push_back(summary_of(*cursor.operator->()));
    cut_names(page.calls.back());
  }
}

// Samples
// -------------------------------------------------------------------------------------------------------

/// Numbers of rows to indices of a list, in the order of their first use. Rows are numbered from 1 without
/// large gaps, up to a bound that a damaged file must not exceed.
class RowIndex final {
 public:
  std::uint32_t of(std::int64_t n) {
    if (n < 0 || n > kMaxRow) raise_malformed("a row's number");
    const auto at = static_cast<std::size_t>(n);
    if (at >= indices_.size()) indices_.resize(std::max(at + 1, indices_.size() * 2), kNone);
    if (indices_[at] == kNone) {
      indices_[at] = static_cast<std::uint32_t>(rows_.size());
      rows_.push_back(n);
    }
    return indices_[at];
  }
  [[nodiscard]] const std::vector<std::int64_t>& rows() const { return rows_; }

 private:
  static constexpr std::int64_t kMaxRow = 1 << 24;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::vector<std::uint32_t> indices_;
  std::vector<std::int64_t> rows_;
};

/// Reads calls one after the other and interns what they name.
class Sampler final {
 public:
  void add(const SqliteStatement& row) {
    CallSample call;
    call.start = utc(row.integer(0));
    call.method = methods_.of(row.integer(1));
    call.wall = Microseconds(row.integer(2));
    call.sql = Microseconds(row.integer(3));
    call.statements = static_cast<std::uint32_t>(row.integer(4));
    call.first_part = samples_.parts.size();
    PackedTotals totals(row.bytes(5));
    for (PackedTotal total; totals.next(total);)
      samples_.parts.push_back({statements_.of(total.statement), total.count, total.time});
    call.parts = static_cast<std::uint32_t>(samples_.parts.size() - call.first_part);
    samples_.calls.push_back(call);
  }

  CallSamples finish(SqliteDatabase& database) && {
    auto& find = database.prepared("SELECT name FROM method WHERE n = ?1");
    for (const auto n : methods_.rows()) {
      const SqliteCursor cursor(find.bind(1, n));
      if (!cursor->step()) raise_malformed("a method has no name");
      samples_.methods.push_back(cursor->text(0));
    }
    for (const auto n : statements_.rows()) samples_.statements.push_back(read_statement(database, n));
    return std::move(samples_);
  }

  [[nodiscard]] std::uint64_t size() const { return samples_.calls.size(); }
  void cut() { samples_.complete = false; }

 private:
  CallSamples samples_;
  RowIndex methods_;
  RowIndex statements_;
};

// Records
// -------------------------------------------------------------------------------------------------------

/// Loads whole records, and remembers which statements they speak of.
class Loader final {
 public:
  explicit Loader(SqliteDatabase& database) : database_(database) {}

  void load(const std::string& id) {
    const auto n = row_of(id);
    if (n == 0) return;
    CallRecord record;
    load_parts(n, record);
    load_call(n, record);
    for (const auto& event : record.events) fingerprints_.insert(event.fingerprint);
    for (const auto& slow : record.slow) fingerprints_.insert(slow.fingerprint);
    batch_.calls.push_back(std::move(record));
  }

  Batch finish() && {
    for (const auto fingerprint : fingerprints_) {
      const auto n = statement_of(fingerprint);
      if (n == 0) continue;
      auto info = read_statement(database_, n);
      if (!info.normalized.empty() || !info.tables.empty()) batch_.statements.push_back(std::move(info));
    }
    return std::move(batch_);
  }

 private:
  std::int64_t row_of(const std::string& id) {
    const SqliteCursor cursor(database_.prepared("SELECT n FROM call WHERE id = ?1").bind(1, id));
    return cursor->step() ? cursor->integer(0) : 0;
  }

  std::int64_t statement_of(std::uint64_t fingerprint) {
    const SqliteCursor cursor(
        database_.prepared("SELECT n FROM statement WHERE fingerprint = ?1").bind(1, fingerprint));
    return cursor->step() ? cursor->integer(0) : 0;
  }

  void load_parts(std::int64_t n, CallRecord& record) {
    const SqliteCursor cursor(database_.prepared("SELECT n, size, bytes FROM part WHERE n >= ?1 AND n < ?2")
                                  .bind(1, n * kPartsPerCall)
                                  .bind(2, (n + 1) * kPartsPerCall));
    while (cursor->step()) {
      const auto kind = cursor->integer(0) - n * kPartsPerCall;
      const auto bytes = inflate_part(cursor->integer(1), cursor->bytes(2));
      set_part(checked(kind, PartKind::kResponse), bytes, record);
    }
  }

  static void set_part(PartKind kind, const std::string& bytes, CallRecord& record) {
    switch (kind) {
      case PartKind::kDetail:
        if (auto read = decode_detail(bytes, record); !read) raise_malformed(read.error().message());
        return;
      case PartKind::kExactProfile:
        record.exact_profile = decoded(decode_profile(bytes));
        return;
      case PartKind::kSampledProfile:
        record.sampled_profile = decoded(decode_profile(bytes));
        return;
      case PartKind::kRequest:
        record.request = decoded(decode_body(bytes));
        return;
      case PartKind::kResponse:
        record.response = decoded(decode_body(bytes));
        return;
    }
  }

  void load_call(std::int64_t n, CallRecord& record) {
    const SqliteCursor cursor(database_.prepared(kSelectCall).bind(1, n));
    if (!cursor->step()) raise_malformed("a call's session, method or account is missing");
    record.summary = summary_of(*cursor.operator->());
    PackedTotals totals(cursor->bytes(24));
    for (PackedTotal total; totals.next(total);) {
      const auto fingerprint = fingerprint_of(total.statement);
      fingerprints_.insert(fingerprint);
      record.statements.push_back({fingerprint, total.count, total.time, total.longest, total.rows,
                                   total.backtrace == 0 ? std::string() : backtrace_of(total.backtrace)});
    }
  }

  std::uint64_t fingerprint_of(std::int64_t n) {
    const SqliteCursor cursor(
        database_.prepared("SELECT fingerprint FROM statement WHERE n = ?1").bind(1, n));
    if (!cursor->step()) raise_malformed("a statement is missing");
    return static_cast<std::uint64_t>(cursor->integer(0));
  }

  std::string backtrace_of(std::int64_t n) {
    const SqliteCursor cursor(database_.prepared("SELECT text FROM backtrace WHERE n = ?1").bind(1, n));
    if (!cursor->step()) raise_malformed("a backtrace is missing");
    return cursor->text(0);
  }

  SqliteDatabase& database_;
  std::set<std::uint64_t> fingerprints_;
  Batch batch_;
};

}  // namespace

std::vector<SessionRow> read_sessions(SqliteDatabase& database, const Filter& filter) {
  Where where = session_key(filter);
  where.add("calls > 0");
  if (!filter.user.empty()) where.add_in("account", "SELECT n FROM account", account_key(filter.user));
  if (filter.since) where.add("last >= ?", microseconds(*filter.since));
  if (filter.until) where.add("first < ?", microseconds(*filter.until));
  auto read = where.prepare(database,
                            "SELECT database, token, login, user_id, first, last, calls, time FROM session "
                            "LEFT JOIN account ON account.n = session.account",
                            " ORDER BY last DESC, session.n DESC");
  std::vector<SessionRow> rows;
  while (read.step()) {
    rows.push_back({read.text(0), read.text(1), shown_name(read.bytes(2)), read.optional_integer(3),
                    utc(read.integer(4)), utc(read.integer(5)), static_cast<std::uint64_t>(read.integer(6)),
                    Microseconds(read.integer(7))});
  }
  return rows;
}

std::vector<TotalRow> read_totals(SqliteDatabase& database, const Filter& filter, GroupBy group) {
  const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
  return group == GroupBy::kMethod ? totals_by_method(database, filter)
                                   : totals_by_statement(database, filter, group);
}

CallPage read_calls(SqliteDatabase& database, const Filter& filter, const Page& page) {
  const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
  CallPage answer;
  answer.total = count_calls(database, filter);
  add_summaries(database, find_page(database, filter, page, answer.total), answer);
  return answer;
}

CallPage read_sorted_calls(SqliteDatabase& database, const Filter& filter, const Page& page,
                           const CallOrder& order, KeptOrder& kept) {
  const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
  const std::int64_t version = database.integer("PRAGMA data_version");
  if (kept.version != version || kept.filter != filter || kept.order != order) {
    kept = {};
    kept.rows = sorted_rows(database, filter, order);
    kept.total = kept.rows.size() < kMostSorted ? kept.rows.size() : count_calls(database, filter);
    kept.filter = filter;
    kept.order = order;
    kept.version = version;
  }
  CallPage answer;
  answer.total = kept.total;
  const auto begin = std::min<std::uint64_t>(page.offset, kept.rows.size());
  const auto most =
      std::min<std::uint64_t>(page.limit == 0 ? kDefaultPage : page.limit, kept.rows.size() - begin);
  add_summaries(database, std::span(kept.rows).subspan(begin, most), answer);
  return answer;
}

CallSamples read_samples(SqliteDatabase& database, const Filter& filter, std::uint64_t most) {
  const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
  const auto where = call_key(database, filter);
  const auto tie = where.of_one_session() ? "" : ", n";
  auto read =
      where.prepare(database, "SELECT start, method, wall, sql_time, statement_count, statements FROM call",
                    fmt::format(" ORDER BY start, rank{}", tie));
  Sampler sampler;
  while (read.step()) {
    if (sampler.size() == most) {
      sampler.cut();
      break;
    }
    sampler.add(read);
  }
  return std::move(sampler).finish(database);
}

Batch read_records(SqliteDatabase& database, const std::vector<std::string>& ids) {
  const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
  Loader loader(database);
  for (const auto& id : ids) loader.load(id);
  return std::move(loader).finish();
}

std::vector<MethodCount> read_counts(SqliteDatabase& database, const Filter& filter) {
  Where where;
  // An hour is in when it begins within [since, until).
  if (filter.since) where.add("hour * 3600000000 >= ?", microseconds(*filter.since));
  if (filter.until) where.add("hour * 3600000000 < ?", microseconds(*filter.until));
  restrict_database(filter, where);
  restrict_method(filter, where);
  auto read =
      where.prepare(database,
                    "SELECT database, name, kind, hour, count, errors, time, sql_time, statements, histogram "
                    "FROM method_count JOIN method ON method.n = method_count.method");
  std::vector<MethodCount> counts;
  while (read.step()) {
    auto histogram = base::Histogram::decode(read.bytes(9));
    if (!histogram) raise_malformed("the histogram of a method");
    counts.push_back(
        {shown_name(read.bytes(0)), shown_name(read.bytes(1)), checked(read.integer(2), CallKind::kStatic),
         read.integer(3), static_cast<std::uint64_t>(read.integer(4)),
         static_cast<std::uint64_t>(read.integer(5)), Microseconds(read.integer(6)),
         Microseconds(read.integer(7)), static_cast<std::uint64_t>(read.integer(8)), *std::move(histogram)});
  }
  return counts;
}

std::vector<ProcessInfo> read_processes(SqliteDatabase& database, UtcTime since) {
  std::vector<ProcessInfo> processes;
  const SqliteCursor cursor(database.prepared("SELECT info FROM process WHERE seen >= ?1 ORDER BY seen DESC")
                                .bind(1, microseconds(since)));
  while (cursor->step()) processes.push_back(decoded(decode_process(cursor->bytes(0))));
  return processes;
}

}  // namespace headroom::perf
