// A table stands behind FROM, JOIN, INTO, UPDATE, TABLE and their like; a comma behind a table of FROM leads
// to another one. A name before "AS (" within a WITH is a CTE. FROM inside EXTRACT, TRIM, SUBSTRING and "IS
// DISTINCT FROM" leads to no table, which the word or the bracket in front of it tells.

#include "sql/impl/guess.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace headroom::sql::impl {
namespace {

constexpr std::pair<std::string_view, StatementKind> kVerbs[] = {{"select", StatementKind::kSelect},
                                                                 {"values", StatementKind::kSelect},
                                                                 {"table", StatementKind::kSelect},
                                                                 {"insert", StatementKind::kInsert},
                                                                 {"replace", StatementKind::kInsert},
                                                                 {"update", StatementKind::kUpdate},
                                                                 {"merge", StatementKind::kUpdate},
                                                                 {"delete", StatementKind::kDelete},
                                                                 {"truncate", StatementKind::kDelete},
                                                                 {"set", StatementKind::kSet},
                                                                 {"show", StatementKind::kSet},
                                                                 {"reset", StatementKind::kSet},
                                                                 {"pragma", StatementKind::kSet},
                                                                 {"create", StatementKind::kSchema},
                                                                 {"alter", StatementKind::kSchema},
                                                                 {"drop", StatementKind::kSchema},
                                                                 {"comment", StatementKind::kSchema},
                                                                 {"grant", StatementKind::kSchema},
                                                                 {"revoke", StatementKind::kSchema},
                                                                 {"reindex", StatementKind::kSchema},
                                                                 {"begin", StatementKind::kTransaction},
                                                                 {"start", StatementKind::kTransaction},
                                                                 {"commit", StatementKind::kTransaction},
                                                                 {"end", StatementKind::kTransaction},
                                                                 {"abort", StatementKind::kTransaction},
                                                                 {"rollback", StatementKind::kTransaction},
                                                                 {"savepoint", StatementKind::kTransaction},
                                                                 {"release", StatementKind::kTransaction},
                                                                 {"lock", StatementKind::kTransaction}};

constexpr std::array kBeforeTable =
    std::to_array<std::string_view>({"from", "join", "into", "update", "table"});
constexpr std::array kBetween = std::to_array<std::string_view>(
    {"only", "if", "not", "exists", "or", "replace", "ignore", "abort", "fail", "rollback"});
/// Words that can't be the name of a table without quotes.
constexpr std::array kNoTable =
    std::to_array<std::string_view>({"select", "set", "values", "where", "from", "join", "on", "lateral",
                                     "using", "and", "as", "with", "default"});
constexpr std::array kFunctionsWithFrom =
    std::to_array<std::string_view>({"extract", "trim", "substring", "overlay"});

template <typename Words>
bool is_one_of(const Token& token, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return token.is_word(word); });
}

bool is_name(const Token& token) {
  return token.kind == TokenKind::kIdentifier ||
         (token.kind == TokenKind::kWord && !is_one_of(token, kNoTable));
}

class Guesser {
 public:
  explicit Guesser(std::span<const Token> tokens) : tokens_(tokens) {}

  Meaning run() {
    find_kind();
    find_ctes();
    brackets_.push_back({});
    for (std::size_t i = 0; i < tokens_.size(); ++i) visit(i);
    return std::move(meaning_);
  }

 private:
  struct Bracket {
    bool of_function = false;   ///< EXTRACT( and its like
    bool lists_tables = false;  ///< behind FROM, where a comma leads to the next table
  };

  void find_kind() {
    for (std::size_t i = 0, depth = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      if (token.is('(')) ++depth;
      if (token.is(')') && depth > 0) --depth;
      const bool within = depth > 0 && !leading_bracket(i);
      if (token.kind != TokenKind::kWord || within) continue;
      for (const auto& [word, kind] : kVerbs) {
        if (!token.is_word(word)) continue;
        meaning_.kind = kind;
        pragma_ = word == "pragma";
        schema_ = kind == StatementKind::kSchema;
        return;
      }
      if (!token.is_word("with") && !token.is_word("explain") && !with_) return;
      with_ = true;
    }
  }

  /// Only brackets stand in front: "((SELECT ...) UNION ...)".
  [[nodiscard]] bool leading_bracket(std::size_t i) const {
    return std::all_of(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(i),
                       [](const Token& token) { return token.is('('); });
  }

  void find_ctes() {
    for (std::size_t i = 0; i + 2 < tokens_.size() && ctes_.size() < kMostCtes; ++i) {
      if (!tokens_[i].is_word("with") && !(tokens_[i].is(',') && !ctes_.empty())) continue;
      std::size_t name = i + 1;
      if (tokens_[name].is_word("recursive")) ++name;
      if (name >= tokens_.size() || !is_name(tokens_[name])) continue;
      std::size_t next = name + 1;
      if (next < tokens_.size() && tokens_[next].is('(')) next = behind_bracket(next);
      if (next + 1 < tokens_.size() && tokens_[next].is_word("as") &&
          (tokens_[next + 1].is('(') || tokens_[next + 1].is_word("materialized") ||
           tokens_[next + 1].is_word("not"))) {
        ctes_.push_back(catalog_name(tokens_[name]));
      }
    }
  }

