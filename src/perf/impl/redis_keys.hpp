#pragma once

// Names of the keys. What one script touches shares one hash tag, and so one slot of a cluster:
// {store} for what belongs to the whole store, {d:NAME} for everything of one application database.
//
//   headroom:perf:{store}:about        hash    schema, bytes, retention_age (us), retention_bytes
//   headroom:perf:{store}:databases    set     names; written with every batch, pruned when nothing is left
//   headroom:perf:{store}:statements   hash    fingerprint (hex) -> statement
//   headroom:perf:{store}:processes    hash    host:process -> ProcessInfo
//   headroom:perf:{store}:seen         zset    host:process by time
//   headroom:perf:{store}:rules        hash    version, last, r1, r2 ...
//   headroom:perf:{d:NAME}:about       hash    calls, bytes
//   headroom:perf:{d:NAME}:sessions    zset    session by start of its last call
//   headroom:perf:{d:NAME}:order       zset    rank:session by start, for every call
//   headroom:perf:{d:NAME}:ids         hash    id of a call -> rank:session
//   headroom:perf:{d:NAME}:totals      hash    nmMETHOD, tmMETHOD, ntTABLE, ttTABLE, nfHEX, tfHEX: number and
//   time headroom:perf:{d:NAME}:hours       zset    hours that have counts headroom:perf:{d:NAME}:hour:H hash
//   n:KIND:METHOD, e:, t:, s:, q:, m:, BUCKET:KIND:METHOD headroom:perf:{d:NAME}:sent:T:H    string  a token
//   that says that counts arrived; expires headroom:perf:{d:NAME}:s:SESSION:  about (hash), order (zset),
//   calls, details, sums, totals (hashes); see append.lua

#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace headroom::perf::redis_keys {

inline constexpr std::string_view kAbout = "headroom:perf:{store}:about";
inline constexpr std::string_view kDatabases = "headroom:perf:{store}:databases";
inline constexpr std::string_view kStatements = "headroom:perf:{store}:statements";
inline constexpr std::string_view kProcesses = "headroom:perf:{store}:processes";
inline constexpr std::string_view kSeen = "headroom:perf:{store}:seen";
inline constexpr std::string_view kRules = "headroom:perf:{store}:rules";

/// A name that is safe inside a hash tag: a '}' would end it early.
inline std::string tag_safe(std::string_view name) {
  std::string safe;
  for (const char c : name) {
    if (c == '}' || c == '{' || c == '%') {
      fmt::format_to(std::back_inserter(safe), "%{:02x}", static_cast<unsigned char>(c));
    } else {
      safe.push_back(c);
    }
  }
  return safe;
}

inline std::string of_database(std::string_view database, std::string_view what) {
  return fmt::format("headroom:perf:{{d:{}}}:{}", tag_safe(database), what);
}

inline std::string of_session(std::string_view database, std::string_view session, std::string_view what) {
  return of_database(database, fmt::format("s:{}:{}", session, what));
}

/// The keys of append.lua and prune.lua, in their order.
inline std::array<std::string, 11> of_calls(std::string_view database, std::string_view session) {
  return {of_database(database, "about"),           of_database(database, "sessions"),
          of_database(database, "order"),           of_database(database, "ids"),
          of_database(database, "totals"),          of_session(database, session, "about"),
          of_session(database, session, "order"),   of_session(database, session, "calls"),
          of_session(database, session, "details"), of_session(database, session, "sums"),
          of_session(database, session, "totals")};
}

}  // namespace headroom::perf::redis_keys
