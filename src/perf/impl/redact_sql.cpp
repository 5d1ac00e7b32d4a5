// Which literals of a statement are secret is decided over its tokens, without a parse: a slow statement may
// be cut, and an answer is due for any text. The rules, each of which rather takes too much:
//
//   table     a statement that reads or writes a table of sessions, keys or login attempts: all values
//   column    behind a secret name all values up to the next comma, AND, OR or clause at that level
//             (password = 'x', password IN ('x', 'y'), SET password = CASE ... 'x' END, PASSWORD 'x')
//   mirrored  a value that is compared with a secret name behind it ('x' = password)
//   call      the arguments of a function of which one is a secret name (crypt('x', password))
//   list      INSERT INTO t (a, password) VALUES (1, 'x'): by position; without VALUES, all values

#include <algorithm>
#include <array>

#include "perf/impl/redact_parts.hpp"
#include "sql/token.hpp"

namespace headroom::perf::impl {
namespace {

using sql::Token;
using sql::TokenKind;

constexpr std::array kSecretTables = std::to_array<std::string_view>(
    {"ir_session", "ir_session_wizard", "res_user_application", "res_user_device", "res_user_login_attempt",
     "web_user_session", "web_user_authenticate_attempt"});

template <typename Words>
bool is_one_of(const Token& token, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return token.is_word(word); });
}

bool is_value(const Token& token) {
  return token.is_literal() || token.kind == TokenKind::kPlaceholder;
}

bool is_name(const Token& token) {
  return token.kind == TokenKind::kWord || token.kind == TokenKind::kIdentifier;
}

class Marker {
 public:
  Marker(std::span<const Token> tokens, const IsSecret& is_secret)
      : tokens_(tokens), is_secret_(is_secret), marked_(tokens.size(), false), names_(tokens.size(), false) {}

