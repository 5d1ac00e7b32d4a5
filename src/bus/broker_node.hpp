#pragma once

// For tests: a node over a broker with threads of its own, on a hub's thread that is the test's.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bus/broker.hpp"

namespace headroom::bus {

/// What is posted, run on the test's thread.
class HubThread final {
 public:
  using Post = std::function<void(std::function<void()>)>;
  [[nodiscard]] Post post();
  /// Runs what comes until `done`; false after a minute. `idle` is called a few times a second.
  bool run_until(const std::function<bool()>& done, const std::function<void()>& idle = {});

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable filled;
    std::vector<std::function<void()>> functions;
  };
  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
};

/// A broker, and everything that it told.
class BrokerNode : public BrokerListener {
 public:
  using Make = std::function<std::unique_ptr<Broker>(const HubThread::Post& post)>;
  explicit BrokerNode(const Make& make);
  ~BrokerNode() override;

  /// Lets the broker work until `done`; false after a minute.
  bool run_until(const std::function<bool()>& done);
  /// Until it answers.
  void start();
  Position subscribe(const std::string& channel);
  Result<Published> publish(const std::string& channel, const std::string& data, const std::string& id = "");
  Result<HistoryPage> history(const std::string& channel, const HistoryQuery& query = {});
  Result<HistoryPage> history_since(const std::string& channel, const Position& since);
  [[nodiscard]] Broker& broker() { return *broker_; }
  /// Data of a channel in the order told, each position once.
  [[nodiscard]] std::vector<std::string> told(const std::string& channel) const;
  [[nodiscard]] std::size_t count(const std::string& channel) const;
  /// Whether an offset of an epoch came after a greater one.
  [[nodiscard]] bool disordered() const { return disordered_; }
  [[nodiscard]] int losses() const { return losses_; }
  [[nodiscard]] bool available() const { return state_ == BrokerState::kAvailable; }

  void message(std::string_view channel, std::string_view epoch, const Message& message,
               const Now& now) override;
  void moved(std::string_view channel, const Position& position, const Now& now) override;
  void state(BrokerState state, const Now& now) override;

 private:
  template <typename T>
  Result<T> answer(const std::function<void(Done<T>)>& ask);

  struct Told {
    std::set<std::pair<std::string, std::uint64_t>> positions;
    std::vector<std::string> datas;
    Position newest;
  };

  HubThread hub_;
  std::map<std::string, Told> told_;
  BrokerState state_ = BrokerState::kAvailable;
  int losses_ = 0;
  bool disordered_ = false;
  std::unique_ptr<Broker> broker_;
};

}  // namespace headroom::bus
