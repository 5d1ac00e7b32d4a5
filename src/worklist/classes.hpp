#pragma once

// The values of a column, cut into classes that no criterion tells apart.
//
// Of ordered columns every value that a criterion names is a cut: the values between two cuts, and each cut
// itself, behave alike. Of texts each named value stands alone, then come those behind each prefix (the
// longest that fits), then all others. NULL is a part of its own. Parts that the same criteria accept are one
// class, so a column with thousands of values has a handful.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worklist/criterion.hpp"

namespace headroom::worklist {

using ClassId = std::uint32_t;

/// Shape: part 0 is NULL. Ordered types: gap, cut, gap, cut, ..., gap. Booleans: false, true. Texts: the
/// cuts, then the prefixes, then all others.
struct ValueClasses {
  Type type = Type::kText;
  std::vector<Value> cuts;            ///< named values, sorted
  std::vector<std::string> prefixes;  ///< of texts; none before one that begins with it
  std::vector<ClassId> class_of_part;
  std::size_t classes = 0;
  /// By test, in the order given: the classes whose values it accepts, ascending.
  std::vector<std::vector<ClassId>> accepted;
};

/// Classes for tests of one column. Cost: O(values), and O(parts) for each test that is no list of values.
/// Threads: pure.
[[nodiscard]] ValueClasses classify(Type type, std::span<const ColumnTest> tests);

/// The class of a value, NULL included. Cost: O(log cuts + prefixes).
[[nodiscard]] ClassId class_of(const ValueClasses& classes, const Value& value);

/// Whether any value passes.
[[nodiscard]] bool is_possible(Type type, const ColumnTest& test);

}  // namespace headroom::worklist