  void run() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) names_[i] = is_name(tokens_[i]) && is_secret_name(i);
    if (secret_table()) {
      speaks_ = true;
      mark(0, tokens_.size());
      return;
    }
    speaks_ = std::find(names_.begin(), names_.end(), true) != names_.end();
    if (!speaks_) return;
    columns();
    calls();
    inserts();
  }

  [[nodiscard]] bool marked(std::size_t i) const { return marked_[i]; }
  [[nodiscard]] bool speaks_of_secrets() const { return speaks_; }

 private:
  [[nodiscard]] bool is_secret_name(std::size_t i) const { return is_secret_(sql::catalog_name(tokens_[i])); }

  void mark(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < std::min(end, tokens_.size()); ++i) {
      if (is_value(tokens_[i])) marked_[i] = true;
    }
  }

  [[nodiscard]] bool secret_table() const {
    static constexpr std::array kBefore =
        std::to_array<std::string_view>({"from", "into", "update", "join", "only", "table", "using"});
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (!is_name(tokens_[i])) continue;
      const std::string name = sql::catalog_name(tokens_[i]);
      if (std::find(kSecretTables.begin(), kSecretTables.end(), name) != kSecretTables.end()) return true;
      if (i > 0 && is_one_of(tokens_[i - 1], kBefore) && names_[i]) return true;
    }
    return false;
  }

  /// The rules "column" and "mirrored".
  void columns() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (!names_[i]) continue;
      mark(i + 1, end_of_expression(i + 1));
      mark_before(i);
    }
  }

  [[nodiscard]] std::size_t end_of_expression(std::size_t i) const {
    static constexpr std::array kClauses =
        std::to_array<std::string_view>({"where", "from", "returning", "order", "group", "having", "limit",
                                         "select", "union", "on", "join", "values"});
    std::size_t depth = 0;
    std::size_t cases = 0;
    for (; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      if (token.is('(') || token.is('[')) ++depth;
      if ((token.is(')') || token.is(']')) && depth-- == 0) return i;
      if (token.is_word("case")) ++cases;
      if (token.is_word("end") && cases > 0) --cases;
      if (depth > 0 || cases > 0) continue;
      if (token.is(',') || token.is(';') || token.is_word("and") || token.is_word("or")) return i;
      if (is_one_of(token, kClauses)) return i;
    }
    return i;
  }

  /// 'x' = "a"."password"
  void mark_before(std::size_t i) {
    while (i >= 2 && tokens_[i - 1].is('.')) i -= 2;
    bool compared = false;
    while (i > 0 && (tokens_[i - 1].kind == TokenKind::kOperator || tokens_[i - 1].is_word("like") ||
                     tokens_[i - 1].is_word("ilike") || tokens_[i - 1].is('('))) {
      compared = compared || !tokens_[i - 1].is('(');
      --i;
    }
    for (; compared && i > 0; --i) {
      const Token& token = tokens_[i - 1];
      const bool goes_on = is_value(token) || token.is(')') || token.kind == TokenKind::kOperator ||
                           (is_name(token) && i >= 2 && tokens_[i - 2].text == "::");
      if (!goes_on) break;
      if (is_value(token)) marked_[i - 1] = true;
    }
  }

  /// The rule "call": each bracket that a name opens and that holds a secret name at its own level.
  void calls() {
    struct Open {
      std::size_t begin;
      bool call;
      bool secret;
    };
    std::vector<Open> open;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].is('(')) {
        open.push_back({i, i > 0 && is_call(i - 1), false});
      } else if (tokens_[i].is(')') && !open.empty()) {
        const Open closed = open.back();
        open.pop_back();
        if (closed.call && closed.secret) mark(closed.begin, i);
        // f(g(password), 'x'): the outer call has a secret argument as well.
        if (!open.empty() && closed.secret) open.back().secret = true;
      } else if (names_[i] && !open.empty()) {
        open.back().secret = true;
      }
    }
    for (const Open& left : open) {
      if (left.call && left.secret) mark(left.begin, tokens_.size());
    }
  }

  [[nodiscard]] bool is_call(std::size_t i) const {
    static constexpr std::array kNoCalls = std::to_array<std::string_view>(
        {"in",  "values", "and",  "or",   "not",    "where",  "on",    "as",    "exists",
         "any", "all",    "from", "join", "select", "when",   "then",  "else",  "set",
         "by",  "using",  "with", "over", "filter", "having", "union", "except"});
    if (!is_name(tokens_[i]) || is_one_of(tokens_[i], kNoCalls)) return false;
    // INSERT INTO t (columns), INSERT INTO t AS a (columns)
    for (std::size_t back = 1; back <= 4 && back <= i; ++back) {
      if (tokens_[i - back].is_word("into")) return false;
    }
    return true;
  }

  /// The rule "list".
  void inserts() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].is_word("into")) insert(i);
    }
  }

  void insert(std::size_t into) {
    std::size_t i = into + 1;
    while (i < tokens_.size() && !tokens_[i].is('(') && !tokens_[i].is_word("values") &&
           !tokens_[i].is_word("select")) {
      ++i;
    }
    std::vector<bool> secret;
    if (i < tokens_.size() && tokens_[i].is('(')) {
      for (++i; i < tokens_.size() && !tokens_[i].is(')'); ++i) {
        if (is_name(tokens_[i])) secret.push_back(names_[i]);
      }
      ++i;
    }
    if (std::find(secret.begin(), secret.end(), true) == secret.end()) return;
    while (i < tokens_.size() &&
           is_one_of(tokens_[i], std::array<std::string_view, 4>{"overriding", "system", "user", "value"}))
      ++i;
    if (i >= tokens_.size() || !tokens_[i].is_word("values")) {
      mark(i, tokens_.size());
      return;
    }
    for (++i; i < tokens_.size() && (tokens_[i].is('(') || tokens_[i].is(',')); ++i) {
      if (tokens_[i].is('(')) i = row(i, secret);
    }
  }

  /// Marks the secret values of one row and gives the place of its last bracket.
  std::size_t row(std::size_t open, const std::vector<bool>& secret) {
    std::size_t depth = 0;
    std::size_t column = 0;
    std::size_t i = open;
    for (; i < tokens_.size(); ++i) {
      if (tokens_[i].is('(') || tokens_[i].is('[')) ++depth;
      if ((tokens_[i].is(')') || tokens_[i].is(']')) && --depth == 0) break;
      if (tokens_[i].is(',') && depth == 1) ++column;
      // More values than columns: the text is not what it seems.
      if (column >= secret.size() || secret[column]) mark(i, i + 1);
    }
    return i;
  }

  std::span<const Token> tokens_;
  const IsSecret& is_secret_;
  std::vector<bool> marked_;
  std::vector<bool> names_;
  bool speaks_ = false;
};

}  // namespace

std::string redact_sql(std::string_view text, const IsSecret& is_secret) {
  const std::vector<Token> tokens = sql::tokenize(text);
  Marker marker{tokens, is_secret};
  marker.run();
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    // Comments are left out: nobody knows what stands in them.
    if (tokens[i].space_before && !out.empty()) out += ' ';
    if (marker.marked(i) && tokens[i].is_literal()) {
      out += '\'';
      out += kRedacted;
      out += '\'';
    } else if (tokens[i].kind == TokenKind::kString || tokens[i].text.size() >= 32) {
      out += scrub_text(tokens[i].text, is_secret);
    } else {
      out += tokens[i].text;
    }
  }
  return out;
}

SecretPlaceholders secret_placeholders(std::string_view text, const IsSecret& is_secret) {
  const std::vector<Token> tokens = sql::tokenize(text);
  Marker marker{tokens, is_secret};
  marker.run();
  SecretPlaceholders answer;
  answer.speaks_of_secrets = marker.speaks_of_secrets();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].kind == TokenKind::kPlaceholder) answer.secret.push_back(marker.marked(i));
  }
  return answer;
}

}  // namespace headroom::perf::impl
