#include "headroom/bus_metrics.hpp"

#include <cstdint>
#include <string_view>

#include <fmt/format.h>

namespace headroom::cli {
namespace {

class Text {
 public:
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    add(name, help, "counter", value);
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    add(name, help, "gauge", value);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void add(std::string_view name, std::string_view help, std::string_view type, std::uint64_t value) {
    text_ += fmt::format("# HELP headroom_bus_{0} {1}\n# TYPE headroom_bus_{0} {2}\nheadroom_bus_{0} {3}\n",
                         name, help, type, value);
  }

  std::string text_;
};

}  // namespace

std::string bus_metrics(const bus::HubCounts& counts, const bus::MemoryCounts& memory,
                        const std::optional<bus::PostgresBrokerCounts>& postgres,
                        const std::optional<bus::RedisBrokerCounts>& redis,
                        const std::optional<bus::ExchangeCounts>& presence) {
  Text text;
  text.gauge("available", "1 while messages can be published and read.", counts.broker_available ? 1 : 0);
  text.gauge("connections", "Clients now, of all doors.", counts.sessions);
  text.gauge("connections_authenticated", "Those whose token was accepted.", counts.authenticated);
  text.gauge("channels", "Channels with subscribers.", counts.channels);
  text.gauge("subscriptions", "Subscriptions of all clients.", counts.subscriptions);
  text.gauge("history_messages", "Messages kept.", memory.messages);
  text.gauge("history_bytes", "Memory of the messages kept.", memory.bytes);
  text.counter("commands_total", "Commands of clients.", counts.commands);
  text.counter("published_total", "Messages published by clients and through HTTP.", counts.published);
  text.counter("repeated_total", "Publications whose id was seen before.", counts.repeated);
  text.counter("messages_total", "Messages from the broker.", counts.messages);
  text.counter("deliveries_total", "Messages given to clients.", counts.deliveries);
  text.counter("delivered_bytes_total", "Bytes of them.", counts.delivered_bytes);
  text.counter("recovered_total", "Subscriptions that went on without a loss.", counts.recovered);
  text.counter("lost_total", "Subscriptions that were told of a loss.", counts.lost);
  text.counter("gaps_total", "Gaps that were filled from history.", counts.gaps);
  text.counter("duplicates_total", "Messages dropped because they came again.", counts.duplicates);
  text.counter("slow_total", "Clients closed because they did not take what was queued.", counts.slow);
  text.counter("denied_total", "Commands that were not allowed.", counts.denied);
  text.counter("rate_limited_total", "Clients closed or commands refused for their rate.",
               counts.rate_limited);
  text.counter("malformed_total", "Frames that could not be read.", counts.malformed);
  text.counter("refused_total", "Connections refused.", counts.refused);
  text.counter("dropped_messages_total", "Messages pushed out of history by a budget.",
               memory.dropped_by_budget);
  if (postgres) {
    text.gauge("sequencer", "1 while this node orders the messages in PostgreSQL.",
               postgres->term > 0 ? 1 : 0);
    text.counter("sequenced_total", "Messages that this node gave their offsets.", postgres->sequenced);
    text.counter("emptied_slots_total", "Slots of old messages that it emptied.", postgres->emptied_slots);
    text.counter("forgotten_channels_total", "Channels that it forgot, since nobody used them.",
                 postgres->forgotten_channels);
    text.counter("database_losses_total", "Connections to PostgreSQL that were lost.", postgres->losses);
  }
  if (postgres && postgres->log) {
    const bus::LogState& log = *postgres->log;
    text.gauge("log_reading", "1 while this node reads the write-ahead log.", postgres->reads_log ? 1 : 0);
    text.gauge("log_in_use", "1 while publications go into the log, 0 while into the outbox.",
               log.logged ? 1 : 0);
    text.gauge("log_slot_lost", "1 while the slot is lost or missing.", log.is_gone() ? 1 : 0);
    text.gauge("log_retained_bytes", "Bytes of the log that the slot keeps.", log.retained_bytes);
    text.gauge("log_bound_bytes", "What it may keep at most (max_slot_wal_keep_size); 0 is the disk.",
               log.bound_bytes.value_or(0));
    text.counter("log_malformed_total", "Messages of the log that could not be read.", postgres->malformed);
  }
  if (redis) {
    text.gauge("redis_reading", "1 while this node reads the streams of the Redis server.",
               redis->reading ? 1 : 0);
    text.gauge("redis_queued", "Publications and questions that wait for it.", redis->queued);
    text.counter("redis_entries_total", "Messages read from it.", redis->entries);
    text.counter("redis_published_total", "Messages of this node that it took.", redis->published);
    text.counter("redis_losses_total", "Connections to it that were lost.", redis->losses);
    text.counter("redis_epochs_total", "Epochs that began because its data was not proven to go on.",
                 redis->epochs);
  }
  if (presence) {
    text.counter("presence_announced_total", "Changes of users that were told to other services.",
                 presence->announced);
    text.counter("presence_heard_total", "Changes of users that other services told.", presence->heard);
    text.counter("presence_losses_total", "Connections of the exchange that were lost.", presence->losses);
  }
  return text.take();
}

}  // namespace headroom::cli
