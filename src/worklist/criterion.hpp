#pragma once

// A criterion as it is written (with dates such as "today + 3 days"), as it holds at one moment, and what it
// says of a value, in SQL's three-valued logic.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "worklist/value.hpp"

namespace headroom::worklist {

enum class Operator : std::uint8_t {
  kIn,  ///< of one value too: `=`
  kNotIn,
  kFrom,   ///< >=
  kAbove,  ///< >
  kTo,     ///< <=
  kBelow,  ///< <
  kNull,
  kNotNull,
  kPrefix,
};

/// The key in worklists.yaml that stands for it: "in", "not_in", "from", ...
[[nodiscard]] std::string_view name(Operator operation);

enum class Unit : std::uint8_t { kSecond, kMinute, kHour, kDay, kWeek, kMonth, kYear };

/// "today - 3 days", "now + 2 hours".
struct Moment {
  enum class Base : std::uint8_t { kToday, kNow };
  Base base = Base::kToday;
  std::int64_t amount = 0;
  Unit unit = Unit::kDay;
};

using Operand = std::variant<Value, Moment>;

/// Reads a value of the type, or, for dates and times, a moment. Errors: invalid_argument.
[[nodiscard]] Result<Operand> parse_operand(Type type, std::string_view text);
/// The inverse.
[[nodiscard]] std::string to_text(Type type, const Operand& operand);

/// One comparison, as it is written.
struct Condition {
  Operator operation = Operator::kIn;
  std::vector<Operand> operands;  ///< of kIn and kNotIn at least one, of kNull and kNotNull none, else one
};

/// All that a list asks of one column: every condition, or NULL where that is said.
struct Criterion {
  std::size_t column = 0;  ///< of the catalog
  std::vector<Condition> conditions;
  bool or_null = false;
  int line = 0;  ///< in the file
};

/// A condition at one moment. `values` are sorted and each stands there once.
struct Test {
  Operator operation = Operator::kIn;
  std::vector<Value> values;
  [[nodiscard]] auto operator<=>(const Test&) const = default;
};

/// A criterion at one moment.
struct ColumnTest {
  std::size_t column = 0;
  std::vector<Test> tests;
  bool or_null = false;
  [[nodiscard]] auto operator<=>(const ColumnTest&) const = default;
};

/// `today` is the day of `now` in UTC; a time takes its midnight. Months end where the shorter one ends:
/// a month after January 31st is February 28th or 29th.
[[nodiscard]] Value resolve(Type type, const Operand& operand, base::UtcTime now);
[[nodiscard]] ColumnTest resolve(Type type, const Criterion& criterion, base::UtcTime now);

enum class Truth : std::uint8_t { kFalse, kUnknown, kTrue };

/// As SQL: a comparison with NULL is unknown, IS NULL never is. Threads: pure.
[[nodiscard]] Truth holds(const Test& test, const Value& value);
[[nodiscard]] Truth holds(const ColumnTest& test, const Value& value);

/// "state in draft, sent", "amount from 10 below 20 or null": one line for people.
[[nodiscard]] std::string to_text(Type type, std::string_view column, const ColumnTest& test);

}  // namespace headroom::worklist
