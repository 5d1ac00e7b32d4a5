#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace headroom::cli {

/// A thread that does a duty at once and then again after each pause. Lifetime: the destructor waits for the
/// duty that runs.
class Repeater {
 public:
  Repeater(std::chrono::milliseconds pause, std::function<void()> duty)
      : pause_(pause), duty_(std::move(duty)), thread_([this] { run(); }) {}
  ~Repeater() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
  }
  Repeater(const Repeater&) = delete;
  Repeater& operator=(const Repeater&) = delete;

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      duty_();
      lock.lock();
      stop_.wait_for(lock, pause_, [this] { return stopping_; });
    }
  }

  const std::chrono::milliseconds pause_;
  const std::function<void()> duty_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace headroom::cli
