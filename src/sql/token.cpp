#include "sql/token.hpp"

#include <algorithm>
#include <array>

namespace headroom::sql {
namespace {

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool starts_name(char c) {
  return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}
bool continues_name(char c) {
  return starts_name(c) || is_digit(c) || c == '$';
}

/// Words after which an operand is due.
constexpr std::array kBeforeOperand = std::to_array<std::string_view>(
    {"all",       "and",      "any",    "as",        "between", "by",    "case",    "distinct", "else",
     "escape",    "except",   "fetch",  "first",     "from",    "glob",  "having",  "ilike",    "in",
     "intersect", "interval", "is",     "like",      "limit",   "match", "next",    "not",      "offset",
     "on",        "or",       "regexp", "returning", "select",  "set",   "similar", "some",     "then",
     "to",        "union",    "using",  "values",    "when",    "where"});

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text), psycopg_(has_psycopg_placeholder()) {}

  std::vector<Token> run() {
    tokens_.reserve(text_.size() / 5 + 8);
    while (skip_blanks(), position_ < text_.size()) add(next_kind());
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }
  [[nodiscard]] bool starts(std::string_view what) const { return text_.substr(position_).starts_with(what); }

  void add(TokenKind kind) {
    tokens_.push_back({kind, text_.substr(start_, position_ - start_), space_before_});
  }

  /// Comments nest, as PostgreSQL's do.
  void skip_comment() {
    std::size_t depth = 0;
    do {
      if (starts("/*")) {
        ++depth;
        position_ += 2;
      } else if (starts("*/")) {
        --depth;
        position_ += 2;
      } else {
        ++position_;
      }
    } while (depth > 0 && position_ < text_.size());
    position_ = std::min(position_, text_.size());
  }

