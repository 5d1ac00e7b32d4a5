#include "headroom/tryton_section.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

#include "base/glob.hpp"
#include "headroom/ini.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

bool is_glob(std::string_view name) {
  return name.find_first_of("*?[") != std::string_view::npos;
}

bool is_postgresql(std::string_view uri) {
  return uri.starts_with("postgresql://") || uri.starts_with("postgres://");
}

Result<IniFile> read_ini(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    return fail(ErrorCode::kNotFound, fmt::format("[bus.tryton] config = \"{}\": cannot be read", path));
  }
  std::vector<IniProblem> problems;
  IniFile file = parse_ini(text.str(), problems);
  if (problems.empty()) return file;
  return fail(ErrorCode::kInvalidArgument, fmt::format("[bus.tryton] config: {}:{}: {}", path,
                                                       problems.front().line, problems.front().text));
}

std::string value_of(const IniFile& file, std::string_view section, std::string_view key) {
  const IniSection* found = file.find(section);
  const IniEntry* entry = found == nullptr ? nullptr : found->find(key);
  return entry == nullptr ? std::string() : entry->value;
}

/// A number of seconds as trytond reads it; the default where there is none.
std::chrono::seconds seconds_of(const IniFile& file, std::string_view section, std::string_view key,
                                std::chrono::seconds otherwise) {
  const std::string text = value_of(file, section, key);
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = read.ec == std::errc() && read.ptr == text.data() + text.size() && number > 0;
  return whole ? std::chrono::seconds(number) : otherwise;
}

Result<void> check_uri(std::string_view where, const std::string& uri) {
  if (is_postgresql(uri)) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: expected postgresql://user:password@host:port/; the bus comes by PostgreSQL's "
                          "NOTIFY, which no other database has",
                          where));
}

Result<void> check_databases(const TrytonBusSection& section, const TrytonSite& site) {
  for (const auto& [name, url] : site.urls) {
    if (auto checked = check_uri(fmt::format("[bus.tryton.urls] {}", name), url); !checked) return checked;
  }
  if (site.databases.empty()) return {};
  const std::string where = section.uri.empty() && !section.config.empty()
                                ? fmt::format("[database] uri of {}", section.config)
                                : std::string("[bus.tryton] uri");
  return check_uri(where, site.uri);
}

}  // namespace

void TrytonBusSection::read(base::ConfigSection& section) {
  section.read("config", config);
  section.read("uri", uri);
  section.read("databases", databases);
  section.read("most_databases", most_databases, 1, 1'000);
  section.read("wait", wait);
  section.read("retention", retention);
  section.read("messages", messages, 1, 10'000'000);
  section.read_size("bytes", bytes);
  section.read("polls", polls, 1, 1'000'000);
  section.read("session_age", session_age);
  section.read("allow_subscribe", allow_subscribe);
  section.read("url_host", url_host);
  section.read("redirect_age", redirect_age);
  for (const std::string& name : databases) {
    if (name.empty() || !base::glob_is_closed(name))
      section.reject("databases", fmt::format("'{}' is no name and no glob of names", name));
  }
  if (!url_host.empty() && !url_host.starts_with("http://") && !url_host.starts_with("https://"))
    section.reject("url_host", "expected http://host:port/ or https://...");
}

Result<TrytonSite> tryton_site(const TrytonBusSection& section) {
  IniFile file;
  if (!section.config.empty()) {
    auto read = read_ini(section.config);
    if (!read) return fail(std::move(read.error()));
    file = std::move(*read);
  }
  TrytonSite site;
  site.uri = section.uri.empty() ? value_of(file, "database", "uri") : section.uri;
  site.databases = section.databases;
  site.urls = section.urls;
  site.most_databases = static_cast<std::size_t>(section.most_databases);
  site.session_age = std::chrono::duration_cast<std::chrono::seconds>(section.session_age);
  if (section.session_age.count() < 0)
    site.session_age = seconds_of(file, "session", "max_age", std::chrono::hours{24 * 30});
  site.allow_subscribe = section.allow_subscribe;
  site.url_host = section.url_host;
  if (!site.url_host.empty() && !site.url_host.ends_with('/')) site.url_host += '/';
  site.redirect_age = std::chrono::duration_cast<std::chrono::seconds>(section.redirect_age);
  site.limits.wait = std::chrono::duration_cast<std::chrono::milliseconds>(section.wait);
  if (section.wait.count() < 0)
    site.limits.wait = seconds_of(file, "bus", "long_polling_timeout", std::chrono::seconds{300});
  site.limits.polls = static_cast<std::size_t>(section.polls);
  site.limits.retention.age = std::chrono::duration_cast<std::chrono::milliseconds>(section.retention);
  site.limits.retention.messages = static_cast<std::size_t>(section.messages);
  site.limits.retention.bytes = section.bytes;
  if (auto checked = check_databases(section, site); !checked) return fail(std::move(checked.error()));
  return site;
}

std::vector<TrytonDatabase> named_databases(const TrytonSite& site) {
  std::vector<TrytonDatabase> named;
  for (const auto& [name, url] : site.urls) named.push_back({name, url, ""});
  for (const std::string& name : site.databases) {
    if (!is_glob(name) && !site.urls.contains(name)) named.push_back({name, site.uri, name});
  }
  return named;
}

Served is_served(const TrytonSite& site, std::string_view name) {
  if (site.urls.contains(std::string(name))) return Served::kNamed;
  if (std::ranges::find(site.databases, name) != site.databases.end() && !is_glob(name))
    return Served::kNamed;
  const bool matched = std::ranges::any_of(site.databases, [&](const std::string& pattern) {
    return is_glob(pattern) && base::glob_match(pattern, name);
  });
  return matched ? Served::kMatched : Served::kNo;
}

}  // namespace headroom::cli
