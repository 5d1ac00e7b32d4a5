#include "worklist/value.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "sql/utf8.hpp"

namespace headroom::worklist {

namespace {

using base::fail;

constexpr std::array<std::string_view, 6> kTypes{"integer", "number", "text", "boolean", "date", "time"};
constexpr std::size_t kMostDigits = 15;
constexpr std::size_t kShown = 60;
using std::chrono::January;
constexpr base::UtcTime kFirstTime = std::chrono::sys_days{std::chrono::year{1} / January / 1};
constexpr base::UtcTime kTimesEnd = std::chrono::sys_days{std::chrono::year{10'000} / January / 1};

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::size_t significant_digits(std::string_view text) {
  std::size_t digits = 0;
  for (const char sign : text.substr(0, text.find_first_of("eE"))) {
    const bool leading = sign == '0' && digits == 0;
    if (sign >= '0' && sign <= '9' && !leading) ++digits;
  }
  return digits;
}

std::optional<Value> read_number(std::string_view text) {
  const auto number = number_of<double>(text);
  if (!number || !std::isfinite(*number) || significant_digits(text) > kMostDigits) return std::nullopt;
  return *number == 0 ? 0.0 : *number;
}

std::optional<Value> read_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

/// "2026-11-30"
std::optional<std::int64_t> read_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = number_of<unsigned>(text.substr(0, 4));
  const auto month = number_of<unsigned>(text.substr(5, 2));
  const auto day = number_of<unsigned>(text.substr(8, 2));
  if (!year || !month || !day || *year == 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{*month}, std::chrono::day{*day}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count();
}

std::optional<Value> read_date(std::string_view text) {
  if (const auto day = read_day(text)) return *day;
  return std::nullopt;
}

std::optional<Value> read_time(std::string_view text) {
  // parse_time also reads spans before now, which mean nothing here.
  if (text.size() < 10 || !read_day(text.substr(0, 10))) return std::nullopt;
  const auto time = base::parse_time(text, {});
  // A zone may lead out of the years that dates have.
  if (!time || *time < kFirstTime || *time >= kTimesEnd) return std::nullopt;
  return time->time_since_epoch().count();
}

std::optional<Value> read(Type type, std::string_view text) {
  switch (type) {
    case Type::kInteger:
      if (const auto number = number_of<std::int64_t>(text)) return *number;
      return std::nullopt;
    case Type::kNumber:
      return read_number(text);
    case Type::kBoolean:
      return read_boolean(text);
    case Type::kDate:
      return read_date(text);
    case Type::kTime:
      return read_time(text);
    case Type::kText:
      if (sql::is_clean_utf8(text)) return std::string(text);
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view accepted(Type type) {
  switch (type) {
    case Type::kInteger:
      return "a whole number of 64 bits";
    case Type::kNumber:
      return "a number of at most 15 digits";
    case Type::kBoolean:
      return "true or false";
    case Type::kDate:
      return "a date such as 2026-11-30";
    case Type::kTime:
      return "a time such as 2026-11-30 07:38:15";
    case Type::kText:
      return "a text in UTF-8 without NUL";
  }
  return {};
}

std::string day_text(std::int64_t days) {
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<std::int32_t>(days)}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

std::string time_text(std::int64_t microseconds) {
  std::string text = base::to_iso(base::UtcTime{base::Microseconds{microseconds}});
  text.pop_back();
  text[10] = ' ';
  return text;
}

}  // namespace

std::string_view name(Type type) {
  return kTypes[static_cast<std::size_t>(type)];
}

Result<Type> parse_type(std::string_view text) {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i] == text) return static_cast<Type>(i);
  }
  return fail(ErrorCode::kInvalidArgument, fmt::format("unknown type '{}'; accepted: {}",
                                                       text.substr(0, kShown), fmt::join(kTypes, ", ")));
}

bool is_ordered(Type type) {
  return type != Type::kText && type != Type::kBoolean;
}

Result<Value> parse_value(Type type, std::string_view text) {
  if (auto value = read(type, text)) return std::move(*value);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is not of type {}; expected {}", sql::cut_utf8(sql::clean_utf8(text), kShown),
                          name(type), accepted(type)));
}

std::string to_text(Type type, const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* whole = std::get_if<std::int64_t>(&value);
  if (whole == nullptr) return {};
  if (type == Type::kDate) return day_text(*whole);
  return type == Type::kTime ? time_text(*whole) : fmt::format("{}", *whole);
}

int compare(const Value& left, const Value& right) {
  if (left < right) return -1;
  return right < left ? 1 : 0;
}

}  // namespace headroom::worklist
