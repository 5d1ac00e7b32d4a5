// JSON is copied token by token, so that what need not change does not change, and so that a body that was
// cut, or that is no JSON at all, gets an answer too. Whatever stands under a secret name goes as a whole.
//
// Some secrets have no name, only a place: Tryton's common.db.login takes [login, {"password": ...},
// language] and answers [user, "token"]; older clients send [login, password]; set_preferences takes the old
// password second. The method may stand behind the parameters, so it is looked for first. When it can't be
// found (the body was cut before it), the parameters are treated as those of a login. A domain clause
// ["password", "=", value] is a third kind of place.
//
// A string that is not closed was cut: its beginning stays, unless it is secret, or a name of which nobody
// can tell what it was going to be.

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "perf/impl/redact_parts.hpp"

namespace headroom::perf::impl {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct Container {
  bool is_array = false;
  bool is_params = false;   ///< the list under "params" of the outermost object
  bool is_result = false;   ///< the list under "result" of the outermost object
  bool all_secret = false;  ///< every scalar within goes
  bool clause = false;      ///< begins with a secret name
  std::size_t index = 0;    ///< of the element that comes
  std::string key;          ///< of the member that comes
  bool expects_key = false;
};

struct Envelope {
  std::string method;
  bool is_response = false;
};

class Scanner {
 public:
  explicit Scanner(std::string_view json) : json_(json) {}
  [[nodiscard]] bool done() const { return position_ >= json_.size(); }
  [[nodiscard]] char peek() const { return json_[position_]; }
  std::string_view take(std::size_t count) {
    const std::string_view part = json_.substr(position_, count);
    position_ = std::min(position_ + count, json_.size());
    return part;
  }
  std::string_view blanks() {
    std::size_t end = position_;
    while (end < json_.size() && is_blank(json_[end])) ++end;
    return take(end - position_);
  }
  /// With its quotes; without the last one when the text ends within it.
  std::string_view string() {
    std::size_t end = position_ + 1;
    while (end < json_.size() && json_[end] != '"') end += json_[end] == '\\' ? 2 : 1;
    return take(end + 1 - position_);
  }
  static bool closed(std::string_view string) {
    if (string.size() < 2 || string.back() != '"') return false;
    std::size_t slashes = 0;
    for (std::size_t i = string.size() - 1; i > 1 && string[i - 1] == '\\'; --i) ++slashes;
    return slashes % 2 == 0;
  }
  std::string_view scalar() {
    std::size_t end = position_;
    while (end < json_.size() && std::string_view{"{}[],:\""}.find(json_[end]) == std::string_view::npos &&
           !is_blank(json_[end])) {
      ++end;
    }
    return take(std::max<std::size_t>(end - position_, 1));
  }
  /// Jumps over a value with all that is in it.
  void skip_value() {
    std::size_t depth = 0;
    do {
      blanks();
      if (done()) return;
      const char c = peek();
      if (c == '"') {
        string();
      } else if (c == '{' || c == '[') {
        take(1);
        ++depth;
      } else if (c == '}' || c == ']') {
        if (depth == 0) return;
        take(1);
        --depth;
      } else if (c == ',' || c == ':') {
        if (depth == 0) return;
        take(1);
      } else {
        scalar();
      }
    } while (depth > 0);
  }

 private:
  std::string_view json_;
  std::size_t position_ = 0;
};

std::string_view inside(std::string_view string) {
  string.remove_prefix(1);
  if (!string.empty() && string.back() == '"') string.remove_suffix(1);
  return string;
}

/// Reads "method" and "result" of the outermost object.
Envelope read_envelope(std::string_view json) {
  Envelope envelope;
  Scanner scanner{json};
  scanner.blanks();
  if (scanner.done() || scanner.peek() != '{') return envelope;
  scanner.take(1);
  while (scanner.blanks(), !scanner.done()) {
    if (scanner.peek() != '"') {
      if (scanner.peek() == '{' || scanner.peek() == '[') {
        scanner.skip_value();
      } else {
        scanner.take(1);
      }
      continue;
    }
    const std::string key = json_unescaped(inside(scanner.string()));
    scanner.blanks();
    if (scanner.done() || scanner.peek() != ':') continue;
    scanner.take(1);
    scanner.blanks();
    if (key == "result" || key == "error") envelope.is_response = true;
    if (key == "method" && !scanner.done() && scanner.peek() == '"') {
      envelope.method = json_unescaped(inside(scanner.string()));
    } else {
      scanner.skip_value();
    }
  }
  return envelope;
}

class Rewriter {
 public:
  Rewriter(std::string_view json, const IsSecret& is_secret, const KnownSecrets& secrets)
      : scanner_(json), is_secret_(is_secret), secrets_(secrets), envelope_(read_envelope(json)) {
    out_.reserve(json.size());
  }

  std::string run() {
    while (out_ += scanner_.blanks(), !scanner_.done()) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = scanner_.peek();
    if (c == '{' || c == '[') {
      begin_container(c == '[');
    } else if (c == '}' || c == ']') {
      out_ += scanner_.take(1);
      if (!open_.empty()) open_.pop_back();
    } else if (c == ',') {
      out_ += scanner_.take(1);
      next_element();
    } else if (c == ':') {
      out_ += scanner_.take(1);
      if (!open_.empty()) open_.back().expects_key = false;
    } else if (c == '"' && !open_.empty() && open_.back().expects_key) {
      key();
    } else {
      value(c == '"');
    }
  }

  void next_element() {
    if (open_.empty()) return;
    ++open_.back().index;
    open_.back().expects_key = !open_.back().is_array;
    open_.back().key.clear();
  }

