#pragma once

// The thread of a PostgreSQL broker: five connections, each driven by its state machine, and while the node
// leads and reads the log one more for its slot.

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "bus/impl/log_follower.hpp"
#include "bus/postgres_broker.hpp"
#include "bus/postgres_node.hpp"
#include "bus/postgres_talk.hpp"
#include "sql/listener.hpp"
#include "sql/waiting.hpp"

namespace headroom::bus {

/// What the thread tells. Called on it.
struct PostgresEvents {
  std::function<void(ReaderNews news)> news;
  std::function<void()> lost;  ///< the reader's connection
  std::function<void(std::int64_t ticket, Error error)> refused;
  std::function<void(std::int64_t number, Result<HistoryPage> page)> inquired;
  std::function<void(std::vector<std::string> channels)> doomed;  ///< see Keeper
  std::function<void(TalkNews news)> talked;
};

/// Threads: made, called and ended by one, which is not its own.
class PostgresClient final {
 public:
  /// Errors: invalid_argument (the URL).
  [[nodiscard]] static Result<std::unique_ptr<PostgresClient>> make(const PostgresBrokerOptions& options,
                                                                    PostgresEvents events);
  ~PostgresClient();
  PostgresClient(const PostgresClient&) = delete;
  PostgresClient& operator=(const PostgresClient&) = delete;

  void start();
  void publish(Ticketed publication);
  void inquire(Inquiry inquiry);
  /// Channels that are not to be forgotten.
  void keep(std::vector<std::string> channels);
  /// News are told only while few are on their way, so that a slow hub is not flooded.
  void news_taken();
  void talk_taken();

  /// From now on the node talks with the others.
  void talk();
  void say(Crowd crowd, const PresenceWord& word);
  void ask_node(Crowd crowd, std::string_view node);
  void revoke(const Revocation& revocation);
  /// Tells the others that the node ends in good order, if the database is there and takes it in time.
  void leave(std::chrono::milliseconds patience);
  [[nodiscard]] PostgresBrokerCounts counts() const;

 private:
  struct Connections {
    sql::PostgresListener sequencer;
    sql::PostgresListener keeper;
    sql::PostgresListener reader;
    sql::PostgresListener writer;
    sql::PostgresListener inquirer;
  };

  PostgresClient(const PostgresBrokerOptions& options, Connections connections, PostgresEvents events);
  void run();
  void take_orders();
  void advance(PostgresTime now);
  void advance_sequencer(PostgresTime now);
  void lose_term(PostgresTime now);
  void take_step(PostgresTime now, const Result<sql::PostgresRows>& answer);
  [[nodiscard]] std::optional<Question> next_step(PostgresTime now);
  void advance_log(PostgresTime now);
  void wait(PostgresTime now);
  void advance_keeper(PostgresTime now);
  void advance_reader(PostgresTime now);
  void take_read(PostgresTime now, const Result<sql::PostgresRows>& answer);
  void give(PostgresTime now, const Result<sql::PostgresRows>& step);
  void tell(ReaderNews news);
  void advance_writer(PostgresTime now);
  void advance_talk(PostgresTime now);
  void hear(PostgresTime now);
  void advance_inquirer(PostgresTime now);
  void remember();
  [[nodiscard]] bool may_read() const;
  [[nodiscard]] PostgresTime wake_at(PostgresTime now) const;

  PostgresEvents events_;
  Connections connections_;
  std::array<sql::PostgresListener*, 5> all_;
  PostgresSource source_;
  /// What was asked on the sequencer's session.
  enum class Asked : std::uint8_t { kStep, kLogStep, kLog };
  Asked asked_ = Asked::kStep;
  Sequencer sequencer_;
  LogFollower log_;
  Keeper keeper_;
  Reader reader_;
  Writer writer_;
  Inquirer inquirer_;
  Talk talk_;  ///< on the reader's connection
  bool talks_ = false;
  bool talk_asked_ = false;  ///< what is asked there is its
  bool reading_ = false;

  sql::Waker waker_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> news_under_way_{0};
  std::atomic<int> talk_under_way_{0};
  mutable std::mutex mutex_;  ///< of what follows
  std::vector<Ticketed> publishes_;
  std::vector<Inquiry> inquiries_;
  std::vector<std::string> kept_;
  /// For the talk.
  struct Orders {
    bool begins = false;
    bool leaves = false;
    std::vector<std::pair<Crowd, PresenceWord>> words;
    std::vector<std::pair<Crowd, std::string>> asks;
    std::vector<Revocation> revocations;
  };
  void take_talk_orders();
  Orders orders_;
  bool has_left_ = false;
  std::condition_variable left_;
  PostgresBrokerCounts counts_;

  std::thread thread_;
};

}  // namespace headroom::bus
