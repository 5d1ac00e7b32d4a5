#include "perf/impl/sqlite_database.hpp"

#include <cctype>
#include <cerrno>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/glob.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;

constexpr int kLockWaitMs = 2000;

/// What a caller can do about a primary result code.
ErrorCode code_of(int primary, int system_error) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kTimedOut;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // a missing table or column: not our schema
      return ErrorCode::kProtocol;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorCode::kUnavailable;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return ErrorCode::kDenied;
    case SQLITE_CANTOPEN:
      if (system_error == EACCES || system_error == EPERM) return ErrorCode::kDenied;
      return system_error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
    case SQLITE_TOOBIG:
      return ErrorCode::kTooLarge;
    case SQLITE_IOERR:
      return ErrorCode::kIo;
    default:
      return ErrorCode::kInternal;
  }
}

std::string message_of(sqlite3* database, int primary) {
  if (primary == SQLITE_BUSY) {
    return fmt::format("another process held the lock for longer than {} s", kLockWaitMs / 1000);
  }
  if (primary == SQLITE_FULL) return "no space is left on its file system";
  return database == nullptr ? sqlite3_errstr(primary) : sqlite3_errmsg(database);
}

[[noreturn]] void raise(sqlite3* database, int result) {
  const int primary = result & 0xFF;
  const int system_error = database == nullptr ? 0 : sqlite3_system_errno(database);
  throw SqliteError(code_of(primary, system_error), primary, message_of(database, primary));
}

void check(sqlite3* database, int result) {
  if (result != SQLITE_OK) raise(database, result);
}

std::string_view value_bytes(sqlite3_value* value) {
  const auto* data = static_cast<const char*>(sqlite3_value_blob(value));
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

/// SQL function headroom_glob(pattern, text): the globs of every filter and rule, not SQLite's own.
void glob_function(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_int(context, base::glob_match(value_bytes(values[0]), value_bytes(values[1])) ? 1 : 0);
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteStatement::SqliteStatement(sqlite3* database, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  check(database, sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                     SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
  statement_.reset(statement);
}

SqliteStatement& SqliteStatement::bind(int index, std::int64_t value) {
  check(sqlite3_db_handle(statement_.get()), sqlite3_bind_int64(statement_.get(), index, value));
  return *this;
}

SqliteStatement& SqliteStatement::bind(int index, std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();
  check(sqlite3_db_handle(statement_.get()),
        sqlite3_bind_text64(statement_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

SqliteStatement& SqliteStatement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  check(sqlite3_db_handle(statement_.get()),
        sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_STATIC));
  return *this;
}

SqliteStatement& SqliteStatement::bind(int index, const std::optional<std::int64_t>& value) {
  if (value) return bind(index, *value);
  check(sqlite3_db_handle(statement_.get()), sqlite3_bind_null(statement_.get(), index));
  return *this;
}

bool SqliteStatement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  raise(sqlite3_db_handle(statement_.get()), result);
}

void SqliteStatement::run() {
  const SqliteCursor cursor(*this);
  while (step()) {
  }
}

void SqliteStatement::reset() {
  sqlite3_reset(statement_.get());
}

std::int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::optional<std::int64_t> SqliteStatement::optional_integer(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return integer(column);
}

std::string_view SqliteStatement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<std::size_t>(size));
}

void SqliteDatabase::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

SqliteDatabase::SqliteDatabase(const std::string& uri, int flags) {
  sqlite3* database = nullptr;
  const int result =
      sqlite3_open_v2(uri.c_str(), &database, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(database);
  check(database, result);
  sqlite3_extended_result_codes(database, 1);
  check(database, sqlite3_busy_timeout(database, kLockWaitMs));
  check(database, sqlite3_create_function_v2(database, "headroom_glob", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                             nullptr, glob_function, nullptr, nullptr, nullptr));
  // A file of the group is not trusted: no functions from its schema, no writes to the schema's own pages.
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
}

void SqliteDatabase::execute(const std::string& sql) {
  check(handle(), sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr));
}

SqliteStatement& SqliteDatabase::prepared(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return found->second;
  return statements_.emplace(sql, SqliteStatement(handle(), sql)).first->second;
}

SqliteStatement SqliteDatabase::prepare(std::string_view sql) {
  return {handle(), sql};
}

std::int64_t SqliteDatabase::integer(const std::string& sql) {
  const SqliteCursor cursor(prepared(sql));
  return cursor->step() ? cursor->integer(0) : 0;
}

std::int64_t SqliteDatabase::last_row() const {
  return sqlite3_last_insert_rowid(handle());
}
std::int64_t SqliteDatabase::changes() const {
  return sqlite3_changes64(handle());
}
bool SqliteDatabase::in_transaction() const {
  return sqlite3_get_autocommit(handle()) == 0;
}
bool SqliteDatabase::read_only() const {
  return sqlite3_db_readonly(handle(), "main") == 1;
}

void SqliteDatabase::keep_wal() {
  int keep = 1;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

SqliteTransaction::SqliteTransaction(SqliteDatabase& database, Kind kind) : database_(database) {
  database_.prepared(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN").run();
}

SqliteTransaction::~SqliteTransaction() {
  // SQLite has rolled back by itself after some errors (a full disk); what else goes wrong here it repairs
  // when the file is opened next.
  if (database_.in_transaction()) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void SqliteTransaction::commit() {
  database_.prepared("COMMIT").run();
}

std::string sqlite_uri(const std::string& path, std::string_view parameters) {
  std::string uri = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' || c == '_') {
      uri += c;
    } else {
      uri += fmt::format("%{:02X}", byte);
    }
  }
  if (!parameters.empty()) uri.append("?").append(parameters);
  return uri;
}

}  // namespace headroom::perf
