#pragma once

// Who waits for an answer of another thread, by a number that also orders the deadlines.

#include <map>
#include <utility>
#include <vector>

#include "bus/message.hpp"

namespace headroom::bus {

template <typename T>
class Waiting final {
 public:
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }
  /// Numbers and deadlines grow from call to call.
  void add(std::int64_t number, std::int64_t deadline_ns, Done<T> done) {
    waiting_.emplace(number, One{std::move(done), deadline_ns});
  }
  /// Nothing when it was answered already.
  [[nodiscard]] Done<T> take(std::int64_t number) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return {};
    Done<T> done = std::move(found->second.done);
    waiting_.erase(found);
    return done;
  }
  /// Those whose time is over.
  [[nodiscard]] std::vector<Done<T>> take_late(const Now& now) {
    std::vector<Done<T>> late;
    while (!waiting_.empty() && waiting_.begin()->second.deadline_ns <= now.monotonic_ns) {
      late.push_back(std::move(waiting_.begin()->second.done));
      waiting_.erase(waiting_.begin());
    }
    return late;
  }

 private:
  struct One {
    Done<T> done;
    std::int64_t deadline_ns = 0;
  };
  std::map<std::int64_t, One> waiting_;
};

}  // namespace headroom::bus
