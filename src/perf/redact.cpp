// Secrets are found in three ways, and each output goes through all that apply: by the name beside a value
// (redact_json, redact_sql and their like know the grammar), by its look (redact_text: credentials, hashes,
// long tokens), and by the value itself when it was seen during the call (KnownSecrets). The last one comes
// last, over the finished text, and the cut after it, so that no cut can hide a part of a secret from the
// search.

#include "perf/redact.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "perf/impl/redact_parts.hpp"
#include "sql/token.hpp"
#include "sql/utf8.hpp"

namespace headroom::perf {
namespace {

constexpr std::size_t kShortestSecret = 6;
constexpr std::size_t kMostForms = 256;

/// Single words, and runs of words, that make a name secret.
constexpr std::array kBuiltIn = std::to_array<std::string_view>(
    {"password", "passwd", "pwd", "passphrase", "secret", "token", "session", "apikey", "api_key",
     "private_key", "access_key", "secret_key", "session_key", "encryption_key", "authorization",
     "credential", "cookie", "bearer"});
/// Looked for within words too: "newpassword", "dbpasswd".
constexpr std::array kWithin =
    std::to_array<std::string_view>({"password", "passwd", "passphrase", "apikey", "authorization"});

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "user_API-key2" and "userApiKey" are user, api, key.
std::vector<std::string> word_parts(std::string_view name) {
  std::vector<std::string> parts;
  std::string part;
  const auto finish = [&] {
    if (part.size() > 3 && part.back() == 's' && part[part.size() - 2] != 's') part.pop_back();
    if (!part.empty()) parts.push_back(std::exchange(part, {}));
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = is_lower(c) || is_upper(c) || (static_cast<unsigned char>(c) & 0x80U) != 0;
    const bool humps =
        i > 0 && is_upper(c) &&
        (is_lower(name[i - 1]) || (is_upper(name[i - 1]) && i + 1 < name.size() && is_lower(name[i + 1])));
    if (!letter || humps) finish();
    if (letter) part += is_upper(c) ? static_cast<char>(c + 32) : c;
  }
  finish();
  return parts;
}

bool contains_run(const std::vector<std::string>& parts, const std::vector<std::string>& run) {
  return !run.empty() && std::search(parts.begin(), parts.end(), run.begin(), run.end()) != parts.end();
}

std::string percent_encoded(std::string_view value, std::string_view hex) {
  std::string out;
  for (const char c : value) {
    if (is_lower(c) || is_upper(c) || is_digit(c) ||
        std::string_view{"-_.~"}.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += hex[byte >> 4U];
      out += hex[byte & 15U];
    }
  }
  return out;
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The characters that `value` alone decides when it stands `offset` bytes behind a multiple of three.
std::string base64_core(std::string_view value, std::size_t offset) {
  const std::size_t bits = (offset + value.size()) * 8;
  const std::size_t first = (offset * 8 + 5) / 6;
  std::string out;
  for (std::size_t i = first; (i + 1) * 6 <= bits; ++i) {
    unsigned sextet = 0;
    for (std::size_t bit = i * 6; bit < i * 6 + 6; ++bit) {
      const auto byte = static_cast<unsigned char>(value[bit / 8 - offset]);
      sextet = sextet << 1U | ((byte >> (7 - bit % 8)) & 1U);
    }
    out += kBase64[sextet];
  }
  return out;
}

std::string base64_decoded(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::size_t sextet = kBase64.find(c == '-' ? '+' : c == '_' ? '/' : c);
    if (sextet == std::string_view::npos) continue;
    bits = (bits << 6U | static_cast<unsigned>(sextet)) & 0xFFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>((bits >> count) & 0xFFU);
  }
  return out;
}

std::string json_escaped(std::string_view value) {
  std::string out;
  impl::append_json_string(out, value);
  return out.substr(1, out.size() - 2);
}

std::string url_safe(std::string text) {
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

std::string doubled_quotes(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\'') out += c;
    out += c;
  }
  return out;
}

std::string limited(std::string text, std::size_t limit) {
  text.resize(sql::cut_utf8(text, limit).size());
  return text;
}

std::string cleaned(std::string_view text) {
  return sql::is_clean_utf8(text) ? std::string{text} : sql::clean_utf8(text);
}

/// The length of "module.Class: " at the beginning, or 0.
std::size_t class_length(std::string_view error) {
  const std::size_t colon = error.find(": ");
  if (colon == std::string_view::npos) return 0;
  const std::string_view name = error.substr(0, colon);
  const bool dotted = name.find('.') != std::string_view::npos;
  const bool is_name = std::all_of(name.begin(), name.end(), [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '_' || c == '.';
  });
  return dotted && is_name ? colon + 2 : 0;
}

}  // namespace

void KnownSecrets::add_form(std::string form) {
  if (form.size() < kShortestSecret || forms_.size() >= kMostForms) return;
  if (std::find(forms_.begin(), forms_.end(), form) != forms_.end()) return;
  const auto longer = [&](const std::string& other) { return other.size() < form.size(); };
  forms_.insert(std::find_if(forms_.begin(), forms_.end(), longer), std::move(form));
}

