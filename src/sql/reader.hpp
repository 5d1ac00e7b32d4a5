#pragma once

// Reading a database, whichever it is: one snapshot, statements with bound values, a deadline for each.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "sql/rows.hpp"

namespace headroom::sql {

enum class Dialect : std::uint8_t { kPostgres, kSqlite, kMariaDb };

/// A bound value. PostgreSQL gets it as text and takes the type from the statement: write $1::bigint.
/// MariaDB gets it as a literal, a text as one of utf8mb4.
using Parameter = std::variant<std::int64_t, double, std::string>;

/// One connection in a read-only transaction: every statement sees the database as it was when the first one
/// ran. Nothing can be changed through it.
/// Errors of `query`: timed_out, unavailable, denied, invalid_argument (the database's refusal, in its
/// words), too_large (over kMostRows). No message holds the URL or a password. After an error the reader is
/// to be thrown away, unless a SAVEPOINT was set before. Threads: one at a time; blocks up to the timeout, so
/// not for an event loop.
class Reader {
 public:
  static constexpr std::size_t kMostRows = 2'000'000;

  virtual ~Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] virtual Dialect dialect() const = 0;
  /// `statement` is one statement with $1, $2, ... (SQLite, MariaDB: ?1, ?2, ...).
  [[nodiscard]] virtual base::Result<PostgresRows> query(const std::string& statement,
                                                         const std::vector<Parameter>& parameters) = 0;

 protected:
  Reader() = default;
};

struct ReaderOptions {
  std::chrono::milliseconds timeout{10'000};  ///< of each statement, and to connect
};

/// Connects to what `url` names: "postgresql://user:password@host:port/database",
/// "mariadb://user:password@host:port/database" (or mysql://; options in impl/mariadb_text.hpp) or
/// "sqlite:///absolute/path". Times of servers are shown in UTC.
/// MariaDB reads statements as the others do: names in double quotes, || joins texts, a backslash is a sign
/// like others (sql_mode ANSI_QUOTES, PIPES_AS_CONCAT, NO_BACKSLASH_ESCAPES). Where it compares a text with a
/// number and the text is none, which it only warns of, the statement fails: '7x' is not 7. Tables whose
/// engine has no transactions (MyISAM, Aria) are not part of the snapshot.
/// Errors: invalid_argument (a scheme that is none of these, a URL that is none), not_found (no such file or
/// database), timed_out, unavailable, denied.
[[nodiscard]] base::Result<std::unique_ptr<Reader>> open_reader(const std::string& url,
                                                                const ReaderOptions& options);

}  // namespace headroom::sql
