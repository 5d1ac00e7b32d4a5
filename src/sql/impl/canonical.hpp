#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sql/token.hpp"

namespace headroom::sql::impl {

/// A statement with its lists of values shortened to one value and its comments left out.
struct Canonical {
  /// For PostgreSQL's parser: placeholders are `$1`, `$2`, ...; literals stay (long ones are shortened).
  std::string parseable;
  /// For people and stores: every literal and placeholder is `?`.
  std::string normalized;
  /// A hash of the tokens, blind to case, spacing, quoting and literals.
  std::uint64_t hash = 0;
  /// An upper bound of the height of the parse tree.
  std::size_t depth = 0;
};

/// `IN (?, ?, ?)` and `ARRAY[?, ?]` become lists of one; of the rows after VALUES that look alike the first
/// stays. Cost: O(tokens).
[[nodiscard]] Canonical canonicalize(std::span<const Token> tokens);

}  // namespace headroom::sql::impl
