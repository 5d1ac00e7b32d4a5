#pragma once

// A connection to PostgreSQL that hears its notifications and is asked now and then, by a caller that waits
// for many sockets at once: nothing here waits.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sql/rows.hpp"

struct pg_conn;

namespace headroom::sql {

struct PostgresListenerOptions {
  std::string url;       ///< postgresql://user:password@host:port/database?options
  std::string database;  ///< in place of the one of the URL; empty keeps that
  std::string channel;   ///< to LISTEN on; empty is none, for a connection that is only asked
  std::string application_name = "headroom";
  std::chrono::milliseconds connect_within{5'000};
  std::chrono::milliseconds answer_within{5'000};
  /// A silent connection is asked for a sign of life.
  std::chrono::milliseconds probe_every{30'000};
};

/// One connection that comes back by itself. The caller waits until `socket` is readable (or writable, as
/// `wants_write` says) or `wake_at` is reached, then calls `advance`, and takes what there is.
/// Guarantees: after a loss the first attempt comes at once, the next ones after 50 ms and then twice as long
/// each, at most 1 s apart, for ever. Every wait has a deadline. Payloads come in the order of their commits.
/// What is notified while there is no connection is lost: PostgreSQL keeps it for nobody. `losses` counts
/// these gaps.
/// Not bounded: the look-up of a host's name, which libpq does by the system's resolver.
/// Threads: none, one at a time.
class PostgresListener final {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Errors: invalid_argument (the URL). Nothing is connected yet. No message holds the URL.
  [[nodiscard]] static base::Result<PostgresListener> create(PostgresListenerOptions options);

  void advance(Time now);
  /// Ends the session; the next one is tried at once.
  void leave(Time now);
  /// -1 while there is none.
  [[nodiscard]] int socket() const;
  [[nodiscard]] bool wants_write() const;
  [[nodiscard]] Time wake_at() const;

  /// Connected, and what is notified from now on is heard.
  [[nodiscard]] bool is_listening() const { return state_ == State::kListening; }
  /// A question can be asked: it is listening and no other is under way.
  [[nodiscard]] bool is_free() const;
  /// Sends one statement with text parameters, when `is_free`.
  void ask(Time now, const std::string& statement, const std::vector<std::string>& parameters);
  /// Errors: as PostgresConnection::query.
  [[nodiscard]] std::optional<base::Result<PostgresRows>> take_answer();
  [[nodiscard]] std::vector<std::string> take_payloads();

  /// Why there is no connection; empty when there is one, or none was tried.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  /// Connections that broke after they had listened.
  [[nodiscard]] std::uint64_t losses() const { return losses_; }

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };
  enum class State : std::uint8_t { kAway, kConnecting, kSubscribing, kListening };
  /// What is under way on the connection.
  enum class Question : std::uint8_t { kNone, kListen, kProbe, kAsked };

  explicit PostgresListener(PostgresListenerOptions options) : options_(std::move(options)) {}
  void connect(Time now);
  void go_on(Time now);
  void subscribe(Time now);
  void send(Time now, Question question, const std::string& statement,
            const std::vector<std::string>& parameters);
  void receive(Time now);
  void take_notifications();
  void take_results(Time now);
  void finish_question(Time now);
  void lose(Time now, const base::Error& error);

  PostgresListenerOptions options_;
  std::unique_ptr<pg_conn, Finish> connection_;
  State state_ = State::kAway;
  Question question_ = Question::kNone;
  bool connect_writes_ = true;  ///< what the handshake waits for
  bool unsent_ = false;
  Time next_{};  ///< of the next attempt, of the end of patience, or of the next sign of life
  std::chrono::milliseconds backoff_{0};
  std::optional<base::Result<PostgresRows>> result_;
  std::optional<base::Result<PostgresRows>> answer_;
  std::vector<std::string> payloads_;
  std::string problem_;
  std::uint64_t losses_ = 0;
};

}  // namespace headroom::sql
