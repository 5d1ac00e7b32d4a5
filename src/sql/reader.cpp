#include "sql/reader.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "sql/impl/mariadb_text.hpp"
#include "sql/impl/sqlite_file.hpp"
#include "sql/mariadb.hpp"
#include "sql/postgres.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Clock = std::chrono::steady_clock;

base::Error too_many_rows() {
  return {ErrorCode::kTooLarge, fmt::format("more than {} rows", Reader::kMostRows)};
}

// PostgreSQL
// ---------------------------------------------------------------------------------------------------------

std::string text_of(const Parameter& parameter) {
  if (const auto* text = std::get_if<std::string>(&parameter)) return *text;
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, parameter);
}

class PostgresReader final : public Reader {
 public:
  PostgresReader(PostgresConnection connection, std::chrono::milliseconds timeout)
      : connection_(std::move(connection)), timeout_(timeout) {}

  Result<void> begin() {
    if (auto begun = begin_read_only(connection_, timeout_, deadline()); !begun) return begun;
    for (const char* statement :
         {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET LOCAL TimeZone = 'UTC'",
          "SET LOCAL DateStyle = 'ISO'", "SET LOCAL standard_conforming_strings = on"}) {
      auto done = connection_.query(statement, {}, deadline());
      if (!done) return fail(std::move(done.error()));
    }
    return {};
  }

  [[nodiscard]] Dialect dialect() const override { return Dialect::kPostgres; }

  Result<PostgresRows> query(const std::string& statement,
                             const std::vector<Parameter>& parameters) override {
    std::vector<std::string> texts;
    for (const Parameter& parameter : parameters) texts.push_back(text_of(parameter));
    auto rows = connection_.query(statement, texts, deadline());
    if (rows && rows->size() > kMostRows) return fail(too_many_rows());
    return rows;
  }

 private:
  /// The server keeps the timeout of a statement; ours is for a server that does not answer at all.
  [[nodiscard]] Clock::time_point deadline() const {
    return Clock::now() + timeout_ + std::chrono::seconds{1};
  }

  PostgresConnection connection_;
  std::chrono::milliseconds timeout_;
};

Result<std::unique_ptr<Reader>> open_postgres(const std::string& url, const ReaderOptions& options) {
  auto connection = PostgresConnection::connect(url, Clock::now() + options.timeout);
  if (!connection) return fail(std::move(connection.error()));
  auto reader = std::make_unique<PostgresReader>(std::move(*connection), options.timeout);
  if (auto begun = reader->begin(); !begun) return fail(std::move(begun.error()));
  return reader;
}

// MariaDB
// ---------------------------------------------------------------------------------------------------------

/// What a statement means does not depend on the server's settings, and the server keeps the timeout too.
/// Waits for locks count in whole seconds there.
std::string session_statement(std::chrono::milliseconds timeout) {
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(timeout).count());
  return fmt::format(
      "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES', time_zone = '+00:00', "
      "max_statement_time = {}.{:03}, lock_wait_timeout = {}, innodb_lock_wait_timeout = {}",
      timeout.count() / 1000, timeout.count() % 1000, seconds, seconds);
}

class MariaDbReader final : public Reader {
 public:
  MariaDbReader(MariaDbConnection connection, std::chrono::milliseconds timeout)
      : connection_(std::move(connection)), timeout_(timeout) {}

