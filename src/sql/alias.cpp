#include <algorithm>

#include "sql/explain.hpp"
#include "sql/statement.hpp"
#include "sql/token.hpp"

namespace headroom::sql {

namespace {

bool is_name(const Token& token) {
  return token.kind == TokenKind::kWord || token.kind == TokenKind::kIdentifier;
}

/// SQLite's names are equal in any case.
bool is_called(const Token& token, const std::string& lower) {
  return is_name(token) && lower_case(catalog_name(token)) == lower;
}

bool leads_to_table(const Token& token) {
  return token.is(',') || token.is('(') || token.is_word("from") || token.is_word("join") ||
         token.is_word("into") || token.is_word("update");
}

/// The table, without its schema, that is named in front of token `end`; else empty.
std::string table_before(const std::vector<Token>& tokens, std::size_t end) {
  if (end < 2 || !is_name(tokens[end - 1])) return {};
  const bool qualified = end >= 4 && tokens[end - 2].is('.') && is_name(tokens[end - 3]);
  const Token& leads = tokens[end - (qualified ? 4 : 2)];
  return leads_to_table(leads) ? catalog_name(tokens[end - 1]) : std::string();
}

/// Adds the tables of that name, in any schema.
void add_tables(const std::vector<std::string>& tables, std::string_view name,
                std::vector<std::string>& meant) {
  for (const std::string& table : tables) {
    if (lower_case(table.substr(table.rfind('.') + 1)) == lower_case(name)) meant.push_back(table);
  }
}

}  // namespace

std::optional<std::string> table_behind(std::string_view statement, std::string_view name) {
  const std::string lower = lower_case(name);
  const std::vector<std::string> tables = analyze(statement).tables;
  std::vector<std::string> meant;
  add_tables(tables, name, meant);
  const std::vector<Token> tokens = tokenize(statement);
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    if (!is_called(tokens[i], lower)) continue;
    add_tables(tables, table_before(tokens, tokens[i - 1].is_word("as") ? i - 1 : i), meant);
  }
  const bool clear = !meant.empty() && std::ranges::count(meant, meant.front()) == std::ssize(meant);
  return clear ? std::optional(meant.front()) : std::nullopt;
}

}  // namespace headroom::sql
