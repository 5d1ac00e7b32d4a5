#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace headroom::base {

using Microseconds = std::chrono::duration<std::int64_t, std::micro>;
using Nanoseconds = std::chrono::duration<std::int64_t, std::nano>;
/// A point in UTC, microsecond resolution: for storing and showing, never for measuring a duration.
using UtcTime = std::chrono::time_point<std::chrono::system_clock, Microseconds>;

[[nodiscard]] UtcTime utc_now();
/// CLOCK_MONOTONIC in nanoseconds: for durations. Cost: about 20 ns.
[[nodiscard]] std::int64_t monotonic_ns();
/// CPU time of the calling thread in nanoseconds. Cost: one system call.
[[nodiscard]] std::int64_t thread_cpu_ns();

/// "2026-11-21T07:38:15.123456Z"
[[nodiscard]] std::string to_iso(UtcTime time);
/// Reads ISO 8601 ("2026-11-21", "2026-11-21T07:38", with seconds, fraction, "Z" or "+01:00"; a space for the
/// T; without a zone it is UTC) or a span before `now` such as "90s", "10m", "2h", "7d".
/// Errors: invalid_argument.
[[nodiscard]] Result<UtcTime> parse_time(std::string_view text, UtcTime now);
/// Reads "250ms", "90s", "10m", "2h", "7d", "1.5s", or a bare number of seconds. Errors: invalid_argument.
[[nodiscard]] Result<Microseconds> parse_duration(std::string_view text);
/// Seconds with three decimals, as the reports print them: "0.042".
[[nodiscard]] std::string format_seconds(Microseconds duration);

}  // namespace headroom::base
