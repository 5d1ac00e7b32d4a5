// One thread, all sessions. It sleeps to absolute points of the monotonic clock, the same points for every
// session with the same period, takes the lock, reads the stack of each session that is due, and sleeps
// again. The lock is held for one round of samples at most.
//
// Calls of some milliseconds follow one another, so the thread and the names that it read linger for seconds
// after the last session: making a thread, mapping its stack and reading some hundred names anew would cost
// more than the samples of such a call. It sleeps meanwhile, and a session that wants it earlier wakes it.
// Then it ends by itself, so nobody waits for it. Names that are kept over calls must be doubted: the code
// that they belong to may be gone, and other code be in its place. Each is compared with its object when a
// call begins after a pause, and every 10 ms.
//
// A fork copies the lock in an unknown state and loses the thread: the fork handlers hold the lock over the
// fork, empty the child's list and make its semaphore anew. The service is never destroyed, because its
// thread may still run when the process leaves main.

#include "sampling_profiler.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interpreter_layout.hpp"
#include "stack_reader.hpp"

namespace headroom::native {

namespace {

using base::ErrorCode;
using base::fail;
using base::Nanoseconds;
using base::Result;

constexpr int kAttempts = 3;
constexpr std::int64_t kShortestPeriod = 100'000;
constexpr std::int64_t kLongestPeriod = 1'000'000'000;
constexpr std::int64_t kLinger = 5'000'000'000;
constexpr std::int64_t kNamesHold = 10'000'000;

/// Finds a node again without comparing strings.
struct NodeKey {
  std::uint32_t parent = 0;
  std::uint32_t line = 0;
  std::uint64_t code = 0;
  std::uint64_t model = 0;

  [[nodiscard]] bool operator==(const NodeKey&) const = default;
};

struct NodeKeyHash {
  std::size_t operator()(const NodeKey& key) const {
    std::uint64_t hash = (static_cast<std::uint64_t>(key.parent) << 32U) | key.line;
    hash = (hash ^ key.code) * 0x9e3779b97f4a7c15U;
    hash = (hash ^ (hash >> 29U) ^ key.model) * 0xc2b2ae3d27d4eb4fU;
    return static_cast<std::size_t>(hash ^ (hash >> 32U));
  }
};

perf::Frame frame_of(const SampledFrame& sampled) {
  const CodeName& code = *sampled.code;
  return {sampled.model == nullptr ? code.qualified_name : sampled.model->name + ":" + code.name, code.file,
          sampled.line};
}

/// struct sched_attr of linux/sched/types.h, which can't be included beside the C library's sched.h.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;  ///< SCHED_OTHER
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t slice_ns = 100'000;  ///< the shortest that the kernel takes
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};
constexpr int kNice = -10;

std::int64_t clock_ns(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return -1;
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

/// What one profiler and the sampling thread share, under the lock of the service.
struct SamplingSession {
  SamplingSession(std::int64_t period, std::uint32_t most_nodes)
      : builder(perf::Profile::Kind::kSampled, most_nodes), period_ns(period), node_limit(most_nodes) {}

  perf::ProfileBuilder builder;
  std::int64_t period_ns;
  std::uint32_t node_limit;
  std::unordered_map<NodeKey, std::uint32_t, NodeKeyHash> nodes;
  const PyThreadState* thread = nullptr;
  std::uint64_t thread_id = 0;
  clockid_t cpu_clock = 0;
  std::vector<FramePlace> base;  ///< the stack at the start, outermost first
  std::int64_t due_ns = 0;
  std::int64_t last_ns = 0;
  std::int64_t last_cpu_ns = 0;
  bool thread_gone = false;

  void sample(StackReader& reader, std::int64_t now_ns);
  void close(std::int64_t now_ns);

 private:
  enum class Belongs : std::uint8_t { kHere, kElsewhere, kUnclear };

  [[nodiscard]] Belongs take(StackReader& reader);
  [[nodiscard]] bool begins_as_we_did() const;
  [[nodiscard]] std::size_t frames_below_the_call() const;
  [[nodiscard]] std::uint32_t node_of_stack();
  [[nodiscard]] std::uint32_t child(std::uint32_t parent, const SampledFrame& frame);
  void attribute(std::uint32_t node, std::int64_t now_ns, std::int64_t cpu_ns, bool is_ours);

  std::vector<SampledFrame> frames_;
};

/// A sample that ends in another frame than the call began in is another greenlet's, or a torn one: the chain
/// of a generator that just gets or gave up control is cut, for milliseconds if the thread loses its core
/// there. So what is elsewhere twice in the same frame is another greenlet, unless that frame is a
/// generator's.
SamplingSession::Belongs SamplingSession::take(StackReader& reader) {
  FramePlace elsewhere;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const ReadStack result = reader.read(thread, thread_id, frames_);
    if (result == ReadStack::kThreadGone) {
      thread_gone = true;
      return Belongs::kUnclear;
    }
    if (result == ReadStack::kTorn) continue;
    if (begins_as_we_did()) return Belongs::kHere;
    if (!frames_.empty() && frames_.front().of_generator) continue;
    const FramePlace outermost = frames_.empty() ? FramePlace{&frames_, nullptr} : frames_.front().place;
    if (outermost == elsewhere) return Belongs::kElsewhere;
    elsewhere = outermost;
  }
  return Belongs::kUnclear;
}

bool SamplingSession::begins_as_we_did() const {
  if (base.empty()) return true;
  return !frames_.empty() && frames_.front().place == base.front();
}

std::size_t SamplingSession::frames_below_the_call() const {
  const std::size_t most = std::min(base.size(), frames_.size());
  std::size_t count = 0;
  while (count < most && frames_[count].place == base[count]) ++count;
  return count;
}

std::uint32_t SamplingSession::child(std::uint32_t parent, const SampledFrame& frame) {
  const NodeKey key{parent, frame.line, frame.code->id, frame.model == nullptr ? 0 : frame.model->id};
  if (const auto known = nodes.find(key); known != nodes.end()) return known->second;
  const std::uint32_t node = builder.child(parent, frame_of(frame));
  if (nodes.size() < node_limit) nodes.emplace(key, node);
  return node;
}

std::uint32_t SamplingSession::node_of_stack() {
  std::uint32_t node = 0;
  for (std::size_t i = frames_below_the_call(); i < frames_.size(); ++i) node = child(node, frames_[i]);
  return node;
}

void SamplingSession::attribute(std::uint32_t node, std::int64_t now_ns, std::int64_t cpu_ns, bool is_ours) {
  const std::int64_t wall = std::max<std::int64_t>(now_ns - last_ns, 0);
  const std::int64_t cpu = is_ours ? std::clamp<std::int64_t>(cpu_ns - last_cpu_ns, 0, wall) : 0;
  builder.add(node, 1, Nanoseconds(wall), Nanoseconds(cpu));
  last_ns = now_ns;
  last_cpu_ns = cpu_ns;
}

void SamplingSession::sample(StackReader& reader, std::int64_t now_ns) {
  const auto ticks = static_cast<std::uint64_t>((now_ns - due_ns) / period_ns) + 1;
  due_ns += static_cast<std::int64_t>(ticks) * period_ns;
  if (thread_gone) return;
  const std::int64_t cpu_ns = clock_ns(cpu_clock);
  const Belongs belongs = take(reader);
  if (thread_gone) return;
  builder.count_samples(ticks, belongs == Belongs::kUnclear ? ticks : ticks - 1);
  if (belongs == Belongs::kUnclear) return;
  const bool is_ours = belongs == Belongs::kHere;
  const std::uint32_t node =
      is_ours ? node_of_stack() : builder.child(0, {"<another greenlet runs>", "~", 0});
  attribute(node, now_ns, std::max<std::int64_t>(cpu_ns, last_cpu_ns), is_ours);
}

void SamplingSession::close(std::int64_t now_ns) {
  builder.add(0, 0, Nanoseconds(std::max<std::int64_t>(now_ns - last_ns, 0)));
  last_ns = now_ns;
}

namespace {

class SamplingService {
 public:
  /// One per process, made at the first use and never destroyed.
  static SamplingService& instance() {
    static auto* service = new SamplingService();
    return *service;
  }

