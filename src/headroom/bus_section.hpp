#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.hpp"
#include "base/result.hpp"
#include "bus/rules.hpp"

namespace headroom::cli {

/// `[bus]`
struct BusSection {
  bool enabled = false;
  /// Where messages are kept: "memory" is this process, "postgresql" the database below, "redis" the server.
  std::string broker = "memory";
  /// "postgresql://...": of a login with the role headroom_node. Holds a password, and is never shown.
  std::string database;
  /// How publications of transactions reach the service there: "outbox" is a table, "logical" the write-ahead
  /// log.
  std::string source = "outbox";
  /// "redis://...", as redis::parse_url reads it. Holds a password, and is never shown.
  std::string url;
  /// Streams of the Redis server over which channels are spread; the same for all services.
  std::int64_t shards = 16;
  /// "address:port" for clients, beside [serve] listen: several services of this machine that share a broker
  /// listen there together. Empty is none.
  std::string listen;
  /// Files of secrets that sign tokens and channels; the first signs what `headroom bus` makes. Others must
  /// not be able to read them.
  std::vector<std::string> secret_files;
  /// Origins of pages of other sites that may open /bus/ws, such as "https://erp.example.org".
  std::vector<std::string> origins;
  /// Clients at once: WebSockets, streams and polls together.
  std::int64_t connections = 20'000;
  /// Of one connection.
  std::int64_t subscriptions = 128;
  /// That wait for one client; beyond it the client is closed and resumes.
  std::uint64_t queue_size = 1U << 20;
  /// New connections a second, of everybody.
  std::int64_t connections_per_second = 2'000;
  /// A poll without a message is answered after it.
  base::Microseconds poll_wait = std::chrono::seconds{25};
  /// A user whose tabs were idle for so long is away.
  base::Microseconds away_after = std::chrono::minutes{5};
  /// When the service stops, clients are told to come back within this span.
  base::Microseconds reconnect_window = std::chrono::seconds{10};
  /// `[bus.channels]`: the beginning of a channel's name to its rule, as parse_channel_rule reads it.
  std::map<std::string, std::string> channels;

  void read(base::ConfigSection& section);
  void read_channels(base::ConfigSection& section);

 private:
  void check_broker(base::ConfigSection& section) const;
  void check_listen(base::ConfigSection& section) const;
};

/// One rule from words: "subscribe=users publish=granted joins=yes message=32KiB history=100
/// history_size=256KiB history_age=5m budget=64MiB". Each may be missing. Errors: invalid_argument; the
/// message names the word and what is accepted.
[[nodiscard]] base::Result<bus::ChannelRule> parse_channel_rule(std::string_view prefix,
                                                                std::string_view text);
/// All of them. Errors: those of parse_channel_rule and bus::ChannelRules::make.
[[nodiscard]] base::Result<bus::ChannelRules> channel_rules(const BusSection& section);

}  // namespace headroom::cli
