// What may be explained, by PostgreSQL's own parser. Its tree is JSON of bounded depth here (statements over
// 400 levels are refused before), read with a library: this runs when a person asks, not per statement.

#include <pg_query.h>

#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sql/explain.hpp"
#include "sql/token.hpp"
#include "sql/utf8.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using nlohmann::json;

constexpr std::size_t kLongest = 64U << 10U;
constexpr std::size_t kDeepest = 400;

base::Error wrong_kind() {
  return {ErrorCode::kInvalidArgument, "only a single SELECT, INSERT, UPDATE or DELETE can be explained"};
}

bool is_word(const Token& token) {
  return token.kind == TokenKind::kWord;
}

/// The text of the tokens, single-spaced where there was space: comments are gone.
std::string join(const std::vector<Token>& tokens, const std::vector<std::string>& texts) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].space_before && !text.empty()) text += ' ';
    text += texts[i];
  }
  return text;
}

Result<std::vector<Token>> tokens_of(std::string_view statement) {
  if (statement.size() > kLongest)
    return fail(ErrorCode::kTooLarge, "a statement over 64 KiB can't be explained");
  if (!is_clean_utf8(statement))
    return fail(ErrorCode::kInvalidArgument, "the statement holds bytes that are no UTF-8");
  auto tokens = tokenize(statement);
  while (!tokens.empty() && tokens.back().is(';')) tokens.pop_back();
  std::size_t depth = 0;
  std::size_t deepest = 0;
  for (const Token& token : tokens) {
    if (token.is('(') || token.is('[')) deepest = std::max(deepest, ++depth);
    if ((token.is(')') || token.is(']')) && depth > 0) --depth;
    if (token.is(';')) return fail(wrong_kind());
  }
  const auto words =
      static_cast<std::size_t>(std::count_if(tokens.begin(), tokens.end(), [](const Token& token) {
        return token.is_word("case") || token.is_word("not");
      }));
  if (tokens.empty()) return fail(wrong_kind());
  if (deepest + words > kDeepest)
    return fail(ErrorCode::kTooLarge, "the statement is nested too deep to be explained");
  return tokens;
}

/// What a walk over the parse tree finds.
struct Found {
  std::set<std::string> functions;
  bool writes = false;  ///< a WITH that changes something, INTO, FOR UPDATE
};

void read_function(const json& call, Found& found) {
  const auto names = call.find("funcname");
  if (names == call.end() || !names->is_array() || names->empty()) return;
  const json& last = names->back();
  if (const auto text = last.find("String"); text != last.end())
    found.functions.insert(lower_case(text->value("sval", text->value("str", std::string()))));
}

void walk(const json& root, Found& found) {
  std::vector<const json*> open{&root};
  while (!open.empty()) {
    const json& node = *open.back();
    open.pop_back();
    if (node.is_object()) {
      for (const auto& [key, value] : node.items()) {
        if (key == "FuncCall") read_function(value, found);
        if (key == "InsertStmt" || key == "UpdateStmt" || key == "DeleteStmt" || key == "MergeStmt" ||
            key == "intoClause" || key == "lockingClause") {
          found.writes = true;
        }
        open.push_back(&value);
      }
    } else if (node.is_array()) {
      for (const json& item : node) open.push_back(&item);
    }
  }
}

struct FreeParse {
  void operator()(PgQueryParseResult* result) const { pg_query_free_parse_result(*result); }
};

Result<json> parse_tree(const std::string& text) {
  PgQueryParseResult result = pg_query_parse(text.c_str());
  const std::unique_ptr<PgQueryParseResult, FreeParse> owner{&result};
  if (result.error != nullptr) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("PostgreSQL's parser does not accept the statement: {}", result.error->message));
  }
  json tree = json::parse(result.parse_tree, nullptr, false);
  if (!tree.is_object() || !tree.contains("stmts"))
    return fail(ErrorCode::kInternal, "unexpected parse tree");
  return tree;
}

}  // namespace

Result<Explainable> check_explainable(std::string_view statement) {
  const auto tokens = tokens_of(statement);
  if (!tokens) return fail(tokens.error());
  Explainable explainable;
  std::vector<std::string> texts;
  for (const Token& token : *tokens) {
    const bool placeholder = token.kind == TokenKind::kPlaceholder;
    texts.push_back(placeholder ? fmt::format("${}", ++explainable.parameters) : std::string(token.text));
  }
  explainable.text = join(*tokens, texts);
  const auto tree = parse_tree(explainable.text);
  if (!tree) return fail(tree.error());
  const json& statements = tree->at("stmts");
  if (statements.size() != 1) return fail(wrong_kind());
  const json& node = statements[0].at("stmt");
  const bool select = node.contains("SelectStmt");
  if (!select && !node.contains("InsertStmt") && !node.contains("UpdateStmt") && !node.contains("DeleteStmt"))
    return fail(wrong_kind());
  Found found;
  walk(node, found);
  explainable.is_select = select && !found.writes;
  explainable.functions.assign(found.functions.begin(), found.functions.end());
  return explainable;
}

Result<std::string> check_explainable_in_sqlite(std::string_view statement) {
  const auto tokens = tokens_of(statement);
  if (!tokens) return fail(tokens.error());
  static constexpr std::string_view kFirst[] = {"select", "insert",  "update", "delete",
                                                "with",   "replace", "values"};
  const bool known =
      is_word(tokens->front()) && std::any_of(std::begin(kFirst), std::end(kFirst),
                                              [&](auto word) { return tokens->front().is_word(word); });
  if (!known) return fail(wrong_kind());
  std::vector<std::string> texts;
  for (const Token& token : *tokens) {
    const bool pythons = token.kind == TokenKind::kPlaceholder && token.text.front() == '%';
    texts.push_back(pythons ? std::string("?") : std::string(token.text));
  }
  return join(*tokens, texts);
}

}  // namespace headroom::sql
