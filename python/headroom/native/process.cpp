#include "process.hpp"

#include <pthread.h>

#include <atomic>
#include <utility>

namespace headroom::native {

namespace {

std::atomic<perf::Recorder*> the_recorder{nullptr};
std::atomic<std::uint32_t> generation{0};

void before_fork() {
  if (auto* const own = recorder()) own->before_fork();
}

void after_fork_in_parent() {
  if (auto* const own = recorder()) own->after_fork();
}

// The thread is made here and not at the first call, so that an idle preforked worker obeys the rules too.
void after_fork_in_child() {
  auto* const parents = recorder();
  if (parents == nullptr) return;
  parents->after_fork();
  ++generation;
  parents->abandon();
  guarded([&] {
    auto* const own = new perf::Recorder(parents->settings_of_child(), parents->rules());
    the_recorder = own;
    own->start(base::Microseconds{0});
  });
}

}  // namespace

perf::Recorder* recorder() {
  return the_recorder.load(std::memory_order_acquire);
}

std::string start_recorder(perf::RecorderSettings settings) {
  if (recorder() != nullptr) return {};
  static const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  auto* const own = new perf::Recorder(std::move(settings));
  if (registered != 0) own->error("pthread_atfork failed: forked workers will not record");
  the_recorder = own;
  return own->start(std::chrono::seconds{2});
}

std::uint32_t fork_generation() {
  return generation.load(std::memory_order_relaxed);
}

}  // namespace headroom::native
