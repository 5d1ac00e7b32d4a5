#pragma once

// What may happen in a channel, by the beginning of its name. The longest prefix that fits wins, whatever the
// order in the file.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bus/message.hpp"

namespace headroom::bus {

/// Who may subscribe or publish.
enum class Who : std::uint8_t {
  kNobody,   ///< no client at all; the administrative API still may publish
  kOwner,    ///< the user whose id stands behind the prefix, up to the next ':'
  kGranted,  ///< whose token names the channel
  kSigned,   ///< who brings a signature of the channel's name (subscribe only)
  kUsers,    ///< every user
};

/// Everything that is set for the channels of one prefix.
struct ChannelRule {
  std::string prefix;  ///< "" is the rule of all channels without another
  Who subscribe = Who::kGranted;
  Who publish = Who::kGranted;
  bool joins = false;  ///< join and leave are told, `who` is answered

  std::size_t message_bytes = 32 * 1024;  ///< of data

  /// Of one channel: the first bound that is reached drops the oldest. 0 messages: no history.
  std::size_t history_messages = 100;
  std::size_t history_bytes = 256 * 1024;
  std::int64_t history_age_ns = 300'000'000'000;

  /// Of all channels of this rule together, so that one flooded prefix takes nothing from the others.
  std::size_t budget_bytes = 64 * 1024 * 1024;
  std::size_t budget_channels = 200'000;
  /// Publication ids that are remembered; when they are all younger than 5 minutes, publishing with an id is
  /// refused (overloaded), because forgetting one could let a message in twice.
  std::size_t budget_ids = 262'144;
};

/// Prefix of the channels that belong to a user: "user:7".
constexpr std::string_view kUserPrefix = "user:";

/// The rules of a bus. Threads: immutable after `make`.
class ChannelRules {
 public:
  /// Adds the rules for "" and "user:" where they are not given: a user's channel is read by its owner and
  /// written by nobody; all others need a grant.
  /// Errors: invalid_argument: a prefix twice, a rule that can never apply (its prefix is no channel name's
  /// beginning; `publish = "signed"`), "user:" or a prefix within it that others than the owner may read,
  /// a limit out of its range.
  [[nodiscard]] static Result<ChannelRules> make(std::vector<ChannelRule> rules);

  /// The rule of a channel. Lifetime: that of this object; the index is stable. Cost: O(log rules).
  [[nodiscard]] const ChannelRule& find(std::string_view channel) const;
  [[nodiscard]] std::size_t index_of(std::string_view channel) const;
  [[nodiscard]] const std::vector<ChannelRule>& all() const { return rules_; }

 private:
  explicit ChannelRules(std::vector<ChannelRule> rules) : rules_(std::move(rules)) {}

  std::vector<ChannelRule> rules_;  ///< by prefix
};

/// The owner of a channel under a rule of Who::kOwner: "7" for "user:7" and "user:7:inbox"; empty: nobody.
[[nodiscard]] std::string_view owner_of(std::string_view channel, std::string_view prefix);

/// "nobody", "owner", "granted", "signed", "users".
[[nodiscard]] std::string_view name(Who who);
[[nodiscard]] Result<Who> parse_who(std::string_view text);

}  // namespace headroom::bus
