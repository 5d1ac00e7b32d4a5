#pragma once

// For tests: a memory broker as if it were on another machine. Answers and pushes wait until the test lets
// them come, each kind in order, one kind before the other as the test likes; a push may get lost on the way.

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "bus/memory_broker.hpp"

namespace headroom::bus {

class LateBroker final : public Broker, private BrokerListener {
 public:
  explicit LateBroker(const ChannelRules& rules) : memory_(rules, "epoch") {}

  void start(BrokerListener& listener, const Now& now) override {
    listener_ = &listener;
    memory_.start(*this, now);
  }
  void publish(Publication publication, const Now& now, Done<Published> done) override {
    requests_.emplace_back([this, publication = std::move(publication), now, done = late(std::move(done))] {
      memory_.publish(publication, now, done);
    });
  }
  void subscribe(std::string_view channel, const Now& now, Done<Position> done) override {
    requests_.emplace_back([this, name = std::string(channel), now, done = late(std::move(done))] {
      memory_.subscribe(name, now, done);
    });
  }
  void unsubscribe(std::string_view channel, const Now& now) override {
    requests_.emplace_back([this, name = std::string(channel), now] { memory_.unsubscribe(name, now); });
  }
  void history(std::string_view channel, const HistoryQuery& query, const Now& now,
               Done<HistoryPage> done) override {
    if (failing_)
      return answers_.emplace_back([done] { done(base::fail(ErrorCode::kTimedOut, "too late")); }), void();
    const bool has_since = query.since != nullptr;
    requests_.emplace_back([this, name = std::string(channel), query, has_since,
                            since = has_since ? *query.since : Position{}, now,
                            done = late(std::move(done))] {
      HistoryQuery asked = query;
      asked.since = has_since ? &since : nullptr;
      memory_.history(name, asked, now, done);
    });
  }
  void tick(const Now& now) override { memory_.tick(now); }

  /// Each lets one thing happen; false when none is waiting.
  bool serve() { return run(requests_); }
  bool answer() { return run(answers_); }
  bool push() { return run(pushes_); }
  bool lose_push() {
    if (pushes_.empty()) return false;
    pushes_.pop_front();
    return true;
  }
  void settle() {
    while (serve() || answer() || push()) {
    }
  }
  void fail_history(bool failing) { failing_ = failing; }

 private:
  using Queue = std::deque<std::function<void()>>;

  template <typename T>
  Done<T> late(Done<T> done) {
    return [this, done = std::move(done)](Result<T> result) {
      answers_.emplace_back([done, result = std::move(result)] { done(result); });
    };
  }
  static bool run(Queue& queue) {
    if (queue.empty()) return false;
    const auto first = std::move(queue.front());
    queue.pop_front();
    first();
    return true;
  }
  void message(std::string_view channel, std::string_view epoch, const Message& message,
               const Now& now) override {
    pushes_.emplace_back([this, channel = std::string(channel), epoch = std::string(epoch), message, now] {
      listener_->message(channel, epoch, message, now);
    });
  }
  void moved(std::string_view /*channel*/, const Position& /*position*/, const Now& /*now*/) override {}
  void state(BrokerState /*state*/, const Now& /*now*/) override {}

  MemoryBroker memory_;
  BrokerListener* listener_ = nullptr;
  Queue requests_;
  Queue answers_;
  Queue pushes_;
  bool failing_ = false;
};

}  // namespace headroom::bus
