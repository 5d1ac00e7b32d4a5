// Three answers from one walk over the tokens.
//
// Lists come first: a thousand ids in an IN list would cost the parser a millisecond and would make a
// thousand texts of one statement, so the walk jumps over what repeats. The test "are these two rows alike"
// compares token by token and takes any two values as equal.
//
// The depth bound protects the parser, which recurses without a limit of its own. Each level of the tree
// comes from an open bracket, an operator or a keyword, except that AND, OR and commas make flat lists. So a
// level's height is at most the number of such tokens since its last comma; set operations count on, since
// their chains run across commas.

#include "sql/impl/canonical.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <vector>

namespace headroom::sql::impl {
namespace {

constexpr std::size_t kLongLiteral = 128;

bool is_value(const Token& token) {
  return token.is_literal() || token.kind == TokenKind::kPlaceholder || token.is_word("null") ||
         token.is_word("true") || token.is_word("false");
}

bool alike(const Token& a, const Token& b) {
  if (is_value(a) || is_value(b)) return is_value(a) && is_value(b);
  return a.kind == b.kind && (a.text == b.text || lower_case(a.text) == lower_case(b.text));
}

class DepthBound {
 public:
  void add(const Token& token) {
    if (token.is('(') || token.is('[')) {
      open();
    } else if (token.is(')') || token.is(']')) {
      close();
    } else if (token.is(',') || token.is(';')) {
      sum_ -= levels_.back().chain;
      levels_.back().chain = 0;
    } else if (token.is_word("union") || token.is_word("intersect") || token.is_word("except")) {
      ++levels_.back().set_operations;
      ++sum_;
    } else if (token.kind == TokenKind::kOperator || grows(token)) {
      ++levels_.back().chain;
      ++sum_;
    }
    highest_ = std::max(highest_, sum_);
  }
  [[nodiscard]] std::size_t highest() const { return highest_; }

 private:
  struct Level {
    std::size_t chain = 0;
    std::size_t set_operations = 0;
  };

  static bool grows(const Token& token) {
    return token.kind == TokenKind::kWord && !token.is_word("and") && !token.is_word("or");
  }
  void open() {
    levels_.push_back({1, 0});
    ++sum_;
  }
  void close() {
    if (levels_.size() == 1) return;
    sum_ -= levels_.back().chain + levels_.back().set_operations;
    levels_.pop_back();
  }

  std::vector<Level> levels_{1};
  std::size_t sum_ = 0;
  std::size_t highest_ = 0;
};

class Writer {
 public:
  explicit Writer(std::span<const Token> tokens) : tokens_(tokens) { XXH3_64bits_reset(&state_); }

  Canonical run() {
    for (std::size_t i = 0; i < tokens_.size();) {
      if (is_sign(i)) {
        sign_ = true;
        ++i;
        continue;
      }
      write(tokens_[i]);
      i = after_repeats(i);
    }
    answer_.hash = XXH3_64bits_digest(&state_);
    answer_.depth = depth_.highest();
    return std::move(answer_);
  }

 private:
  /// A sign that belongs to a number: it goes where the number goes.
  [[nodiscard]] bool is_sign(std::size_t i) const {
    const bool sign =
        tokens_[i].kind == TokenKind::kOperator && (tokens_[i].text == "-" || tokens_[i].text == "+");
    return sign && i > 0 && i + 1 < tokens_.size() && tokens_[i + 1].kind == TokenKind::kNumber &&
           !ends_operand(tokens_[i - 1]);
  }

  void write(const Token& token) {
    const bool space = token.space_before && !answer_.normalized.empty();
    if (space || sign_) {
      answer_.parseable += ' ';
      answer_.normalized += ' ';
    }
    sign_ = false;
    depth_.add(token);
    write_parseable(token);
    write_normalized(token);
  }

  void write_parseable(const Token& token) {
    if (token.kind == TokenKind::kPlaceholder) {
      // The blank keeps apart what stood apart by the placeholder's own shape, as in `?AND`.
      answer_.parseable += '$' + std::to_string(++placeholders_) + ' ';
    } else if (token.kind == TokenKind::kString && token.text.size() > kLongLiteral) {
      answer_.parseable += "'x'";
    } else {
      answer_.parseable += token.text == "%%" ? "%" : token.text;
    }
  }