  void key() {
    const std::string_view raw = scanner_.string();
    if (!Scanner::closed(raw)) return cut_string({});
    open_.back().key = json_unescaped(inside(raw));
    write_string(raw, open_.back().key);
  }

  /// True when what comes has a secret name.
  [[nodiscard]] bool named_secret() const {
    if (open_.empty()) return false;
    const Container& parent = open_.back();
    if (!parent.is_array && is_secret_(parent.key)) return true;
    return parent.clause && parent.index >= 2;
  }

  /// True when what comes stands where a login or a change of preferences has its secrets.
  [[nodiscard]] bool placed_secret(bool is_scalar) const {
    if (open_.empty() || !open_.back().is_params) return false;
    const std::size_t index = open_.back().index;
    const bool unknown = envelope_.method.empty() && !envelope_.is_response;
    if (unknown || is_login()) return index == 1 || (index > 1 && !is_scalar);
    if (envelope_.method.ends_with(".set_preferences")) return index == 1;
    return false;
  }

  [[nodiscard]] bool is_login() const {
    static constexpr std::array kMethods =
        std::to_array<std::string_view>({"common.db.login", "common.login", "common.db.logout"});
    return std::find(kMethods.begin(), kMethods.end(), envelope_.method) != kMethods.end();
  }

  void begin_container(bool is_array) {
    if (named_secret()) {
      scanner_.skip_value();
      append_json_string(out_, kRedacted);
      return;
    }
    Container container;
    container.is_array = is_array;
    container.expects_key = !is_array;
    container.all_secret = (!open_.empty() && open_.back().all_secret) || placed_secret(false);
    if (is_array && open_.size() == 1) {
      container.is_params = open_.back().key == "params";
      container.is_result = open_.back().key == "result";
    }
    out_ += scanner_.take(1);
    open_.push_back(std::move(container));
  }

  void value(bool is_string) {
    const std::string_view raw = is_string ? scanner_.string() : scanner_.scalar();
    const bool secret = named_secret() || placed_secret(true) || (!open_.empty() && open_.back().all_secret);
    if (is_string && !Scanner::closed(raw)) return cut_string(secret ? std::string_view{} : raw.substr(1));
    if (secret && raw != "null" && raw != "true" && raw != "false") {
      append_json_string(out_, kRedacted);
    } else if (is_string) {
      text_value(raw);
    } else {
      number(raw);
    }
  }

  void cut_string(std::string_view beginning) {
    const std::string text = json_unescaped(beginning);
    append_json_string(out_, without_last_word(scrub_text(remove_known(text, secrets_), is_secret_)));
    out_.pop_back();  // the quote: a string that was cut does not end
  }

  void text_value(std::string_view raw) {
    const std::string text = json_unescaped(inside(raw));
    if (!open_.empty() && open_.back().is_array) {
      Container& list = open_.back();
      if (list.index == 0) list.clause = is_secret_(text) && text.size() <= 64;
      if (list.is_result && list.index == 1 && is_session_token(text)) {
        append_json_string(out_, kRedacted);
        return;
      }
    }
    write_string(raw, text);
  }

  static bool is_session_token(std::string_view text) {
    return text.size() >= 16 && text.find(' ') == std::string_view::npos;
  }

  /// Writes the string as it came unless something had to go from it.
  void write_string(std::string_view raw, const std::string& text) {
    const std::string clean = scrub_text(remove_known(text, secrets_), is_secret_);
    if (clean == text) {
      out_ += raw;
    } else {
      append_json_string(out_, clean);
    }
  }

  void number(std::string_view raw) {
    const std::string text{raw};
    if (remove_known(text, secrets_) == text && scrub_text(text, is_secret_) == text) {
      out_ += raw;
    } else {
      append_json_string(out_, kRedacted);
    }
  }

  Scanner scanner_;
  const IsSecret& is_secret_;
  const KnownSecrets& secrets_;
  Envelope envelope_;
  std::string out_;
  std::vector<Container> open_;
};

void append_code_point(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | (code >> 6U));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | (code >> 12U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | (code >> 18U));
    out += static_cast<char>(0x80U | ((code >> 12U) & 0x3FU));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

/// Four hexadecimal digits at `index`; more than 0xFFFF when they are none.
unsigned hex4(std::string_view text, std::size_t index) {
  unsigned code = 0;
  if (index + 4 > text.size()) return 0x10000;
  const char* end = text.data() + index + 4;
  return std::from_chars(text.data() + index, end, code, 16).ptr == end ? code : 0x10000;
}

}  // namespace

std::string redact_json(std::string_view json, const IsSecret& is_secret, const KnownSecrets& secrets) {
  return Rewriter{json, is_secret, secrets}.run();
}

void append_json_string(std::string& out, std::string_view value) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\u00";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string json_unescaped(std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) return std::string{raw};
  std::string text;
  text.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      text += raw[i];
      continue;
    }
    const char c = raw[++i];
    constexpr std::string_view kFrom = "bfnrt";
    constexpr std::string_view kTo = "\b\f\n\r\t";
    const std::size_t known = kFrom.find(c);
    unsigned code = c == 'u' ? hex4(raw, i + 1) : 0x10000;
    if (known != std::string_view::npos) {
      text += kTo[known];
    } else if (code < 0x10000) {
      i += 4;
      const unsigned low = raw.substr(i + 1).starts_with("\\u") ? hex4(raw, i + 3) : 0;
      if (code >= 0xD800 && code < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00);
        i += 6;
      } else if (code >= 0xD800 && code < 0xE000) {
        code = 0xFFFD;
      }
      append_code_point(text, code);
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace headroom::perf::impl
