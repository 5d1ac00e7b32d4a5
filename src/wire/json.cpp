#include "wire/json.hpp"

#include <charconv>

#include <fmt/format.h>

namespace headroom::wire {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Steps over one value at a time, in containers nested `deepest` deep. Source: RFC 8259.
class Scanner {
 public:
  Scanner(std::string_view text, std::size_t deepest) : text_(text), deepest_(deepest) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] bool too_deep() const { return too_deep_; }
  void skip_blanks() {
    while (!at_end() && is_blank(text_[at_])) ++at_;
  }
  bool take(char wanted) {
    skip_blanks();
    if (at_end() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  /// The slice of a value within the outermost container, or nothing.
  std::optional<std::string_view> value() {
    skip_blanks();
    const std::size_t start = at_;
    if (!skip_value()) return std::nullopt;
    return text_.substr(start, at_ - start);
  }
  std::optional<std::string_view> string() {
    skip_blanks();
    const std::size_t start = at_;
    if (!skip_string()) return std::nullopt;
    return text_.substr(start, at_ - start);
  }

 private:
  bool skip_value() {
    std::string ends;  // of the containers that are open
    do {
      skip_blanks();
      if (begins_container()) {
        if (!open(ends)) return false;
        if (!take(ends.back())) {
          if (!skip_key(ends)) return false;
          continue;
        }
        ends.pop_back();
      } else if (!skip_scalar()) {
        return false;
      }
      if (!go_on(ends)) return false;
    } while (!ends.empty());
    return true;
  }
  [[nodiscard]] bool begins_container() const {
    return !at_end() && (text_[at_] == '{' || text_[at_] == '[');
  }
  bool open(std::string& ends) {
    too_deep_ = ends.size() + 1 >= deepest_;
    if (too_deep_) return false;
    ends.push_back(text_[at_++] == '{' ? '}' : ']');
    return true;
  }
  /// To where the value of a container's next member begins.
  bool skip_key(const std::string& ends) { return ends.back() != '}' || (string() && take(':')); }
  /// Behind a value: to the next one, or out of the containers that end here.
  bool go_on(std::string& ends) {
    while (!ends.empty()) {
      if (take(',')) return skip_key(ends);
      if (!take(ends.back())) return false;
      ends.pop_back();
    }
    return true;
  }
  bool skip_scalar() {
    if (at_end()) return false;
    const char c = text_[at_];
    if (c == '"') return skip_string();
    if (c == 't') return skip_word("true");
    if (c == 'f') return skip_word("false");
    if (c == 'n') return skip_word("null");
    return skip_number();
  }
  bool skip_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool skip_string() {
    if (at_end() || text_[at_] != '"') return false;
    for (++at_; !at_end(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !skip_escape()) return false;
    }
    return false;
  }
  /// Leaves `at_` on its last character.
  bool skip_escape() {
    if (++at_ >= text_.size()) return false;
    if (text_[at_] != 'u') return std::string_view("\"\\/bfnrt").find(text_[at_]) != std::string_view::npos;
    for (int i = 0; i < 4; ++i) {
      if (++at_ >= text_.size()) return false;
      const char c = text_[at_];
      if (!is_digit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F')) return false;
    }
    return true;
  }
  bool skip_digits() {
    const std::size_t start = at_;
    while (!at_end() && is_digit(text_[at_])) ++at_;
    return at_ > start;
  }
  bool skip_number() {
    if (text_[at_] == '-') ++at_;
    const bool zero = !at_end() && text_[at_] == '0';
    const std::size_t start = at_;
    if (!skip_digits() || (zero && at_ - start > 1)) return false;
    if (!at_end() && text_[at_] == '.') {
      ++at_;
      if (!skip_digits()) return false;
    }
    if (!at_end() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (!at_end() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      return skip_digits();
    }
    return true;
  }

  std::string_view text_;
  std::size_t deepest_;
  std::size_t at_ = 0;
  bool too_deep_ = false;
};

void append_utf8(std::string& text, std::uint32_t point) {
  if (point < 0x80) {
    text.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    text.push_back(static_cast<char>(0xc0 | (point >> 6U)));
    text.push_back(static_cast<char>(0x80 | (point & 0x3fU)));
  } else if (point < 0x10000) {
    text.push_back(static_cast<char>(0xe0 | (point >> 12U)));
    text.push_back(static_cast<char>(0x80 | ((point >> 6U) & 0x3fU)));
    text.push_back(static_cast<char>(0x80 | (point & 0x3fU)));
  } else {
    text.push_back(static_cast<char>(0xf0 | (point >> 18U)));
    text.push_back(static_cast<char>(0x80 | ((point >> 12U) & 0x3fU)));
    text.push_back(static_cast<char>(0x80 | ((point >> 6U) & 0x3fU)));
    text.push_back(static_cast<char>(0x80 | (point & 0x3fU)));
  }
}

std::uint32_t hex(std::string_view four) {
  std::uint32_t value = 0;
  std::from_chars(four.data(), four.data() + four.size(), value, 16);
  return value;
}

char unescaped(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

/// The code point behind "\u" at `i`, which moves over a second half; a half that stands alone is U+FFFD.
std::uint32_t code_point(std::string_view inside, std::size_t& i) {
  const std::uint32_t first = hex(inside.substr(i + 1, 4));
  i += 4;
  if (first < 0xd800 || first > 0xdfff) return first;
  const bool pair = first < 0xdc00 && inside.substr(i + 1, 2) == "\\u";
  const std::uint32_t second = pair ? hex(inside.substr(i + 3, 4)) : 0;
  if (second < 0xdc00 || second > 0xdfff) return 0xfffd;
  i += 6;
  return 0x10000 + ((first - 0xd800) << 10U) + (second - 0xdc00);
}

JsonParts read_container(std::string_view text, bool object, std::size_t deepest) {
  JsonParts read;
  read.deepest = deepest;
  Scanner scanner(text, deepest);
  const auto wrong = [&] {
    read.wrong_at = scanner.at() + 1;
    read.too_deep = scanner.too_deep();
    return read;
  };
  if (!scanner.take(object ? '{' : '[')) return wrong();
  read.is_container = true;
  const char end = object ? '}' : ']';
  if (!scanner.take(end)) {
    do {
      std::optional<std::string> key;
      if (object) {
        const auto name = scanner.string();
        if (!name || !scanner.take(':')) return wrong();
        key = json_string(*name);
      }
      const auto value = scanner.value();
      if (!value) return wrong();
      read.parts.push_back({key.value_or(std::string()), *value});
    } while (scanner.take(','));
    if (!scanner.take(end)) return wrong();
  }
  scanner.skip_blanks();
  if (!scanner.at_end()) return wrong();
  return read;
}

}  // namespace

JsonParts read_object(std::string_view text, std::size_t deepest) {
  return read_container(text, true, deepest);
}

JsonParts read_list(std::string_view text, std::size_t deepest) {
  return read_container(text, false, deepest);
}

std::string why_wrong(const JsonParts& parts) {
  const std::size_t at = parts.wrong_at.value_or(0);
  return parts.too_deep ? fmt::format("nested deeper than {} at byte {}", parts.deepest, at)
                        : fmt::format("not JSON at byte {}", at);
}

std::optional<std::string> json_string(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return std::nullopt;
  const std::string_view inside = value.substr(1, value.size() - 2);
  std::string text;
  text.reserve(inside.size());
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      text.push_back(inside[i]);
    } else if (inside[++i] == 'u') {
      append_utf8(text, code_point(inside, i));
    } else {
      text.push_back(unescaped(inside[i]));
    }
  }
  return text;
}

std::optional<std::uint64_t> json_integer(std::string_view value) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return number;
}

std::optional<bool> json_bool(std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return std::nullopt;
}

std::string compact(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  bool inside = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (!inside && is_blank(c)) continue;
    text.push_back(c);
    if (inside && c == '\\') {
      text.push_back(value[++i]);
    } else if (c == '"') {
      inside = !inside;
    }
  }
  return text;
}

std::string quoted(std::string_view text) {
  std::string made = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      made.push_back('\\');
      made.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      made += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      made.push_back(c);
    }
  }
  return made + "\"";
}

}  // namespace headroom::wire
