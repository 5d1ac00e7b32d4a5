#pragma once

// The middle of the bus: connections with their subscriptions, and channels with their subscribers. A state
// machine without I/O: a door gives it what a client sent and gets, through Peer, what to send.
//
// Delivery. The hub holds one position per channel. The next message is encoded and framed once and given to
// every subscriber; one that was seen is dropped; behind a gap the hub asks the broker for what is missing
// and holds back what came meanwhile. So a subscriber that is attached to a channel is always exactly at the
// channel's position, and needs none of its own: a subscription costs 16 bytes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/authority.hpp"
#include "bus/broker.hpp"
#include "bus/disconnect.hpp"
#include "bus/pacing.hpp"
#include "bus/presence.hpp"
#include "bus/rules.hpp"
#include "bus/token.hpp"
#include "wire/websocket.hpp"

namespace headroom::bus {

/// One client's connection as the hub sees it: implemented by a door, or by a test. It may call the hub back
/// only after the function returned.
class Peer {
 public:
  virtual ~Peer() = default;

  /// Queues one object: a whole WebSocket text frame (`wire::payload_of` gives the text). Never waits.
  virtual void send(const wire::Frame& frame) = 0;
  /// Bytes that are queued and not yet taken by the kernel.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  /// Ends it; the hub calls nothing after it, and has already forgotten the session.
  virtual void close(const Disconnect& disconnect) = 0;
};

/// Names a session of the hub; never used twice.
struct SessionId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  bool operator==(const SessionId&) const = default;
};

struct HubLimits {
  AdmissionLimits admission;
  Rate commands{50, 200};  ///< of one connection; beyond it closed (rate_limited)
  Rate commands_per_address{2'000, 8'000};
  Rate publishes{20, 100};                    ///< of one connection; beyond it answered overloaded
  std::size_t subscriptions = 128;            ///< of one connection
  std::size_t subscriptions_per_user = 1024;  ///< of all connections of a user together
  std::size_t channels = 200'000;             ///< with subscribers
  std::size_t entries = 256;                  ///< in one command
  std::size_t early_commands = 16;            ///< that wait for the answer to `connect`
  std::size_t watched = 500;                  ///< users one connection watches
  std::size_t who = 200;                      ///< users that `who` lists
  std::size_t message_bytes = 64 * 1024;      ///< of a client's frame
  std::size_t queue_bytes = 1024 * 1024;      ///< beyond it a client is slow
  std::size_t recover_bytes = 512 * 1024;     ///< of missed messages that a connection asks for; beyond: lost
  std::size_t held_messages = 10'000;  ///< of one channel while a gap is filled; beyond: asked for anew
  std::size_t held_bytes = 8U << 20U;  ///< likewise
  std::int64_t connect_ns = 10'000'000'000;
  std::int64_t grace_ns = 60'000'000'000;        ///< after a token's end, and the warning before it
  std::int64_t broker_lost_ns = 30'000'000'000;  ///< then clients are sent away
  std::int64_t ping_s = 25;
};

/// Counts since the start, and what is there now, for metrics and pages.
struct HubCounts {
  std::size_t sessions = 0;  ///< now
  std::size_t authenticated = 0;
  std::size_t channels = 0;
  std::size_t subscriptions = 0;
  std::uint64_t commands = 0;
  std::uint64_t published = 0;
  std::uint64_t repeated = 0;
  std::uint64_t messages = 0;    ///< from the broker
  std::uint64_t deliveries = 0;  ///< to clients
  std::uint64_t delivered_bytes = 0;
  std::uint64_t recovered = 0;  ///< subscriptions
  std::uint64_t lost = 0;       ///< subscriptions told so
  std::uint64_t gaps = 0;
  std::uint64_t duplicates = 0;  ///< dropped
  std::uint64_t slow = 0;        ///< clients closed because they did not take what was queued
  std::uint64_t denied = 0;
  std::uint64_t rate_limited = 0;
  std::uint64_t malformed = 0;
  std::uint64_t refused = 0;  ///< connections
  bool broker_available = true;
};

/// A channel with subscribers, for pages and the command line.
struct ChannelInfo {
  std::string channel;
  Position position;
  std::size_t subscribers = 0;
  std::uint64_t messages = 0;  ///< since it has subscribers
};

/// How a client went.
enum class Departure : std::uint8_t {
  kGone,
  kSlow,  ///< the door cut it: it did not take what was queued
};

enum class ConnectionOrder : std::uint8_t {
  kOldest,  ///< those that came first
  kQueue,   ///< those for whom most waits
};

/// Which connections are asked for, of those whose token was accepted.
struct ConnectionQuery {
  std::string_view user;     ///< of this user; empty: of all
  std::string_view channel;  ///< with a subscription of this channel; empty: all
  std::uint64_t after = 0;   ///< with larger numbers
  ConnectionOrder order = ConnectionOrder::kOldest;
  std::size_t limit = 100;
};

