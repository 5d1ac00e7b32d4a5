#pragma once

// What runs now, what is busy and what was just recorded: one look for `headroom top` and for the pages.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "headroom/blocking_watch.hpp"
#include "perf/live.hpp"
#include "perf/scoreboard.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

/// One look. Lists are bounded; the totals say what was left out.
struct LiveView {
  base::UtcTime at{};
  std::vector<perf::RunningCall> running;  ///< oldest first
  std::size_t running_total = 0;
  BlockingView blocking;  ///< of the databases in which a running call has been in a statement for a while
  std::vector<perf::MethodRate> methods;  ///< the most time first
  double per_second = 0;                  ///< over all methods
  std::vector<perf::CallSummary> calls;   ///< recorded within the last seconds, newest first
  std::uint64_t drops = 0;                ///< records lost by the processes of the last hour
  std::string problem;                    ///< why the store told nothing; empty when it did
};

/// Looks again and again; rates need two looks. Threads: one at a time.
class LiveSource {
 public:
  static constexpr std::size_t kRunning = 200;
  static constexpr std::size_t kMethods = 100;
  static constexpr std::size_t kCalls = 50;
  static constexpr base::Microseconds kWindow = std::chrono::seconds{5};
  /// A call that began earlier is not among `calls`.
  static constexpr base::Microseconds kRecent = std::chrono::seconds{60};

  using UseStore = std::function<base::Result<void>(perf::OpenStore&)>;
  /// Lends a store for the length of the call.
  using WithStore = std::function<base::Result<void>(const UseStore&)>;

  /// `blocking` may be null: then nothing is said about locks.
  LiveSource(std::string state, WithStore with_store, std::shared_ptr<BlockingWatch> blocking = nullptr)
      : state_(std::move(state)), with_store_(std::move(with_store)), blocking_(std::move(blocking)) {}

  /// Never fails: a store that is away is a `problem`, and the scoreboards tell what runs all the same.
  [[nodiscard]] LiveView look(base::UtcTime now, std::int64_t now_ns);
  /// Nobody looks for now: ends what is only kept from look to look.
  void rest();

 private:
  base::Result<void> read_store(perf::OpenStore& open, base::UtcTime now, std::int64_t now_ns,
                                LiveView& view);

  std::string state_;
  WithStore with_store_;
  std::shared_ptr<BlockingWatch> blocking_;
  perf::LiveWindow window_{kWindow};
};

/// One line of JSON, as docs/api.md describes it. Threads: pure.
[[nodiscard]] std::string live_json(const LiveView& view);

}  // namespace headroom::cli
