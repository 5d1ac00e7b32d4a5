#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headroom::sql {

enum class TokenKind : std::uint8_t {
  kWord,        ///< a keyword or a name without quotes
  kIdentifier,  ///< a quoted name: "x", `x`
  kString,      ///< 'x', E'x', X'x', $tag$x$tag$; also one that is not closed
  kNumber,
  kPlaceholder,  ///< %s, %(name)s, ?, ?1, :name, $1, $name, @name
  kOperator,     ///< `::`, `:=`, `?|`, `?&` and `@?` whole; of any other operator one character a token
  kPunctuation,  ///< one of ( ) [ ] , ; .
};

struct Token {
  TokenKind kind = TokenKind::kWord;
  std::string_view text;      ///< part of the text that was given
  bool space_before = false;  ///< blanks or comments stand in front

  [[nodiscard]] bool is(char punctuation) const {
    return kind == TokenKind::kPunctuation && text.front() == punctuation;
  }
  /// True for the word `lower`, in any case, without quotes.
  [[nodiscard]] bool is_word(std::string_view lower) const;
  [[nodiscard]] bool is_literal() const { return kind == TokenKind::kString || kind == TokenKind::kNumber; }
};

/// Splits a statement of PostgreSQL or SQLite into tokens; comments and blanks are left out.
///
/// What is ambiguous: `?` is a placeholder where an operand is due and PostgreSQL's jsonb operator after an
/// operand (also `?|`, `?&`); in a text with `%s` or `%(name)s` it is always the operator. `%s` is a
/// placeholder unless a name goes on after it, and `%%` is the operator `%`. A `:` within square brackets is
/// an array slice. Guarantees: any bytes give an answer; tokens come in order and do not overlap. Lifetime:
/// tokens point into `text`. Cost: O(text), one allocation.
[[nodiscard]] std::vector<Token> tokenize(std::string_view text);

/// True when the token ends an operand, so that an operator may follow.
[[nodiscard]] bool ends_operand(const Token& token);
/// A name as the catalog has it: quotes removed, and lower case where there were none.
[[nodiscard]] std::string catalog_name(const Token& token);
/// The value of a string literal: quotes and doubled quotes removed. Escapes of E'' strings stay as they are.
[[nodiscard]] std::string string_value(const Token& token);
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace headroom::sql
