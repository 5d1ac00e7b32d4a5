// The file: its schema, how it comes to be, and who may open it.
//
// Model. One row of `call` per call, narrow, because filters read a million of them; what only a single
// call's report needs (detail, profiles, bodies) stands in `part`. Texts that repeat (methods, users,
// backtraces, statements) are interned, with the last day of their use, so that `prune` can drop those which
// no row can refer to any more. `session`, `session_method` and `session_statement` are sums kept at write
// time.
//
// The index call_by_session carries everything that a filter and the report by method read, so that a million
// rows cost 40 MB of reading and not the whole table.
//
// Permissions. A reader of the group must be able to open a WAL file even when no writer runs. SQLite needs
// -wal and -shm for that and could not make them in a folder that the reader may not write; so they stay
// behind when the last writer closes (SQLITE_FCNTL_PERSIST_WAL), empty, with the mode of the main file. If
// they are missing all the same (a file from a backup), a reader without rights opens the file as immutable,
// for one question at a time.

#include "perf/impl/sqlite_schema.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace headroom::perf {

namespace {

using base::ErrorCode;

constexpr std::array<const char*, 1> kSteps = {R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('rules_version', 0);

-- Interned texts. `used` is the last day (since the epoch) of a row that refers to it.
CREATE TABLE method(n INTEGER PRIMARY KEY, used INTEGER NOT NULL, name TEXT NOT NULL UNIQUE);
CREATE TABLE account(n INTEGER PRIMARY KEY, used INTEGER NOT NULL, user_id INTEGER, login TEXT NOT NULL);
CREATE INDEX account_key ON account(login, user_id);
CREATE INDEX account_id ON account(user_id);
CREATE TABLE backtrace(n INTEGER PRIMARY KEY, used INTEGER NOT NULL, hash INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX backtrace_hash ON backtrace(hash);
CREATE TABLE statement(n INTEGER PRIMARY KEY, used INTEGER NOT NULL, fingerprint INTEGER NOT NULL UNIQUE,
  info BLOB);  -- StatementInfo; NULL until a process has sent it

CREATE TABLE session(n INTEGER PRIMARY KEY, database TEXT NOT NULL, token TEXT NOT NULL, account INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, calls INTEGER NOT NULL, time INTEGER NOT NULL,
  last_rank INTEGER NOT NULL, UNIQUE(database, token));
CREATE INDEX session_token ON session(token);
CREATE TABLE session_method(session INTEGER, method INTEGER, calls INTEGER NOT NULL, time INTEGER NOT NULL,
  PRIMARY KEY(session, method)) WITHOUT ROWID;
CREATE TABLE session_statement(session INTEGER, statement INTEGER, number INTEGER NOT NULL, time INTEGER NOT NULL,
  PRIMARY KEY(session, statement)) WITHOUT ROWID;

-- Times in microseconds. `n` is the order of arrival.
CREATE TABLE call(n INTEGER PRIMARY KEY, session INTEGER NOT NULL, start INTEGER NOT NULL, rank INTEGER NOT NULL,
  method INTEGER NOT NULL, account INTEGER NOT NULL, has INTEGER NOT NULL, most_repeated INTEGER NOT NULL,
  wall INTEGER NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL, cpu INTEGER, connection_wait INTEGER NOT NULL,
  lock_wait INTEGER NOT NULL, commit_time INTEGER NOT NULL, sql_time INTEGER NOT NULL, statement_count INTEGER NOT NULL,
  row_count INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, attempts INTEGER NOT NULL,
  http_status INTEGER NOT NULL, id TEXT NOT NULL,
  statements BLOB NOT NULL);  -- varints: statement, count, time, longest, rows, backtrace; one after the other
CREATE UNIQUE INDEX call_id ON call(id);
CREATE INDEX call_by_session ON call(session, start, rank, method, account, has, most_repeated, wall);
CREATE INDEX call_by_start ON call(start, rank);
CREATE TABLE part(n INTEGER PRIMARY KEY,  -- 8 * call + kind of part
  size INTEGER NOT NULL,                  -- of the bytes when they are deflated, else 0
  bytes BLOB NOT NULL);

CREATE TABLE method_count(hour INTEGER, database TEXT, method INTEGER, kind INTEGER, count INTEGER NOT NULL,
  errors INTEGER NOT NULL, time INTEGER NOT NULL, sql_time INTEGER NOT NULL, statements INTEGER NOT NULL,
  histogram TEXT NOT NULL, PRIMARY KEY(hour, database, method, kind)) WITHOUT ROWID;
CREATE TABLE rule(n INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT NOT NULL);
CREATE TABLE process(host TEXT, process INTEGER, seen INTEGER NOT NULL, info BLOB NOT NULL,
  PRIMARY KEY(host, process)) WITHOUT ROWID;
)sql"};

[[noreturn]] void raise_errno(std::string_view what, const std::filesystem::path& path, int error) {
  ErrorCode code = ErrorCode::kIo;
  if (error == EACCES || error == EPERM || error == EROFS) code = ErrorCode::kDenied;
  if (error == ENOENT || error == ENOTDIR) code = ErrorCode::kNotFound;
  if (error == ENOSPC || error == EDQUOT) code = ErrorCode::kUnavailable;
  throw SqliteError(code, 0, fmt::format("{} {}: {}", what, path.string(), std::strerror(error)));
}

class Descriptor final {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// A file that is removed at the end of the block, with what SQLite puts beside it.
class Scratch final {
 public:
  explicit Scratch(std::filesystem::path path) : path_(std::move(path)) {}
  ~Scratch() {
    for (const char* suffix : {"", "-journal", "-wal", "-shm"}) ::unlink((path_.string() + suffix).c_str());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) return;
  std::filesystem::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), 0770) != 0) {
    if (errno == EEXIST) return;
    raise_errno("cannot make the folder", folder, errno);
  }
  // The umask must not decide who reads the store, and files in it belong to the folder's group.
  if (::chmod(folder.c_str(), 02770) != 0) raise_errno("cannot set the mode of", folder, errno);
}

