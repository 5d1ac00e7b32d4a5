#pragma once

// The bus inside `headroom serve`: the hub with its broker and authority, and what all its doors share. A
// door is one file that translates between a transport and the hub.
//
// Everything of it lives on the server's I/O thread; `drain` is for the thread that stops the service.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/hub.hpp"
#include "bus/memory_broker.hpp"
#include "bus/postgres_broker.hpp"
#include "bus/redis_broker.hpp"
#include "bus/redis_presence.hpp"
#include "bus/redis_revocations.hpp"
#include "headroom/bus_rates.hpp"
#include "headroom/bus_section.hpp"
#include "headroom/bus_tail.hpp"
#include "net/http.hpp"
#include "net/router.hpp"
#include "net/server.hpp"

namespace headroom::cli {

/// Errors: those of reading a secret file and of bus::SigningKey; the message names the key and file.
[[nodiscard]] base::Result<std::vector<bus::SigningKey>> read_signing_keys(const BusSection& section);

/// What `[bus]` says about the Redis server of broker = "redis".
[[nodiscard]] bus::RedisBrokerOptions redis_options(const BusSection& section);

/// What `[bus]` source means.
[[nodiscard]] bus::PostgresSource postgres_source(const BusSection& section);

/// How many clients came in by each door, now.
struct BusDoors {
  std::size_t websockets = 0;
  std::size_t streams = 0;
  std::size_t polls = 0;
};

/// One client at a door, for as long as this lives. Threads: the I/O thread.
class AtDoor {
 public:
  explicit AtDoor(std::size_t& count) : count_(count) { ++count_; }
  ~AtDoor() { --count_; }
  AtDoor(const AtDoor&) = delete;
  AtDoor& operator=(const AtDoor&) = delete;

 private:
  std::size_t& count_;
};

/// Lifetime: made before the server and outlives it.
class BusService {
 public:
  /// Errors: those of channel_rules, read_signing_keys and bus::PostgresBroker::make; a Redis server that is
  /// there and can't keep the bus (bus::check_redis_broker).
  [[nodiscard]] static base::Result<std::unique_ptr<BusService>> create(const BusSection& section);
  BusService(const BusService&) = delete;
  BusService& operator=(const BusService&) = delete;

  /// All doors.
  void add_routes(net::Router& router);
  /// Begins to do what is due a few times a second, on the server's I/O thread.
  void start(net::Server& server);
  /// Sends the clients away at an even pace, told when to come back; returns when none are left, or after
  /// `patience`. Threads: any but the I/O thread, while the server runs.
  void drain(net::Server& server, std::chrono::milliseconds patience);

  /// The server will not run any more: what is posted from now on is dropped. Call it before the server ends.
  void leave_server();

  /// Runs it on the I/O thread, after what runs there now. Threads: any.
  void post(std::function<void()> work);

  /// Tokens of that scheme are judged by another authority, which ends after the server and before this.
  void accept(std::string_view scheme, bus::Authority& authority) { authorities_.add(scheme, authority); }
  /// How long the messages of such a channel are kept.
  [[nodiscard]] std::chrono::milliseconds history_age(std::string_view channel) const;

  [[nodiscard]] bus::Hub& hub() { return *hub_; }
  [[nodiscard]] const BusSection& section() const { return section_; }
  [[nodiscard]] const std::vector<bus::SigningKey>& keys() const { return keys_; }
  [[nodiscard]] const bus::ChannelRules& rules() const { return rules_; }
  [[nodiscard]] BusDoors& doors() { return doors_; }
  /// Of the channels that somebody looks at.
  [[nodiscard]] BusRates& rates() { return rates_; }
  /// Of the broker that there is; of the other ones nothing.
  [[nodiscard]] bus::MemoryCounts memory() const;
  [[nodiscard]] std::optional<bus::PostgresBrokerCounts> postgres() const;
  [[nodiscard]] std::optional<bus::RedisBrokerCounts> redis() const;
  [[nodiscard]] std::optional<bus::ExchangeCounts> presence_exchange() const;
  /// Why the broker can't be read; empty.
  [[nodiscard]] std::string problem() const;
  /// The page of another site that is not allowed is refused.
  [[nodiscard]] std::optional<net::Response> check_origin(const net::Request& request) const;

 private:
  BusService(const BusSection& section, bus::ChannelRules rules, std::vector<bus::SigningKey> keys);
  [[nodiscard]] base::Result<void> open_broker();
  [[nodiscard]] base::Result<void> open_postgres();
  [[nodiscard]] base::Result<void> open_redis();
  [[nodiscard]] base::Result<void> open_exchanges();

  BusSection section_;
  std::vector<bus::SigningKey> keys_;
  bus::ChannelRules rules_;
  bus::TokenAuthority authority_;
  bus::SchemeAuthority authorities_;
  std::unique_ptr<bus::Broker> broker_;
  const bus::MemoryBroker* memory_ = nullptr;  ///< the broker, if it is one
  bus::PostgresBroker* postgres_ = nullptr;    ///< likewise
  const bus::RedisBroker* redis_ = nullptr;    ///< likewise
  // Of several services; they outlive the hub.
  std::unique_ptr<bus::RedisPresence> presence_;
  std::unique_ptr<bus::RedisPresence> members_;
  std::unique_ptr<bus::RedisRevocations> revocations_;
  std::unique_ptr<bus::Hub> hub_;
  std::optional<BusTail> tail_;
  BusRates rates_;
  BusDoors doors_;
  std::mutex server_mutex_;
  net::Server* server_ = nullptr;
  std::mutex mutex_;
  std::condition_variable drained_changed_;
  bool drained_ = false;
};

/// The address by which the hub counts a client.
[[nodiscard]] std::string bus_address(const net::Request& request);

}  // namespace headroom::cli
