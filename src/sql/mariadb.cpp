#include "sql/mariadb.hpp"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include <fmt/format.h>

#include "sql/impl/mariadb_text.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Clock = MariaDbConnection::Clock;

// Errors
// ---------------------------------------------------------------------------------------------------------

/// Its own errors and those of its plugins; the others are the server's.
bool is_of_client(unsigned number) {
  constexpr unsigned kPlugins = 5000;
  return (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) || number >= kPlugins;
}

ErrorCode code_of(unsigned number) {
  switch (number) {
    case ER_ACCESS_DENIED_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_PROCACCESS_DENIED_ERROR:
    case ER_HOST_NOT_PRIVILEGED:
    case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
      return ErrorCode::kDenied;
    case ER_STATEMENT_TIMEOUT:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_QUERY_INTERRUPTED:
      return ErrorCode::kTimedOut;
    case ER_BAD_DB_ERROR:
      return ErrorCode::kNotFound;
    case ER_CON_COUNT_ERROR:
    case ER_TOO_MANY_USER_CONNECTIONS:
    case ER_HOST_IS_BLOCKED:
    case ER_SERVER_SHUTDOWN:
    case ER_CONNECTION_KILLED:
      return ErrorCode::kUnavailable;
    default:
      return is_of_client(number) ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument;
  }
}

base::Error error_of(MYSQL* connection) {
  std::string message = mysql_error(connection);
  std::replace(message.begin(), message.end(), '\n', ' ');
  return {code_of(mysql_errno(connection)), fmt::format("MariaDB: {}", message)};
}

base::Error late() {
  return {ErrorCode::kTimedOut, "the database did not answer in time"};
}

// Waiting
// ---------------------------------------------------------------------------------------------------------

