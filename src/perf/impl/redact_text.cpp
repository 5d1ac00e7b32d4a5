// One pass over free text. At each position the rules are tried in turn; the first that applies writes its
// answer and moves on. Every rule looks ahead a bounded number of times over its own match, so the whole
// stays near linear.

#include <algorithm>
#include <array>
#include <string>

#include "perf/impl/redact_parts.hpp"
#include "sql/token.hpp"
#include "sql/utf8.hpp"

namespace headroom::perf::impl {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_alphanumeric(char c) {
  return is_digit(c) || is_lower(c) || is_upper(c);
}
bool is_name(char c) {
  return is_alphanumeric(c) || c == '_' || c == '-';
}
bool is_base64(char c) {
  return is_name(c) || c == '+' || c == '/' || c == '=';
}
bool is_hash(char c) {
  return is_base64(c) || c == '$' || c == '.' || c == ',';
}
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_quote(char c) {
  return c == '"' || c == '\'';
}

constexpr std::size_t kLongToken = 32;
constexpr std::size_t kShortCredential = 12;
constexpr std::size_t kLongestName = 64;

bool is_mixed(std::string_view run) {
  return std::any_of(run.begin(), run.end(), is_digit) && std::any_of(run.begin(), run.end(), is_lower) &&
         std::any_of(run.begin(), run.end(), is_upper);
}

/// A key, a hash or an encoded token, rather than a path or an identifier.
bool is_token(std::string_view run) {
  if (run.size() < kLongToken) return false;
  std::size_t hex = 0;
  for (const char c : run) {
    hex = is_hex(c) ? hex + 1 : 0;
    if (hex >= kLongToken) return true;
  }
  for (std::size_t begin = 0; begin < run.size();) {
    const std::size_t end = std::min(run.find('/', begin), run.size());
    if (end - begin >= 20 && is_mixed(run.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return run.find('/') == std::string_view::npos && is_mixed(run);
}

class Scrubber {
 public:
  Scrubber(std::string_view text, const IsSecret& is_secret) : text_(text), is_secret_(is_secret) {
    out_.reserve(text.size());
  }

  std::string run() {
    while (position_ < text_.size()) {
      if (!url() && !error_detail() && !hash() && !run_of_name()) copy(1);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }
  [[nodiscard]] bool starts(std::string_view what) const { return text_.substr(position_).starts_with(what); }

  void copy(std::size_t count) {
    out_ += text_.substr(position_, count);
    position_ += count;
  }
  void redact_to(std::size_t end) {
    out_ += kRedacted;
    position_ = end;
  }
  template <typename Predicate>
  [[nodiscard]] std::size_t end_of(std::size_t from, Predicate predicate) const {
    while (from < text_.size() && predicate(text_[from])) ++from;
    return from;
  }

  /// scheme://user:password@host
  bool url() {
    if (!starts("://")) return false;
    const std::size_t begin = position_ + 3;
    const std::size_t end =
        end_of(begin, [](char c) { return !is_blank(c) && !is_quote(c) && c != '<' && c != '>'; });
    const std::string_view rest = text_.substr(begin, end - begin);
    const std::size_t at_sign = rest.rfind('@');
    const std::size_t colon = rest.find(':');
    if (at_sign == std::string_view::npos || colon == std::string_view::npos || colon > at_sign) {
      copy(3);
      return true;
    }
    copy(3 + colon + 1);
    redact_to(begin + at_sign);
    return true;
  }

  /// PostgreSQL: "Key (login, password)=(admin, x) already exists.", "Failing row contains (1, x)."
  bool error_detail() {
    if (starts("Failing row contains (")) {
      copy(std::string_view{"Failing row contains ("}.size());
      redact_to(end_of_values(position_));
      return true;
    }
    if (!starts("Key (")) return false;
    const std::size_t close = text_.find(")=(", position_);
    if (close == std::string_view::npos) return false;
    const std::string_view names = text_.substr(position_ + 5, close - position_ - 5);
    if (names.size() > 1024 || names.find('\n') != std::string_view::npos) return false;
    if (!is_secret_(names) && names != "key" && names != "login") return false;
    copy(close + 3 - position_);
    redact_to(end_of_values(position_));
    return true;
  }

  /// A value may hold brackets and line ends, so the last bracket of the text's line, or all of the text.
  [[nodiscard]] std::size_t end_of_values(std::size_t from) const {
    const std::size_t sentence = text_.find(") ", from);
    const std::size_t full_stop = text_.find(").", from);
    return std::min({sentence, full_stop, text_.size()});
  }

  /// "$2b$12$...", "$argon2id$v=19$..."
  bool hash() {
    if (text_[position_] != '$' || !is_alphanumeric(at(position_ + 1))) return false;
    const std::size_t end = end_of(position_, is_hash);
    const std::string_view run = text_.substr(position_, end - position_);
    if (run.size() < 20 || std::count(run.begin(), run.end(), '$') < 2) return false;
    redact_to(end);
    return true;
  }

  /// A run of characters of names and tokens.
  bool run_of_name() {
    if (!is_base64(text_[position_])) return false;
    const std::size_t name_end = end_of(position_, is_name);
    const std::string_view name = text_.substr(position_, name_end - position_);
    // Of a very long run only its end can be a name that matters; then it is a token anyway.
    if (!name.empty() && name.size() <= kLongestName) {
      if (is_secret_(name) && assignment(name, name_end)) return true;
      if (credential(name, name_end)) return true;
    }
    const std::size_t end = end_of(position_, is_base64);
    if (is_token(text_.substr(position_, end - position_))) {
      redact_to(end);
    } else {
      // Up to the name's end only: what follows (as in "a=password=x") is looked at on its own.
      copy(std::max<std::size_t>(name.size(), 1));
    }
    return true;
  }

  /// name=value, "name": "value", 'name' => 'value', and what JSON or Python made of quotes within strings.
  bool assignment(std::string_view name, std::size_t name_end) {
    std::size_t i = end_of(name_end, [](char c) { return is_quote(c) || c == '\\' || c == ' ' || c == ']'; });
    const std::size_t separator = i;
    i = end_of(i, [](char c) { return c == '=' || c == ':' || c == '>'; });
    if (i == separator || at(separator) == '>') return false;
    i = end_of(i, [](char c) { return c == ' ' || c == '\\' || c == '\t'; });
    const std::size_t prefix = end_of(i, [](char c) { return c == 'b' || c == 'u' || c == 'r'; });
    if (is_quote(at(prefix))) i = prefix;
    const std::size_t end = is_quote(at(i)) ? end_of_quoted(i) : end_of_plain(name, i);
    if (is_quote(at(i))) ++i;
    if (end <= i) return false;
    copy(i - position_);
    redact_to(end);
    return true;
  }

  /// The quote that closes, or the end of the text: an unclosed value was cut.
  [[nodiscard]] std::size_t end_of_quoted(std::size_t open) const {
    const bool escaped_quotes = open > 0 && text_[open - 1] == '\\';
    for (std::size_t i = open + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\' && !(escaped_quotes && at(i + 1) == text_[open])) {
        ++i;
      } else if (text_[i] == '\\' || text_[i] == text_[open]) {
        return i;
      }
    }
    return text_.size();
  }

  /// A header's value may hold blanks; any other ends at one.
  [[nodiscard]] std::size_t end_of_plain(std::string_view name, std::size_t from) const {
    const std::string lower = sql::lower_case(name);
    const bool header =
        lower.find("authorization") != std::string::npos || lower.find("cookie") != std::string::npos;
    return end_of(from, [header](char c) {
      if (c == '\n' || c == '\r' || is_quote(c)) return false;
      return header || (!is_blank(c) && c != '&' && c != ',' && c != ';' && c != ')' && c != ']' &&
                        c != '}' && c != '<' && c != '\\');
    });
  }

  /// "Session <base64>", "Basic <base64>", "Bearer <token>"
  bool credential(std::string_view word, std::size_t word_end) {
    static constexpr std::array kSchemes =
        std::to_array<std::string_view>({"session", "basic", "bearer", "token"});
    const std::string lower = sql::lower_case(word);
    if (at(word_end) != ' ' || std::find(kSchemes.begin(), kSchemes.end(), lower) == kSchemes.end())
      return false;
    const std::size_t end = end_of(word_end + 1, [](char c) { return is_base64(c) || c == '.' || c == '~'; });
    const std::string_view value = text_.substr(word_end + 1, end - word_end - 1);
    const bool plain_word = std::all_of(value.begin() + (value.empty() ? 0 : 1), value.end(),
                                        [](char c) { return is_lower(c) || c == '.' || c == '-'; });
    if (value.size() < kShortCredential || plain_word) return false;
    copy(word_end + 1 - position_);
    redact_to(end);
    return true;
  }

  std::string_view text_;
  const IsSecret& is_secret_;
  std::string out_;
  std::size_t position_ = 0;
};

}  // namespace

std::string scrub_text(std::string_view text, const IsSecret& is_secret) {
  return Scrubber{text, is_secret}.run();
}

std::string without_last_word(std::string text) {
  // The part of a longer run that stays is long enough to have been judged as a token.
  constexpr std::size_t kLongestWord = 128;
  const std::size_t blank = text.find_last_of(" \t\r\n");
  const std::size_t word = blank == std::string::npos ? 0 : blank + 1;
  const std::size_t most = text.size() - std::min(text.size(), kLongestWord);
  text.resize(sql::cut_utf8(text, std::max(word, most)).size());
  return text.append(kRedacted);
}

std::string remove_known(std::string text, const KnownSecrets& secrets) {
  constexpr std::size_t kShortestBeginning = 6;
  for (const std::string& form : secrets.forms()) {
    for (std::size_t i = text.find(form); i != std::string::npos; i = text.find(form, i + kRedacted.size())) {
      text.replace(i, form.size(), kRedacted);
    }
    for (std::size_t length = std::min(form.size() - 1, text.size()); length >= kShortestBeginning;
         --length) {
      if (!text.ends_with(std::string_view{form}.substr(0, length))) continue;
      text.replace(text.size() - length, length, kRedacted);
      break;
    }
  }
  return text;
}

}  // namespace headroom::perf::impl
