#include "perf/rule.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/glob.hpp"

namespace headroom::perf {

namespace {

using nlohmann::json;

constexpr std::string_view kLoginPrefix = "login:";
constexpr std::string_view kBlanks = " \t\r\v\f";

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool matches_any(const std::vector<std::string>& globs, std::string_view text) {
  return std::any_of(globs.begin(), globs.end(),
                     [text](const std::string& glob) { return base::glob_match(glob, text); });
}

/// An empty method is not known yet: it may turn out to match.
bool may_match(const std::vector<std::string>& globs, std::string_view method) {
  return method.empty() ? !globs.empty() : matches_any(globs, method);
}

bool names(const UserPattern& pattern, const Subject& subject) {
  if (pattern.id) return pattern.id == subject.user_id;
  return !subject.login.empty() && base::glob_match(pattern.login, subject.login);
}

bool applies(const Rule& rule, const Subject& subject, base::UtcTime now, std::uint64_t dice) {
  if (rule.expires && now >= *rule.expires) return false;
  if (rule.one_in > 1 && dice % rule.one_in != 0) return false;
  if (!rule.users.empty() && std::none_of(rule.users.begin(), rule.users.end(),
                                          [&](const UserPattern& user) { return names(user, subject); })) {
    return false;
  }
  if (!rule.database.empty() && !base::glob_match(rule.database, subject.database)) return false;
  return rule.methods.empty() || may_match(rule.methods, subject.method);
}

void add_to(Decision& decision, const Rule& rule, std::string_view method) {
  decision.slower_than =
      decision.record ? std::min(decision.slower_than, rule.slower_than) : rule.slower_than;
  decision.record = true;
  decision.profile = decision.profile || may_match(rule.profile, method);
  decision.sample = decision.sample || may_match(rule.sample, method);
  decision.db = decision.db || may_match(rule.db, method);
  decision.io = decision.io || may_match(rule.io, method);
  if (rule.query) decision.query = decision.query ? std::min(*decision.query, *rule.query) : *rule.query;
}

/// Reads one key of a rule's object into a field; a missing key leaves the field as it is.
template <typename T>
void read(const json& object, const char* key, T& field) {
  if (const auto found = object.find(key); found != object.end()) field = found->get<T>();
}

template <typename T, typename Convert>
void read_as(const json& object, const char* key, Convert convert) {
  if (const auto found = object.find(key); found != object.end()) convert(found->get<T>());
}

base::UtcTime utc(std::int64_t microseconds) {
  return base::UtcTime(base::Microseconds(microseconds));
}

Rule from_object(const json& object) {
  Rule rule;
  read(object, "id", rule.id);
  read_as<std::vector<std::string>>(object, "users", [&](const auto& users) {
    for (const auto& user : users) rule.users.push_back(UserPattern::parse(user));
  });
  read(object, "database", rule.database);
  read(object, "methods", rule.methods);
  read(object, "profile", rule.profile);
  read(object, "sample", rule.sample);
  read(object, "db", rule.db);
  read(object, "io", rule.io);
  read_as<std::int64_t>(object, "query_us", [&](auto value) { rule.query = base::Microseconds(value); });
  read_as<std::int64_t>(object, "slower_than_us",
                        [&](auto value) { rule.slower_than = base::Microseconds(value); });
  read(object, "one_in", rule.one_in);
  read_as<std::int64_t>(object, "expires_us", [&](auto value) { rule.expires = utc(value); });
  read_as<std::int64_t>(object, "created_us", [&](auto value) { rule.created = utc(value); });
  read(object, "author", rule.author);
  return rule;
}

}  // namespace

UserPattern UserPattern::parse(std::string_view text) {
  UserPattern pattern;
  if (text.substr(0, kLoginPrefix.size()) == kLoginPrefix) {
    pattern.login = text.substr(kLoginPrefix.size());
    return pattern;
  }
  std::int64_t id = 0;
  if (all_digits(text) && std::from_chars(text.data(), text.data() + text.size(), id).ec == std::errc{}) {
    pattern.id = id;
  } else {
    pattern.login = text;
  }
  return pattern;
}

std::string UserPattern::text() const {
  if (id) return fmt::to_string(*id);
  const bool ambiguous = all_digits(login) || login.rfind(kLoginPrefix, 0) == 0;
  return ambiguous ? std::string(kLoginPrefix) + login : login;
}

Decision decide(std::span<const Rule> rules, const Subject& subject, base::UtcTime now, std::uint64_t dice) {
  Decision decision;
  for (const Rule& rule : rules) {
    if (applies(rule, subject, now, dice)) add_to(decision, rule, subject.method);
  }
  return decision;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> entries;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(",\n"), text.size());
    const auto entry = text.substr(0, end);
    const auto first = entry.find_first_not_of(kBlanks);
    if (first != std::string_view::npos) {
      entries.emplace_back(entry.substr(first, entry.find_last_not_of(kBlanks) + 1 - first));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return entries;
}

std::string to_json(const Rule& rule) {
  json users = json::array();
  for (const auto& user : rule.users) users.push_back(user.text());
  json object = {{"id", rule.id},
                 {"users", users},
                 {"database", rule.database},
                 {"methods", rule.methods},
                 {"profile", rule.profile},
                 {"sample", rule.sample},
                 {"db", rule.db},
                 {"io", rule.io},
                 {"one_in", rule.one_in},
                 {"slower_than_us", rule.slower_than.count()},
                 {"author", rule.author},
                 {"created_us", rule.created.time_since_epoch().count()}};
  if (rule.query) object["query_us"] = rule.query->count();
  if (rule.expires) object["expires_us"] = rule.expires->time_since_epoch().count();
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

base::Result<Rule> rule_from_json(std::string_view text) {
  const json object = json::parse(text.begin(), text.end(), nullptr, false);
  if (!object.is_object()) {
    return base::fail(base::ErrorCode::kProtocol,
                      fmt::format("not the JSON object of a rule: '{:.60}'", text));
  }
  try {
    return from_object(object);
  } catch (const json::exception& error) {
    return base::fail(base::ErrorCode::kProtocol,
                      fmt::format("a rule has a field of a wrong type: {}", error.what()));
  }
}

}  // namespace headroom::perf