void KnownSecrets::add(std::string_view value) {
  if (value.size() < kShortestSecret) return;
  add_form(std::string{value});
  add_form(percent_encoded(value, "0123456789ABCDEF"));
  add_form(percent_encoded(value, "0123456789abcdef"));
  add_form(json_escaped(value));
  add_form(doubled_quotes(value));
  for (std::size_t offset = 0; offset < 3; ++offset) {
    const std::string core = base64_core(value, offset);
    // A short run of base64 could be anything.
    if (core.size() < 8) continue;
    add_form(core);
    add_form(url_safe(core));
  }
}

void KnownSecrets::add_authorization(std::string_view header) {
  const std::size_t blank = header.find(' ');
  if (blank == std::string_view::npos) return;
  const std::string_view credentials = header.substr(blank + 1);
  add(credentials);
  const std::string decoded = base64_decoded(credentials);
  const std::size_t first = decoded.find(':');
  if (first == std::string::npos) return;
  const bool session = sql::lower_case(header.substr(0, blank)) == "session";
  const std::size_t second = session ? decoded.find(':', first + 1) : first;
  if (second != std::string::npos) add(std::string_view{decoded}.substr(second + 1));
}

Redactor::Redactor(std::span<const std::string> names) {
  for (const std::string_view name : kBuiltIn) names_.push_back(word_parts(name));
  for (const std::string& name : names) names_.push_back(word_parts(name));
}

bool Redactor::is_secret_name(std::string_view name) const {
  if (name.empty()) return false;
  const std::vector<std::string> parts = word_parts(name.substr(0, 1024));
  for (const std::vector<std::string>& run : names_) {
    if (contains_run(parts, run)) return true;
  }
  return std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
    return std::any_of(kWithin.begin(), kWithin.end(),
                       [&](std::string_view word) { return part.find(word) != std::string::npos; });
  });
}

std::string Redactor::body(std::string_view body, std::size_t limit, const KnownSecrets& secrets) const {
  const impl::IsSecret is_secret = [this](std::string_view name) { return is_secret_name(name); };
  const std::string clean = cleaned(body);
  const std::size_t first = clean.find_first_not_of(" \t\r\n");
  const char kind = first == std::string::npos ? '\0' : clean[first];
  if (kind == '{' || kind == '[' || kind == '"') {
    return limited(impl::redact_json(clean, is_secret, secrets), limit);
  }
  if (kind == '<') {
    // Before as well, for at a cut only the beginning of a secret may be left.
    const std::string known = impl::remove_known(clean, secrets);
    return limited(impl::remove_known(impl::redact_xml(known, is_secret), secrets), limit);
  }
  return text(body, limit, secrets);
}

Body Redactor::body(Body body, std::size_t limit, const KnownSecrets& secrets) const {
  std::string text = this->body(std::string_view{body.text}, std::string::npos, secrets);
  body.cut = body.cut || text.size() > limit;
  body.text = limited(std::move(text), limit);
  return body;
}

std::string Redactor::sql(std::string_view bound, std::size_t limit, const KnownSecrets& secrets) const {
  const impl::IsSecret is_secret = [this](std::string_view name) { return is_secret_name(name); };
  return limited(impl::remove_known(impl::redact_sql(cleaned(bound), is_secret), secrets), limit);
}

std::string Redactor::parameters(std::string_view statement, std::span<const std::string> rendered,
                                 std::size_t limit, const KnownSecrets& secrets) const {
  const impl::IsSecret is_secret = [this](std::string_view name) { return is_secret_name(name); };
  const impl::SecretPlaceholders places = impl::secret_placeholders(statement, is_secret);
  const bool unsure = places.speaks_of_secrets && places.secret.size() != rendered.size();
  std::string out = "[";
  for (std::size_t i = 0; i < rendered.size(); ++i) {
    const bool secret = unsure || (i < places.secret.size() && places.secret[i]);
    std::string item = i == 0 ? "" : ", ";
    const std::string value = secret ? std::string{kRedacted} : text(rendered[i], std::string::npos, secrets);
    impl::append_json_string(item, value);
    constexpr std::string_view kMore = R"(, "..."])";
    if (out.size() + item.size() + kMore.size() > limit) {
      out += i == 0 ? R"("...")" : R"(, "...")";
      break;
    }
    out += item;
  }
  return out + ']';
}

std::string Redactor::text(std::string_view text, std::size_t limit, const KnownSecrets& secrets) const {
  const impl::IsSecret is_secret = [this](std::string_view name) { return is_secret_name(name); };
  return limited(impl::scrub_text(impl::remove_known(cleaned(text), secrets), is_secret), limit);
}

std::string Redactor::error(std::string_view error, std::size_t limit, const KnownSecrets& secrets) const {
  const std::size_t length = class_length(error);
  const std::string name = impl::remove_known(std::string{error.substr(0, length)}, secrets);
  return limited(name + text(error.substr(length), limit, secrets), limit);
}

}  // namespace headroom::perf
