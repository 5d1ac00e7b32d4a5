#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/statement.hpp"

namespace headroom::sql::impl {

struct Meaning {
  StatementKind kind = StatementKind::kOther;
  std::vector<std::string> tables;
};

/// Reads kind and tables from the JSON form of libpg_query's parse tree (pg_query_parse).
/// Cost: O(json), no recursion; about a fifth of the parse itself.
[[nodiscard]] Meaning read_parse_tree(std::string_view json);

/// The table whose ids a sequence gives: "sale_line_id_seq" and "public.sale_line_id_seq" give "sale_line".
[[nodiscard]] std::string sequence_table(std::string_view sequence);

}  // namespace headroom::sql::impl
