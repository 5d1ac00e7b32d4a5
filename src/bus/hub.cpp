// One table of sessions, one of channels. A subscriber of a live channel is at the channel's position, so a
// message is one frame for all. What has to wait for the broker (a subscription that goes on from a position,
// a gap) is an object of its own that attaches the session when everything is there, in one step: nothing
// comes between.

#include "bus/hub.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/json.hpp"
#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

using base::fail;

constexpr std::uint32_t kNone = ~std::uint32_t{0};
constexpr std::int64_t kNsPerS = 1'000'000'000;
constexpr std::int64_t kStopStepNs = 20'000'000;
constexpr std::string_view kCommands =
    "connect, subscribe, unsubscribe, publish, history, presence, watch, unwatch, who, activity, refresh, "
    "ping";

struct Subscription {
  std::uint32_t channel = kNone;
  std::uint32_t place = 0;  ///< among the channel's subscribers
  bool joins = false;
};

enum class Stage : std::uint8_t { kFree, kSilent, kAsking, kOpen };

struct Session {
  Peer* peer = nullptr;
  std::string address;
  Grant grant;
  std::vector<Subscription> subscriptions;
  std::vector<std::string> watched;
  TokenBucket commands;
  TokenBucket publishes;
  Activity activity;
  std::int64_t opened_ns = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t pending = 0;  ///< subscriptions that wait for the broker
  Stage stage = Stage::kFree;
  bool warned = false;
};

/// A message that came before it could be told, with its epoch.
struct Held {
  std::string epoch;
  Message message;
};

struct Channel {
  std::string name;
  Position position;
  std::vector<std::uint32_t> subscribers;                  ///< slots of sessions
  std::map<std::string, std::uint32_t> users;              ///< of a rule with joins: subscriptions of each
  std::vector<std::function<void(Result<void>)>> waiting;  ///< for the broker's answer
  std::vector<Held> held;  ///< until the broker has told the position, or what a gap lacks
  std::uint64_t messages = 0;
  std::uint32_t slot = 0;
  std::uint32_t number = 0;   ///< which use of this slot it is
  std::uint32_t pins = 0;     ///< commands that are about to subscribe to it
  std::uint32_t joiners = 0;  ///< subscriptions that are told joins
  const ChannelRule* rule = nullptr;
  bool live = false;
  bool asking = false;
  bool filling = false;
};

wire::Frame text_frame(std::string_view text) {
  return wire::make_frame(wire::Opcode::kText, text);
}

std::string position_json(const Position& position) {
  return fmt::format(R"("offset":{},"epoch":"{}")", position.offset, position.epoch);
}

std::string error_json(const Error& error) {
  std::string text =
      fmt::format(R"("error":{{"code":"{}","message":{})", base::name(error.code()), quoted(error.message()));
  const auto code = error.code();
  const bool retry =
      code == ErrorCode::kTimedOut || code == ErrorCode::kUnavailable || code == ErrorCode::kOverloaded;
  return text + (retry ? R"(,"retry":true})" : "}");
}

std::string message_json(std::string_view channel, const Message& message) {
  return fmt::format(R"({{"message":{{"channel":"{}","offset":{},"data":{}}}}})", channel, message.offset,
                     *message.data);
}

const JsonPart* member(const JsonParts& object, std::string_view key) {
  const auto found = std::find_if(object.parts.begin(), object.parts.end(),
                                  [key](const JsonPart& part) { return part.key == key; });
  return found == object.parts.end() ? nullptr : &*found;
}

std::optional<std::string> text_member(const JsonParts& object, std::string_view key) {
  const JsonPart* part = member(object, key);
  return part == nullptr ? std::nullopt : json_string(part->value);
}

/// A list of texts, or an error that names the member.
Result<std::vector<std::string>> names_of(const JsonParts& object, std::string_view key, std::size_t most) {
  const JsonPart* part = member(object, key);
  const JsonParts list = part == nullptr ? JsonParts{} : read_list(part->value);
  std::vector<std::string> names;
  for (const JsonPart& one : list.parts) {
    auto name = json_string(one.value);
    if (!name) return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is a list of texts", key));
    names.push_back(std::move(*name));
  }
  if (!list.is_container)
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is a list of texts", key));
  if (names.size() > most)
    return fail(ErrorCode::kTooLarge,
                fmt::format("{} entries in '{}'; expected {} at most", names.size(), key, most));
  return names;
}

Result<std::optional<Position>> since_of(const JsonParts& entry) {
  const JsonPart* part = member(entry, "since");
  if (part == nullptr) return std::optional<Position>();
  const JsonParts object = read_object(part->value);
  const JsonPart* offset = member(object, "offset");
  const std::uint64_t none = kMostInteger + 1;
  const std::uint64_t number = offset == nullptr ? none : json_integer(offset->value).value_or(none);
  auto epoch = text_member(object, "epoch");
  if (number > kMostInteger || !epoch || epoch->size() > kMostEpochBytes)
    return fail(ErrorCode::kInvalidArgument, R"('since' is {"offset":N,"epoch":TEXT})");
  return std::optional<Position>(Position{number, std::move(*epoch)});
}

}  // namespace

struct Hub::Impl {
  Impl(const HubLimits& given, const ChannelRules& given_rules, Broker& given_broker,
       Authority& given_authority, std::vector<SigningKey> given_keys, const PresenceLimits& given_presence)
      : limits(given),
        rules(given_rules),
        broker(given_broker),
        authority(given_authority),
        keys(std::move(given_keys)),
        admission(given.admission),
        revocations({}),
        presence(given_presence) {}

  // ---- sessions