  Result<void> add(const std::shared_ptr<SamplingSession>& session) {
    const std::scoped_lock lock(mutex_);
    if (!running_) {
      if (auto started = start_thread(); !started) return started;
    }
    if (sessions_.empty()) names_hold_until_ns_ = 0;
    ends_at_ns_ = kNever;
    sessions_.push_back(session);
    if (session->due_ns < wakes_at_ns_) wake();
    return {};
  }

  void remove(const std::shared_ptr<SamplingSession>& session) {
    const std::scoped_lock lock(mutex_);
    std::erase(sessions_, session);
  }

 private:
  SamplingService() {
    sem_init(&wanted_, 0, 0);
    pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child);
    Py_AtExit(&at_exit);  // where there is no room for it, the thread ends a little later
  }

  /// The interpreter's memory goes now.
  static void at_exit() {
    SamplingService& service = instance();
    const std::scoped_lock lock(service.mutex_);
    service.sessions_.clear();
    service.ends_at_ns_ = kAtOnce;
    if (service.running_) service.wake();
  }

  static void before_fork() { instance().mutex_.lock(); }
  static void after_fork_in_parent() { instance().mutex_.unlock(); }
  static void after_fork_in_child() {
    SamplingService& service = instance();
    service.sessions_.clear();
    service.running_ = false;
    service.reader_.forget();
    sem_init(&service.wanted_, 0, 0);
    service.mutex_.unlock();
  }

