#include "bus/broker_node.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>

namespace headroom::bus {

HubThread::Post HubThread::post() {
  return [queue = queue_](std::function<void()> function) {
    const std::lock_guard lock(queue->mutex);
    queue->functions.push_back(std::move(function));
    queue->filled.notify_one();
  };
}

bool HubThread::run_until(const std::function<bool()>& done, const std::function<void()>& idle) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::vector<std::function<void()>> functions;
    {
      std::unique_lock lock(queue_->mutex);
      queue_->filled.wait_for(lock, std::chrono::milliseconds{100},
                              [&] { return !queue_->functions.empty(); });
      functions.swap(queue_->functions);
    }
    for (const auto& function : functions) function();
    if (idle) idle();
  }
  return true;
}

BrokerNode::BrokerNode(const Make& make) : broker_(make(hub_.post())) {}

BrokerNode::~BrokerNode() = default;

bool BrokerNode::run_until(const std::function<bool()>& done) {
  return hub_.run_until(done, [this] { broker_->tick(read_clocks()); });
}

void BrokerNode::start() {
  broker_->start(*this, read_clocks());
  (void)subscribe("started");
}

template <typename T>
Result<T> BrokerNode::answer(const std::function<void(Done<T>)>& ask) {
  const auto given = std::make_shared<std::optional<Result<T>>>();
  ask([given](Result<T> result) { *given = std::move(result); });
  if (!run_until([&] { return given->has_value(); })) throw std::runtime_error("no answer");
  return **given;
}

Position BrokerNode::subscribe(const std::string& channel) {
  return answer<Position>(
             [&](Done<Position> done) { broker_->subscribe(channel, read_clocks(), std::move(done)); })
      .value();
}

Result<Published> BrokerNode::publish(const std::string& channel, const std::string& data,
                                      const std::string& id) {
  return answer<Published>([&](Done<Published> done) {
    broker_->publish({channel, data, id}, read_clocks(), std::move(done));
  });
}

Result<HistoryPage> BrokerNode::history(const std::string& channel, const HistoryQuery& query) {
  return answer<HistoryPage>(
      [&](Done<HistoryPage> done) { broker_->history(channel, query, read_clocks(), std::move(done)); });
}

Result<HistoryPage> BrokerNode::history_since(const std::string& channel, const Position& since) {
  HistoryQuery query;
  query.since = &since;
  query.limit = 10'000;
  return history(channel, query);
}

std::vector<std::string> BrokerNode::told(const std::string& channel) const {
  const auto found = told_.find(channel);
  return found == told_.end() ? std::vector<std::string>() : found->second.datas;
}

std::size_t BrokerNode::count(const std::string& channel) const {
  const auto found = told_.find(channel);
  return found == told_.end() ? 0 : found->second.datas.size();
}

void BrokerNode::message(std::string_view channel, std::string_view epoch, const Message& message,
                         const Now& /*now*/) {
  Told& told = told_[std::string(channel)];
  disordered_ = disordered_ || (told.newest.epoch == epoch && told.newest.offset >= message.offset);
  told.newest = {message.offset, std::string(epoch)};
  if (told.positions.emplace(epoch, message.offset).second) told.datas.push_back(*message.data);
}

void BrokerNode::moved(std::string_view /*channel*/, const Position& /*position*/, const Now& /*now*/) {}

void BrokerNode::state(BrokerState state, const Now& /*now*/) {
  state_ = state;
  if (state == BrokerState::kLost) ++losses_;
}

}  // namespace headroom::bus