/// A connection, for pages and the command line.
struct ConnectionInfo {
  std::uint64_t number = 0;  ///< 12 of "c12", as its client was told; never used twice
  std::string user;
  std::string address;  ///< as it is counted: of IPv6 its /64
  std::int64_t age_s = 0;
  std::size_t queued_bytes = 0;
  Activity activity;
  std::size_t subscriptions = 0;
  std::vector<std::string> channels;  ///< the first Hub::kChannelsShown of them
};

struct ConnectionPage {
  std::vector<ConnectionInfo> connections;
  std::size_t count = 0;  ///< all of the user and channel, whatever `after` and `limit` are
  bool more = false;      ///< with larger numbers than the last one's; kOldest only
};

/// Of a user in a channel: "room:1" and "ann", apart by a control character, which no name holds.
[[nodiscard]] std::string member_name(std::string_view channel, std::string_view user);
/// Errors: invalid_argument, when it is none.
[[nodiscard]] Result<void> check_member(std::string_view name);

/// Threads: one; every call of the broker's and the authority's answers too.
class Hub final : public BrokerListener {
 public:
  /// Everything given outlives the hub. `keys` verify signed channels; may be empty.
  Hub(const HubLimits& limits, const ChannelRules& rules, Broker& broker, Authority& authority,
      std::vector<SigningKey> keys, const PresenceLimits& presence);
  ~Hub() override;
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  /// A new connection; `address` as `Peer`s of one client share it. Errors are a Disconnect: the door closes
  /// the connection with it. The peer lives until `closed` or until its `close` was called.
  struct Opened {
    SessionId session;
    std::optional<Disconnect> refused;
  };
  [[nodiscard]] Opened open(Peer& peer, std::string_view address, const Now& now);
  /// A text message of the client. An unknown session is ignored: it ended meanwhile.
  void received(SessionId session, std::string_view text, const Now& now);
  /// The client is gone. Ignored when the hub closed it.
  void closed(SessionId session, const Now& now, Departure how = Departure::kGone);
  /// Does what is due; call it a few times a second.
  void tick(const Now& now);

  /// Administrative: publishes past the rules for clients, within the channel's sizes.
  void publish(Publication publication, const Now& now, Done<Published> done);
  void history(std::string_view channel, const HistoryQuery& query, const Now& now, Done<HistoryPage> done);
  /// Ends the connections of a user or session; tokens issued until now are not accepted any more.
  std::size_t disconnect_user(std::string_view user, const Now& now);
  /// The exchange is told of what is revoked here, and outlives the hub's calls.
  void use(RevocationExchange& exchange);
  /// What other nodes revoked, all of it known here or not: ends the connections whose tokens were issued
  /// before. Cost: O(connections) when something of it is new.
  std::size_t revoke(const std::vector<Revocation>& revocations, const Now& now);
  /// All that holds now.
  [[nodiscard]] const std::vector<Revocation>& revocations() const;
  /// The empty name is no session's: it ends nobody.
  std::size_t disconnect_session(std::string_view session, const Now& now);
  /// Ends the connections of a session that its authority does not hold any more: nothing is remembered of
  /// it.
  std::size_t end_session(std::string_view session, const Now& now);
  /// Whether such a token is not accepted any more; for doors that take a token with each request.
  [[nodiscard]] bool is_revoked(const Grant& grant) const;

  /// Refuses new connections, and sends those that are there away, at an even pace: told to come back within
  /// `window_ms`. `drained` when none are left.
  void stop(std::int64_t window_ms, const Now& now);
  [[nodiscard]] bool drained() const;

  /// Sees each message of channels that have subscribers or match; for a live tail. One at most; null ends
  /// it.
  using Tap = std::function<void(std::string_view channel, const Message& message)>;
  void tap(Tap tap);

  [[nodiscard]] HubCounts counts() const;
  /// At most `most` channels whose names begin with `prefix`, those with most subscribers first.
  [[nodiscard]] std::vector<ChannelInfo> channels(std::string_view prefix, std::size_t most) const;
  static constexpr std::size_t kChannelsShown = 8;
  /// Cost: O(connections), and memory for `limit` of them.
  [[nodiscard]] ConnectionPage connections(const ConnectionQuery& query, const Now& now) const;
  [[nodiscard]] PresenceTable& presence();
  /// Who is in which channel, where the channel's rule tells joins, once an exchange uses it: then joins,
  /// leaves and `who` are those of all nodes. Its names are those of member_name.
  [[nodiscard]] PresenceTable& members();

  void message(std::string_view channel, std::string_view epoch, const Message& message,
               const Now& now) override;
  void moved(std::string_view channel, const Position& position, const Now& now) override;
  void state(BrokerState state, const Now& now) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::bus