  Result<void> start_thread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the application's threads
    pthread_t thread{};
    const int error = pthread_create(&thread, nullptr, &run, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("no thread for a sampling profile: {}", std::strerror(error)));
    }
    pthread_detach(thread);
    running_ = true;
    wakes_at_ns_ = 0;  // looks before it sleeps
    return {};
  }

  static void* run(void* service) {
    pthread_setname_np(pthread_self(), "headroom-sample");
    ask_for_punctual_wakeups();
    auto& own = *static_cast<SamplingService*>(service);
    for (auto next_ns = own.round(); next_ns != kNever; next_ns = own.round()) own.sleep_until(next_ns);
    return nullptr;
  }

  /// The thread runs some 20 us each millisecond, so it may ask to run first; what is not granted is only
  /// missed samples on a busy machine. Timer slack else adds up to 50 us to every sleep; a short slice gives
  /// an early deadline (since Linux 6.12, no privilege needed); a lower nice value takes CAP_SYS_NICE.
  static void ask_for_punctual_wakeups() {
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    SchedulingAttributes attributes;
    attributes.nice = setpriority(PRIO_PROCESS, 0, kNice) == 0 ? kNice : 0;
    syscall(SYS_sched_setattr, 0, &attributes, 0U);
  }

  /// Or until it is woken.
  void sleep_until(std::int64_t time_ns) {
    const timespec time{time_ns / 1'000'000'000, time_ns % 1'000'000'000};
    sem_clockwait(&wanted_, CLOCK_MONOTONIC, &time);
  }

  /// Under the lock. At most once for each sleep, so that no wakes gather.
  void wake() {
    wakes_at_ns_ = 0;
    sem_post(&wanted_);
  }

  /// Samples what is due and tells when to look again; kNever when the thread is to end.
  std::int64_t round() {
    const std::scoped_lock lock(mutex_);
    wakes_at_ns_ = sessions_.empty() ? linger(clock_ns(CLOCK_MONOTONIC)) : sample_sessions();
    return wakes_at_ns_;
  }

  std::int64_t linger(std::int64_t now_ns) {
    if (ends_at_ns_ == kNever) ends_at_ns_ = now_ns + kLinger;
    if (now_ns < ends_at_ns_) return ends_at_ns_;
    reader_.forget();
    running_ = false;
    return kNever;
  }

  std::int64_t sample_sessions() {
    ends_at_ns_ = kNever;
    std::int64_t next_ns = kNever;
    for (const auto& session : sessions_) {
      const std::int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
      if (session->due_ns <= now_ns) sample(*session, now_ns);
      next_ns = std::min(next_ns, session->due_ns);
    }
    return next_ns;
  }

  void sample(SamplingSession& session, std::int64_t now_ns) {
    try {
      if (now_ns >= names_hold_until_ns_) {
        reader_.doubt_names();
        names_hold_until_ns_ = now_ns + kNamesHold;
      }
      session.sample(reader_, now_ns);
    } catch (const std::bad_alloc&) {
      session.thread_gone = true;  // keeps what it has; the application needs the memory more
    }
  }

  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kAtOnce = 0;

  std::mutex mutex_;
  sem_t wanted_{};  ///< posted when somebody wants the thread before the time it sleeps to
  bool running_ = false;
  std::int64_t wakes_at_ns_ = kNever;
  std::int64_t ends_at_ns_ = kNever;  ///< while there is no session
  std::int64_t names_hold_until_ns_ = 0;
  std::vector<std::shared_ptr<SamplingSession>> sessions_;
  StackReader reader_;
};

Result<void> check_supported() {
  if (!kKnowsFrames) return fail(ErrorCode::kUnsupported, std::string(kUnknownFrames));
  static const Result<void> readable = check_memory_readable();
  return readable;
}

}  // namespace

Result<std::unique_ptr<SamplingProfiler>> SamplingProfiler::start(Nanoseconds period,
                                                                  std::uint32_t node_limit) {
  if (auto supported = check_supported(); !supported) return fail(supported.error());
  const std::int64_t period_ns = std::clamp<std::int64_t>(period.count(), kShortestPeriod, kLongestPeriod);
  auto session = std::make_shared<SamplingSession>(period_ns, node_limit);
  session->thread = PyThreadState_Get();
  session->thread_id = session->thread->id;
  session->base = StackReader::own_stack();
  if (pthread_getcpuclockid(pthread_self(), &session->cpu_clock) != 0) {
    return fail(ErrorCode::kUnsupported, "sampling profiles are off: this thread has no CPU clock");
  }
  session->last_ns = clock_ns(CLOCK_MONOTONIC);
  session->last_cpu_ns = clock_ns(session->cpu_clock);
  session->due_ns = (session->last_ns / period_ns + 1) * period_ns;
  if (auto added = SamplingService::instance().add(session); !added) return fail(std::move(added).error());
  return std::unique_ptr<SamplingProfiler>(new SamplingProfiler(std::move(session)));
}

SamplingProfiler::~SamplingProfiler() {
  if (session_ != nullptr) SamplingService::instance().remove(session_);
}

perf::Profile SamplingProfiler::finish() {
  const std::shared_ptr<SamplingSession> session = std::exchange(session_, nullptr);
  if (session == nullptr) return perf::ProfileBuilder(perf::Profile::Kind::kSampled).take();
  SamplingService::instance().remove(session);
  session->close(clock_ns(CLOCK_MONOTONIC));
  return std::move(session->builder).take();
}

}  // namespace headroom::native
