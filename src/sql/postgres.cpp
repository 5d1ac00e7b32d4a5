#include "sql/postgres.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "sql/impl/libpq.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using Clock = PostgresConnection::Clock;

enum class Wait : short { kRead = POLLIN, kWrite = POLLOUT, kBoth = POLLIN | POLLOUT };

Result<void> wait_for(pg_conn* connection, Wait what, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return fail(ErrorCode::kTimedOut, "the database did not answer in time");
    pollfd descriptor{PQsocket(connection), static_cast<short>(what), 0};
    const int ready = ::poll(&descriptor, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR)
      return fail(ErrorCode::kUnavailable, "the connection to the database broke");
  }
}

// Plans
// ---------------------------------------------------------------------------------------------------------

/// Functions that PostgreSQL calls volatile and that change nothing.
constexpr std::array<std::string_view, 5> kHarmless{"random", "clock_timestamp", "timeofday",
                                                    "gen_random_uuid", "uuid_generate_v4"};

/// ANALYZE runs the statement: nothing may be called that acts outside of the transaction. A name counts in
/// every schema.
Result<void> check_functions(PostgresConnection& connection, const std::vector<std::string>& functions,
                             Clock::time_point deadline) {
  for (const std::string& function : functions) {
    if (std::find(kHarmless.begin(), kHarmless.end(), function) != kHarmless.end()) continue;
    const auto rows = connection.query(
        "SELECT 1 FROM pg_catalog.pg_proc WHERE pg_catalog.lower(proname) = pg_catalog.lower($1) AND "
        "(provolatile = 'v' OR prosecdef) LIMIT 1",
        {function}, deadline);
    if (!rows) return fail(rows.error());
    if (rows->empty()) continue;
    return fail(ErrorCode::kDenied,
                fmt::format("--analyze would run {}(), which may change something; ask for the plain plan",
                            function));
  }
  return {};
}

/// The text's functions, then those of its plan: a view may hide some.
Result<void> check_analyze(PostgresConnection& connection, const Explainable& statement,
                           Clock::time_point deadline) {
  if (!statement.is_select) {
    return fail(ErrorCode::kDenied,
                "--analyze runs the statement, so it takes only a SELECT that changes and locks nothing; ask "
                "for the plain plan");
  }
  if (auto checked = check_functions(connection, statement.functions, deadline); !checked) return checked;
  const auto rows = connection.query("EXPLAIN (FORMAT JSON, VERBOSE) " + statement.text, {}, deadline);
  if (!rows) return fail(rows.error());
  if (rows->empty() || rows->front().empty() || !rows->front().front())
    return fail(ErrorCode::kProtocol, "the database's answer is no plan");
  return check_functions(connection, functions_of_plan(*rows->front().front()), deadline);
}

Result<void> run(PostgresConnection& connection, const std::string& statement, Clock::time_point deadline) {
  const auto rows = connection.query(statement, {}, deadline);
  if (!rows) return fail(rows.error());
  return {};
}

std::string explain_command(const ExplainOptions& options) {
  return options.analyze ? "EXPLAIN (FORMAT JSON, ANALYZE, TIMING ON, BUFFERS OFF) "
                         : "EXPLAIN (FORMAT JSON) ";
}

/// The statement as it stands, or, with placeholders, prepared and executed with as many NULLs, whose plan is
/// for any values.
Result<std::string> command_for(PostgresConnection& connection, const Explainable& statement,
                                const ExplainOptions& options, Clock::time_point deadline) {
  if (statement.parameters == 0) return explain_command(options) + statement.text;
  if (options.analyze) {
    return fail(ErrorCode::kUnsupported,
                "the values of this statement were removed, so it cannot be run; ask for the plain plan");
  }
  auto prepared = run(connection, "PREPARE headroom_explain AS " + statement.text, deadline);
  if (!prepared) return fail(std::move(prepared.error()).within("its values were removed, and without them"));
  std::string nulls;
  for (std::size_t i = 0; i < statement.parameters; ++i) nulls += i == 0 ? "NULL" : ", NULL";
  return fmt::format("{}EXECUTE headroom_explain({})", explain_command(options), nulls);
}

Result<Plan> ask(PostgresConnection& connection, const Explainable& statement, const ExplainOptions& options,
                 Clock::time_point deadline) {
  if (auto begun = begin_read_only(connection, options.timeout, deadline); !begun) return fail(begun.error());
  auto generic = run(connection, "SET LOCAL plan_cache_mode = force_generic_plan", deadline);
  if (!generic) return fail(generic.error());
  if (options.analyze && statement.parameters == 0) {
    if (auto checked = check_analyze(connection, statement, deadline); !checked) return fail(checked.error());
  }
  const auto command = command_for(connection, statement, options, deadline);
  if (!command) return fail(command.error());
  const auto rows = connection.query(*command, {}, deadline);
  if (!rows) return fail(rows.error());
  if (rows->empty() || rows->front().empty() || !rows->front().front())
    return fail(ErrorCode::kProtocol, "the database's answer is no plan");
  return parse_postgres_plan(*rows->front().front());
}

}  // namespace

