#pragma once

// The threads of a Redis broker: one reads the streams, one publishes and asks.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bus/impl/redis_link.hpp"
#include "bus/redis_broker.hpp"

namespace headroom::bus {

using RedisTime = std::chrono::steady_clock::time_point;

/// What is to be published, and how its answer is known.
struct RedisTicketed {
  std::int64_t ticket = 0;
  RedisTime deadline{};
  Publication publication;
  const ChannelRule* rule = nullptr;
};

struct RedisAnswers {
  std::vector<std::pair<std::int64_t, Result<Published>>> published;
  std::vector<std::pair<std::int64_t, Result<HistoryPage>>> pages;
};

/// What the threads tell. Called on them.
struct RedisEvents {
  std::function<void(RedisNews news)> news;
  std::function<void()> lost;
  std::function<void(RedisAnswers answers)> answered;
};

/// How much one thread has told that the hub has not taken yet, so that a slow hub is not flooded.
class RedisUnderway final {
 public:
  static constexpr int kMost = 8;
  void told() { ++count_; }
  /// True when there is room again.
  bool taken() { return count_.fetch_sub(1) == kMost; }
  [[nodiscard]] bool has_room() const { return count_ < kMost; }

 private:
  std::atomic<int> count_{0};
};

/// Threads: made, called and ended by one, which is none of its own.
class RedisClient final {
 public:
  /// The rules outlive it.
  RedisClient(const RedisBrokerOptions& options, const redis::Url& url, const ChannelRules& rules,
              RedisEvents events);
  ~RedisClient();
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;

  void start();
  void publish(RedisTicketed publication);
  void inquire(RedisInquiry inquiry);
  void news_taken();
  void answers_taken();
  [[nodiscard]] RedisBrokerCounts counts() const;

 private:
  /// What travels together.
  struct Round {
    std::vector<RedisTicketed> publishes;  ///< by channel
    std::vector<std::size_t> scripts;      ///< how many of them each takes
    std::vector<RedisInquiry> inquiries;
  };

  void read();
  void read_once();
  void tell_joined();
  void tell_lost(const Error& error);
  [[nodiscard]] Result<RedisNews> ask_news(bool watch);
  void ask();
  void wait_for_orders();
  void take_orders(RedisTime now);
  void expire(RedisTime now);
  [[nodiscard]] bool may_ask() const { return began_ && answers_under_way_.has_room(); }
  [[nodiscard]] Round next_round();
  void take_publishes(Round& round);
  void ask_round();
  void take_replies(Round round, const std::vector<redis::Reply>& replies);
  void take_published(Round& round, const std::vector<redis::Reply>& replies, RedisAnswers& answers);
  void put_back(Round round, const Error& error);
  void tell(RedisAnswers answers);
  /// A pause between two attempts.
  void rest();

  RedisEvents events_;
  redis::Interrupt interrupt_;
  RedisDoubts doubts_{0};
  std::atomic<bool> stopping_{false};

  // Of the thread that reads.
  RedisLink reading_;
  bool available_ = false;  ///< told so
  std::uint64_t joins_ = 0;
  RedisTime watch_at_{};
  RedisUnderway news_under_way_;
  std::atomic<bool> began_{false};  ///< nothing that is published or asked from now on can be missed

  // Of the thread that asks.
  RedisLink asking_;
  std::deque<RedisTicketed> publishes_;
  std::deque<RedisInquiry> inquiries_;
  RedisUnderway answers_under_way_;

  mutable std::mutex mutex_;  ///< of what follows
  std::condition_variable changed_;
  std::vector<RedisTicketed> new_publishes_;
  std::vector<RedisInquiry> new_inquiries_;
  RedisBrokerCounts counts_;

  std::thread reader_thread_;
  std::thread asker_thread_;
};

}  // namespace headroom::bus
