#include "worklist/criterion.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace headroom::worklist {

namespace {

using base::fail;

constexpr std::array<std::string_view, 9> kOperators{"in",    "not_in", "from", "above", "to",
                                                     "below", "null",   "null", "prefix"};
constexpr std::array<std::string_view, 7> kUnits{"second", "minute", "hour", "day", "week", "month", "year"};
/// Keeps every moment within the years that dates have.
constexpr std::int64_t kMostYears = 1'000;
constexpr std::array<std::int64_t, 7> kMostOfUnit{
    kMostYears * 31'622'400, kMostYears * 527'040, kMostYears * 8'784, kMostYears * 366,
    kMostYears * 52,         kMostYears * 12,      kMostYears};
constexpr std::array<std::int64_t, 5> kSecondsOfUnit{1, 60, 3'600, 86'400, 604'800};
constexpr std::int64_t kMicroseconds = 1'000'000;
constexpr std::int64_t kDay = 86'400 * kMicroseconds;

void skip_blanks(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  skip_blanks(text);
  return true;
}

/// "3 days", to the end.
bool take_span(std::string_view text, std::int64_t sign, Moment& moment) {
  std::int64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  if (error != std::errc{} || amount < 0) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  skip_blanks(text);
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    if (text != kUnits[i] && text != fmt::format("{}s", kUnits[i])) continue;
    moment.amount = sign * amount;
    moment.unit = static_cast<Unit>(i);
    return amount <= kMostOfUnit[i];
  }
  return false;
}

bool read_moment(std::string_view text, Moment& moment) {
  if (take(text, "today")) {
    moment.base = Moment::Base::kToday;
  } else if (take(text, "now")) {
    moment.base = Moment::Base::kNow;
  } else {
    return false;
  }
  if (text.empty()) return true;
  if (take(text, "+")) return take_span(text, 1, moment);
  return take(text, "-") && take_span(text, -1, moment);
}

bool is_moment(std::string_view text) {
  return text.starts_with("today") || text.starts_with("now");
}

std::chrono::sys_days add_months(std::chrono::sys_days day, std::int64_t months) {
  const std::chrono::year_month_day date{day};
  const std::chrono::year_month moved = std::chrono::year_month{date.year(), date.month()} +
                                        std::chrono::months{static_cast<std::int32_t>(months)};
  const std::chrono::year_month_day_last last{moved.year(), std::chrono::month_day_last{moved.month()}};
  return std::chrono::sys_days{moved / std::min(date.day(), last.day())};
}

/// In microseconds since 1970.
std::int64_t at(const Moment& moment, base::UtcTime now) {
  const std::int64_t told = now.time_since_epoch().count();
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::int64_t midnight = day.time_since_epoch().count() * kDay;
  const std::int64_t base = moment.base == Moment::Base::kToday ? midnight : told;
  if (moment.unit <= Unit::kWeek)
    return base + moment.amount * kSecondsOfUnit[static_cast<std::size_t>(moment.unit)] * kMicroseconds;
  const std::int64_t months = moment.unit == Unit::kYear ? 12 * moment.amount : moment.amount;
  return add_months(day, months).time_since_epoch().count() * kDay + (base - midnight);
}

Truth from_bool(bool truth) {
  return truth ? Truth::kTrue : Truth::kFalse;
}

bool holds_of_known(const Test& test, const Value& value) {
  switch (test.operation) {
    case Operator::kIn:
      return std::binary_search(test.values.begin(), test.values.end(), value);
    case Operator::kNotIn:
      return !std::binary_search(test.values.begin(), test.values.end(), value);
    case Operator::kFrom:
      return compare(value, test.values.front()) >= 0;
    case Operator::kAbove:
      return compare(value, test.values.front()) > 0;
    case Operator::kTo:
      return compare(value, test.values.front()) <= 0;
    case Operator::kBelow:
      return compare(value, test.values.front()) < 0;
    case Operator::kPrefix:
      return std::get<std::string>(value).starts_with(std::get<std::string>(test.values.front()));
    case Operator::kNull:
      return false;
    case Operator::kNotNull:
      return true;
  }
  return false;
}

}  // namespace

std::string_view name(Operator operation) {
  return kOperators[static_cast<std::size_t>(operation)];
}

Result<Operand> parse_operand(Type type, std::string_view text) {
  const bool dated = type == Type::kDate || type == Type::kTime;
  if (!dated || !is_moment(text)) {
    auto value = parse_value(type, text);
    if (!value) return fail(std::move(value.error()));
    return Operand{std::move(*value)};
  }
  Moment moment;
  if (!read_moment(text, moment)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{:.60}' is no moment; expected today or now, then + or - and a number of "
                            "seconds, minutes, hours, days, weeks, months or years, a thousand years at most",
                            text));
  }
  return Operand{moment};
}

std::string to_text(Type type, const Operand& operand) {
  if (const auto* value = std::get_if<Value>(&operand)) return to_text(type, *value);
  const auto& moment = std::get<Moment>(operand);
  const std::string_view base = moment.base == Moment::Base::kToday ? "today" : "now";
  if (moment.amount == 0) return std::string(base);
  const std::int64_t amount = moment.amount < 0 ? -moment.amount : moment.amount;
  return fmt::format("{} {} {} {}{}", base, moment.amount < 0 ? '-' : '+', amount,
                     kUnits[static_cast<std::size_t>(moment.unit)], amount == 1 ? "" : "s");
}

Value resolve(Type type, const Operand& operand, base::UtcTime now) {
  if (const auto* value = std::get_if<Value>(&operand)) return *value;
  const std::int64_t moment = at(std::get<Moment>(operand), now);
  if (type == Type::kTime) return moment;
  return std::int64_t{std::chrono::floor<std::chrono::days>(base::Microseconds{moment}).count()};
}

ColumnTest resolve(Type type, const Criterion& criterion, base::UtcTime now) {
  ColumnTest resolved{criterion.column, {}, criterion.or_null};
  for (const Condition& condition : criterion.conditions) {
    Test test{condition.operation, {}};
    for (const Operand& operand : condition.operands) test.values.push_back(resolve(type, operand, now));
    std::sort(test.values.begin(), test.values.end());
    test.values.erase(std::unique(test.values.begin(), test.values.end()), test.values.end());
    resolved.tests.push_back(std::move(test));
  }
  return resolved;
}

Truth holds(const Test& test, const Value& value) {
  if (test.operation == Operator::kNull) return from_bool(is_null(value));
  if (test.operation == Operator::kNotNull) return from_bool(!is_null(value));
  return is_null(value) ? Truth::kUnknown : from_bool(holds_of_known(test, value));
}

Truth holds(const ColumnTest& test, const Value& value) {
  Truth all = Truth::kTrue;
  for (const Test& one : test.tests) all = std::min(all, holds(one, value));
  return test.or_null ? std::max(all, from_bool(is_null(value))) : all;
}

std::string to_text(Type type, std::string_view column, const ColumnTest& test) {
  std::string text(column);
  for (const Test& one : test.tests) {
    if (one.operation == Operator::kNotNull) text += " not";
    text += fmt::format(" {}", name(one.operation));
    for (std::size_t i = 0; i < one.values.size(); ++i)
      text += fmt::format("{} {}", i == 0 ? "" : ",", to_text(type, one.values[i]));
  }
  return test.or_null ? text + " or null" : text;
}

}  // namespace headroom::worklist
