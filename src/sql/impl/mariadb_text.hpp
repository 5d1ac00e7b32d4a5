#pragma once

// What a connection to MariaDB needs that is text alone: where to connect to, and a statement with its
// values.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sql/reader.hpp"

namespace headroom::sql {

enum class MariaDbTls : std::uint8_t { kOff, kEncrypted, kVerified };

/// What a URL says.
struct MariaDbAddress {
  std::string user;
  std::string password;
  std::string host;  ///< empty: `socket`
  std::uint16_t port = 3306;
  std::string database;
  std::string socket;  ///< absolute path
  MariaDbTls tls = MariaDbTls::kOff;
  std::string authorities;  ///< a file of certificates; empty: the system's
};

/// Reads "mariadb://user:password@host:port/database", or mysql://, with `?socket=/path`, `?tls=on`,
/// `?tls=verify` and `?ca=/path` behind it. Signs in user, password, database and paths may be written %41.
/// Errors: invalid_argument, which says what is accepted and quotes nothing.
[[nodiscard]] base::Result<MariaDbAddress> parse_mariadb_url(std::string_view url);

/// The statement with the values in place of ?1, ?2, ..., which may stand there more than once and in any
/// order. Those in texts, quoted names and comments are none. Texts become hexadecimal digits, which no mode
/// of the server reads in another way.
/// Errors: invalid_argument when there is no value of a number.
[[nodiscard]] base::Result<std::string> with_values(std::string_view statement,
                                                    const std::vector<Parameter>& values);

}  // namespace headroom::sql
