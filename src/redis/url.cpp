#include "redis/url.hpp"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace headroom::redis {

namespace {

std::optional<unsigned> hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a' + 10);
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A' + 10);
  return std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    decoded.push_back(static_cast<char>(*high * 16 + *low));
    i += 2;
  }
  return decoded;
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Splits at the first `separator`; the second part is empty when there is none.
std::pair<std::string_view, std::string_view> split(std::string_view text, char separator) {
  const auto at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

/// Reads one URL; every step leaves what is wrong in `problem_`.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Url> parse() {
    if (scheme() && credentials() && place() && options()) return std::move(url_);
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", without_password(text_), problem_));
  }

 private:
  bool wrong(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool scheme() {
    const auto end = text_.find("://");
    const auto name = text_.substr(0, end == std::string_view::npos ? 0 : end);
    if (name == "redis") {
      url_.transport = Url::Transport::kTcp;
    } else if (name == "rediss") {
      url_.transport = Url::Transport::kTls;
    } else if (name == "unix") {
      url_.transport = Url::Transport::kUnix;
    } else {
      return wrong("a Redis URL begins with redis://, rediss:// or unix://");
    }
    std::tie(rest_, query_) = split(text_.substr(end + 3), '?');
    return true;
  }

  bool credentials() {
    const auto at = rest_.substr(0, rest_.find('/')).rfind('@');
    if (at == std::string_view::npos) return true;
    const auto pair = rest_.substr(0, at);
    rest_.remove_prefix(at + 1);
    const auto colon = pair.find(':');
    if (colon == std::string_view::npos)
      return wrong("a user needs a password: write user:password@ or :password@");
    const auto user = percent_decoded(pair.substr(0, colon));
    const auto password = percent_decoded(pair.substr(colon + 1));
    if (!user || !password)
      return wrong("a % in user or password must be followed by two hexadecimal digits");
    if (password->empty()) return wrong("the password is empty");
    url_.user = *user;
    url_.password = *password;
    return true;
  }

  bool place() { return url_.transport == Url::Transport::kUnix ? socket_path() : host_and_database(); }

  bool socket_path() {
    const auto path = percent_decoded(rest_);
    if (!path || path->empty() || path->front() != '/' || path->find('\0') != std::string::npos) {
      return wrong("unix:// needs an absolute path, such as unix:///run/redis/redis.sock");
    }
    if (path->size() >= sizeof(sockaddr_un::sun_path)) {
      return wrong(
          fmt::format("the path of a socket has at most {} bytes", sizeof(sockaddr_un::sun_path) - 1));
    }
    url_.path = *path;
    return true;
  }

  bool host_and_database() {
    const auto [authority, database] = split(rest_, '/');
    if (!host_and_port(authority)) return false;
    return database.empty() || database_number(database);
  }

  bool host_and_port(std::string_view authority) {
    std::string_view port;
    if (authority.starts_with('[')) {
      const auto end = authority.find(']');
      if (end == std::string_view::npos) return wrong("the ] after the IPv6 address is missing");
      url_.host = authority.substr(1, end - 1);
      port = authority.substr(end + 1);
      if (!port.empty() && !port.starts_with(':')) return wrong("after the ] comes :port or /db");
    } else {
      const auto colon = authority.find(':');
      url_.host = authority.substr(0, colon);
      port = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
    }
    if (url_.host.empty()) return wrong("the host is missing");
    return port.empty() || port_number(port.substr(1));
  }

  bool port_number(std::string_view digits) {
    const auto value = number<std::uint16_t>(digits);
    if (!value || *value == 0)
      return wrong("the port is a number from 1 to 65535 (an IPv6 address stands in [ ])");
    url_.port = *value;
    return true;
  }

  bool database_number(std::string_view digits) {
    const auto value = number<std::uint32_t>(digits);
    if (!value || *value > 1'000'000) return wrong("the database is a number, such as redis://host/3");
    url_.database = *value;
    return true;
  }

  bool options() {
    while (!query_.empty()) {
      const auto [option, others] = split(query_, '&');
      const auto [name, raw] = split(option, '=');
      const auto value = percent_decoded(raw);
      if (!value || !apply(name, *value)) return problem_.empty() ? unknown_option(name) : false;
      query_ = others;
    }
    return true;
  }

  bool apply(std::string_view name, const std::string& value) {
    if (name == "timeout") return timeout(value);
    if (name == "db" && url_.transport == Url::Transport::kUnix) return database_number(value);
    if (name == "ca" && url_.transport == Url::Transport::kTls) {
      url_.ca_file = value;
      return !value.empty();
    }
    return false;
  }

  bool timeout(std::string_view value) {
    const auto duration = base::parse_duration(value);
    if (!duration || *duration < std::chrono::milliseconds{1} || *duration > std::chrono::hours{1}) {
      return wrong("timeout is a duration from 1ms to 1h, such as timeout=2s");
    }
    url_.timeout = *duration;
    return true;
  }

  bool unknown_option(std::string_view name) {
    const auto* const accepted = url_.transport == Url::Transport::kUnix  ? "db and timeout"
                                 : url_.transport == Url::Transport::kTls ? "ca and timeout"
                                                                          : "timeout";
    return wrong(fmt::format("option '{}' is unknown or has no value; accepted here: {}", name.substr(0, 40),
                             accepted));
  }

  std::string_view text_;
  std::string_view rest_;
  std::string_view query_;
  std::string problem_;
  Url url_;
};

}  // namespace

std::string Url::text() const {
  const auto who = user.empty() ? std::string{} : user + "@";
  if (transport == Transport::kUnix) return fmt::format("unix://{}{}", who, path);
  const auto* const scheme = transport == Transport::kTls ? "rediss" : "redis";
  const bool bracketed = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}{}:{}/{}", scheme, who, bracketed ? "[" : "", host, bracketed ? "]" : "",
                     port, database);
}

Result<Url> parse_url(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7F; })) {
    return fail(ErrorCode::kInvalidArgument,
                "a Redis URL has no blanks and no control characters: write them as %20");
  }
  return Parser(text).parse();
}

std::string without_password(std::string_view text) {
  const auto begin = text.find("://");
  if (begin == std::string_view::npos) return std::string(text.substr(0, text.find_first_of("@:?")));
  const auto scheme = text.substr(0, begin + 3);
  const auto rest = text.substr(begin + 3);
  // The last @ of all, so that a password with a bare / or ? in it does not leak its tail.
  const auto at = rest.starts_with('/') ? std::string_view::npos : rest.rfind('@');
  if (at == std::string_view::npos) return fmt::format("{}{}", scheme, rest.substr(0, rest.find('?')));
  const auto place = rest.substr(at + 1);
  const auto user = rest.substr(0, std::min(rest.find(':'), at));
  return fmt::format("{}{}{}{}", scheme, user, user.empty() ? "" : "@", place.substr(0, place.find('?')));
}

}  // namespace headroom::redis
