// Presence as clients see it: users they watch, and who is in a channel.

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"

namespace headroom::bus {
namespace {

constexpr std::uint64_t kMostTabs = 10'000;
constexpr char kMemberMark = '\t';

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
  answer(command.session, command.id,
         fmt::format(R"("presence":{{"users":{{{}}}}})", states_json(command.session, *users)));
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
    if (!may_see(session, user)) continue;
    if (watchers[user].insert_or_assign(session.slot, presence.state(user)).second)
      session.watched.push_back(user);
  }
  answer(session, command.id, fmt::format(R"("watch":{{"users":{{{}}}}})", states_json(session, *users)));
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

bool Hub::Impl::may_see(const HubSession& session, std::string_view user) {
  const Grant& grant = session.grant;
  if (grant.rights != nullptr) return grant.rights->may_see(user);
  return grant.admin || user == grant.user || grants(grant.presence, user);
}

void Hub::Impl::check_watches_again(HubSession& session) {
  std::string text;
  const auto is_over = [&](const std::string& user) {
    if (may_see(session, user)) return false;
    stop_watching(session, user);
    text += fmt::format(R"({}{}:"offline")", text.empty() ? "" : ",", quoted(user));
    return true;
  };
  std::erase_if(session.watched, is_over);
  if (!text.empty()) send(session, fmt::format(R"({{"presence":{{"users":{{{}}}}}}})", text));
}

std::string Hub::Impl::states_json(const HubSession& session, const std::vector<std::string>& users) const {
  std::string text;
  for (const std::string& user : users) {
    const PresenceState state = may_see(session, user) ? presence.state(user) : PresenceState::kOffline;
    text += fmt::format(R"({}{}:"{}")", text.empty() ? "" : ",", quoted(user), name(state));
  }
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
  const std::set<std::string_view> found = users_in(name);
  std::string users;
  std::size_t listed = 0;
  for (const std::string_view user : found) {
    if (listed++ == limits.who) break;
    users += (users.empty() ? "" : ",") + quoted(user);
  }
  const auto here = by_name.find(name);
  const std::size_t connections_in = here == by_name.end() ? 0 : channels[here->second].subscribers.size();
  answer(command.session, command.id,
         fmt::format(R"("who":{{"users":[{}],"connections":{}{}}})", users, connections_in,
                     found.size() > limits.who ? R"(,"more":true)" : ""));
}

std::set<std::string_view> Hub::Impl::users_in(const std::string& channel) const {
  std::set<std::string_view> users;
  const auto take = [&](const auto& some, const auto& name_of) {
    std::size_t left = limits.who + 1;
    for (auto one = some.begin(); one != some.end() && left > 0; ++one, --left) users.insert(name_of(*one));
  };
  if (const auto here = by_name.find(channel); here != by_name.end())
    take(channels[here->second].users, [](const auto& one) -> std::string_view { return one.first; });
  if (const auto all = members_of.find(channel); all != members_of.end())
    take(all->second, [](const std::string& one) -> std::string_view { return one; });
  return users;
}

void Hub::Impl::join(HubChannel& channel, const HubSession& session, const Now& now) {
  if (++channel.users[session.grant.user] > 1) return;
  if (members.is_shared()) return members.connected(member_name(channel.name, session.grant.user), now);
  tell_joins(channel, "join", session.grant.user);
}

void Hub::Impl::leave(HubChannel& channel, const HubSession& session, const Now& now) {
  const auto user = channel.users.find(session.grant.user);
  if (--user->second > 0) return;
  channel.users.erase(user);
  if (members.is_shared())
    return members.disconnected(member_name(channel.name, session.grant.user), {}, now);
  tell_joins(channel, "leave", session.grant.user);
}

bool Hub::Impl::is_crowd(const HubChannel& channel) const {
  const auto all = members_of.find(channel.name);
  return channel.users.size() > limits.who || (all != members_of.end() && all->second.size() > limits.who);
}

void Hub::Impl::tell_joins(const HubChannel& channel, std::string_view what, std::string_view user) {
  if (channel.joiners == 0 || is_crowd(channel)) return;
  wire::Frame frame;
  for (const std::uint32_t slot : channel.subscribers) {
    HubSession& session = sessions[slot];
    if (session.grant.user == user) continue;
    const HubSubscription* subscription = subscription_of(session, channel.slot);
    if (subscription == nullptr || !subscription->joins) continue;
    if (frame == nullptr)
      frame = text_frame(fmt::format(R"({{"{}":{{"channel":"{}","user":"{}"}}}})", what, channel.name, user));
    send_frame(session, frame);
  }
}

/// Of all nodes, this one too.
void Hub::Impl::tell_members(const std::vector<NodePresence>& changes) {
  for (const NodePresence& change : changes) {
    const std::size_t end = change.user.find(kMemberMark);
    const std::string name = change.user.substr(0, end);
    const std::string user = change.user.substr(end + 1);
    const bool is_there = change.state != PresenceState::kOffline;
    auto& users = members_of[name];
    if (is_there) users.insert(user);
    if (!is_there) users.erase(user);
    if (users.empty()) members_of.erase(name);
    const auto here = by_name.find(name);
    if (here != by_name.end()) tell_joins(channels[here->second], is_there ? "join" : "leave", user);
  }
}

PresenceLimits Hub::Impl::member_limits(const PresenceLimits& of_users) {
  PresenceLimits of_members = of_users;
  of_members.check = check_member;
  of_members.away_after_ns = std::numeric_limits<std::int64_t>::max();
  of_members.offline_after_ns = 0;
  return of_members;
}

std::string member_name(std::string_view channel, std::string_view user) {
  return fmt::format("{}{}{}", channel, kMemberMark, user);
}

Result<void> check_member(std::string_view name) {
  const std::size_t end = name.find(kMemberMark);
  if (end == std::string_view::npos)
    return base::fail(ErrorCode::kInvalidArgument, "a member is a channel and a user");
  if (auto checked = check_channel(name.substr(0, end)); !checked) return checked;
  return check_user(name.substr(end + 1));
}

}  // namespace headroom::bus
