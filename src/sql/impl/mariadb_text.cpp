#include "sql/impl/mariadb_text.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

// URLs
// ---------------------------------------------------------------------------------------------------------

base::Error refused(std::string_view part) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("the database's URL can't be read ({}); expected "
                      "mariadb://user:password@host:port/database, and behind it perhaps ?socket=/path, "
                      "?tls=on, ?tls=verify or ?ca=/path",
                      part)};
}

std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned sign = 0;
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), sign, 16);
    if (error != std::errc{} || digits.size() != 2 || end != digits.data() + 2 || sign == 0)
      return std::nullopt;
    plain += static_cast<char>(sign);
    i += 2;
  }
  return plain;
}

/// Cuts off what stands in front of the sign; all of it where there is none.
std::string_view take_until(std::string_view& text, char sign) {
  const std::size_t at = std::min(text.find(sign), text.size());
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return front;
}

bool read_login(std::string_view login, MariaDbAddress& address) {
  const auto user = decoded(take_until(login, ':'));
  const auto password = decoded(login);
  if (!user || !password) return false;
  address.user = *user;
  address.password = *password;
  return true;
}

/// "host", "host:port", "[::1]:port"
bool read_host(std::string_view text, MariaDbAddress& address) {
  if (text.starts_with('[')) {
    text.remove_prefix(1);
    if (text.find(']') == std::string_view::npos) return false;
    address.host = take_until(text, ']');
    if (!text.empty() && !text.starts_with(':')) return false;
    take_until(text, ':');
  } else {
    address.host = take_until(text, ':');
  }
  if (text.empty()) return true;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), address.port);
  return error == std::errc{} && end == text.data() + text.size() && address.port != 0;
}

bool read_option(std::string_view option, MariaDbAddress& address) {
  const std::string_view name = take_until(option, '=');
  const auto value = decoded(option);
  if (!value) return false;
  if (name == "socket" && value->starts_with('/')) {
    address.socket = *value;
  } else if (name == "ca" && value->starts_with('/')) {
    address.authorities = *value;
    address.tls = MariaDbTls::kVerified;
  } else if (name == "tls" && (*value == "on" || *value == "verify")) {
    if (*value == "verify" || address.tls == MariaDbTls::kOff)
      address.tls = *value == "verify" ? MariaDbTls::kVerified : MariaDbTls::kEncrypted;
  } else {
    return false;
  }
  return true;
}

// Statements
// ---------------------------------------------------------------------------------------------------------

std::string literal(const std::string& text) {
  if (text.empty()) return "''";
  std::string digits;
  digits.reserve(2 * text.size());
  for (const char sign : text) digits += fmt::format("{:02X}", static_cast<unsigned char>(sign));
  return "_utf8mb4 X'" + digits + "'";
}

std::string literal(const Parameter& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return literal(*text);
  return std::visit([](const auto& number) { return fmt::format("{}", number); }, value);
}

class Binder final {
 public:
  Binder(std::string_view statement, const std::vector<Parameter>& values)
      : text_(statement), values_(values) {}

  Result<std::string> bind() {
    while (at_ < text_.size()) {
      if (const std::size_t kept = kept_length(); kept > 0) {
        bound_ += text_.substr(at_, kept);
        at_ += kept;
      } else if (auto placed = place_value(); !placed) {
        return fail(std::move(placed.error()));
      }
    }
    return std::move(bound_);
  }

 private:
  /// Length of what stands here and stays as it is; 0: a placeholder.
  [[nodiscard]] std::size_t kept_length() const {
    const std::string_view rest = text_.substr(at_);
    const char sign = rest.front();
    if (sign == '\'' || sign == '"' || sign == '`') return through(rest, std::string(1, sign), 1);
    if (sign == '#' || (rest.starts_with("--") && (rest.size() == 2 || rest[2] == ' ' || rest[2] == '\n')))
      return through(rest, "\n", 1);
    if (rest.starts_with("/*")) return through(rest, "*/", 2);
    const bool placeholder = sign == '?' && rest.size() > 1 && rest[1] >= '1' && rest[1] <= '9';
    return placeholder ? 0 : 1;
  }

  /// A doubled quote ends one text and begins the next: the same, seen from here.
  [[nodiscard]] static std::size_t through(std::string_view rest, std::string_view end, std::size_t from) {
    const std::size_t at = rest.find(end, from);
    return at == std::string_view::npos ? rest.size() : at + end.size();
  }

  Result<void> place_value() {
    std::size_t number = 0;
    const char* begin = text_.data() + at_ + 1;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), number);
    if (error != std::errc{} || number > values_.size()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the statement asks for value {}; it has {}", number, values_.size()));
    }
    bound_ += literal(values_[number - 1]);
    at_ = static_cast<std::size_t>(end - text_.data());
    return {};
  }

  std::string_view text_;
  const std::vector<Parameter>& values_;
  std::size_t at_ = 0;
  std::string bound_;
};

}  // namespace

Result<MariaDbAddress> parse_mariadb_url(std::string_view url) {
  MariaDbAddress address;
  const std::size_t scheme = url.find("://");
  const std::string_view name = url.substr(0, std::min(scheme, url.size()));
  if (name != "mariadb" && name != "mysql") return fail(refused("scheme"));
  url.remove_prefix(scheme + 3);
  std::string_view options = url;
  std::string_view path = take_until(options, '?');
  std::string_view authority = take_until(path, '/');
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (!read_login(authority.substr(0, at), address)) return fail(refused("user and password"));
    authority.remove_prefix(at + 1);
  }
  if (!read_host(authority, address)) return fail(refused("host and port"));
  const auto database = decoded(path);
  if (!database || database->empty() || database->find('/') != std::string::npos)
    return fail(refused("database"));
  address.database = *database;
  while (!options.empty()) {
    if (!read_option(take_until(options, '&'), address)) return fail(refused("options"));
  }
  if (address.host.empty() == address.socket.empty()) return fail(refused("one of host and socket"));
  return address;
}

Result<std::string> with_values(std::string_view statement, const std::vector<Parameter>& values) {
  return Binder(statement, values).bind();
}

}  // namespace headroom::sql
