#pragma once

// The sequencer's side of the write-ahead log: sees to it that there is a slot, and reads it.
//
//   state ── slot lost, or gone ──> lose ─┐
//     │                                   v
//     ├── no slot ────────────────────> connect ─> (drop) ─> make ─> begin ─> start ─> stream
//     ├── a slot, unused ─────────────> connect ──────────────────> begin ─> start ─> stream
//     └── a slot ─────────────────────> connect ──────────────────────────-> start ─> stream
//
// A slot that another process still reads is freed first: whoever holds the lock has the only right to it.
//
// What is asked in SQL (state, lose, begin) goes over the sequencer's session, between its steps; so it is of
// the term that holds the lock, and the position that it learns is behind every step that was sent. After any
// failure it begins with `state`.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "bus/postgres_log.hpp"
#include "bus/postgres_node.hpp"
#include "sql/replication.hpp"
#include "sql/waiting.hpp"

namespace headroom::bus {

/// Guarantees: a lost connection is tried again after 50 ms, then twice as long each, at most 1 s apart.
/// Threads: none, one at a time.
class LogFollower final {
 public:
  explicit LogFollower(std::string url) : url_(std::move(url)) {}

  /// The node leads with this term; 0: it does not, and lets the slot go.
  void lead(std::int64_t term);

  /// What is due on the sequencer's session.
  [[nodiscard]] std::optional<Question> next(PostgresTime now);
  void answered(PostgresTime now, const Result<sql::PostgresRows>& rows);

  /// Goes on with the slot's connection.
  void advance(PostgresTime now);
  [[nodiscard]] LogQueue& queue() { return queue_; }
  [[nodiscard]] sql::Waited waited() const;
  /// When to `advance`.
  [[nodiscard]] PostgresTime wake_at() const;
  /// When something may be due on the sequencer's session.
  [[nodiscard]] PostgresTime ask_at() const;

  [[nodiscard]] bool is_streaming() const { return step_ == Step::kStream; }
  /// Why it does not stream though the node leads; empty.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  enum class Step : std::uint8_t {
    kAway,
    kState,
    kFree,
    kLose,
    kConnect,
    kDrop,
    kMake,
    kBegin,
    kStart,
    kStream
  };
  void learned(PostgresTime now, const LogState& state);
  void connect(PostgresTime now);
  void go_on(PostgresTime now);
  void command(PostgresTime now, Step step);
  void receive(PostgresTime now);
  void fail_later(PostgresTime now, const Error& error);

  std::string url_;
  std::int64_t term_ = 0;
  Step step_ = Step::kAway;
  LogState state_;
  LogQueue queue_;
  std::optional<sql::ReplicationConnection> connection_;
  PostgresTime retry_at_{};
  std::chrono::milliseconds backoff_{0};
  std::string problem_;
};

}  // namespace headroom::bus
