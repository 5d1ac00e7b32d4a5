#pragma once

// SQLite's C API behind values that close themselves. Inside the store errors are exceptions (SqliteError);
// the store's public methods turn them into base::Error.

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace headroom::perf {

/// A failed call of SQLite, or data in the file that can't be ours.
class SqliteError final : public std::runtime_error {
 public:
  SqliteError(base::ErrorCode code, int sqlite_code, const std::string& message)
      : std::runtime_error(message), code_(code), sqlite_code_(sqlite_code) {}
  [[nodiscard]] base::ErrorCode code() const { return code_; }
  /// The primary result code of SQLite; 0 when SQLite itself was content.
  [[nodiscard]] int sqlite_code() const { return sqlite_code_; }

 private:
  base::ErrorCode code_;
  int sqlite_code_;
};

/// A prepared statement. `bind` numbers parameters from 1, columns count from 0.
class SqliteStatement final {
 public:
  SqliteStatement(sqlite3* database, std::string_view sql);

  SqliteStatement& bind(int index, std::int64_t value);
  SqliteStatement& bind(int index, std::uint64_t value) {
    return bind(index, static_cast<std::int64_t>(value));
  }
  SqliteStatement& bind(int index, int value) { return bind(index, std::int64_t{value}); }
  SqliteStatement& bind(int index, std::uint32_t value) { return bind(index, std::int64_t{value}); }
  /// Any bytes; they must live until the statement was stepped or reset.
  SqliteStatement& bind(int index, std::string_view text);
  SqliteStatement& bind_blob(int index, std::string_view bytes);
  SqliteStatement& bind(int index, const std::optional<std::int64_t>& value);

  /// True while there is a row.
  bool step();
  /// For statements without rows: steps once and resets.
  void run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::optional<std::int64_t> optional_integer(int column) const;
  /// Valid until the next step.
  [[nodiscard]] std::string_view bytes(int column) const;
  [[nodiscard]] std::string text(int column) const { return std::string(bytes(column)); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Resets a statement at the end of the block, so that no read transaction stays open behind it.
class SqliteCursor final {
 public:
  explicit SqliteCursor(SqliteStatement& statement) : statement_(statement) {}
  ~SqliteCursor() { statement_.reset(); }
  SqliteCursor(const SqliteCursor&) = delete;
  SqliteCursor& operator=(const SqliteCursor&) = delete;
  SqliteStatement* operator->() const { return &statement_; }

 private:
  SqliteStatement& statement_;
};

/// One connection. Waits for locks 2 s at most, then fails with timed_out.
class SqliteDatabase final {
 public:
  /// `uri` is a "file:" URI; `flags` those of sqlite3_open_v2.
  SqliteDatabase(const std::string& uri, int flags);

  void execute(const std::string& sql);
  /// A statement that is prepared once and kept; `sql` must be one of a bounded number of texts.
  [[nodiscard]] SqliteStatement& prepared(const std::string& sql);
  [[nodiscard]] SqliteStatement prepare(std::string_view sql);
  /// The first column of the first row; 0 when there is none.
  [[nodiscard]] std::int64_t integer(const std::string& sql);
  [[nodiscard]] std::int64_t last_row() const;
  [[nodiscard]] std::int64_t changes() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] bool read_only() const;
  /// Leaves -wal and -shm behind when the last connection closes, so that a reader without the right to make
  /// them can open the file.
  void keep_wal();
  [[nodiscard]] sqlite3* handle() const { return database_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<sqlite3, Close> database_;
  std::unordered_map<std::string, SqliteStatement> statements_;
};

/// BEGIN ... COMMIT; rolled back unless `commit` was reached.
class SqliteTransaction final {
 public:
  enum class Kind { kRead, kWrite };
  SqliteTransaction(SqliteDatabase& database, Kind kind);
  ~SqliteTransaction();
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  void commit();

 private:
  SqliteDatabase& database_;
};

/// The "file:" URI of a path, with everything escaped that a URI gives a meaning to.
[[nodiscard]] std::string sqlite_uri(const std::string& path, std::string_view parameters);

}  // namespace headroom::perf
