#include "worklist/impl/python_literal.hpp"

#include <fmt/format.h>

#include "sql/utf8.hpp"

namespace headroom::worklist::impl {

namespace {

using base::fail;
using Kind = PythonLiteral::Kind;

constexpr std::size_t kMostBytes = 65'536;
constexpr int kMostDepth = 16;

bool is_blank(char sign) {
  return sign == ' ' || sign == '\t' || sign == '\n' || sign == '\r';
}

/// "-12.5": what both kinds of numbers are written with.
bool is_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? "0" : text.substr(point + 1);
  const auto digits = [](std::string_view one) {
    return !one.empty() && one.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return digits(whole) && digits(part);
}

class Parser final {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<PythonLiteral> whole() {
    PythonLiteral literal;
    if (!value(literal, 0)) return stopped();
    skip_blanks();
    if (at_ != text_.size()) return stopped();
    return literal;
  }

 private:
  [[nodiscard]] char sign() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (is_blank(sign())) ++at_;
  }
  [[nodiscard]] Result<PythonLiteral> stopped() const {
    const std::string_view rest = text_.substr(std::min(at_, text_.size()));
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("no literal of Python from '{}' on", sql::cut_utf8(rest, 40)));
  }

  bool value(PythonLiteral& literal, int depth) {
    skip_blanks();
    if (sign() == '[') return list(literal, ']', depth);
    if (sign() == '(') return tuple(literal, depth);
    if (sign() == '\'' || sign() == '"') return text(literal);
    return expression(literal);
  }

  bool list(PythonLiteral& literal, char end, int depth) {
    if (depth == kMostDepth) return false;
    literal.kind = Kind::kList;
    ++at_;
    for (skip_blanks(); sign() != end; skip_blanks()) {
      if (!value(literal.items.emplace_back(), depth + 1)) return false;
      skip_blanks();
      if (sign() == ',')
        ++at_;
      else if (sign() != end)
        return false;
    }
    ++at_;
    return true;
  }

  /// In brackets stands a tuple, or the beginning of an expression: (today - days).strftime(...).
  bool tuple(PythonLiteral& literal, int depth) {
    const std::size_t begin = at_;
    const bool read = list(literal, ')', depth);
    const bool goes_on = sign() == '.';
    if (read && !goes_on) return true;
    at_ = begin;
    literal = {};
    return expression(literal);
  }

  bool text(PythonLiteral& literal) {
    const char quote = sign();
    literal.kind = Kind::kText;
    for (++at_; at_ < text_.size() && sign() != quote; ++at_) {
      if (sign() == '\\' && !escape()) return false;
      literal.text += sign();
    }
    if (sign() != quote) return false;
    ++at_;
    return true;
  }

  /// Only what stands for itself behind a backslash.
  bool escape() {
    ++at_;
    return sign() == '\\' || sign() == '\'' || sign() == '"';
  }

  /// Up to what ends a value, outside of its brackets and texts.
  bool expression(PythonLiteral& literal) {
    int open = 0;
    char quote = '\0';
    const std::size_t begin = at_;
    for (; at_ < text_.size(); ++at_) {
      const char now = sign();
      if (quote == '\0' && open == 0 && (now == ',' || now == ']' || now == ')')) break;
      if (quote == '\0') {
        open += now == '(' || now == '[' ? 1 : 0;
        open -= now == ')' || now == ']' ? 1 : 0;
      }
      if (now == '\'' || now == '"') quote = quote == '\0' ? now : (quote == now ? '\0' : quote);
      if (!is_blank(now)) literal.text += now;
    }
    literal.kind = Kind::kExpression;
    if (literal.text.empty() || open != 0 || quote != '\0') {
      at_ = begin;
      return false;
    }
    name_kind(literal);
    return true;
  }

  static void name_kind(PythonLiteral& literal) {
    if (literal.text == "True" || literal.text == "False") {
      literal.kind = Kind::kBoolean;
      literal.flag = literal.text == "True";
    } else if (literal.text == "None") {
      literal.kind = Kind::kNone;
    } else if (is_number(literal.text)) {
      literal.kind = Kind::kNumber;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<PythonLiteral> parse_python_literal(std::string_view text) {
  if (text.size() > kMostBytes)
    return fail(ErrorCode::kTooLarge, fmt::format("longer than {} bytes", kMostBytes));
  return Parser(text).whole();
}

}  // namespace headroom::worklist::impl
