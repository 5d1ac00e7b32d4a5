#pragma once

#include <span>

#include "sql/impl/parse_tree.hpp"
#include "sql/token.hpp"

namespace headroom::sql::impl {

/// Kind and tables from the words alone, for texts that PostgreSQL's parser does not accept.
/// Guarantees: any tokens give an answer. Cost: O(tokens x names of CTEs).
[[nodiscard]] Meaning guess(std::span<const Token> tokens);

}  // namespace headroom::sql::impl
