#include "headroom/bus_section.hpp"

#include <charconv>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "base/units.hpp"
#include "bus/redis_broker.hpp"
#include "net/endpoint.hpp"
#include "redis/url.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::hours kLongestAge{30 * 24};
constexpr std::string_view kWords =
    "subscribe, publish, joins, message, history, history_size, history_age, budget";

Result<void> set_who(bus::Who& target, std::string_view text) {
  auto who = bus::parse_who(text);
  if (!who) return fail(std::move(who.error()));
  target = *who;
  return {};
}

Result<void> set_size(std::size_t& target, std::string_view text) {
  auto size = base::parse_size(text);
  if (!size) return fail(std::move(size.error()));
  target = static_cast<std::size_t>(*size);
  return {};
}

Result<void> set_count(std::size_t& target, std::string_view text) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), target);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no whole number", text));
}

Result<void> set_age(std::int64_t& target_ns, std::string_view text) {
  auto age = base::parse_duration(text);
  if (!age) return fail(std::move(age.error()));
  if (*age > kLongestAge) return fail(ErrorCode::kInvalidArgument, "expected 30 days at most");
  target_ns = std::chrono::nanoseconds(*age).count();
  return {};
}

Result<void> set_joins(bool& target, std::string_view text) {
  if (text != "yes" && text != "no") return fail(ErrorCode::kInvalidArgument, "expected yes or no");
  target = text == "yes";
  return {};
}

Result<void> set_word(bus::ChannelRule& rule, std::string_view word, std::string_view value) {
  if (word == "subscribe") return set_who(rule.subscribe, value);
  if (word == "publish") return set_who(rule.publish, value);
  if (word == "joins") return set_joins(rule.joins, value);
  if (word == "message") return set_size(rule.message_bytes, value);
  if (word == "history") return set_count(rule.history_messages, value);
  if (word == "history_size") return set_size(rule.history_bytes, value);
  if (word == "history_age") return set_age(rule.history_age_ns, value);
  if (word == "budget") return set_size(rule.budget_bytes, value);
  return fail(ErrorCode::kInvalidArgument, fmt::format("unknown; known are {}", kWords));
}

bool is_origin(std::string_view text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = text.substr(scheme + 3);
  return (text.starts_with("http://") || text.starts_with("https://")) && !rest.empty() &&
         rest.find_first_of("/ *") == std::string_view::npos;
}

}  // namespace

Result<bus::ChannelRule> parse_channel_rule(std::string_view prefix, std::string_view text) {
  bus::ChannelRule rule;
  rule.prefix = prefix == "*" ? std::string_view{} : prefix;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    const std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{:.40}': expected word=value; words are {}", pair, kWords));
    auto set = set_word(rule, pair.substr(0, equals), pair.substr(equals + 1));
    if (!set) return fail(std::move(set.error()).within(fmt::format("'{:.40}'", pair)));
  }
  return rule;
}

Result<bus::ChannelRules> channel_rules(const BusSection& section) {
  std::vector<bus::ChannelRule> rules;
  for (const auto& [prefix, text] : section.channels) {
    auto rule = parse_channel_rule(prefix, text);
    if (!rule) return fail(std::move(rule.error()).within(fmt::format("[bus.channels] \"{}\"", prefix)));
    rules.push_back(std::move(*rule));
  }
  auto made = bus::ChannelRules::make(std::move(rules));
  if (!made) return fail(std::move(made.error()).within("[bus.channels]"));
  return made;
}

void BusSection::read(base::ConfigSection& section) {
  section.read("enabled", enabled);
  section.read("broker", broker);
  section.read("database", database);
  section.read("source", source);
  section.read("url", url);
  section.read("shards", shards, 1, static_cast<std::int64_t>(bus::kMostRedisShards));
  section.read("listen", listen);
  section.read("secret_files", secret_files);
  section.read("origins", origins);
  section.read("connections", connections, 1, 1'000'000);
  section.read("subscriptions", subscriptions, 1, 10'000);
  section.read_size("queue_size", queue_size);
  section.read("connections_per_second", connections_per_second, 1, 1'000'000);
  section.read("poll_wait", poll_wait);
  section.read("away_after", away_after);
  section.read("reconnect_window", reconnect_window);
  check_broker(section);
  check_listen(section);
  if (queue_size < (64U << 10U)) section.reject("queue_size", "expected 64KiB at least");
  for (const std::string& origin : origins) {
    if (!is_origin(origin))
      section.reject(
          "origins",
          fmt::format("'{:.60}': expected scheme and host, as \"https://erp.example.org\"", origin));
  }
  if (enabled && secret_files.empty())
    section.reject(
        "enabled",
        "[bus] secret_files names the file that signs tokens; make one with: openssl rand -hex 32");
}

void BusSection::check_broker(base::ConfigSection& section) const {
  if (broker != "memory" && broker != "postgresql" && broker != "redis")
    section.reject("broker", fmt::format("'{:.40}' is none; expected memory, postgresql or redis", broker));
  if (source != "outbox" && source != "logical")
    section.reject("source", fmt::format("'{:.40}' is none; expected outbox or logical", source));
  const bool has_database = database.starts_with("postgresql://") || database.starts_with("postgres://");
  if (broker == "postgresql" && !has_database)
    section.reject(database.empty() ? "broker" : "database",
                   "[bus] database: expected postgresql://user@host/name, where the messages are kept");
  if (broker == "redis" && url.empty())
    section.reject("broker",
                   "[bus] url: expected redis://user:password@host:port/db, where the messages are kept");
  if (const auto parsed = redis::parse_url(url); !url.empty() && !parsed)
    section.reject("url", parsed.error().message());
}

void BusSection::check_listen(base::ConfigSection& section) const {
  if (listen.empty()) return;
  const auto endpoint = net::parse_endpoint(listen);
  if (!endpoint) {
    section.reject("listen", endpoint.error().message());
  } else if (endpoint->is_unix() || endpoint->port == 0) {
    section.reject("listen",
                   fmt::format("'{:.60}': expected ADDRESS:PORT, the same for all services", listen));
  } else if (broker == "memory") {
    section.reject(
        "listen",
        "several services share it, and with broker \"memory\" each would have messages of its own; use "
        "redis or postgresql");
  }
}

void BusSection::read_channels(base::ConfigSection& section) {
  section.read_names(channels);
  for (const auto& [prefix, text] : channels) {
    if (const auto rule = parse_channel_rule(prefix, text); !rule)
      section.reject(prefix, rule.error().message());
  }
}

}  // namespace headroom::cli