/// One process at a time makes a store in this folder; the lock ends with the descriptor.
void lock_folder(int folder, const std::filesystem::path& path) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (::flock(folder, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) raise_errno("cannot lock", path, errno);
    if (std::chrono::steady_clock::now() > deadline) {
      throw SqliteError(ErrorCode::kTimedOut, 0,
                        fmt::format("another process makes {} for longer than 2 s", path.string()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void build(const std::filesystem::path& path, std::span<const char* const> steps) {
  SqliteDatabase database(sqlite_uri(path.string(), ""), SQLITE_OPEN_READWRITE);
  database.execute("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL");
  database.execute(fmt::format("PRAGMA application_id = {}", kSqliteApplication));
  migrate(database, steps);
  database.execute("PRAGMA journal_mode = WAL");
}

/// An empty file is none yet: a crash, or `touch`, may have left it.
bool is_empty_file(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

bool is_there(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !is_empty_file(path);
}

/// SQLite must not be asked about a FIFO (it would wait) or a folder.
void check_file(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) raise_errno("cannot open", path, errno);
  if (!S_ISREG(status.st_mode)) throw SqliteError(ErrorCode::kProtocol, 0, "not a file");
  if (status.st_size == 0) {
    throw SqliteError(ErrorCode::kNotFound, 0,
                      "the file is empty: the first process that writes makes a store of it");
  }
  if (::access(path.c_str(), R_OK) != 0) raise_errno("cannot read", path, errno);
}

void check_identity(SqliteDatabase& database, std::span<const char* const> steps) {
  if (database.integer("PRAGMA application_id") != kSqliteApplication) {
    throw SqliteError(ErrorCode::kProtocol, 0, "a SQLite file of another application");
  }
  const auto schema = database.integer("PRAGMA user_version");
  if (schema < 1 || schema > static_cast<std::int64_t>(steps.size())) {
    throw SqliteError(
        ErrorCode::kProtocol, 0,
        fmt::format("schema {} is newer than {}, the newest that this version knows", schema, steps.size()));
  }
}

/// Without locks, journal or -wal: the check itself changes nothing. Not by a descriptor of our own, for
/// closing it would drop this process's locks on the file (the POSIX rule), which another connection of ours
/// may hold.
///
/// Without locks it may also look while another process copies its -wal into the file: the first page tells a
/// size that the file has not got yet, which SQLite calls malformed. Such a copy takes some milliseconds.
void check_untouched(const std::filesystem::path& path, std::span<const char* const> steps) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  for (;;) {
    try {
      SqliteDatabase database(sqlite_uri(path.string(), "immutable=1"), SQLITE_OPEN_READONLY);
      return check_identity(database, steps);
    } catch (const SqliteError& error) {
      const bool may_be_halfway = error.sqlite_code() == SQLITE_CORRUPT;
      if (!may_be_halfway || std::chrono::steady_clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void configure(SqliteDatabase& database, OpenMode mode) {
  database.execute(
      "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304; PRAGMA temp_store = MEMORY");
  if (mode == OpenMode::kRead) database.execute("PRAGMA query_only = 1; PRAGMA cache_size = -16384");
  if (!database.read_only()) database.keep_wal();
}

bool wal_is_empty(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat((path.string() + "-wal").c_str(), &status) != 0 || status.st_size == 0;
}

std::unique_ptr<SqliteDatabase> connect(const std::filesystem::path& path, std::string_view parameters,
                                        int flags, OpenMode mode, std::span<const char* const> steps) {
  auto database = std::make_unique<SqliteDatabase>(sqlite_uri(path.string(), parameters), flags);
  configure(*database, mode);
  check_identity(*database, steps);
  return database;
}

void check_current(SqliteDatabase& database, std::span<const char* const> steps) {
  const auto schema = database.integer("PRAGMA user_version");
  if (schema == static_cast<std::int64_t>(steps.size())) return;
  throw SqliteError(
      ErrorCode::kProtocol, 0,
      fmt::format("schema {} is older than {}: the next process that writes brings it up to date", schema,
                  steps.size()));
}

SqliteConnection connect_reader(const std::filesystem::path& path, std::span<const char* const> steps) {
  try {
    auto database = connect(path, "", SQLITE_OPEN_READWRITE, OpenMode::kRead, steps);
    check_current(*database, steps);
    return {std::move(database), false};
  } catch (const SqliteError& error) {
    const bool no_wal = error.sqlite_code() == SQLITE_CANTOPEN || error.sqlite_code() == SQLITE_READONLY;
    if (!no_wal || !wal_is_empty(path)) throw;
    return {connect(path, "immutable=1", SQLITE_OPEN_READONLY, OpenMode::kRead, steps), true};
  }
}

SqliteConnection connect_writer(const std::filesystem::path& path, std::span<const char* const> steps) {
  auto database = connect(path, "", SQLITE_OPEN_READWRITE, OpenMode::kWrite, steps);
  if (database->read_only()) {
    throw SqliteError(ErrorCode::kDenied, SQLITE_READONLY,
                      "no right to write it (its group and mode 0660 decide)");
  }
  migrate(*database, steps);
  return {std::move(database), false};
}

}  // namespace

std::span<const char* const> schema_steps() {
  return kSteps;
}

void migrate(SqliteDatabase& database, std::span<const char* const> steps) {
  if (database.integer("PRAGMA user_version") >= static_cast<std::int64_t>(steps.size())) return;
  SqliteTransaction transaction(database, SqliteTransaction::Kind::kWrite);
  const auto from = static_cast<std::size_t>(database.integer("PRAGMA user_version"));
  for (std::size_t i = from; i < steps.size(); ++i) database.execute(steps[i]);
  if (from < steps.size()) database.execute(fmt::format("PRAGMA user_version = {}", steps.size()));
  transaction.commit();
}

void create_sqlite_file(const std::filesystem::path& path, std::span<const char* const> steps) {
  make_folder(path.parent_path());
  const Scratch scratch(path.string() + fmt::format(".{}.{}.new", ::getpid(), ::gettid()));
  {
    const Descriptor file(::open(scratch.path().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660));
    if (file.get() < 0) raise_errno("cannot make", scratch.path(), errno);
    if (::fchmod(file.get(), 0660) != 0) raise_errno("cannot set the mode of", scratch.path(), errno);
  }
  build(scratch.path(), steps);
  const Descriptor folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) raise_errno("cannot open", path.parent_path(), errno);
  lock_folder(folder.get(), path.parent_path());
  if (is_there(path)) return;
  // A -wal that a removed store left behind would be replayed into the new one.
  for (const char* suffix : {"-wal", "-shm"}) ::unlink((path.string() + suffix).c_str());
  if (is_empty_file(path)) {
    if (::rename(scratch.path().c_str(), path.c_str()) != 0) raise_errno("cannot replace", path, errno);
    return;
  }
  if (::link(scratch.path().c_str(), path.c_str()) != 0 && errno != EEXIST)
    raise_errno("cannot make", path, errno);
}

SqliteConnection connect_sqlite_file(const std::filesystem::path& path, OpenMode mode,
                                     std::span<const char* const> steps) {
  if (mode == OpenMode::kWrite && !is_there(path)) create_sqlite_file(path, steps);
  check_file(path);
  check_untouched(path, steps);
  return mode == OpenMode::kRead ? connect_reader(path, steps) : connect_writer(path, steps);
}

}  // namespace headroom::perf
