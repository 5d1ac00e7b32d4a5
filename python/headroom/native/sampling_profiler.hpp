#pragma once

#include <Python.h>

#include <memory>

#include "base/result.hpp"
#include "perf/profile.hpp"

namespace headroom::native {

struct SamplingSession;

/// Looks 1,000 times a second where the thread of one call is, from a native thread that never takes the
/// GIL.
///
/// Every sample gives the time since the last one to the line that runs, wall and CPU time apart, so
/// that waiting shows. Frames that were on the stack when it started are left out: the tree begins below
/// the call. A thread that runs another greenlet (gevent) is seen by its outermost frame; that time
/// belongs to "<another greenlet runs>" and has no CPU time. One native thread serves all sessions of
/// the process; it sleeps for 5 seconds after the last of them, then ends, with what it knows of names.
///
/// Errors of `start`: unsupported, with the reason, on a CPython whose frames are unknown or where the
/// kernel forbids to read memory; unavailable when no thread can be made.
/// Guarantees: `samples` is what the clock asked for, `missed` what was not taken (the machine was busy,
/// or the stack changed while it was read three times); the sum of wall times is the time from `start`
/// to `finish`.
/// Threads: `start` needs the GIL and is called by the thread to be sampled; `finish` and the destructor
/// may be called by any thread, with or without the GIL.
/// Lifetime: the end of the sampled thread, a fork (the child keeps what was measured before) and the
/// end of the interpreter end the sampling; `finish` gives what there is.
/// Cost: about 30 us of the sampling thread for each sample of a shallow stack, 70 to 90 us for one of
/// 40 frames and more (its caches are cold after each sleep); once in 10 ms 1 us for each name that is
/// met again. On the call's own path: waking the thread where it sleeps, or making it.
class SamplingProfiler final {
 public:
  static constexpr base::Nanoseconds kPeriod{1'000'000};

  /// Units: a period below 100 us is raised to that, one beyond a second lowered.
  [[nodiscard]] static base::Result<std::unique_ptr<SamplingProfiler>> start(
      base::Nanoseconds period = kPeriod, std::uint32_t node_limit = perf::ProfileBuilder::kNodeLimit);

  SamplingProfiler(const SamplingProfiler&) = delete;
  SamplingProfiler& operator=(const SamplingProfiler&) = delete;
  ~SamplingProfiler();

  /// Ends the sampling. A second call gives an empty profile.
  /// Cost: waits for the sample that is being taken, if any (some 20 us).
  [[nodiscard]] perf::Profile finish();

 private:
  explicit SamplingProfiler(std::shared_ptr<SamplingSession> session) : session_(std::move(session)) {}

  std::shared_ptr<SamplingSession> session_;  ///< shared with the sampling thread while it is open
};

}  // namespace headroom::native
