#include "perf/store.hpp"

#include <fmt/format.h>

#include "perf/redis_store.hpp"
#include "perf/sqlite_store.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

constexpr std::string_view kSqlite = "sqlite://";
constexpr std::string_view kAccepted =
    "sqlite:///absolute/path, redis://[user:password@]host[:port][/database], rediss://... or "
    "unix:///path/of/socket";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// Removes "user:password@", the user stays. The last '@' counts: a password may hold one, or a '/',
/// unescaped.
std::string without_credentials(std::string_view scheme, std::string_view rest) {
  const auto at = rest.rfind('@');
  if (at == std::string_view::npos) return fmt::format("{}{}", scheme, rest);
  const auto user = rest.substr(0, rest.substr(0, at).find(':'));
  const auto name = user.size() > at ? user.substr(0, at) : user;
  return fmt::format("{}{}{}{}", scheme, name, name.empty() ? "" : "@", rest.substr(at + 1));
}

/// Removes the query parameter "password=...", which socket URLs use.
std::string without_parameter(std::string url) {
  static constexpr std::string_view kParameter = "password=";
  for (auto at = url.find(kParameter); at != std::string::npos; at = url.find(kParameter, at)) {
    if (at == 0 || (url[at - 1] != '?' && url[at - 1] != '&')) {
      at += kParameter.size();
      continue;
    }
    const auto end = url.find('&', at);
    url.erase(at, end == std::string::npos ? end : end + 1 - at);
    if (url.back() == '?' || url.back() == '&') url.pop_back();
  }
  return url;
}

}  // namespace

std::string without_password(std::string_view url) {
  const auto colon = url.find("://");
  if (colon == std::string_view::npos || starts_with(url, kSqlite)) return std::string(url);
  return without_parameter(without_credentials(url.substr(0, colon + 3), url.substr(colon + 3)));
}

Result<OpenStore> open_store(std::string_view url, OpenMode mode) {
  if (starts_with(url, kSqlite)) {
    const auto path = url.substr(kSqlite.size());
    if (path.size() > 1 && path.front() == '/') return open_sqlite_store(std::filesystem::path(path), mode);
  }
  if (starts_with(url, "redis://") || starts_with(url, "rediss://") || starts_with(url, "unix://")) {
    return open_redis_store(url, mode);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no store: accepted are {}", without_password(url), kAccepted));
}

}  // namespace headroom::perf
