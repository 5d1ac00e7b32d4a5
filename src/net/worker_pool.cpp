#include "net/worker_pool.hpp"

#include <utility>

namespace headroom::net {

WorkerPool::WorkerPool(std::size_t threads, std::size_t queue) : bound_(queue) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  (void)stop(std::chrono::milliseconds(0));
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::submit(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= bound_) return false;
    queue_.push_back(std::move(work));
  }
  work_or_stop_.notify_one();
  return true;
}

std::size_t WorkerPool::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::size_t WorkerPool::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

bool WorkerPool::stop(std::chrono::milliseconds patience) {
  std::deque<std::function<void()>> dropped;
  std::unique_lock lock(mutex_);
  stopping_ = true;
  dropped.swap(queue_);
  work_or_stop_.notify_all();
  const bool finished = idle_.wait_for(lock, patience, [this] { return running_ == 0; });
  lock.unlock();
  return finished;
}

void WorkerPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_or_stop_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
    if (--running_ == 0) idle_.notify_all();
  }
}

}  // namespace headroom::net
