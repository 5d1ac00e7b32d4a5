#pragma once

// Inside the hub: one table of sessions, one of channels. A subscriber of a live channel is at the channel's
// position, so a message is one frame for all. What has to wait for the broker (a subscription that goes on
// from a position, a gap) is an object of its own that attaches the session when everything is there, in one
// step: nothing comes between.
//
// Each section of `Hub::Impl` is a file of its own, with the functions of `Hub` that belong to it.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bus/hub.hpp"
#include "bus/impl/json.hpp"

namespace headroom::bus {

constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};
constexpr std::int64_t kNsPerS = 1'000'000'000;

struct HubSubscription {
  std::uint32_t channel = kNoSlot;
  std::uint32_t place = 0;  ///< among the channel's subscribers
  bool joins = false;
};

enum class HubStage : std::uint8_t { kFree, kSilent, kAsking, kOpen };

struct HubSession {
  Peer* peer = nullptr;
  std::string address;
  Grant grant;
  std::vector<HubSubscription> subscriptions;
  std::vector<std::string> watched;
  TokenBucket commands;
  TokenBucket publishes;
  Activity activity;
  std::unique_ptr<std::vector<std::string>> early;  ///< commands that wait for the answer to `connect`
  std::int64_t opened_ns = 0;
  std::uint64_t number = 0;  ///< of the connections whose token was accepted
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t pending = 0;  ///< subscriptions that wait for the broker
  std::size_t gathered = 0;   ///< bytes of missed messages that commands hold
  HubStage stage = HubStage::kFree;
  bool warned = false;
};

/// A message that came before it could be told, with its epoch.
struct HeldMessage {
  std::string epoch;
  Message message;
};

struct HubChannel {
  std::string name;
  Position position;
  std::vector<std::uint32_t> subscribers;                  ///< slots of sessions
  std::map<std::string, std::uint32_t> users;              ///< of a rule with joins: subscriptions of each
  std::vector<std::function<void(Result<void>)>> waiting;  ///< for the broker's answer
  std::vector<HeldMessage> held;  ///< until the broker has told the position, or what a gap lacks
  std::size_t held_bytes = 0;
  std::uint64_t messages = 0;
  std::uint32_t slot = 0;
  std::uint32_t number = 0;   ///< which use of this slot it is
  std::uint32_t pins = 0;     ///< commands that are about to subscribe to it
  std::uint32_t joiners = 0;  ///< subscriptions that are told joins
  const ChannelRule* rule = nullptr;
  bool live = false;
  bool asking = false;
  bool filling = false;
  bool doubtful = false;  ///< something may be missing without a gap to show it: the broker is to be asked
};

/// A command whose id could be read.
struct HubCommand {
  HubSession& session;
  std::uint64_t id = 0;
  const JsonParts& body;
  const Now& now;
};

/// One channel of a `subscribe`.
struct SubscribeEntry {
  std::string channel;
  std::string signature;
  std::optional<Position> since;
  bool joins = false;
  std::optional<Error> error;
  std::uint32_t slot = kNoSlot;
  Position reached;  ///< by the messages gathered
  std::vector<Message> messages;
  std::size_t bytes = 0;  ///< of them
  bool lost = false;
  bool known = false;      ///< subscribed already
  bool withdrawn = false;  ///< unsubscribed before the answer
};

