#include "headroom/worklist_section.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace headroom::cli {

namespace {

constexpr std::size_t kMostName = 63;

bool is_url(std::string_view text) {
  for (const std::string_view scheme :
       {"postgresql://", "postgres://", "mariadb://", "mysql://", "sqlite:///"}) {
    if (text.starts_with(scheme)) return true;
  }
  return false;
}

/// Of a site, with nothing that a browser would pass over or take for another one.
bool is_web_address(std::string_view text) {
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](char one) { return one > ' ' && one < '\x7f'; });
  return is_plain && (text.starts_with("https://") || text.starts_with("http://"));
}

/// What is refused is not told: it may hold a password.
void check_url(base::ConfigSection& section, std::string_view key, const std::string& url) {
  if (!url.empty() && !is_url(url))
    section.reject(key,
                   "expected a URL: postgresql://user@host/database, mariadb://user@host/database or "
                   "sqlite:///absolute/path");
}

/// "shop, test", or that there are none.
std::string names_of(const std::map<std::string, std::string>& databases) {
  std::vector<std::string> names;
  for (const auto& [name, url] : databases) names.push_back(name);
  return names.empty() ? "which has none" : fmt::format("which has {}", fmt::join(names, ", "));
}

void read_ways(base::ConfigSection& section, std::set<worklist::Way>& ways) {
  std::vector<std::string> known;
  for (const worklist::Way way : worklist::kAllWays) known.emplace_back(worklist::name(way));
  std::vector<std::string> names = known;
  section.read("ways", names);
  ways.clear();
  for (const std::string& name : names) {
    const auto way = worklist::parse_way(name);
    if (!way) return section.reject("ways", way.error().message());
    ways.insert(*way);
  }
  if (ways.empty())
    section.reject("ways", fmt::format("expected at least one of {}", fmt::join(known, ", ")));
}

}  // namespace

void WorklistSection::read(base::ConfigSection& section, const std::filesystem::path& configuration,
                           const std::map<std::string, std::string>& databases) {
  section.read("file", file);
  if (!file.empty()) file = (configuration.parent_path() / file).lexically_normal().string();
  section.read("url", url);
  check_url(section, "url", url);
  std::string database;
  section.read("database", database);
  if (!database.empty() && !url.empty()) {
    section.reject("database", "url says already where the documents are; expected one of both");
  } else if (!database.empty() && !databases.contains(database)) {
    section.reject("database",
                   fmt::format("'{:.60}' is not in [perf.databases], {}", database, names_of(databases)));
  } else if (!database.empty()) {
    url = databases.at(database);
  }
  section.read("users_url", users_url);
  check_url(section, "users_url", users_url);
  section.read("timeout", timeout);
  if (timeout < std::chrono::milliseconds{1} || timeout > std::chrono::minutes{10})
    section.reject("timeout", "expected a span from 1ms to 10m");
  read_ways(section, ways);
  read_live(section);
}

void WorklistSection::read_live(base::ConfigSection& section) {
  section.read("live", live);
  section.read("live_url", live_url);
  section.read("publication", publication);
  section.read("rights_age", rights_age);
  section.read("tryton", tryton);
  section.read("push", push);
  section.read("application", application);
  if (!application.empty() && !is_web_address(application))
    section.reject("application", "expected the address of the application: https://erp.example.com/");
  if (live && (file.empty() || url.empty()))
    section.reject("live", "needs file and url (or database): what is counted, and where it is");
  if (!live_url.empty() && (!is_url(live_url) || !live_url.starts_with("postgres")))
    section.reject("live_url", "expected a URL: postgresql://user@host/database");
  if (publication.empty() || publication.size() > kMostName)
    section.reject("publication", "expected a name of 1 to 63 bytes");
  if (rights_age < std::chrono::seconds{1} || rights_age > std::chrono::hours{1})
    section.reject("rights_age", "expected a span from 1s to 1h");
}

}  // namespace headroom::cli
