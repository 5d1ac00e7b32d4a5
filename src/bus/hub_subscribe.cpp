// `subscribe`: every entry is judged, its channel made live, what it missed gathered; then all are attached
// in one step.

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"

namespace headroom::bus {
namespace {

SubscribeEntry wrong_entry(SubscribeEntry entry, std::string_view why) {
  entry.error = Error(ErrorCode::kInvalidArgument, std::string(why));
  return entry;
}

SubscribeEntry entry_of(std::string_view value) {
  SubscribeEntry entry;
  if (auto name = json_string(value)) {
    entry.channel = std::move(*name);
    return entry;
  }
  const JsonParts object = read_object(value);
  auto name = text_member(object, "channel");
  if (!object.is_container || !name)
    return wrong_entry({}, "an entry of 'channels' is a name, or an object with 'channel'");
  entry.channel = std::move(*name);
  auto since = since_of(object);
  if (!since) return wrong_entry(std::move(entry), since.error().message());
  entry.since = std::move(*since);
  entry.signature = text_member(object, "signature").value_or(std::string());
  const JsonPart* joins = member(object, "joins");
  entry.joins = joins != nullptr && joins->value == "true";
  return entry;
}

Result<std::vector<SubscribeEntry>> entries_of(const JsonParts& body, std::size_t most) {
  const JsonPart* part = member(body, "channels");
  const JsonParts list = part == nullptr ? JsonParts{} : read_list(part->value);
  if (!list.is_container) return base::fail(ErrorCode::kInvalidArgument, "'channels' is a list");
  if (list.parts.size() > most) {
    return base::fail(ErrorCode::kTooLarge,
                      fmt::format("{} entries in one command; expected {} at most", list.parts.size(), most));
  }
  std::vector<SubscribeEntry> entries;
  for (const JsonPart& one : list.parts) entries.push_back(entry_of(one.value));
  return entries;
}

/// Also when it is further: history can be ahead of what the hub was told, and so can another node.
bool has_reached(const SubscribeEntry& entry, const Position& position) {
  return entry.reached.epoch == position.epoch && entry.reached.offset >= position.offset;
}

}  // namespace

void Hub::Impl::subscribe(const HubCommand& command) {
  auto entries = entries_of(command.body, limits.entries);
  if (!entries) return answer_error(command.session, command.id, entries.error());
  const auto work = std::make_shared<Subscribing>();
  work->session = id_of(command.session);
  work->user = command.session.grant.user;
  work->id = command.id;
  work->entries = std::move(*entries);
  judge_entries(command.session, *work, command.now);
  underway.push_back(work);
  resolve_next(work, command.now);
}

void Hub::Impl::judge_entries(HubSession& session, Subscribing& work, const Now& now) {
  std::unordered_set<std::string_view> seen;
  for (SubscribeEntry& entry : work.entries) {
    if (entry.error) continue;
    entry.error = judge(session, entry, now);
    if (entry.error) continue;
    if (!seen.insert(entry.channel).second) {
      entry.error = Error(ErrorCode::kInvalidArgument,
                          fmt::format("channel '{}' stands twice in one command", entry.channel));
    } else if (!entry.known) {
      entry.error = take_room(session, work);
    }
  }
}

std::optional<Error> Hub::Impl::judge(HubSession& session, SubscribeEntry& entry, const Now& now) {
  if (auto allowed = may_read(session, entry.channel, entry.signature, now); !allowed) {
    ++counts.denied;
    return allowed.error();
  }
  const auto known = by_name.find(entry.channel);
  entry.known = known != by_name.end() && subscription_of(session, known->second) != nullptr;
  return std::nullopt;
}

std::optional<Error> Hub::Impl::take_room(HubSession& session, Subscribing& work) {
  if (session.subscriptions.size() + session.pending >= limits.subscriptions) {
    return Error(ErrorCode::kOverloaded,
                 fmt::format("a connection has {} subscriptions at most", limits.subscriptions));
  }
  std::uint32_t& of_user = subscriptions_of[work.user];
  if (of_user >= limits.subscriptions_per_user) {
    return Error(ErrorCode::kOverloaded,
                 fmt::format("a user has {} subscriptions at most", limits.subscriptions_per_user));
  }
  ++of_user;
  ++session.pending;
  ++work.counted;
  return std::nullopt;
}

bool Hub::Impl::has_place(SubscribeEntry& entry) const {
  if (entry.error) return false;
  if (by_name.contains(entry.channel) || by_name.size() < limits.channels) return true;
  entry.error =
      Error(ErrorCode::kOverloaded, fmt::format("{} channels have subscribers, no more fit", by_name.size()));
  return false;
}

void Hub::Impl::resolve_next(const std::shared_ptr<Subscribing>& work, const Now& now) {
  while (work->at < work->entries.size() && !has_place(work->entries[work->at])) ++work->at;
  if (work->at == work->entries.size()) return finish_subscribing(work, now);
  SubscribeEntry& entry = work->entries[work->at];
  HubChannel& channel = channel_of(entry.channel);
  entry.slot = channel.slot;
  ++channel.pins;
  make_live(channel, now, [this, work, now](const Result<void>& live) { resolved(work, live, now); });
}

void Hub::Impl::resolved(const std::shared_ptr<Subscribing>& work, const Result<void>& live, const Now& now) {
  SubscribeEntry& entry = work->entries[work->at];
  if (!live) entry.error = live.error();
  if (!entry.since || entry.error || entry.known) {
    ++work->at;
    return resolve_next(work, now);
  }
  entry.reached = *entry.since;
  gather(work, work->at, now);
}

void Hub::Impl::gather(const std::shared_ptr<Subscribing>& work, std::size_t at, const Now& now) {
  SubscribeEntry& entry = work->entries[at];
  const HubSession* session = find(work->session);
  if (session == nullptr || entry.error || entry.lost || has_reached(entry, channels[entry.slot].position)) {
    if (at == work->at) ++work->at;
    return resolve_next(work, now);
  }
  HistoryQuery query;
  query.since = &entry.reached;
  query.limit = limits.held_messages;
  query.bytes = limits.recover_bytes - std::min(limits.recover_bytes, session->gathered);
  broker.history(entry.channel, query, now,
                 while_alive([this, work, at, now](const auto& page) { gathered(work, at, page, now); }));
}

void Hub::Impl::gathered(const std::shared_ptr<Subscribing>& work, std::size_t at,
                         const Result<HistoryPage>& page, const Now& now) {
  SubscribeEntry& entry = work->entries[at];
  if (HubSession* session = find(work->session); session != nullptr && page) {
    take_page(*session, entry, *page);
  } else if (!page) {
    entry.error = page.error();
  }
  gather(work, at, now);
}

void Hub::Impl::take_page(HubSession& session, SubscribeEntry& entry, const HistoryPage& page) const {
  if (page.lost || page.more || page.messages.empty()) return lose(session, entry);
  for (const Message& message : page.messages) {
    entry.bytes += message.data->size();
    session.gathered += message.data->size();
  }
  if (session.gathered > limits.recover_bytes) return lose(session, entry);
  entry.messages.insert(entry.messages.end(), page.messages.begin(), page.messages.end());
  entry.reached = {entry.messages.back().offset, page.position.epoch};
}

void Hub::Impl::lose(HubSession& session, SubscribeEntry& entry) {
  entry.lost = true;
  entry.messages.clear();
  session.gathered -= std::exchange(entry.bytes, 0);
}

/// Everything is there, unless a channel has moved on meanwhile. From here to the end nothing comes between.
void Hub::Impl::finish_subscribing(const std::shared_ptr<Subscribing>& work, const Now& now) {
  HubSession* session = find(work->session);
  if (session != nullptr) {
    if (const auto behind = find_behind(*work)) return gather(work, *behind, now);
  }
  std::erase(underway, work);
  release_room(work->user, work->counted);
  if (session != nullptr) {
    session->pending -= work->counted;
    for (const SubscribeEntry& entry : work->entries) session->gathered -= entry.bytes;
    attach_all(*session, *work, now);
  }
  for (const SubscribeEntry& entry : work->entries) {
    if (entry.slot != kNoSlot) unpin(entry.slot, now);
  }
}

std::optional<std::size_t> Hub::Impl::find_behind(const Subscribing& work) const {
  for (std::size_t i = 0; i < work.entries.size(); ++i) {
    const SubscribeEntry& entry = work.entries[i];
    if (entry.error || entry.known || !entry.since || entry.lost) continue;
    if (!has_reached(entry, channels[entry.slot].position)) return i;
  }
  return std::nullopt;
}

/// History can be ahead of what the hub has seen: those come again, and are dropped. Not before everything is
/// there: what comes while an entry is gathered anew would be missing then.
void Hub::Impl::drop_ahead(Subscribing& work) const {
  for (SubscribeEntry& entry : work.entries) {
    if (entry.messages.empty()) continue;
    const std::uint64_t seen = channels[entry.slot].position.offset;
    std::erase_if(entry.messages, [seen](const Message& message) { return message.offset > seen; });
  }
}

void Hub::Impl::attach_all(HubSession& session, Subscribing& work, const Now& now) {
  drop_ahead(work);
  std::string text = R"("subscribe":{"channels":[)";
  for (SubscribeEntry& entry : work.entries) {
    if (text.back() != '[') text.push_back(',');
    text += attach_entry(session, entry, now);
  }
  answer(session, work.id, text + "]}");
  for (const SubscribeEntry& entry : work.entries) {
    if (entry.error) continue;
    for (const Message& message : entry.messages) {
      ++counts.deliveries;
      send(session, message_json(entry.channel, message));
    }
  }
}

std::string Hub::Impl::attach_entry(HubSession& session, SubscribeEntry& entry, const Now& now) {
  if (entry.withdrawn && !entry.error) entry.error = Error(ErrorCode::kConflict, "unsubscribed meanwhile");
  if (entry.error)
    return fmt::format(R"({{"channel":{},{}}})", quoted(entry.channel), error_json(*entry.error));
  HubChannel& channel = channels[entry.slot];
  const bool joins = entry.joins && channel.rule->joins;
  HubSubscription* known = subscription_of(session, entry.slot);
  if (known == nullptr) {
    entry.lost = entry.lost || entry.known;  // it was subscribed when this came, so nothing was gathered
    attach(session, entry.slot, joins, now);
    return entry_answer(entry, channel, entry.since.has_value());
  }
  if (joins && !std::exchange(known->joins, true)) ++channel.joiners;
  entry.messages.clear();
  return entry_answer(entry, channel, false);
}

std::string Hub::Impl::entry_answer(const SubscribeEntry& entry, const HubChannel& channel, bool goes_on) {
  // Who is ahead of this node gets again what follows its position.
  const bool behind = goes_on && !entry.lost && entry.since->offset < channel.position.offset;
  const Position& shown = behind ? *entry.since : channel.position;
  std::string text = fmt::format(R"({{"channel":"{}",{})", entry.channel, position_json(shown));
  if (goes_on) ++(entry.lost ? counts.lost : counts.recovered);
  if (goes_on) text += entry.lost ? R"(,"lost":true)" : R"(,"recovered":true)";
  return text + "}";
}

void Hub::Impl::unsubscribe(const HubCommand& command) {
  const auto names = names_of(command.body, "channels", limits.entries);
  if (!names) return answer_error(command.session, command.id, names.error());
  std::string text;
  for (const std::string& name : *names) {
    withdraw(command.session, name);
    const auto found = by_name.find(name);
    if (found != by_name.end()) take_away(command.session, found->second, command.now);
    text += (text.empty() ? "" : ",") + quoted(name);
  }
  answer(command.session, command.id, fmt::format(R"("unsubscribe":{{"channels":[{}]}})", text));
}

void Hub::Impl::withdraw(const HubSession& session, std::string_view channel) {
  for (const auto& work : underway) {
    if (work->session != id_of(session)) continue;
    for (SubscribeEntry& entry : work->entries) entry.withdrawn = entry.withdrawn || entry.channel == channel;
  }
}

}  // namespace headroom::bus
