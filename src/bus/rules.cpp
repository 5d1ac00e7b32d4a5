#include "bus/rules.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace headroom::bus {
namespace {

using base::fail;

constexpr std::int64_t kLongestAgeNs = 30LL * 86'400 * 1'000'000'000;
constexpr std::array<std::string_view, 5> kNames{"nobody", "owner", "granted", "signed", "users"};

Result<void> check(const ChannelRule& rule) {
  const auto wrong = [&rule](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("the rule of '{}': {}", rule.prefix, why));
  };
  if (!rule.prefix.empty()) {
    if (auto checked = check_channel(rule.prefix); !checked)
      return wrong("it can never apply: " + checked.error().message());
  }
  if (rule.publish == Who::kSigned) return wrong("'signed' is for subscribe only");
  const bool within_user = rule.prefix.starts_with(kUserPrefix);
  if (within_user && rule.subscribe != Who::kOwner && rule.subscribe != Who::kNobody)
    return wrong("channels of a user are read by their owner, or by nobody");
  const bool names_owner = rule.subscribe == Who::kOwner || rule.publish == Who::kOwner;
  if (names_owner && !rule.prefix.ends_with(':'))
    return wrong("'owner' needs a prefix that ends with ':', behind which the user's id stands");
  // What stands behind "user:7:" would be taken for a user's id.
  if (names_owner && within_user && rule.prefix != kUserPrefix)
    return wrong("the owner stands behind 'user:' already: subscribe and publish are 'nobody'");
  if (rule.message_bytes == 0 || rule.message_bytes > (1U << 20U))
    return wrong("a message has 1 byte to 1 MiB");
  if (rule.history_messages > 1'000'000) return wrong("at most 1,000,000 messages are kept");
  if (rule.history_age_ns <= 0 || rule.history_age_ns > kLongestAgeNs)
    return wrong("history_age is more than nothing, and at most 30 days");
  if (rule.budget_channels == 0 || rule.budget_ids == 0)
    return wrong("budget_channels and budget_ids are 1 or more");
  return {};
}

}  // namespace

Result<ChannelRules> ChannelRules::make(std::vector<ChannelRule> rules) {
  const auto has = [&](std::string_view prefix) {
    return std::any_of(rules.begin(), rules.end(),
                       [&](const ChannelRule& rule) { return rule.prefix == prefix; });
  };
  if (!has("")) rules.emplace_back();
  if (!has(kUserPrefix)) {
    ChannelRule user;
    user.prefix = kUserPrefix;
    user.subscribe = Who::kOwner;
    user.publish = Who::kNobody;
    rules.push_back(std::move(user));
  }
  std::sort(rules.begin(), rules.end(), [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (i > 0 && rules[i].prefix == rules[i - 1].prefix)
      return fail(ErrorCode::kInvalidArgument, fmt::format("two rules for '{}'", rules[i].prefix));
    if (auto checked = check(rules[i]); !checked) return fail(std::move(checked.error()));
  }
  return ChannelRules(std::move(rules));
}

std::size_t ChannelRules::index_of(std::string_view channel) const {
  // By prefix: the last one that is not behind the channel, or one before it, is its beginning.
  auto at =
      std::upper_bound(rules_.begin(), rules_.end(), channel,
                       [](std::string_view name, const ChannelRule& rule) { return name < rule.prefix; });
  while (at != rules_.begin()) {
    --at;
    if (channel.starts_with(at->prefix)) return static_cast<std::size_t>(at - rules_.begin());
  }
  return 0;
}

const ChannelRule& ChannelRules::find(std::string_view channel) const {
  return rules_[index_of(channel)];
}

std::string_view owner_of(std::string_view channel, std::string_view prefix) {
  if (!channel.starts_with(prefix)) return {};
  channel.remove_prefix(prefix.size());
  return channel.substr(0, channel.find(':'));
}

std::string_view name(Who who) {
  return kNames.at(static_cast<std::size_t>(who));
}

Result<Who> parse_who(std::string_view text) {
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found != kNames.end()) return static_cast<Who>(found - kNames.begin());
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{:.40}' is none; expected nobody, owner, granted, signed or users", text));
}

}  // namespace headroom::bus