  Result<void> begin() {
    for (const std::string& statement :
         {session_statement(timeout_),
          std::string("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
          std::string("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")}) {
      auto done = connection_.query(statement, deadline());
      if (!done) return fail(std::move(done.error()));
    }
    return {};
  }

  [[nodiscard]] Dialect dialect() const override { return Dialect::kMariaDb; }

  Result<PostgresRows> query(const std::string& statement,
                             const std::vector<Parameter>& parameters) override {
    const auto bound = with_values(statement, parameters);
    if (!bound) return fail(bound.error());
    auto rows = connection_.query(*bound, deadline());
    if (!rows || connection_.warnings() == 0) return rows;
    if (auto exact = check_warnings(); !exact) return fail(std::move(exact.error()));
    return rows;
  }

 private:
  [[nodiscard]] Clock::time_point deadline() const {
    return Clock::now() + timeout_ + std::chrono::seconds{1};
  }

  /// ER_TRUNCATED_WRONG_VALUE: what was compared is not what was said.
  Result<void> check_warnings() {
    const auto warnings = connection_.query("SHOW WARNINGS", deadline());
    if (!warnings) return fail(warnings.error());
    for (const auto& warning : *warnings) {
      if (warning.size() < 3 || warning[1] != "1292") continue;
      return fail(ErrorCode::kInvalidArgument, fmt::format("MariaDB: {}", warning[2].value_or("")));
    }
    return {};
  }

  MariaDbConnection connection_;
  std::chrono::milliseconds timeout_;
};

Result<std::unique_ptr<Reader>> open_mariadb(const std::string& url, const ReaderOptions& options) {
  auto connection = MariaDbConnection::connect(url, Clock::now() + options.timeout);
  if (!connection) return fail(std::move(connection.error()));
  auto reader = std::make_unique<MariaDbReader>(std::move(*connection), options.timeout);
  if (auto begun = reader->begin(); !begun) return fail(std::move(begun.error()));
  return reader;
}

// SQLite
// ---------------------------------------------------------------------------------------------------------

void bind(sqlite3_stmt* statement, int place, const Parameter& parameter) {
  if (const auto* whole = std::get_if<std::int64_t>(&parameter)) {
    sqlite3_bind_int64(statement, place, *whole);
  } else if (const auto* number = std::get_if<double>(&parameter)) {
    sqlite3_bind_double(statement, place, *number);
  } else {
    const auto& text = std::get<std::string>(parameter);
    sqlite3_bind_text64(statement, place, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
}

std::optional<std::string> text_of(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  if (text == nullptr) return std::nullopt;
  return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
}

/// A statement goes back to where it can be run again, on whatever path.
class Rewound {
 public:
  explicit Rewound(sqlite3_stmt* statement) : statement_(statement) {}
  ~Rewound() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Rewound(const Rewound&) = delete;
  Rewound& operator=(const Rewound&) = delete;

 private:
  sqlite3_stmt* statement_;
};

class SqliteReader final : public Reader {
 public:
  SqliteReader(SqliteOwner database, std::chrono::milliseconds timeout)
      : timeout_(timeout), database_(std::move(database)) {
    keep_deadline(database_.get(), deadline_, timeout_);
  }

  [[nodiscard]] Dialect dialect() const override { return Dialect::kSqlite; }

  Result<PostgresRows> query(const std::string& statement,
                             const std::vector<Parameter>& parameters) override {
    deadline_ = Clock::now() + timeout_;
    const auto handle = prepared(statement);
    if (!handle) return fail(handle.error());
    const Rewound rewound(*handle);
    for (std::size_t i = 0; i < parameters.size(); ++i) bind(*handle, static_cast<int>(i) + 1, parameters[i]);
    return read_rows(*handle);
  }

 private:
  /// Texts that were asked before need not be read and planned again; beyond so many all are forgotten.
  static constexpr std::size_t kMostPrepared = 200;

  Result<sqlite3_stmt*> prepared(const std::string& statement) {
    if (const auto found = prepared_.find(statement); found != prepared_.end()) return found->second.get();
    sqlite3_stmt* handle = nullptr;
    const char* tail = nullptr;
    const int done = sqlite3_prepare_v2(database_.get(), statement.data(), static_cast<int>(statement.size()),
                                        &handle, &tail);
    SqliteStatementOwner owner(handle);
    if (done != SQLITE_OK) return fail(sqlite_error(database_.get()));
    if (handle == nullptr || tail != statement.data() + statement.size())
      return fail(ErrorCode::kInvalidArgument, "SQLite: expected a single statement");
    if (prepared_.size() >= kMostPrepared) prepared_.clear();
    prepared_.emplace(statement, std::move(owner));
    return handle;
  }

  Result<PostgresRows> read_rows(sqlite3_stmt* statement) {
    PostgresRows rows;
    int stepped = SQLITE_ROW;
    while ((stepped = sqlite3_step(statement)) == SQLITE_ROW) {
      if (rows.size() == kMostRows) return fail(too_many_rows());
      std::vector<std::optional<std::string>> row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(text_of(statement, i));
      rows.push_back(std::move(row));
    }
    if (stepped != SQLITE_DONE) return fail(sqlite_error(database_.get()));
    return rows;
  }

  std::chrono::milliseconds timeout_;
  Clock::time_point deadline_;
  SqliteOwner database_;
  std::unordered_map<std::string, SqliteStatementOwner> prepared_;
};

Result<std::unique_ptr<Reader>> open_sqlite(const std::string& path, const ReaderOptions& options) {
  auto database = open_sqlite_file(path);
  if (!database) return fail(std::move(database.error()));
  auto reader = std::make_unique<SqliteReader>(std::move(*database), options.timeout);
  if (auto begun = reader->query("BEGIN", {}); !begun) return fail(std::move(begun.error()));
  return reader;
}

}  // namespace

Result<std::unique_ptr<Reader>> open_reader(const std::string& url, const ReaderOptions& options) {
  constexpr std::string_view kSqlite = "sqlite://";
  if (url.starts_with(kSqlite)) return open_sqlite(url.substr(kSqlite.size()), options);
  if (url.starts_with("postgresql://") || url.starts_with("postgres://")) return open_postgres(url, options);
  if (url.starts_with("mariadb://") || url.starts_with("mysql://")) return open_mariadb(url, options);
  return fail(ErrorCode::kInvalidArgument,
              "the database's URL must begin with postgresql://, mariadb:// or sqlite:///");
}

}  // namespace headroom::sql