/// What the client waits for, until it is there; what it then is to be told.
Result<int> wait_for(MYSQL* connection, int events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return fail(late());
    const bool reads = (events & MYSQL_WAIT_READ) != 0;
    const bool writes = (events & MYSQL_WAIT_WRITE) != 0;
    pollfd descriptor{mysql_get_socket(connection),
                      static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
    const int ready = ::poll(&descriptor, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return events & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
    if (ready < 0 && errno != EINTR)
      return fail(ErrorCode::kUnavailable, "the connection to the database broke");
  }
}

/// Has a call that waits fail, so that it gives back what it holds. Nothing waits for the socket any more,
/// and closing not for a server that takes nothing.
template <typename GoOn>
void abandon(MYSQL* connection, const GoOn& go_on) {
  constexpr int kMostWaits = 100;
  ::shutdown(mysql_get_socket(connection), SHUT_RDWR);
  for (int i = 0; i < kMostWaits && go_on(MYSQL_WAIT_TIMEOUT) != 0; ++i) continue;
}

/// Goes on with a call as the socket allows: `go_on` takes what happened, and gives what it waits for, 0 when
/// it is done.
template <typename GoOn>
Result<void> finish(MYSQL* connection, int events, Clock::time_point deadline, const GoOn& go_on) {
  while (events != 0) {
    const auto happened = wait_for(connection, events, deadline);
    if (!happened) {
      abandon(connection, go_on);
      return fail(happened.error());
    }
    events = go_on(*happened);
  }
  return {};
}

// Connecting
// ---------------------------------------------------------------------------------------------------------

void set_tls(MYSQL* connection, const MariaDbAddress& address) {
  if (address.tls == MariaDbTls::kOff) return;
  const my_bool yes = 1;
  const my_bool verified = address.tls == MariaDbTls::kVerified ? 1 : 0;
  mysql_optionsv(connection, MYSQL_OPT_SSL_ENFORCE, &yes);
  mysql_optionsv(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verified);
  if (!address.authorities.empty()) mysql_optionsv(connection, MYSQL_OPT_SSL_CA, address.authorities.c_str());
}

void set_options(MYSQL* connection, const MariaDbAddress& address) {
  // Each call of the client runs on a stack of its own, which it leaves where it would wait.
  const std::size_t stack = 256 * 1024;
  const unsigned protocol = address.host.empty() ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  const unsigned off = 0;
  mysql_optionsv(connection, MYSQL_OPT_NONBLOCK, &stack);
  mysql_optionsv(connection, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_optionsv(connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  // Else a server may ask for any file of this machine.
  mysql_optionsv(connection, MYSQL_OPT_LOCAL_INFILE, &off);
  set_tls(connection, address);
}

const char* or_none(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

void initialize_client() {
  static std::once_flag once;
  std::call_once(once, [] { (void)mysql_library_init(0, nullptr, nullptr); });
}

// Answers
// ---------------------------------------------------------------------------------------------------------

struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using ResultOwner = std::unique_ptr<MYSQL_RES, FreeResult>;

std::vector<std::optional<std::string>> values_of(MYSQL_RES* result, MYSQL_ROW row) {
  const unsigned long* lengths = mysql_fetch_lengths(result);
  std::vector<std::optional<std::string>> values(mysql_num_fields(result));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (row[i] != nullptr) values[i].emplace(row[i], lengths[i]);
  }
  return values;
}

}  // namespace

void MariaDbConnection::Close::operator()(st_mysql* connection) const {
  mysql_close(connection);
}

Result<MariaDbConnection> MariaDbConnection::connect(const std::string& url, Clock::time_point deadline) {
  const auto address = parse_mariadb_url(url);
  if (!address) return fail(address.error());
  initialize_client();
  MariaDbConnection made(mysql_init(nullptr));
  MYSQL* const connection = made.connection_.get();
  if (connection == nullptr) return fail(ErrorCode::kUnavailable, "out of memory");
  set_options(connection, *address);
  MYSQL* connected = nullptr;
  const int events = mysql_real_connect_start(
      &connected, connection, or_none(address->host), or_none(address->user), address->password.c_str(),
      address->database.c_str(), address->port, or_none(address->socket), 0);
  const auto done = finish(connection, events, deadline, [&](int happened) {
    return mysql_real_connect_cont(&connected, connection, happened);
  });
  if (!done) return fail(done.error());
  if (connected == nullptr) return fail(error_of(connection));
  return made;
}

Result<void> MariaDbConnection::send(const std::string& statement, Clock::time_point deadline) {
  MYSQL* const connection = connection_.get();
  int failed = 0;
  const int events = mysql_real_query_start(&failed, connection, statement.data(), statement.size());
  auto done = finish(connection, events, deadline,
                     [&](int happened) { return mysql_real_query_cont(&failed, connection, happened); });
  if (done && failed != 0) return fail(error_of(connection));
  return done;
}

Result<PostgresRows> MariaDbConnection::query(const std::string& statement, Clock::time_point deadline) {
  if (auto sent = send(statement, deadline); !sent) return fail(std::move(sent.error()));
  return read_rows(deadline);
}

Result<PostgresRows> MariaDbConnection::read_rows(Clock::time_point deadline) {
  MYSQL* const connection = connection_.get();
  const ResultOwner result(mysql_use_result(connection));
  PostgresRows rows;
  while (result != nullptr) {
    MYSQL_ROW row = nullptr;
    const int events = mysql_fetch_row_start(&row, result.get());
    const auto done = finish(connection, events, deadline, [&](int happened) {
      return mysql_fetch_row_cont(&row, result.get(), happened);
    });
    if (!done) return fail(done.error());
    if (row == nullptr) break;
    if (rows.size() == Reader::kMostRows) {
      // Else the rest would be read when the result goes.
      ::shutdown(mysql_get_socket(connection), SHUT_RDWR);
      return fail(ErrorCode::kTooLarge, fmt::format("more than {} rows", Reader::kMostRows));
    }
    rows.push_back(values_of(result.get(), row));
  }
  if (mysql_errno(connection) != 0) return fail(error_of(connection));
  return rows;
}

unsigned MariaDbConnection::warnings() const {
  return mysql_warning_count(connection_.get());
}

}  // namespace headroom::sql
