// What a database needs to keep the bus, asked of it.

#include <chrono>

#include <fmt/format.h>

#include "bus/postgres_broker.hpp"
#include "sql/postgres.hpp"

namespace headroom::bus {

namespace {

using Severity = PostgresFinding::Severity;

constexpr std::uint64_t kMegabyte = 1U << 20U;

PostgresFinding error(std::string text) {
  return {Severity::kError, std::move(text)};
}

PostgresFinding judge_slot(const LogState& state) {
  if (state.slot_state == "lost")
    return error(
        fmt::format("slot {} lost what it kept: the log was cut at max_slot_wal_keep_size; the next node "
                    "that leads makes another one, and clients are told 'lost'",
                    state.slot));
  if (state.slot_state == "missing")
    return {state.logged ? Severity::kError : Severity::kWarning,
            fmt::format("slot {} is not there; the node that leads makes it", state.slot)};
  if (state.slot_state == "making")
    return {Severity::kWarning,
            fmt::format("slot {} is being made by process {}: it waits for open transactions", state.slot,
                        state.process)};
  const bool is_safe = state.slot_state == "reserved" || state.slot_state == "extended";
  return {is_safe ? Severity::kFine : Severity::kWarning,
          fmt::format("slot {} is {}, read by {}, and keeps {} MB of the log", state.slot, state.slot_state,
                      state.process == 0 ? std::string("nobody") : fmt::format("process {}", state.process),
                      state.retained_bytes / kMegabyte)};
}

PostgresFinding judge_bound(const LogState& state) {
  if (!state.bound_bytes) {
    return {Severity::kWarning,
            "while no node runs the slot keeps all of the log, until the disk is full; run: ALTER SYSTEM SET "
            "max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()"};
  }
  const std::uint64_t bound = *state.bound_bytes;
  const bool is_near = state.retained_bytes > bound / 2;
  return {is_near ? Severity::kWarning : Severity::kFine,
          fmt::format("the slot keeps at most {} MB (max_slot_wal_keep_size){}", bound / kMegabyte,
                      is_near ? "; more than half of it is in use" : "")};
}

}  // namespace

std::vector<PostgresFinding> judge_log(const LogState& state, PostgresSource source) {
  std::vector<PostgresFinding> found;
  if (source == PostgresSource::kOutbox) {
    if (state.logged) {
      found.push_back(
          error("publications go into the log, which this node does not read: set [bus] source = "
                "\"logical\", or run: SELECT headroom.leave_log()"));
    }
    if (state.slot_state != "missing") {
      found.push_back(
          {Severity::kWarning, fmt::format("slot {0} keeps the log, and nobody reads it; run: SELECT "
                                           "pg_drop_replication_slot('{0}')",
                                           state.slot)});
    }
    return found;
  }
  if (state.wal_level != "logical")
    found.push_back(error(
        fmt::format("wal_level is {}; run: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL",
                    state.wal_level)));
  if (!state.publication)
    found.push_back(error("the publication headroom_bus is missing; run: CREATE PUBLICATION headroom_bus"));
  if (!state.may_replicate)
    found.push_back(
        error("the login may not read the log; run as a superuser: ALTER ROLE its_name REPLICATION"));
  if (!found.empty()) return found;
  found.push_back(judge_slot(state));
  found.push_back(judge_bound(state));
  return found;
}

std::vector<PostgresFinding> check_postgres_broker(const std::string& url, PostgresSource source) {
  const auto deadline = sql::PostgresConnection::Clock::now() + std::chrono::seconds{5};
  auto connection = sql::PostgresConnection::connect(url, deadline);
  if (!connection) return {error(connection.error().message())};
  const auto rows = connection->query("SELECT * FROM headroom.log_state()", {}, deadline);
  if (!rows) {
    return {error(
        fmt::format("the schema headroom is not there, or older than this executable; run: headroom bus "
                    "sql | psql ({})",
                    rows.error().message()))};
  }
  const auto state = log_state(*rows);
  if (!state) return {error(state.error().message())};
  std::vector<PostgresFinding> found{{Severity::kFine, "the schema headroom is there, and may be used"}};
  for (PostgresFinding& one : judge_log(*state, source)) found.push_back(std::move(one));
  return found;
}

}  // namespace headroom::bus