void PostgresConnection::Finish::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

Result<PostgresConnection> PostgresConnection::connect(const std::string& url, Clock::time_point deadline) {
  if (auto checked = check_postgres_url(url); !checked) return fail(checked.error());
  const std::array<const char*, 4> keywords{"dbname", "fallback_application_name", "client_encoding",
                                            nullptr};
  const std::array<const char*, 4> values{url.c_str(), "headroom", "UTF8", nullptr};
  constexpr int kExpandUrl = 1;
  PostgresConnection made(PQconnectStartParams(keywords.data(), values.data(), kExpandUrl));
  pg_conn* connection = made.connection_.get();
  if (connection == nullptr) return fail(ErrorCode::kUnavailable, "out of memory");
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD)
      return fail(connection_error(connection));
    const Wait what = state == PGRES_POLLING_READING ? Wait::kRead : Wait::kWrite;
    if (auto ready = wait_for(connection, what, deadline); !ready) return fail(ready.error());
    state = PQconnectPoll(connection);
  }
  if (PQsetnonblocking(connection, 1) != 0) return fail(connection_error(connection));
  return made;
}

Result<void> PostgresConnection::send_all(Clock::time_point deadline) {
  while (true) {
    const int left = PQflush(connection_.get());
    if (left == 0) return {};
    if (left < 0) return fail(connection_error(connection_.get()));
    if (auto ready = wait_for(connection_.get(), Wait::kBoth, deadline); !ready) return ready;
    if (PQconsumeInput(connection_.get()) == 0) return fail(connection_error(connection_.get()));
  }
}

Result<void> PostgresConnection::wait_for_result(Clock::time_point deadline) {
  while (PQisBusy(connection_.get()) != 0) {
    if (auto ready = wait_for(connection_.get(), Wait::kRead, deadline); !ready) return ready;
    if (PQconsumeInput(connection_.get()) == 0) return fail(connection_error(connection_.get()));
  }
  return {};
}

Result<PostgresRows> PostgresConnection::query(const std::string& statement,
                                               const std::vector<std::string>& parameters,
                                               Clock::time_point deadline) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const int sent = PQsendQueryParams(connection_.get(), statement.c_str(), static_cast<int>(values.size()),
                                     nullptr, values.data(), nullptr, nullptr, 0);
  if (sent == 0) return fail(connection_error(connection_.get()));
  if (auto flushed = send_all(deadline); !flushed) return fail(flushed.error());
  Result<PostgresRows> answer = PostgresRows{};
  while (true) {
    if (auto ready = wait_for_result(deadline); !ready) return fail(ready.error());
    const ResultOwner result(PQgetResult(connection_.get()));
    if (result == nullptr) return answer;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK) {
      answer = rows_of(result.get());
    } else if (status != PGRES_COMMAND_OK) {
      answer = fail(statement_error(result.get()));
      if (status != PGRES_FATAL_ERROR) return answer;
    }
  }
}

Result<void> begin_read_only(PostgresConnection& connection, std::chrono::milliseconds timeout,
                             Clock::time_point deadline) {
  for (const std::string& statement : {std::string("BEGIN TRANSACTION READ ONLY"),
                                       fmt::format("SET LOCAL statement_timeout = {}", timeout.count()),
                                       fmt::format("SET LOCAL lock_timeout = {}", timeout.count()),
                                       std::string("SET LOCAL client_encoding = 'UTF8'")}) {
    if (auto done = run(connection, statement, deadline); !done) return done;
  }
  return {};
}

Result<Plan> explain_in_postgres(const std::string& url, const ExplainQuestion& question,
                                 const ExplainOptions& options) {
  auto statement = check_explainable(question.statement);
  if (!statement) return fail(statement.error());
  auto connection = PostgresConnection::connect(url, Clock::now() + options.timeout);
  if (!connection) return fail(connection.error());
  // The server keeps the timeout of a statement; ours is for a server that does not answer at all.
  const auto deadline = Clock::now() + options.timeout + std::chrono::seconds{1};
  auto plan = ask(*connection, *statement, options, deadline);
  (void)connection->query("ROLLBACK", {}, deadline);
  if (!plan) return plan;
  plan->generic = statement->parameters > 0;
  plan->analyzed = options.analyze;
  plan->statement = statement->text;
  return plan;
}

}  // namespace headroom::sql
