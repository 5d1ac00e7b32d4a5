#pragma once

// The broker over a PostgreSQL database that the application uses anyway: what a business transaction
// publishes with headroom.publish() is there when, and only when, it commits. Several nodes share one
// database; docs/bus-postgresql.md is the guide, sql/*.sql the schema.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/broker.hpp"
#include "bus/exchange.hpp"
#include "bus/postgres_node.hpp"
#include "bus/rules.hpp"

namespace headroom::bus {

class Hub;

struct PostgresBrokerOptions {
  std::string url;   ///< of a login with the role headroom_node
  std::string node;  ///< its name, for whoever looks at headroom.leader
  /// The log takes a login with the attribute REPLICATION, and wal_level = logical.
  PostgresSource source = PostgresSource::kOutbox;
  /// How long the stream is kept for those who come back; never less than the window of repeats and the
  /// longest history of the rules.
  std::chrono::seconds retention{300};
  /// What is remembered of a channel without messages is forgotten when none came for so long and no node
  /// uses it, which each may say for `object_within`.
  std::chrono::seconds forget_after{86'400};
  std::chrono::seconds object_within{300};
  std::size_t queued_publishes = 20'000;
  std::size_t queued_inquiries = 50'000;
  std::chrono::milliseconds answer_within{10'000};
};

/// Counts since the start, and what is there now.
struct PostgresBrokerCounts {
  std::int64_t term = 0;  ///< of this node as sequencer; 0: another is
  std::int64_t seq = 0;   ///< of the newest message it read
  std::uint64_t sequenced = 0;
  std::uint64_t emptied_slots = 0;
  std::uint64_t forgotten_channels = 0;
  std::uint64_t losses = 0;     ///< of connections
  bool reads_log = false;       ///< this node reads the slot
  std::uint64_t malformed = 0;  ///< messages of the log that could not be read
  std::optional<LogState> log;  ///< a few seconds ago; nothing: the outbox is the source
  ExchangeCounts presence;      ///< users; see `share`
  ExchangeCounts members;       ///< of channels
  RevocationCounts revocations;
  std::string problem;  ///< why it can't read or lead, or not read the log; empty
};

/// Threads: one of its own does all that concerns the database; answers and news are posted.
/// Guarantees: a publication is answered after its transaction is durable and has its offset. A lost
/// connection is tried again at once and then at most 1 s apart; what was published meanwhile is read then.
class PostgresBroker final : public Broker {
 public:
  /// Runs a function on the hub's thread, soon, in the order of the calls. Called on another thread; may be
  /// called while the broker is destroyed, and what it was given runs after that without effect.
  using Post = std::function<void(std::function<void()>)>;

  /// Errors: invalid_argument (the URL).
  [[nodiscard]] static Result<std::unique_ptr<PostgresBroker>> make(PostgresBrokerOptions options,
                                                                    const ChannelRules& rules, Post post);
  ~PostgresBroker() override;

  void start(BrokerListener& listener, const Now& now) override;
  /// Once, after `start`: the nodes tell each other who is there, who is in which channel, and what is
  /// revoked. Over one of the connections that the broker has; a heartbeat of a client reaches nothing of it.
  /// What is revoked is kept by the database for nodes that come later. The hub ends before the broker.
  void share(Hub& hub);
  /// Tells the other nodes that this one ends in good order, within a second; else its users are offline
  /// after its lease. Nothing is told after it. Threads: any.
  void leave();
  void publish(Publication publication, const Now& now, Done<Published> done) override;
  void subscribe(std::string_view channel, const Now& now, Done<Position> done) override;
  void unsubscribe(std::string_view channel, const Now& now) override;
  void history(std::string_view channel, const HistoryQuery& query, const Now& now,
               Done<HistoryPage> done) override;
  void tick(const Now& now) override;
  [[nodiscard]] PostgresBrokerCounts counts() const;

 private:
  struct Impl;
  explicit PostgresBroker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What a database lacks for a source, or may come to lack.
struct PostgresFinding {
  enum class Severity : std::uint8_t { kFine, kWarning, kError };
  Severity severity = Severity::kFine;
  std::string text;  ///< one line, with the statement to run
};

/// Asks the database. Blocks, a few seconds at most. No text holds the URL.
[[nodiscard]] std::vector<PostgresFinding> check_postgres_broker(const std::string& url,
                                                                 PostgresSource source);
/// What a state of the log says to whoever wants it as the source. Threads: pure.
[[nodiscard]] std::vector<PostgresFinding> judge_log(const LogState& state, PostgresSource source);

/// The schema headroom as one transaction for psql or PQexec: makes it, or brings an older one up to date.
[[nodiscard]] std::string postgres_schema();

}  // namespace headroom::bus