  [[nodiscard]] std::size_t behind_bracket(std::size_t open) const {
    const std::size_t limit = std::min(tokens_.size(), open + kLongestColumnList);
    std::size_t i = open;
    while (i < limit && !tokens_[i].is(')')) ++i;
    return i + 1;
  }

  void visit(std::size_t i) {
    const Token& token = tokens_[i];
    if (token.is('(')) {
      const bool function = i > 0 && is_one_of(tokens_[i - 1], kFunctionsWithFrom);
      // FROM (a, b): the brackets only group.
      const bool groups = i > 0 && (tokens_[i - 1].is_word("from") || tokens_[i - 1].is_word("join"));
      brackets_.push_back({function, groups});
      if (groups) add_name(i + 1);
    } else if (token.is(')')) {
      if (brackets_.size() > 1) brackets_.pop_back();
    } else if (token.is(',')) {
      if (brackets_.back().lists_tables) add_name(i + 1);
    } else if (token.kind == TokenKind::kWord) {
      on_word(i);
    }
  }

  void on_word(std::size_t i) {
    const Token& token = tokens_[i];
    if (token.is_word("where") || token.is_word("order") || token.is_word("group") ||
        token.is_word("select") || token.is_word("set") || token.is_word("limit") ||
        token.is_word("returning") || token.is_word("window")) {
      brackets_.back().lists_tables = false;
    }
    if (is_one_of(token, kBeforeTable) && leads_to_table(i)) {
      brackets_.back().lists_tables = token.is_word("from") || (token.is_word("table") && schema_);
      written_ = brackets_.size() == 1 && (token.is_word("into") || token.is_word("update"));
      add_name(i + 1);
      written_ = false;
    } else if (schema_ && token.is_word("on")) {
      add_name(i + 1);
    } else if (pragma_ && i == 0 && tokens_.size() > 3 && tokens_[2].is('(')) {
      add_name(3);
    } else if (i <= 1 && (tokens_[0].is_word("lock") || tokens_[0].is_word("truncate"))) {
      if (i == 0) add_name(1);
    }
  }

  [[nodiscard]] bool leads_to_table(std::size_t i) const {
    if (tokens_[i].is_word("from")) {
      return !brackets_.back().of_function && (i == 0 || !tokens_[i - 1].is_word("distinct"));
    }
    // FOR UPDATE, ON CONFLICT DO UPDATE, ON UPDATE CASCADE
    if (tokens_[i].is_word("update")) {
      return i == 0 || !(tokens_[i - 1].is_word("for") || tokens_[i - 1].is_word("do") ||
                         tokens_[i - 1].is_word("on") || tokens_[i - 1].is_word("key"));
    }
    return true;
  }

  void add_name(std::size_t i) {
    while (i < tokens_.size() && is_one_of(tokens_[i], kBetween)) ++i;
    if (i >= tokens_.size() || !is_name(tokens_[i]) || tokens_[i].is_word("table")) return;
    std::string name = catalog_name(tokens_[i]);
    const bool qualified = i + 2 < tokens_.size() && tokens_[i + 1].is('.') && is_name(tokens_[i + 2]);
    if (qualified) {
      const std::string schema = std::exchange(name, catalog_name(tokens_[i + 2]));
      if (schema != "public" && schema != "main") name.insert(0, schema + '.');
      i += 2;
    }
    const bool function =
        !schema_ && !pragma_ && !after_into(i, qualified) && i + 1 < tokens_.size() && tokens_[i + 1].is('(');
    if (!function && !name.empty()) add(std::move(name), qualified);
  }

  /// INSERT INTO t (columns): the bracket is no call.
  [[nodiscard]] bool after_into(std::size_t i, bool qualified) const {
    const std::size_t first = qualified ? i - 2 : i;
    return first > 0 && tokens_[first - 1].is_word("into");
  }

  void add(std::string name, bool qualified) {
    auto& tables = meaning_.tables;
    const bool cte = !qualified && std::find(ctes_.begin(), ctes_.end(), name) != ctes_.end();
    if (cte || tables.size() >= kMostTables || std::find(tables.begin(), tables.end(), name) != tables.end())
      return;
    tables.insert(written_ ? tables.begin() : tables.end(), std::move(name));
  }

  static constexpr std::size_t kMostCtes = 64;
  static constexpr std::size_t kMostTables = 256;
  static constexpr std::size_t kLongestColumnList = 512;

  std::span<const Token> tokens_;
  Meaning meaning_;
  std::vector<std::string> ctes_;
  std::vector<Bracket> brackets_;
  bool with_ = false;
  bool schema_ = false;
  bool pragma_ = false;
  bool written_ = false;  ///< what is added now is the statement's target
};

}  // namespace

Meaning guess(std::span<const Token> tokens) {
  return Guesser{tokens}.run();
}

}  // namespace headroom::sql::impl
