#include "base/clock.hpp"

#include <time.h>

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace headroom::base {

namespace {

std::int64_t read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

/// Takes up to `digits` digits from the front of `text`; nullopt when there is none.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  std::size_t length = 0;
  while (length < digits && length < text.size() && text[length] >= '0' && text[length] <= '9') ++length;
  if (length == 0) return std::nullopt;
  int value = 0;
  std::from_chars(text.data(), text.data() + length, value);
  text.remove_prefix(length);
  return value;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

struct ClockTime {
  std::int64_t seconds = 0;
  std::int64_t microseconds = 0;
};

/// "07:38[:15[.123456]]"
std::optional<ClockTime> take_clock_time(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  ClockTime time{*hour * 3600 + *minute * 60, 0};
  if (!take(text, ':')) return time;
  const auto second = take_number(text, 2);
  if (!second || *second > 60) return std::nullopt;
  time.seconds += *second;
  if (!take(text, '.')) return time;
  std::int64_t scale = 100'000;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    time.microseconds += (text.front() - '0') * scale;
    scale /= 10;
  }
  return time;
}

/// "Z", "+01:00", "+0100" or nothing: seconds east of UTC.
std::optional<std::int64_t> take_zone(std::string_view& text) {
  if (text.empty() || take(text, 'Z')) return 0;
  const bool east = text.front() == '+';
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto hour = take_number(text, 2);
  take(text, ':');
  const auto minute = take_number(text, 2).value_or(0);
  if (!hour) return std::nullopt;
  const std::int64_t seconds = *hour * 3600 + minute * 60;
  return east ? seconds : -seconds;
}

std::optional<UtcTime> parse_iso(std::string_view text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  UtcTime time{std::chrono::sys_days{date}};
  if (text.empty()) return time;
  if (!take(text, 'T') && !take(text, ' ') && !take(text, '@')) return std::nullopt;
  const auto clock = take_clock_time(text);
  const auto zone = take_zone(text);
  if (!clock || !zone || !text.empty()) return std::nullopt;
  return time + std::chrono::seconds{clock->seconds - *zone} + Microseconds{clock->microseconds};
}

}  // namespace

UtcTime utc_now() {
  return std::chrono::time_point_cast<Microseconds>(std::chrono::system_clock::now());
}

std::int64_t monotonic_ns() {
  return read_clock(CLOCK_MONOTONIC);
}

std::int64_t thread_cpu_ns() {
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

std::string to_iso(UtcTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Result<UtcTime> parse_time(std::string_view text, UtcTime now) {
  if (const auto time = parse_iso(text)) return *time;
  if (!text.empty() && text.back() >= 'a' && text.back() <= 'z') {
    if (const auto span = parse_duration(text)) return now - *span;
  }
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("'{}' is no time: give 2026-11-21, 2026-11-21T07:38:15Z or a span back such as 10m", text));
}

Result<Microseconds> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double scale = 0;
  if (unit == "us") scale = 1;
  if (unit == "ms") scale = 1e3;
  if (unit.empty() || unit == "s") scale = 1e6;
  if (unit == "m" || unit == "min") scale = 60e6;
  if (unit == "h") scale = 3600e6;
  if (unit == "d") scale = 86400e6;
  const double microseconds = number * scale;
  const bool readable = error == std::errc{} && scale != 0 && std::isfinite(microseconds);
  if (!readable || microseconds < 0 || microseconds > 1e15) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("'{}' is no duration: give a number with us, ms, s, m, h or d, such as 10m", text));
  }
  return Microseconds{std::llround(microseconds)};
}

std::string format_seconds(Microseconds duration) {
  return fmt::format("{:.3f}", static_cast<double>(duration.count()) / 1e6);
}

}  // namespace headroom::base
