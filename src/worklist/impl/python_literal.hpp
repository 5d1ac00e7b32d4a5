#pragma once

// Python's literals, as domains of Odoo are written: lists, tuples, texts, numbers, True, False, None, and
// expressions, whose text is kept.

#include <string>
#include <string_view>
#include <vector>

#include "worklist/value.hpp"

namespace headroom::worklist::impl {

struct PythonLiteral {
  enum class Kind : std::uint8_t { kNone, kBoolean, kNumber, kText, kList, kExpression };
  Kind kind = Kind::kNone;
  bool flag = false;  ///< of a boolean
  /// Of a text what it says, of a number its digits, of an expression itself without blanks.
  std::string text;
  std::vector<PythonLiteral> items;  ///< of a list or tuple

  [[nodiscard]] bool is(Kind wanted) const { return kind == wanted; }
};

/// Errors: too_large (over 64 KiB), invalid_argument with where it stops being one. Lists are at most 16
/// deep. Cost: O(bytes). Threads: pure.
[[nodiscard]] Result<PythonLiteral> parse_python_literal(std::string_view text);

}  // namespace headroom::worklist::impl