/// A `subscribe` that may wait for the broker.
struct Subscribing {
  SessionId session;
  std::string user;
  std::uint64_t id = 0;
  std::vector<SubscribeEntry> entries;
  std::size_t at = 0;         ///< the entry that is being resolved
  std::uint32_t counted = 0;  ///< among the session's pending ones and the user's subscriptions
};

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
        presence(given_presence),
        members(member_limits(given_presence)) {}

  // ---- sessions: hub.cpp

  HubSession& take_slot();
  HubSession* find(SessionId id);
  static SessionId id_of(const HubSession& session) { return {session.slot, session.generation}; }
  void answer(HubSession& session, std::uint64_t id, std::string_view rest);
  void answer_error(HubSession& session, std::uint64_t id, const Error& error);
  void end(HubSession& session, const Disconnect& disconnect, const Now& now);
  void forget(HubSession& session, const Now& now);
  [[nodiscard]] std::size_t open_sessions() const { return sessions.size() - free_slots.size(); }
  void tick(const Now& now);
  void look_at_sessions(const Now& now);
  void leave_lost_broker(const Now& now);
  void stop_some(const Now& now);

  // ---- reading commands: hub_command.cpp

  void received(HubSession& session, std::string_view text, const Now& now);
  bool take_command(HubSession& session, const Now& now);
  bool keep_early(HubSession& session, std::string_view text) const;
  void read_early(SessionId asked, const Now& now);
  void read(HubSession& session, std::string_view text, const Now& now);
  void run(std::string_view name, const HubCommand& command);

  // ---- who somebody is and what he may do: hub_rights.cpp

  void connect(const HubCommand& command);
  void decide(SessionId asked, std::uint64_t id, Result<Grant> grant, const Now& now);
  void refuse_token(HubSession& session, const Error& error, const Now& now);
  void welcome(HubSession& session, std::uint64_t id, Grant grant, const Now& now);
  void refresh(const HubCommand& command);
  void renew(HubSession& session, std::uint64_t id, Grant grant, const Now& now);
  void check_rights_again(HubSession& session, const Now& now);
  void check_underway_again(const HubSession& session, const Now& now);
  /// Whether its token, or its time to connect, is over.
  void look_at(HubSession& session, const Now& now);
  Result<void> may(Who who, const HubSession& session, const std::string& channel, const ChannelRule& rule,
                   const std::vector<std::string>& granted, std::string_view signature, const Now& now);
  Result<void> may_read(const HubSession& session, const std::string& channel, std::string_view signature,
                        const Now& now);
  static Result<void> may_read_by_rights(const HubSession& session, const std::string& channel,
                                         const Now& now);
  Result<void> may_write(const HubSession& session, const std::string& channel, const Now& now);
  void announce(const Revocation& revocation);
  /// Those whose grant it picks; how many there were.
  template <typename Which>
  std::size_t end_each(Which which, const Now& now);

  // ---- channels and their subscribers: hub_channels.cpp

  HubChannel& channel_of(const std::string& name);
  void release_if_unused(std::uint32_t slot, const Now& now);
  void unpin(std::uint32_t slot, const Now& now);
  /// Calls back when the channel's messages come in.
  void make_live(HubChannel& channel, const Now& now, std::function<void(Result<void>)> then);
  void begin(HubChannel& channel, const Result<Position>& position, const Now& now);
  void attach(HubSession& session, std::uint32_t slot, bool joins, const Now& now);
  /// `subscription` is no longer among the session's. The last subscriber takes its place.
  void detach(HubSession& session, const HubSubscription& subscription, const Now& now);
  void take_away(HubSession& session, std::uint32_t slot, const Now& now);
  void release_room(const std::string& user, std::uint32_t count);
  static HubSubscription* subscription_of(HubSession& session, std::uint32_t channel);

  // ---- subscribing and recovery: hub_subscribe.cpp

  void subscribe(const HubCommand& command);
  void judge_entries(HubSession& session, Subscribing& work, const Now& now);
  std::optional<Error> judge(HubSession& session, SubscribeEntry& entry, const Now& now);
  [[nodiscard]] std::optional<Error> take_room(HubSession& session, Subscribing& work);
  /// Judged when it is its turn: others may have taken the place.
  bool has_place(SubscribeEntry& entry) const;
  void resolve_next(const std::shared_ptr<Subscribing>& work, const Now& now);
  void resolved(const std::shared_ptr<Subscribing>& work, const Result<void>& live, const Now& now);
  /// Asks for what lies between what was gathered and the channel's position, until nothing does.
  void gather(const std::shared_ptr<Subscribing>& work, std::size_t at, const Now& now);
  void gathered(const std::shared_ptr<Subscribing>& work, std::size_t at, const Result<HistoryPage>& page,
                const Now& now);
  void take_page(HubSession& session, SubscribeEntry& entry, const HistoryPage& page) const;
  static void lose(HubSession& session, SubscribeEntry& entry);
  void finish_subscribing(const std::shared_ptr<Subscribing>& work, const Now& now);
  /// The first entry whose channel has moved on meanwhile.
  [[nodiscard]] std::optional<std::size_t> find_behind(const Subscribing& work) const;
  void drop_ahead(Subscribing& work) const;
  void attach_all(HubSession& session, Subscribing& work, const Now& now);
  std::string attach_entry(HubSession& session, SubscribeEntry& entry, const Now& now);
  std::string entry_answer(const SubscribeEntry& entry, const HubChannel& channel, bool goes_on);
  void unsubscribe(const HubCommand& command);
  /// Takes a subscription back that still waits for the broker.
  void withdraw(const HubSession& session, std::string_view channel);

  // ---- delivery, gaps and slow clients: hub_delivery.cpp

  void send(HubSession& session, std::string_view text);
  void send_frame(HubSession& session, const wire::Frame& frame);
  /// Ends those that were found slow; nobody may hold a reference to a session meanwhile.
  void close_slow(const Now& now);
  void deliver(HubChannel& channel, const Message& message);
  void message(HubChannel& channel, std::string_view epoch, const Message& message, const Now& now);
  /// What does not fit is asked for.
  void hold(HubChannel& channel, std::string_view epoch, const Message& message) const;
  static std::vector<HeldMessage> take_held(HubChannel& channel);
  void tell_held(HubChannel& channel, const Now& now);
  void moved(HubChannel& channel, const Position& position);
  /// Asks for what is missing behind the channel's position. `filling` stays set until it is there: when the
  /// broker fails, it is asked again.
  void fill(HubChannel& channel, const Now& now);
  void end_gap(HubChannel& channel, const Position& since, const HistoryPage& page, const Now& now);
  void take_missed(HubChannel& channel, const HistoryPage& page);
  void fill_again(const Now& now);

  // ---- publishing and history: hub_publish.cpp

  void publish(const HubCommand& command);
  void publish(Publication publication, const Now& now, Done<Published> done);
  void history(const HubCommand& command);
  void show_history(SessionId asked, std::uint64_t id, const Result<HistoryPage>& page);

  // ---- presence, and who is in a channel: hub_presence.cpp

  void show_presence(const HubCommand& command);
  void watch(const HubCommand& command);
  void unwatch(const HubCommand& command);
  void stop_watching(const HubSession& session, const std::string& user);
  [[nodiscard]] bool is_watching(const HubSession& session, const std::string& user) const;
  [[nodiscard]] static bool may_see(const HubSession& session, std::string_view user);
  /// Under another token: who may not be seen any more is offline to it.
  void check_watches_again(HubSession& session);
  /// As the session may know them.
  [[nodiscard]] std::string states_json(const HubSession& session,
                                        const std::vector<std::string>& users) const;
  void tell_presence(const std::vector<NodePresence>& changes);
  void report_activity(const HubCommand& command);
  void who(const HubCommand& command);
  /// A session's user has a subscription more, or less.
  void join(HubChannel& channel, const HubSession& session, const Now& now);
  void leave(HubChannel& channel, const HubSession& session, const Now& now);
  /// In a crowd it is not told who comes and goes: each of n would be told n times.
  void tell_joins(const HubChannel& channel, std::string_view what, std::string_view user);
  [[nodiscard]] bool is_crowd(const HubChannel& channel) const;
  void tell_members(const std::vector<NodePresence>& changes);
  /// By name, those of other nodes too; at most one more than are listed.
  [[nodiscard]] std::set<std::string_view> users_in(const std::string& channel) const;
  static PresenceLimits member_limits(const PresenceLimits& of_users);

  // ---- what operators see: hub_listing.cpp

  [[nodiscard]] bool matches(const HubSession& session, const ConnectionQuery& query) const;
  [[nodiscard]] ConnectionInfo info_of(const HubSession& session, const Now& now) const;

  /// Wraps a function that somebody else calls back: nothing happens when the hub is gone by then.
  template <typename Function>
  auto while_alive(Function function) {
    return [hub = std::weak_ptr<bool>(alive), function = std::move(function)](auto&& result) {
      if (!hub.expired()) function(std::forward<decltype(result)>(result));
    };
  }

  const HubLimits limits;
  const ChannelRules& rules;
  Broker& broker;
  Authority& authority;
  const std::vector<SigningKey> keys;
  Admission admission;
  Revocations revocations;
  RevocationExchange* revocation_exchange = nullptr;
  PresenceTable presence;
  PresenceTable members;
  /// Users by channel, as the members told it last; of this node too.
  std::unordered_map<std::string, std::set<std::string, std::less<>>> members_of;
  std::deque<HubSession> sessions;  ///< they stay where they are, and no half of it is spare
  std::vector<std::uint32_t> free_slots;
  std::deque<HubChannel> channels;
  std::vector<std::uint32_t> free_channels;
  std::unordered_map<std::string_view, std::uint32_t> by_name;      ///< the names are the channels'
  std::unordered_map<std::string, std::uint32_t> subscriptions_of;  ///< by user, pending ones too
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

}  // namespace headroom::bus
