#pragma once

// What stands in a column: its type, and a value that definitions, users and databases write as text.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"

namespace headroom::worklist {

using base::ErrorCode;
using base::Result;

enum class Type : std::uint8_t { kInteger, kNumber, kText, kBoolean, kDate, kTime };

/// Nothing is NULL. A date counts days, a time microseconds, both since 1970 in UTC.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

[[nodiscard]] inline bool is_null(const Value& value) {
  return std::holds_alternative<std::monostate>(value);
}

/// "integer", "number", "text", "boolean", "date", "time".
[[nodiscard]] std::string_view name(Type type);
/// Errors: invalid_argument with the names that are accepted.
[[nodiscard]] Result<Type> parse_type(std::string_view text);
/// Whether ranges make sense. Texts are left out: every database, column and index orders them its own way.
[[nodiscard]] bool is_ordered(Type type);

/// Reads a whole number of 64 bits; a number of at most 15 significant digits, which a double keeps apart;
/// true or false; 2026-11-30; 2026-11-30 07:38:15.5 with or without a zone; any text that is UTF-8 without
/// NUL. Errors: invalid_argument with what is accepted.
[[nodiscard]] Result<Value> parse_value(Type type, std::string_view text);
/// The inverse, as both databases read it: times are "2026-11-30 07:38:15.500000". Not for NULL.
[[nodiscard]] std::string to_text(Type type, const Value& value);
/// Negative, 0 or positive; of two values of one type that are not NULL. Texts compare by their bytes.
[[nodiscard]] int compare(const Value& left, const Value& right);

}  // namespace headroom::worklist
