#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace headroom::net {

/// Threads that run blocking work, with a bounded queue before them. Overflow: refused, the caller answers
/// 503. Threads: every method from any thread. Lifetime: the destructor waits for the work that runs.
class WorkerPool {
 public:
  WorkerPool(std::size_t threads, std::size_t queue);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False when the queue is full or the pool stops. `work` must not throw.
  [[nodiscard]] bool submit(std::function<void()> work);
  [[nodiscard]] std::size_t queued() const;
  /// Work that runs now.
  [[nodiscard]] std::size_t running() const;
  /// Drops what is queued and waits for what runs. Returns false when some of it still runs after `patience`.
  [[nodiscard]] bool stop(std::chrono::milliseconds patience);

 private:
  void run();

  const std::size_t bound_;
  mutable std::mutex mutex_;
  std::condition_variable work_or_stop_;
  std::condition_variable idle_;
  std::deque<std::function<void()>> queue_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace headroom::net
