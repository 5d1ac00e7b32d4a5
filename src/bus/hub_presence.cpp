// Presence as clients see it: users they watch, and who is in a channel.

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"

namespace headroom::bus {
namespace {

constexpr std::uint64_t kMostTabs = 10'000;

/// How many tabs a report names; 0 where it says nothing.
std::optional<std::uint32_t> tabs_of(const JsonParts& body, std::string_view key) {
  const JsonPart* part = member(body, key);
  const auto value = part == nullptr ? std::optional<std::uint64_t>(0) : json_integer(part->value);
  if (!value || *value > kMostTabs) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

/// The users that a command names, each once.
Result<std::vector<std::string>> users_of(const JsonParts& body, std::size_t most) {
  auto names = names_of(body, "users", most);
  if (!names) return names;
  std::unordered_set<std::string> seen;
  std::vector<std::string> users;
  for (std::string& user : *names) {
    if (auto checked = check_user(user); !checked) return base::fail(std::move(checked.error()));
    if (seen.insert(user).second) users.push_back(std::move(user));
  }
  return users;
}

}  // namespace

void Hub::Impl::show_presence(const HubCommand& command) {
  const auto users = users_of(command.body, limits.watched);
  if (!users) return answer_error(command.session, command.id, users.error());
  answer(command.session, command.id, fmt::format(R"("presence":{{"users":{{{}}}}})", states_json(*users)));
}

void Hub::Impl::watch(const HubCommand& command) {
  HubSession& session = command.session;
  const auto users = users_of(command.body, limits.watched);
  if (!users) return answer_error(session, command.id, users.error());
  const auto added = static_cast<std::size_t>(std::count_if(
      users->begin(), users->end(), [&](const std::string& user) { return !is_watching(session, user); }));
  if (session.watched.size() + added > limits.watched) {
    const std::string why = fmt::format("a connection watches {} users at most", limits.watched);
    return answer_error(session, command.id, Error(ErrorCode::kOverloaded, why));
  }
  for (const std::string& user : *users) {
    if (watchers[user].insert_or_assign(session.slot, presence.state(user)).second)
      session.watched.push_back(user);
  }
  answer(session, command.id, fmt::format(R"("watch":{{"users":{{{}}}}})", states_json(*users)));
}

void Hub::Impl::unwatch(const HubCommand& command) {
  const auto users = users_of(command.body, limits.watched);
  if (!users) return answer_error(command.session, command.id, users.error());
  for (const std::string& user : *users) stop_watching(command.session, user);
  std::erase_if(command.session.watched,
                [&](const std::string& user) { return !is_watching(command.session, user); });
  answer(command.session, command.id, R"("unwatch":{})");
}

void Hub::Impl::stop_watching(const HubSession& session, const std::string& user) {
  const auto found = watchers.find(user);
  if (found == watchers.end()) return;
  found->second.erase(session.slot);
  if (found->second.empty()) watchers.erase(found);
}

bool Hub::Impl::is_watching(const HubSession& session, const std::string& user) const {
  const auto found = watchers.find(user);
  return found != watchers.end() && found->second.contains(session.slot);
}

std::string Hub::Impl::states_json(const std::vector<std::string>& users) const {
  std::string text;
  for (const std::string& user : users)
    text += fmt::format(R"({}{}:"{}")", text.empty() ? "" : ",", quoted(user), name(presence.state(user)));
  return text;
}

void Hub::Impl::tell_presence(const std::vector<NodePresence>& changes) {
  std::unordered_map<std::uint32_t, std::string> told;
  for (const NodePresence& change : changes) {
    const auto found = watchers.find(change.user);
    if (found == watchers.end()) continue;
    for (auto& [slot, state] : found->second) {
      if (std::exchange(state, change.state) == change.state) continue;
      std::string& text = told[slot];
      text += fmt::format(R"({}{}:"{}")", text.empty() ? "" : ",", quoted(change.user), name(change.state));
    }
  }
  for (const auto& [slot, text] : told)
    send(sessions[slot], fmt::format(R"({{"presence":{{"users":{{{}}}}}}})", text));
}

void Hub::Impl::report_activity(const HubCommand& command) {
  HubSession& session = command.session;
  const auto active = tabs_of(command.body, "active");
  const auto idle = tabs_of(command.body, "idle");
  if (!active || !idle) {
    const std::string why = fmt::format("'active' and 'idle' are whole numbers up to {}", kMostTabs);
    return answer_error(session, command.id, Error(ErrorCode::kInvalidArgument, why));
  }
  const Activity after{*active, *idle};
  presence.reported(session.grant.user, session.activity, after, command.now);
  session.activity = after;
  answer(session, command.id, R"("activity":{})");
}

void Hub::Impl::who(const HubCommand& command) {
  const std::string name = text_member(command.body, "channel").value_or(std::string());
  const std::string signature = text_member(command.body, "signature").value_or(std::string());
  if (auto allowed = may_read(command.session, name, signature, command.now); !allowed)
    return answer_error(command.session, command.id, allowed.error());
  if (!rules.find(name).joins) {
    const std::string why = fmt::format("channel '{}' does not tell who is in it", name);
    return answer_error(command.session, command.id, Error(ErrorCode::kDenied, why));
  }
  std::string users;
  std::size_t listed = 0;
  std::size_t connections_in = 0;
  bool more = false;
  if (const auto found = by_name.find(name); found != by_name.end()) {
    const HubChannel& channel = channels[found->second];
    connections_in = channel.subscribers.size();
    more = channel.users.size() > limits.who;
    for (const auto& [user, unused] : channel.users) {
      if (listed++ == limits.who) break;
      users += (users.empty() ? "" : ",") + quoted(user);
    }
  }
  answer(command.session, command.id,
         fmt::format(R"("who":{{"users":[{}],"connections":{}{}}})", users, connections_in,
                     more ? R"(,"more":true)" : ""));
}

void Hub::Impl::leave(HubChannel& channel, const HubSession& session) {
  const auto user = channel.users.find(session.grant.user);
  if (--user->second > 0) return;
  channel.users.erase(user);
  tell_joins(channel, "leave", session.grant.user, session.slot);
}

void Hub::Impl::tell_joins(const HubChannel& channel, std::string_view what, const std::string& user,
                           std::uint32_t but) {
  if (channel.joiners == 0 || channel.users.size() > limits.who) return;
  wire::Frame frame;
  for (const std::uint32_t slot : channel.subscribers) {
    if (slot == but) continue;
    HubSession& session = sessions[slot];
    const HubSubscription* subscription = subscription_of(session, channel.slot);
    if (subscription == nullptr || !subscription->joins) continue;
    if (frame == nullptr)
      frame = text_frame(fmt::format(R"({{"{}":{{"channel":"{}","user":"{}"}}}})", what, channel.name, user));
    send_frame(session, frame);
  }
}

}  // namespace headroom::bus