  Session* find(SessionId id) {
    if (id.slot >= sessions.size()) return nullptr;
    Session& session = sessions[id.slot];
    return session.generation == id.generation && session.stage != Stage::kFree ? &session : nullptr;
  }
  static SessionId id_of(const Session& session) { return {session.slot, session.generation}; }
  void send(Session& session, std::string_view text) { send_frame(session, text_frame(text)); }
  /// False when the session is too slow: it is closed by whoever holds no reference to it.
  bool send_frame(Session& session, const wire::Frame& frame) {
    session.peer->send(frame);
    if (session.peer->queued_bytes() <= limits.queue_bytes) return true;
    slow.push_back(id_of(session));
    return false;
  }
  void answer(Session& session, std::uint64_t id, std::string_view rest) {
    send(session, fmt::format(R"({{"id":{},{}}})", id, rest));
  }
  void answer_error(Session& session, std::uint64_t id, const Error& error) {
    if (error.code() == ErrorCode::kDenied) ++counts.denied;
    answer(session, id, error_json(error));
  }
  void close_slow(const Now& now) {
    while (!slow.empty()) {
      const SessionId id = slow.back();
      slow.pop_back();
      Session* session = find(id);
      if (session == nullptr) continue;
      ++counts.slow;
      end(*session, {DisconnectCode::kSlow, {0, 5'000}, {}}, now);
    }
  }
  void end(Session& session, const Disconnect& disconnect, const Now& now) {
    Peer* peer = session.peer;
    forget(session, now);
    peer->close(disconnect);
  }
  void forget(Session& session, const Now& now) {
    const std::vector<Subscription> ended = std::exchange(session.subscriptions, {});
    for (const Subscription& subscription : ended) detach(session, subscription, now);
    for (const std::string& user : session.watched) unwatch(session, user);
    session.watched = {};
    if (session.stage == Stage::kOpen) {
      --authenticated;
      presence.disconnected(session.grant.user, session.activity, now);
    }
    admission.left(session.address);
    const SessionId ended_id = id_of(session);
    session = Session{};
    session.slot = ended_id.slot;
    session.generation = ended_id.generation + 1;
    free_slots.push_back(ended_id.slot);
  }

  // ---- channels

  Channel& channel_of(const std::string& name) {
    const auto found = by_name.find(name);
    if (found != by_name.end()) return channels[found->second];
    std::uint32_t slot = 0;
    if (free_channels.empty()) {
      slot = static_cast<std::uint32_t>(channels.size());
      channels.emplace_back();
    } else {
      slot = free_channels.back();
      free_channels.pop_back();
    }
    Channel& channel = channels[slot];
    channel.name = name;
    channel.slot = slot;
    channel.rule = &rules.find(name);
    by_name.emplace(channel.name, slot);
    return channel;
  }
  void release_if_unused(std::uint32_t slot, const Now& now) {
    Channel& channel = channels[slot];
    if (!channel.subscribers.empty() || !channel.waiting.empty() || channel.asking || channel.pins > 0)
      return;
    broker.unsubscribe(channel.name, now);
    by_name.erase(channel.name);
    const std::uint32_t number = channel.number + 1;
    channel = Channel{};
    channel.number = number;
    free_channels.push_back(slot);
  }
  void unpin(std::uint32_t slot, const Now& now) {
    --channels[slot].pins;
    release_if_unused(slot, now);
  }

  /// Wraps a function that somebody else calls back: nothing happens when the hub is gone by then.
  template <typename Function>
  auto while_alive(Function function) {
    return [hub = std::weak_ptr<bool>(alive), function = std::move(function)](auto&& result) {
      if (!hub.expired()) function(std::forward<decltype(result)>(result));
    };
  }

  /// Calls back when the channel's messages come in.
  void make_live(Channel& channel, const Now& now, std::function<void(Result<void>)> then) {
    if (channel.live) return then({});
    channel.waiting.push_back(std::move(then));
    if (std::exchange(channel.asking, true)) return;
    const std::string name = channel.name;
    broker.subscribe(name, now, while_alive([this, name, now](const Result<Position>& position) {
                       const auto found = by_name.find(name);
                       if (found != by_name.end()) begin(channels[found->second], position, now);
                     }));
  }
  void begin(Channel& channel, const Result<Position>& position, const Now& now) {
    channel.asking = false;
    if (position) {
      channel.live = true;
      channel.position = *position;
      tell_held(channel, now);
    } else {
      channel.held = {};
    }
    auto waiting = std::exchange(channel.waiting, {});
    for (auto& one : waiting) one(position ? Result<void>() : Result<void>(fail(position.error())));
  }
  void attach(Session& session, std::uint32_t slot, bool joins) {
    Channel& channel = channels[slot];
    session.subscriptions.push_back({slot, static_cast<std::uint32_t>(channel.subscribers.size()), joins});
    channel.subscribers.push_back(session.slot);
    ++subscriptions;
    ++subscriptions_of[session.grant.user];
    if (joins) ++channel.joiners;
    if (channel.rule->joins && ++channel.users[session.grant.user] == 1)
      tell_joins(channel, "join", session.grant.user, session.slot);
  }
  /// `subscription` is no longer among the session's. The last subscriber takes its place.
  void detach(Session& session, const Subscription& subscription, const Now& now) {
    Channel& channel = channels[subscription.channel];
    const std::uint32_t moved = channel.subscribers.back();
    channel.subscribers[subscription.place] = moved;
    channel.subscribers.pop_back();
    if (moved != session.slot) subscription_of(sessions[moved], channel.slot)->place = subscription.place;
    --subscriptions;
    const auto own = subscriptions_of.find(session.grant.user);
    if (--own->second == 0) subscriptions_of.erase(own);
    if (subscription.joins) --channel.joiners;
    if (channel.rule->joins) leave(channel, session);
    release_if_unused(channel.slot, now);
  }
  void leave(Channel& channel, const Session& session) {
    const auto user = channel.users.find(session.grant.user);
    if (--user->second > 0) return;
    channel.users.erase(user);
    tell_joins(channel, "leave", session.grant.user, session.slot);
  }
  /// In a crowd it is not told who comes and goes: each of n would be told n times.
  void tell_joins(const Channel& channel, std::string_view what, const std::string& user, std::uint32_t but) {
    if (channel.joiners == 0 || channel.users.size() > limits.who) return;
    wire::Frame frame;
    const std::uint32_t slot = channel.slot;
    for (const std::uint32_t one : channel.subscribers) {
      if (one == but) continue;
      Session& session = sessions[one];
      const Subscription* subscription = subscription_of(session, slot);
      if (subscription == nullptr || !subscription->joins) continue;
      if (frame == nullptr)
        frame =
            text_frame(fmt::format(R"({{"{}":{{"channel":"{}","user":"{}"}}}})", what, channel.name, user));
      send_frame(session, frame);
    }
  }
  static Subscription* subscription_of(Session& session, std::uint32_t channel) {
    const auto found = std::find_if(session.subscriptions.begin(), session.subscriptions.end(),
                                    [channel](const Subscription& one) { return one.channel == channel; });
    return found == session.subscriptions.end() ? nullptr : &*found;
  }

  // ---- rights

  Result<void> may(Who who, const Session& session, const std::string& channel, const ChannelRule& rule,
                   const std::vector<std::string>& granted, std::string_view signature, const Now& now) {
    switch (who) {
      case Who::kUsers:
        return {};
      case Who::kOwner:
        if (owner_of(channel, rule.prefix) == session.grant.user) return {};
        break;
      case Who::kGranted:
        if (grants(granted, channel)) return {};
        break;
      case Who::kSigned:
        if (is_signed(channel, session.grant.user, signature, keys, now.unix_s)) return {};
        break;
      case Who::kNobody:
        break;
    }
    return fail(ErrorCode::kDenied, "");
  }
  Result<void> may_read(const Session& session, const std::string& channel, std::string_view signature,
                        const Now& now) {
    if (auto checked = check_channel(channel); !checked) return checked;
    const ChannelRule& rule = rules.find(channel);
    // Whatever the rules say, the channels of a user are his.
    if (channel.starts_with(kUserPrefix) && owner_of(channel, kUserPrefix) != session.grant.user)
      return fail(ErrorCode::kDenied, fmt::format("channel '{}' belongs to another user", channel));
    if (may(rule.subscribe, session, channel, rule, session.grant.channels, signature, now)) return {};
    return fail(ErrorCode::kDenied,
                fmt::format("user '{}' may not read channel '{}'", session.grant.user, channel));
  }
  Result<void> may_write(const Session& session, const std::string& channel, const Now& now) {
    if (auto checked = check_channel(channel); !checked) return checked;
    const ChannelRule& rule = rules.find(channel);
    if (may(rule.publish, session, channel, rule, session.grant.publish, {}, now)) return {};
    return fail(ErrorCode::kDenied,
                fmt::format("user '{}' may not publish to channel '{}'", session.grant.user, channel));
  }

  // ---- subscribing

  struct Entry {
    std::string channel;
    std::string signature;
    std::optional<Position> since;
    bool joins = false;
    std::optional<Error> error;
    std::uint32_t slot = kNone;
    Position reached;  ///< by the messages gathered
    std::vector<Message> messages;
    bool lost = false;
    bool known = false;      ///< subscribed already
    bool withdrawn = false;  ///< unsubscribed before the answer
  };
  struct Subscribing {
    SessionId session;
    std::uint64_t id = 0;
    std::vector<Entry> entries;
    std::size_t at = 0;  ///< the entry that is being resolved
    std::size_t bytes = 0;
    std::uint32_t counted = 0;  ///< among the session's pending ones
  };

  static Entry entry_of(std::string_view value) {
    Entry entry;
    const auto wrong = [&entry](std::string_view why) {
      entry.error = Error(ErrorCode::kInvalidArgument, std::string(why));
      return entry;
    };
    if (auto name = json_string(value)) {
      entry.channel = std::move(*name);
      return entry;
    }
    const JsonParts object = read_object(value);
    auto name = text_member(object, "channel");
    if (!object.is_container || !name)
      return wrong("an entry of 'channels' is a name, or an object with 'channel'");
    entry.channel = std::move(*name);
    auto since = since_of(object);
    if (!since) return wrong(since.error().message());
    entry.since = std::move(*since);
    entry.signature = text_member(object, "signature").value_or(std::string());
    const JsonPart* joins = member(object, "joins");
    entry.joins = joins != nullptr && joins->value == "true";
    return entry;
  }

  void subscribe(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const JsonPart* part = member(body, "channels");
    const JsonParts list = part == nullptr ? JsonParts{} : read_list(part->value);
    if (!list.is_container)
      return answer_error(session, id, Error(ErrorCode::kInvalidArgument, "'channels' is a list"));
    if (list.parts.size() > limits.entries) {
      return answer_error(
          session, id,
          Error(ErrorCode::kTooLarge, fmt::format("{} entries in one command; expected {} at most",
                                                  list.parts.size(), limits.entries)));
    }
    const auto work = std::make_shared<Subscribing>();
    work->session = id_of(session);
    work->id = id;
    for (const JsonPart& one : list.parts) work->entries.push_back(entry_of(one.value));
    judge_entries(session, *work, now);
    underway.push_back(work);
    resolve_next(work, now);
  }
  void judge_entries(Session& session, Subscribing& work, const Now& now) {
    const std::size_t held = session.subscriptions.size() + session.pending;
    std::size_t room = limits.subscriptions - std::min(limits.subscriptions, held);
    const auto own = subscriptions_of.find(session.grant.user);
    const std::size_t of_user = (own == subscriptions_of.end() ? 0 : own->second) + session.pending;
    std::size_t room_of_user =
        limits.subscriptions_per_user - std::min(limits.subscriptions_per_user, of_user);
    std::unordered_set<std::string> seen;
    for (Entry& entry : work.entries) {
      if (entry.error) continue;
      if (auto allowed = may_read(session, entry.channel, entry.signature, now); !allowed) {
        entry.error = allowed.error();
        ++counts.denied;
        continue;
      }
      const auto known = by_name.find(entry.channel);
      entry.known = (known != by_name.end() && subscription_of(session, known->second) != nullptr) ||
                    !seen.insert(entry.channel).second;
      if (entry.known) continue;
      if (room == 0) {
        entry.error = Error(ErrorCode::kOverloaded,
                            fmt::format("a connection has {} subscriptions at most", limits.subscriptions));
      } else if (room_of_user == 0) {
        entry.error = Error(ErrorCode::kOverloaded, fmt::format("a user has {} subscriptions at most",
                                                                limits.subscriptions_per_user));
      } else if (known == by_name.end() && by_name.size() >= limits.channels) {
        entry.error = Error(ErrorCode::kOverloaded,
                            fmt::format("{} channels have subscribers, no more fit", by_name.size()));
      } else {
        --room;
        --room_of_user;
        ++work.counted;
      }
    }
    session.pending += work.counted;
  }
  void resolve_next(const std::shared_ptr<Subscribing>& work, const Now& now) {
    while (work->at < work->entries.size() && work->entries[work->at].error) ++work->at;
    if (work->at == work->entries.size()) return finish_subscribing(work, now);
    Entry& entry = work->entries[work->at];
    Channel& channel = channel_of(entry.channel);
    entry.slot = channel.slot;
    ++channel.pins;
    make_live(channel, now, [this, work, now](const Result<void>& live) {
      Entry& one = work->entries[work->at];
      if (!live) one.error = live.error();
      if (one.since && !one.error && !one.known) one.reached = *one.since;
      if (!one.since || one.error || one.known) {
        ++work->at;
        return resolve_next(work, now);
      }
      gather(work, work->at, now);
    });
  }
  /// Also when it is further: history can be ahead of what the hub was told, and so can another node.
  static bool has_reached(const Entry& entry, const Position& position) {
    return entry.reached.epoch == position.epoch && entry.reached.offset >= position.offset;
  }
  /// Asks for what lies between what was gathered and the channel's position, until nothing does.
  void gather(const std::shared_ptr<Subscribing>& work, std::size_t at, const Now& now) {
    Entry& entry = work->entries[at];
    const Channel& channel = channels[entry.slot];
    if (entry.lost || has_reached(entry, channel.position)) {
      if (at == work->at) ++work->at;
      return resolve_next(work, now);
    }
    HistoryQuery query;
    query.since = &entry.reached;
    query.limit = limits.held_messages;
    query.bytes = limits.recover_bytes - std::min(limits.recover_bytes, work->bytes);
    const auto taken = [this, work, at, now](const Result<HistoryPage>& page) {
      Entry& one = work->entries[at];
      if (!page) {
        one.error = page.error();
      } else {
        take_page(*work, one, *page);
      }
      if (one.error) {
        if (at == work->at) ++work->at;
        return resolve_next(work, now);
      }
      gather(work, at, now);
    };
    broker.history(entry.channel, query, now, while_alive(taken));
  }
  void take_page(Subscribing& work, Entry& entry, const HistoryPage& page) const {
    for (const Message& message : page.messages) work.bytes += message.data->size();
    entry.lost = page.lost || page.more || page.messages.empty() || work.bytes > limits.recover_bytes;
    if (entry.lost) {
      entry.messages.clear();
      return;
    }
    entry.messages.insert(entry.messages.end(), page.messages.begin(), page.messages.end());
    entry.reached = {entry.messages.back().offset, page.position.epoch};
  }
  /// Everything is there, unless a channel has moved on meanwhile. From here to the end nothing comes
  /// between.
  void finish_subscribing(const std::shared_ptr<Subscribing>& work, const Now& now) {
    for (std::size_t i = 0; i < work->entries.size(); ++i) {
      Entry& entry = work->entries[i];
      if (entry.error || entry.known || !entry.since || entry.lost) continue;
      const Position& at = channels[entry.slot].position;
      if (!has_reached(entry, at)) return gather(work, i, now);
      // History was ahead of what the hub has seen: those come again, and are dropped here.
      while (!entry.messages.empty() && entry.messages.back().offset > at.offset) entry.messages.pop_back();
    }
    std::erase(underway, work);
    Session* session = find(work->session);
    if (session != nullptr) {
      session->pending -= work->counted;
      attach_all(*session, *work);
    }
    for (const Entry& entry : work->entries) {
      if (entry.slot != kNone) unpin(entry.slot, now);
    }
  }
  void attach_all(Session& session, Subscribing& work) {
    std::string text = R"("subscribe":{"channels":[)";
    for (Entry& entry : work.entries) {
      if (text.back() != '[') text.push_back(',');
      text += entry_answer(session, entry);
    }
    answer(session, work.id, text + "]}");
    for (const Entry& entry : work.entries) {
      if (entry.error) continue;
      for (const Message& message : entry.messages) {
        ++counts.deliveries;
        send(session, message_json(entry.channel, message));
      }
    }
  }
  std::string entry_answer(Session& session, Entry& entry) {
    if (entry.withdrawn && !entry.error) entry.error = Error(ErrorCode::kConflict, "unsubscribed meanwhile");
    if (entry.error)
      return fmt::format(R"({{"channel":{},{}}})", quoted(entry.channel), error_json(*entry.error));
    Channel& channel = channels[entry.slot];
    Subscription* known = subscription_of(session, entry.slot);
    if (known == nullptr) {
      attach(session, entry.slot, entry.joins && channel.rule->joins);
    } else {
      if (!known->joins && entry.joins && channel.rule->joins) {
        known->joins = true;
        ++channel.joiners;
      }
      entry.messages.clear();
    }
    const bool goes_on = entry.since && known == nullptr;
    // Who is ahead of this node gets again what follows its position.
    const bool behind = goes_on && !entry.lost && entry.since->offset < channel.position.offset;
    const Position& shown = behind ? *entry.since : channel.position;
    std::string text = fmt::format(R"({{"channel":"{}",{})", entry.channel, position_json(shown));
    if (goes_on && entry.lost) ++counts.lost;
    if (goes_on && !entry.lost) ++counts.recovered;
    if (goes_on) text += entry.lost ? R"(,"lost":true)" : R"(,"recovered":true)";
    return text + "}";
  }

  void unsubscribe(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const auto names = names_of(body, "channels", limits.entries);
    if (!names) return answer_error(session, id, names.error());
    std::string text;
    for (const std::string& name : *names) {
      withdraw(session, name);
      const auto found = by_name.find(name);
      if (found != by_name.end()) take_away(session, found->second, now);
      text += (text.empty() ? "" : ",") + quoted(name);
    }
    answer(session, id, fmt::format(R"("unsubscribe":{{"channels":[{}]}})", text));
  }
  /// Takes a subscription back that still waits for the broker.
  void withdraw(const Session& session, std::string_view channel) {
    for (const auto& work : underway) {
      if (work->session != id_of(session)) continue;
      for (Entry& entry : work->entries) entry.withdrawn = entry.withdrawn || entry.channel == channel;
    }
  }
  void take_away(Session& session, std::uint32_t slot, const Now& now) {
    const Subscription* found = subscription_of(session, slot);
    if (found == nullptr) return;
    const Subscription ended = *found;
    session.subscriptions.erase(session.subscriptions.begin() + (found - session.subscriptions.data()));
    detach(session, ended, now);
  }

  // ---- other commands

  void connect(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const auto token = text_member(body, "token");
    if (!token) return answer_error(session, id, Error(ErrorCode::kInvalidArgument, "'token' is a text"));
    session.stage = Stage::kAsking;
    const auto decided = [this, asked = id_of(session), id, now](Result<Grant> grant) {
      Session* one = find(asked);
      if (one == nullptr) return;
      if (!grant) return refuse_token(*one, grant.error(), now);
      if (const auto checked = check_user(grant->user); !checked)
        return refuse_token(*one, Error(ErrorCode::kDenied, checked.error().message()), now);
      if (revocations.is_revoked(*grant)) return end(*one, {DisconnectCode::kTokenRevoked, {}, {}}, now);
      welcome(*one, id, std::move(*grant), now);
    };
    authority.authenticate(*token, now, while_alive(decided));
  }
  void refuse_token(Session& session, const Error& error, const Now& now) {
    ++counts.denied;
    if (error.code() == ErrorCode::kTimedOut)
      return end(session, {DisconnectCode::kTokenExpired, {}, {}}, now);
    if (error.code() == ErrorCode::kDenied)
      return end(session, {DisconnectCode::kTokenInvalid, {}, error.message()}, now);
    end(session, {DisconnectCode::kOverloaded, {1'000, 5'000}, {}}, now);
  }
  void welcome(Session& session, std::uint64_t id, Grant grant, const Now& now) {
    session.grant = std::move(grant);
    session.stage = Stage::kOpen;
    ++authenticated;
    presence.connected(session.grant.user, now);
    answer(session, id,
           fmt::format(R"("connect":{{"connection":"c{}","user":"{}","protocol":1{},"ping_s":{},)"
                       R"("limits":{{"message_bytes":{},"subscriptions":{}}}}})",
                       ++connections, session.grant.user, expires_json(session, now), limits.ping_s,
                       limits.message_bytes, limits.subscriptions));
  }
  static std::string expires_json(const Session& session, const Now& now) {
    if (!session.grant.expires_unix_s) return {};
    return fmt::format(R"(,"expires_in_s":{})",
                       std::max<std::int64_t>(0, *session.grant.expires_unix_s - now.unix_s));
  }
  void refresh(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const auto token = text_member(body, "token");
    if (!token) return answer_error(session, id, Error(ErrorCode::kInvalidArgument, "'token' is a text"));
    const auto decided = [this, asked = id_of(session), id, now](Result<Grant> grant) {
      Session* one = find(asked);
      if (one == nullptr) return;
      if (!grant) return answer_error(*one, id, grant.error());
      if (grant->user != one->grant.user)
        return answer_error(*one, id, Error(ErrorCode::kDenied, "the token is of another user"));
      if (revocations.is_revoked(*grant)) return end(*one, {DisconnectCode::kTokenRevoked, {}, {}}, now);
      one->grant = std::move(*grant);
      one->warned = false;
      const std::string expires = expires_json(*one, now);
      answer(*one, id, fmt::format(R"("refresh":{{{}}})", expires.empty() ? "" : expires.substr(1)));
      check_rights_again(*one, now);
    };
    authority.authenticate(*token, now, while_alive(decided));
  }
  void check_rights_again(Session& session, const Now& now) {
    const std::vector<Subscription> before = session.subscriptions;
    for (const Subscription& subscription : before) {
      const std::string name = channels[subscription.channel].name;
      const ChannelRule& rule = *channels[subscription.channel].rule;
      if (rule.subscribe == Who::kSigned) continue;  // its signature was checked when it came
      const auto allowed = may_read(session, name, {}, now);
      if (allowed) continue;
      take_away(session, subscription.channel, now);
      send(session,
           fmt::format(R"({{"unsubscribed":{{"channel":"{}",{}}}}})", name, error_json(allowed.error())));
    }
  }
  void publish(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    Publication publication;
    publication.channel = text_member(body, "channel").value_or(std::string());
    publication.id = text_member(body, "id").value_or(std::string());
    const JsonPart* data = member(body, "data");
    if (auto allowed = may_write(session, publication.channel, now); !allowed)
      return answer_error(session, id, allowed.error());
    if (data == nullptr)
      return answer_error(session, id, Error(ErrorCode::kInvalidArgument, "'data' is missing"));
    if (publication.id.size() > kMostPublicationIdBytes ||
        (member(body, "id") != nullptr && publication.id.empty())) {
      return answer_error(session, id,
                          Error(ErrorCode::kInvalidArgument,
                                fmt::format("'id' is a text of 1 to {} bytes", kMostPublicationIdBytes)));
    }
    if (!session.publishes.take(limits.publishes, now.monotonic_ns)) {
      ++counts.rate_limited;
      return answer_error(session, id,
                          Error(ErrorCode::kOverloaded, "too many publications of this connection"));
    }
    publication.data = compact(data->value);
    publish(std::move(publication), now, [this, asked = id_of(session), id](Result<Published> published) {
      Session* one = find(asked);
      if (one == nullptr) return;
      if (!published) return answer_error(*one, id, published.error());
      answer(*one, id,
             fmt::format(R"("publish":{{{}{}}})", position_json(published->position),
                         published->repeated ? R"(,"repeated":true)" : ""));
    });
  }
  void publish(Publication publication, const Now& now, Done<Published> done) {
    if (auto checked = check_channel(publication.channel); !checked)
      return done(fail(std::move(checked.error())));
    if (!wire::is_utf8(publication.data))
      return done(fail(ErrorCode::kInvalidArgument, "'data' is not UTF-8"));
    const ChannelRule& rule = rules.find(publication.channel);
    if (publication.data.size() > rule.message_bytes) {
      return done(fail(ErrorCode::kTooLarge,
                       fmt::format("a message of {} bytes; channel '{}' takes {} at most",
                                   publication.data.size(), publication.channel, rule.message_bytes)));
    }
    const auto counted = [this, done = std::move(done)](Result<Published> published) {
      if (published) ++(published->repeated ? counts.repeated : counts.published);
      done(std::move(published));
    };
    broker.publish(std::move(publication), now, while_alive(counted));
  }
  void history(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const std::string channel = text_member(body, "channel").value_or(std::string());
    const std::string signature = text_member(body, "signature").value_or(std::string());
    if (auto allowed = may_read(session, channel, signature, now); !allowed)
      return answer_error(session, id, allowed.error());
    const auto since = since_of(body);
    if (!since) return answer_error(session, id, since.error());
    const JsonPart* limit = member(body, "limit");
    const auto most = limit == nullptr ? std::optional<std::uint64_t>(100) : json_integer(limit->value);
    if (!most || *most > 1000)
      return answer_error(session, id,
                          Error(ErrorCode::kInvalidArgument, "'limit' is a whole number up to 1000"));
    HistoryQuery query;
    query.limit = static_cast<std::size_t>(*most);
    if (*since) query.since = &**since;
    const auto shown = [this, asked = id_of(session), id](const Result<HistoryPage>& page) {
      Session* one = find(asked);
      if (one == nullptr) return;
      if (!page) return answer_error(*one, id, page.error());
      std::string text = fmt::format(R"("history":{{{},"messages":[)", position_json(page->position));
      for (const Message& message : page->messages) {
        if (text.back() != '[') text.push_back(',');
        text += fmt::format(R"({{"offset":{},"data":{}}})", message.offset, *message.data);
      }
      text += "]";
      if (page->lost) text += R"(,"lost":true)";
      if (page->more) text += R"(,"more":true)";
      answer(*one, id, text + "}");
    };
    broker.history(channel, query, now, while_alive(shown));
  }
  std::string states_json(const std::vector<std::string>& users) const {
    std::string text;
    for (const std::string& user : users)
      text += fmt::format(R"({}{}:"{}")", text.empty() ? "" : ",", quoted(user), name(presence.state(user)));
    return text;
  }
  void show_presence(Session& session, std::uint64_t id, const JsonParts& body, bool watching) {
    const auto users = names_of(body, "users", limits.watched);
    if (!users) return answer_error(session, id, users.error());
    if (watching) {
      if (session.watched.size() + users->size() > limits.watched) {
        return answer_error(session, id,
                            Error(ErrorCode::kOverloaded,
                                  fmt::format("a connection watches {} users at most", limits.watched)));
      }
      for (const std::string& user : *users) {
        if (!watchers[user].insert_or_assign(id_of(session).slot, presence.state(user)).second) continue;
        session.watched.push_back(user);
      }
    }
    answer(session, id,
           fmt::format(R"("{}":{{"users":{{{}}}}})", watching ? "watch" : "presence", states_json(*users)));
  }
  void unwatch(const Session& session, const std::string& user) {
    const auto found = watchers.find(user);
    if (found == watchers.end()) return;
    found->second.erase(id_of(session).slot);
    if (found->second.empty()) watchers.erase(found);
  }
  void stop_watching(Session& session, std::uint64_t id, const JsonParts& body) {
    const auto users = names_of(body, "users", limits.watched);
    if (!users) return answer_error(session, id, users.error());
    for (const std::string& user : *users) {
      unwatch(session, user);
      std::erase(session.watched, user);
    }
    answer(session, id, R"("unwatch":{})");
  }
  void who(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const std::string name = text_member(body, "channel").value_or(std::string());
    if (auto allowed = may_read(session, name, text_member(body, "signature").value_or(std::string()), now);
        !allowed)
      return answer_error(session, id, allowed.error());
    if (!rules.find(name).joins)
      return answer_error(
          session, id,
          Error(ErrorCode::kDenied, fmt::format("channel '{}' does not tell who is in it", name)));
    const auto found = by_name.find(name);
    std::string users;
    std::size_t count = 0;
    std::size_t all = 0;
    if (found != by_name.end()) {
      const Channel& channel = channels[found->second];
      all = channel.subscribers.size();
      for (const auto& [user, subscriptions_of_user] : channel.users) {
        if (count++ == limits.who) break;
        users += (users.empty() ? "" : ",") + quoted(user);
      }
    }
    answer(session, id,
           fmt::format(R"("who":{{"users":[{}],"connections":{}{}}})", users, all,
                       count > limits.who ? R"(,"more":true)" : ""));
  }
  void report_activity(Session& session, std::uint64_t id, const JsonParts& body, const Now& now) {
    const auto number = [&](std::string_view key) -> std::optional<std::uint32_t> {
      const JsonPart* part = member(body, key);
      const auto value = part == nullptr ? std::optional<std::uint64_t>(0) : json_integer(part->value);
      if (!value || *value > 10'000) return std::nullopt;
      return static_cast<std::uint32_t>(*value);
    };
    const auto active = number("active");
    const auto idle = number("idle");
    if (!active || !idle) {
      return answer_error(
          session, id,
          Error(ErrorCode::kInvalidArgument, "'active' and 'idle' are whole numbers up to 10000"));
    }
    const Activity after{*active, *idle};
    presence.reported(session.grant.user, session.activity, after, now);
    session.activity = after;
    answer(session, id, R"("activity":{})");
  }

  // ---- reading a command

  void received(Session& session, std::string_view text, const Now& now) {
    ++counts.commands;
    if (!session.commands.take(limits.commands, now.monotonic_ns) ||
        !by_address[session.address].take(limits.commands_per_address, now.monotonic_ns)) {
      ++counts.rate_limited;
      return end(session, {DisconnectCode::kRateLimited, {1'000, 5'000}, {}}, now);
    }
    // One subscriber after the other would close a connection that brings what is not UTF-8.
    if (!wire::is_utf8(text)) {
      ++counts.malformed;
      return end(session, {DisconnectCode::kProtocol, {}, "not UTF-8"}, now);
    }
    const JsonParts frame = read_object(text);
    const JsonPart* id_part = member(frame, "id");
    const auto id = id_part == nullptr ? std::nullopt : json_integer(id_part->value);
    if (!id || *id == 0 || *id > kMostInteger) {
      ++counts.malformed;
      return end(session, {DisconnectCode::kProtocol, {}, "no command id"}, now);
    }
    if (frame.wrong_at) {
      ++counts.malformed;
      return answer_error(
          session, *id,
          Error(ErrorCode::kInvalidArgument, fmt::format("not JSON at byte {}", *frame.wrong_at)));
    }
    const auto command = std::find_if(frame.parts.begin(), frame.parts.end(),
                                      [](const JsonPart& part) { return part.key != "id"; });
    if (command == frame.parts.end())
      return answer_error(
          session, *id,
          Error(ErrorCode::kInvalidArgument, "no command; known are " + std::string(kCommands)));
    run(session, *id, *command, now);
  }
  void run(Session& session, std::uint64_t id, const JsonPart& command, const Now& now) {
    const std::string& name = command.key;
    const JsonParts body = read_object(command.value);
    if (!is_command(name)) {
      return answer_error(session, id,
                          Error(ErrorCode::kUnsupported,
                                fmt::format("unknown command '{:.40}'; known are {}", name, kCommands)));
    }
    if (!body.is_container)
      return answer_error(session, id,
                          Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is an object", name)));
    if (name == "ping") return answer(session, id, R"("ping":{})");
    if (name == "connect" && session.stage == Stage::kSilent) return connect(session, id, body, now);
    if (name == "connect")
      return answer_error(session, id, Error(ErrorCode::kConflict, "'connect' came before"));
    if (session.stage != Stage::kOpen)
      return answer_error(session, id, Error(ErrorCode::kDenied, fmt::format("'{}' before 'connect'", name)));
    if (name == "subscribe") return subscribe(session, id, body, now);
    if (name == "unsubscribe") return unsubscribe(session, id, body, now);
    if (name == "publish") return publish(session, id, body, now);
    if (name == "history") return history(session, id, body, now);
    if (name == "presence") return show_presence(session, id, body, false);
    if (name == "watch") return show_presence(session, id, body, true);
    if (name == "unwatch") return stop_watching(session, id, body);
    if (name == "who") return who(session, id, body, now);
    if (name == "activity") return report_activity(session, id, body, now);
    refresh(session, id, body, now);
  }
  static bool is_command(std::string_view name) {
    static constexpr std::array<std::string_view, 12> kKnown{"connect", "subscribe", "unsubscribe", "publish",
                                                             "history", "presence",  "watch",       "unwatch",
                                                             "who",     "activity",  "refresh",     "ping"};
    return std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end();
  }

  // ---- delivering

  void deliver(Channel& channel, const Message& message) {
    channel.position.offset = message.offset;
    ++channel.messages;
    if (channel.subscribers.empty()) return;
    const wire::Frame frame = text_frame(message_json(channel.name, message));
    for (const std::uint32_t slot : channel.subscribers) send_frame(sessions[slot], frame);
    counts.deliveries += channel.subscribers.size();
    counts.delivered_bytes += frame->size() * channel.subscribers.size();
  }
  void message(Channel& channel, std::string_view epoch, const Message& message, const Now& now) {
    if (!channel.live || channel.filling) return hold(channel, epoch, message);
    if (epoch != channel.position.epoch) return moved(channel, {message.offset, std::string(epoch)});
    if (message.offset <= channel.position.offset) {
      ++counts.duplicates;
      return;
    }
    if (message.offset == channel.position.offset + 1) return deliver(channel, message);
    ++counts.gaps;
    hold(channel, epoch, message);
    fill(channel, now);
  }
  /// What does not fit is a gap again, and is asked for.
  void hold(Channel& channel, std::string_view epoch, const Message& message) const {
    if (channel.held.size() < limits.held_messages) channel.held.push_back({std::string(epoch), message});
  }
  void tell_held(Channel& channel, const Now& now) {
    for (const Held& held : std::exchange(channel.held, {})) message(channel, held.epoch, held.message, now);
  }
  void moved(Channel& channel, const Position& position) {
    channel.position = position;
    const wire::Frame frame =
        text_frame(fmt::format(R"({{"lost":{{"channel":"{}",{}}}}})", channel.name, position_json(position)));
    counts.lost += channel.subscribers.size();
    for (const std::uint32_t slot : channel.subscribers) send_frame(sessions[slot], frame);
  }
  /// Asks for what is missing behind the channel's position. `filling` stays set until it is there: when the
  /// broker fails, it is asked again.
  void fill(Channel& channel, const Now& now) {
    channel.filling = true;
    const Position since = channel.position;
    HistoryQuery query;
    query.since = &since;
    query.limit = limits.held_messages;
    query.bytes = limits.recover_bytes * 16;
    const auto taken = [this, slot = channel.slot, number = channel.number,
                        now](const Result<HistoryPage>& page) {
      Channel& one = channels[slot];
      if (one.number != number || !one.filling) return;
      if (page) return end_gap(one, *page, now);
      unfilled.emplace_back(slot, number);
    };
    broker.history(channel.name, query, now, while_alive(taken));
  }
  void end_gap(Channel& channel, const HistoryPage& page, const Now& now) {
    channel.filling = false;
    if (page.lost || page.more) {
      moved(channel, page.position);
    } else {
      for (const Message& message : page.messages) {
        if (message.offset == channel.position.offset + 1) deliver(channel, message);
      }
    }
    tell_held(channel, now);
  }
  void fill_again(const Now& now) {
    for (const auto& [slot, number] : std::exchange(unfilled, {})) {
      Channel& channel = channels[slot];
      if (channel.number == number && channel.filling) fill(channel, now);
    }
  }

  // ---- what is due

  void tick(const Now& now) {
    broker_due(now);
    revocations.forget_old(now);
    presence.tick(now, [this](const std::vector<NodePresence>& changes) { tell_presence(changes); });
    if (now.monotonic_ns - looked_ns >= kNsPerS) {
      looked_ns = now.monotonic_ns;
      fill_again(now);
      for (Session& session : sessions) look_at(session, now);
      if (by_address.size() > limits.admission.addresses) by_address.clear();
    }
    if (stopping) stop_some(now);
    close_slow(now);
  }
  void look_at(Session& session, const Now& now) {
    if (session.stage == Stage::kSilent && now.monotonic_ns - session.opened_ns >= limits.connect_ns)
      return end(session, {DisconnectCode::kConnectTimeout, {0, 5'000}, {}}, now);
    if (session.stage != Stage::kOpen || !session.grant.expires_unix_s) return;
    const std::int64_t grace = limits.grace_ns / kNsPerS;
    const std::int64_t left = *session.grant.expires_unix_s - now.unix_s;
    if (left <= -grace) return end(session, {DisconnectCode::kTokenExpired, {0, 1'000}, {}}, now);
    if (left > grace || std::exchange(session.warned, true)) return;
    send(session, fmt::format(R"({{"expires":{{"in_s":{}}}}})", std::max<std::int64_t>(0, left)));
  }
  void broker_due(const Now& now) {
    if (broker_available || now.monotonic_ns - lost_ns < limits.broker_lost_ns) return;
    for (Session& session : sessions) {
      if (session.stage != Stage::kFree)
        end(session, {DisconnectCode::kBrokerLost, {5'000, 30'000}, {}}, now);
    }
  }
  void tell_presence(const std::vector<NodePresence>& changes) {
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
  void stop_some(const Now& now) {
    if (now.monotonic_ns < next_stop_ns) return;
    next_stop_ns = now.monotonic_ns + kStopStepNs;
    std::size_t left = stop_step;
    for (Session& session : sessions) {
      if (session.stage == Stage::kFree) continue;
      end(session, {DisconnectCode::kGoingAway, {0, stop_window_ms}, {}}, now);
      if (--left == 0) break;
    }
  }

  [[nodiscard]] std::size_t open_sessions() const { return sessions.size() - free_slots.size(); }

  const HubLimits limits;
  const ChannelRules& rules;
  Broker& broker;
  Authority& authority;
  const std::vector<SigningKey> keys;
  Admission admission;
  Revocations revocations;
  PresenceTable presence;
  std::deque<Session> sessions;  ///< they stay where they are, and no half of it is spare
  std::vector<std::uint32_t> free_slots;
  std::deque<Channel> channels;
  std::vector<std::uint32_t> free_channels;
  std::unordered_map<std::string_view, std::uint32_t> by_name;      ///< the names are the channels'
  std::unordered_map<std::string, std::uint32_t> subscriptions_of;  ///< by user
  std::vector<std::shared_ptr<Subscribing>> underway;               ///< commands that wait for the broker
  std::vector<std::pair<std::uint32_t, std::uint32_t>> unfilled;    ///< gaps that the broker could not fill
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  /// By user: which sessions watch him, and what each was told last.
  std::unordered_map<std::string, std::unordered_map<std::uint32_t, PresenceState>> watchers;
  std::unordered_map<std::string, TokenBucket> by_address;
  std::vector<SessionId> slow;
  std::size_t authenticated = 0;
  std::size_t subscriptions = 0;
  std::uint64_t connections = 0;
  HubCounts counts;
  Tap tap;
  bool broker_available = true;
  std::int64_t lost_ns = 0;
  std::int64_t looked_ns = 0;
  bool stopping = false;
  std::int64_t stop_window_ms = 0;
  std::int64_t next_stop_ns = 0;
  std::size_t stop_step = 1;
};

Hub::Hub(const HubLimits& limits, const ChannelRules& rules, Broker& broker, Authority& authority,
         std::vector<SigningKey> keys, const PresenceLimits& presence)
    : impl_(std::make_unique<Impl>(limits, rules, broker, authority, std::move(keys), presence)) {}

Hub::~Hub() = default;

Hub::Opened Hub::open(Peer& peer, std::string_view address, const Now& now) {
  if (impl_->stopping) return {{}, Disconnect{DisconnectCode::kGoingAway, {0, impl_->stop_window_ms}, {}}};
  if (auto refused = impl_->admission.enter(address, now)) return {{}, std::move(refused)};
  std::uint32_t slot = 0;
  if (impl_->free_slots.empty()) {
    slot = static_cast<std::uint32_t>(impl_->sessions.size());
    impl_->sessions.emplace_back().slot = slot;
  } else {
    slot = impl_->free_slots.back();
    impl_->free_slots.pop_back();
  }
  Session& session = impl_->sessions[slot];
  session.peer = &peer;
  session.address = address;
  session.opened_ns = now.monotonic_ns;
  session.stage = Stage::kSilent;
  return {{slot, session.generation}, std::nullopt};
}

void Hub::received(SessionId id, std::string_view text, const Now& now) {
  Session* session = impl_->find(id);
  if (session != nullptr) impl_->received(*session, text, now);
  impl_->close_slow(now);
}

void Hub::closed(SessionId id, const Now& now) {
  Session* session = impl_->find(id);
  if (session != nullptr) impl_->forget(*session, now);
  impl_->close_slow(now);
}

void Hub::tick(const Now& now) {
  impl_->tick(now);
}

void Hub::publish(Publication publication, const Now& now, Done<Published> done) {
  impl_->publish(std::move(publication), now, std::move(done));
  impl_->close_slow(now);
}

void Hub::history(std::string_view channel, const HistoryQuery& query, const Now& now,
                  Done<HistoryPage> done) {
  impl_->broker.history(channel, query, now, std::move(done));
}

std::size_t Hub::disconnect_user(std::string_view user, const Now& now) {
  impl_->revocations.revoke_user(user, now);
  std::size_t ended = 0;
  for (Session& session : impl_->sessions) {
    if (session.stage != Stage::kOpen || session.grant.user != user) continue;
    impl_->end(session, {DisconnectCode::kTokenRevoked, {}, {}}, now);
    ++ended;
  }
  return ended;
}

bool Hub::is_revoked(const Grant& grant) const {
  return impl_->revocations.is_revoked(grant);
}

std::size_t Hub::disconnect_session(std::string_view name, const Now& now) {
  if (name.empty()) return 0;
  impl_->revocations.revoke_session(name, now);
  std::size_t ended = 0;
  for (Session& session : impl_->sessions) {
    if (session.stage != Stage::kOpen || session.grant.session != name) continue;
    impl_->end(session, {DisconnectCode::kTokenRevoked, {}, {}}, now);
    ++ended;
  }
  return ended;
}

void Hub::stop(std::int64_t window_ms, const Now& now) {
  impl_->stopping = true;
  impl_->stop_window_ms = window_ms;
  impl_->next_stop_ns = now.monotonic_ns;
  // All are gone within some two seconds, at an even pace.
  impl_->stop_step = impl_->open_sessions() / 20 + 1;
}

bool Hub::drained() const {
  return impl_->stopping && impl_->open_sessions() == 0;
}

void Hub::tap(Tap tap) {
  impl_->tap = std::move(tap);
}

HubCounts Hub::counts() const {
  HubCounts counts = impl_->counts;
  counts.sessions = impl_->open_sessions();
  counts.authenticated = impl_->authenticated;
  counts.channels = impl_->by_name.size();
  counts.subscriptions = impl_->subscriptions;
  counts.refused = impl_->admission.refused();
  counts.broker_available = impl_->broker_available;
  return counts;
}

std::vector<ChannelInfo> Hub::channels(std::string_view prefix, std::size_t most) const {
  std::vector<ChannelInfo> found;
  for (const auto& [name, slot] : impl_->by_name) {
    const Channel& channel = impl_->channels[slot];
    if (name.starts_with(prefix))
      found.push_back({channel.name, channel.position, channel.subscribers.size(), channel.messages});
  }
  std::sort(found.begin(), found.end(), [](const ChannelInfo& a, const ChannelInfo& b) {
    return a.subscribers != b.subscribers ? a.subscribers > b.subscribers : a.channel < b.channel;
  });
  if (found.size() > most) found.resize(most);
  return found;
}

PresenceTable& Hub::presence() {
  return impl_->presence;
}

void Hub::message(std::string_view channel, std::string_view epoch, const Message& message, const Now& now) {
  ++impl_->counts.messages;
  if (impl_->tap) impl_->tap(channel, message);
  const auto found = impl_->by_name.find(channel);
  if (found == impl_->by_name.end()) return;
  impl_->message(impl_->channels[found->second], epoch, message, now);
  impl_->close_slow(now);
}

void Hub::moved(std::string_view channel, const Position& position, const Now& now) {
  const auto found = impl_->by_name.find(channel);
  if (found == impl_->by_name.end() || !impl_->channels[found->second].live) return;
  impl_->moved(impl_->channels[found->second], position);
  impl_->close_slow(now);
}

void Hub::state(BrokerState state, const Now& now) {
  const bool available = state == BrokerState::kAvailable;
  if (impl_->broker_available == available) return;
  impl_->broker_available = available;
  impl_->lost_ns = now.monotonic_ns;
  if (!available) return;
  for (Channel& channel : impl_->channels) {
    if (channel.live && !channel.filling) impl_->fill(channel, now);
  }
}

}  // namespace headroom::bus