  void write_normalized(const Token& token) {
    if (token.is_literal() || token.kind == TokenKind::kPlaceholder) {
      answer_.normalized += '?';
      hash("?");
    } else if (token.kind == TokenKind::kWord || token.kind == TokenKind::kIdentifier) {
      answer_.normalized += token.text;
      hash(lower_case(catalog_name(token)));
    } else {
      answer_.normalized += token.text;
      hash(token.text);
    }
  }

  void hash(std::string_view part) {
    XXH3_64bits_update(&state_, part.data(), part.size());
    XXH3_64bits_update(&state_, "\0", 1);
  }

  /// The index of the next token to write after `i`, with repeated values and rows jumped over.
  [[nodiscard]] std::size_t after_repeats(std::size_t i) {
    const Token& token = tokens_[i];
    const bool opens_list = i > 0 && ((token.is('(') && tokens_[i - 1].is_word("in")) ||
                                      (token.is('[') && tokens_[i - 1].is_word("array")));
    if (opens_list) {
      const std::size_t end = end_of_values(i + 1);
      if (end > i + 2) {
        write(tokens_[i + 1]);
        return end;
      }
    }
    if (token.is_word("values")) first_row_ = i + 1;
    if (token.is(')') && i == end_of_row(first_row_)) return after_rows(i);
    return i + 1;
  }

  /// Just behind `value, value, ...` from `i`, or `i` when anything else stands before the closing bracket.
  [[nodiscard]] std::size_t end_of_values(std::size_t i) const {
    std::size_t end = i;
    for (;;) {
      while (end < tokens_.size() && tokens_[end].kind == TokenKind::kOperator && is_sign(end)) ++end;
      if (end >= tokens_.size()) return end;
      if (!is_value(tokens_[end])) return i;
      if (++end >= tokens_.size() || tokens_[end].is(')') || tokens_[end].is(']')) return end;
      if (!tokens_[end].is(',')) return i;
      ++end;
    }
  }

  /// The bracket that closes the row that opens at `open`; known once, since rows are long.
  [[nodiscard]] std::size_t end_of_row(std::size_t open) {
    if (open == row_open_) return row_close_;
    row_open_ = open;
    row_close_ = tokens_.size();
    std::size_t depth = 0;
    const std::size_t limit = std::min(tokens_.size(), open + kLongestRow);
    if (open >= limit || !tokens_[open].is('(')) return row_close_;
    for (std::size_t i = open; i < limit && row_close_ == tokens_.size(); ++i) {
      if (tokens_[i].is('(')) ++depth;
      if (tokens_[i].is(')') && --depth == 0) row_close_ = i;
    }
    return row_close_;
  }

  [[nodiscard]] std::size_t after_rows(std::size_t close) const {
    const std::span<const Token> row = tokens_.subspan(first_row_, close + 1 - first_row_);
    std::size_t i = close + 1;
    while (i + row.size() < tokens_.size() && tokens_[i].is(',') &&
           std::equal(row.begin(), row.end(), tokens_.begin() + static_cast<std::ptrdiff_t>(i) + 1, alike)) {
      i += row.size() + 1;
    }
    return i;
  }

  static constexpr std::size_t kNone = ~std::size_t{0};
  /// In tokens; longer rows are not compared.
  static constexpr std::size_t kLongestRow = 8192;

  std::span<const Token> tokens_;
  Canonical answer_;
  DepthBound depth_;
  XXH3_state_t state_{};
  std::size_t placeholders_ = 0;
  std::size_t first_row_ = kNone;
  std::size_t row_open_ = kNone;
  std::size_t row_close_ = kNone;
  bool sign_ = false;
};

}  // namespace

Canonical canonicalize(std::span<const Token> tokens) {
  return Writer{tokens}.run();
}

}  // namespace headroom::sql::impl