  void skip_blanks() {
    const std::size_t before = position_;
    while (position_ < text_.size()) {
      if (is_blank(text_[position_])) {
        ++position_;
      } else if (starts("--")) {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else if (starts("/*")) {
        skip_comment();
      } else {
        break;
      }
    }
    space_before_ = position_ > before;
    start_ = position_;
  }

  TokenKind next_kind() {
    const char c = text_[position_];
    if (c == '\'') return quoted('\'', TokenKind::kString, Escapes::kNone);
    if (c == '"') return quoted('"', TokenKind::kIdentifier, Escapes::kNone);
    if (c == '`') return quoted('`', TokenKind::kIdentifier, Escapes::kNone);
    if (is_digit(c) || (c == '.' && is_digit(at(position_ + 1)))) return number();
    if (starts_name(c)) return word();
    if (c == '$' && dollar()) return dollar_kind_;
    if ((c == '?' || c == '%' || c == ':' || c == '@') && placeholder()) return TokenKind::kPlaceholder;
    if (std::string_view{"()[],;."}.find(c) != std::string_view::npos) return punctuation(c);
    return operator_();
  }

  enum class Escapes : std::uint8_t { kNone, kBackslash };

  TokenKind quoted(char quote, TokenKind kind, Escapes escapes) {
    ++position_;
    while (position_ < text_.size()) {
      const char c = text_[position_++];
      if (c == '\\' && escapes == Escapes::kBackslash) {
        ++position_;
      } else if (c == quote) {
        if (at(position_) != quote) break;
        ++position_;
      }
    }
    position_ = std::min(position_, text_.size());
    return kind;
  }

  TokenKind number() {
    while (continues_name(at(position_)) || (at(position_) == '.' && at(position_ + 1) != '.')) {
      const char c = to_lower(at(position_++));
      const bool signed_exponent = c == 'e' && (at(position_) == '-' || at(position_) == '+');
      if (signed_exponent && is_digit(at(position_ + 1))) ++position_;
    }
    return TokenKind::kNumber;
  }

  TokenKind word() {
    while (continues_name(at(position_))) ++position_;
    const std::string_view word = text_.substr(start_, position_ - start_);
    const char first = to_lower(word[0]);
    if (at(position_) == '\'' && word.size() == 1) {
      if (first == 'e') return quoted('\'', TokenKind::kString, Escapes::kBackslash);
      if (first == 'b' || first == 'x' || first == 'n')
        return quoted('\'', TokenKind::kString, Escapes::kNone);
    }
    if (first == 'u' && word.size() == 1 && at(position_) == '&') {
      const char quote = at(position_ + 1);
      if (quote == '\'' || quote == '"') {
        ++position_;
        return quoted(quote, quote == '"' ? TokenKind::kIdentifier : TokenKind::kString, Escapes::kNone);
      }
    }
    return TokenKind::kWord;
  }

  /// $1, $name, or a string between two equal $tag$.
  bool dollar() {
    std::size_t end = position_ + 1;
    if (is_digit(at(end))) {
      while (is_digit(at(end))) ++end;
      position_ = end;
      dollar_kind_ = TokenKind::kPlaceholder;
      return true;
    }
    while (continues_name(at(end)) && at(end) != '$') ++end;
    if (at(end) == '$') {
      const std::string_view tag = text_.substr(position_, end + 1 - position_);
      const std::size_t close = text_.find(tag, end + 1);
      position_ = close == std::string_view::npos ? text_.size() : close + tag.size();
      dollar_kind_ = TokenKind::kString;
      return true;
    }
    if (end == position_ + 1) return false;
    position_ = end;
    dollar_kind_ = TokenKind::kPlaceholder;
    return true;
  }

  bool placeholder() {
    switch (text_[position_]) {
      case '%':
        return percent();
      case '?':
        return question();
      default:
        return named();
    }
  }

  bool percent() {
    const std::size_t length = psycopg_length(position_);
    position_ += length;
    return length > 0;
  }

  bool question() {
    if (psycopg_ || (!tokens_.empty() && ends_operand(tokens_.back()))) return false;
    ++position_;
    while (is_digit(at(position_))) ++position_;
    return true;
  }

  /// `:name` and SQLite's `@name`; not `::type`, not a slice.
  bool named() {
    if (text_[position_] == ':' && brackets_ > 0) return false;
    std::size_t end = position_ + 1;
    if (!starts_name(at(end))) return false;
    while (continues_name(at(end))) ++end;
    position_ = end;
    return true;
  }

  TokenKind punctuation(char c) {
    ++position_;
    if (c == '[') ++brackets_;
    if (c == ']' && brackets_ > 0) --brackets_;
    return TokenKind::kPunctuation;
  }

  TokenKind operator_() {
    const bool json_path = starts("@?") && !tokens_.empty() && ends_operand(tokens_.back());
    const bool whole = json_path || starts("::") || starts(":=") || starts("%%") || starts("?&") ||
                       (starts("?|") && at(position_ + 2) != '|');
    position_ += whole ? 2 : 1;
    return TokenKind::kOperator;
  }

  /// Length of `%s` or `%(name)s` at `index`, or 0.
  [[nodiscard]] std::size_t psycopg_length(std::size_t index) const {
    if (at(index + 1) == 's' && !continues_name(at(index + 2))) return 2;
    if (at(index + 1) != '(') return 0;
    std::size_t end = index + 2;
    while (end < text_.size() && text_[end] != ')' && end - index < kLongestName) ++end;
    return at(end) == ')' && at(end + 1) == 's' ? end + 2 - index : 0;
  }

  [[nodiscard]] bool has_psycopg_placeholder() const {
    for (std::size_t i = text_.find('%'); i != std::string_view::npos; i = text_.find('%', i + 1)) {
      if (psycopg_length(i) > 0) return true;
      if (at(i + 1) == '%') ++i;
    }
    return false;
  }

  static constexpr std::size_t kLongestName = 256;

  std::string_view text_;
  bool psycopg_;
  std::vector<Token> tokens_;
  std::size_t position_ = 0;
  std::size_t start_ = 0;
  std::size_t brackets_ = 0;
  bool space_before_ = false;
  TokenKind dollar_kind_ = TokenKind::kString;
};

std::string undoubled(std::string_view inner, char quote) {
  std::string value;
  value.reserve(inner.size());
  for (std::size_t i = 0; i < inner.size(); ++i) {
    value += inner[i];
    if (inner[i] == quote && i + 1 < inner.size() && inner[i + 1] == quote) ++i;
  }
  return value;
}

/// What stands between the first quote and the last.
std::string unquoted(std::string_view text) {
  const std::size_t open = text.find_first_of("'\"`");
  if (open == std::string_view::npos) return std::string{text};
  std::string_view inner = text.substr(open + 1);
  if (!inner.empty() && inner.back() == text[open]) inner.remove_suffix(1);
  return undoubled(inner, text[open]);
}

}  // namespace

bool Token::is_word(std::string_view lower) const {
  return kind == TokenKind::kWord && text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) { return to_lower(a) == b; });
}

std::vector<Token> tokenize(std::string_view text) {
  return Tokenizer{text}.run();
}

bool ends_operand(const Token& token) {
  switch (token.kind) {
    case TokenKind::kWord:
      return std::none_of(kBeforeOperand.begin(), kBeforeOperand.end(),
                          [&](std::string_view word) { return token.is_word(word); });
    case TokenKind::kIdentifier:
    case TokenKind::kString:
    case TokenKind::kNumber:
    case TokenKind::kPlaceholder:
      return true;
    case TokenKind::kPunctuation:
      return token.is(')') || token.is(']');
    case TokenKind::kOperator:
      return false;
  }
  return false;
}

std::string catalog_name(const Token& token) {
  return token.kind == TokenKind::kIdentifier ? unquoted(token.text) : lower_case(token.text);
}

std::string string_value(const Token& token) {
  if (!token.text.empty() && token.text.front() == '$') {
    const std::size_t tag = token.text.find('$', 1) + 1;
    if (token.text.size() < 2 * tag) return std::string{token.text.substr(std::min(tag, token.text.size()))};
    return std::string{token.text.substr(tag, token.text.size() - 2 * tag)};
  }
  return unquoted(token.text);
}

std::string lower_case(std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(), to_lower);
  return lower;
}

}  // namespace headroom::sql
