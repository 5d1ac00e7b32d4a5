#pragma once

// Open stores, lent to one thread at a time.
//
// A store object belongs to one thread, so each request borrows one and gives it back. A store that failed is
// not lent again, and none is kept longer than `kLongestUse`: a file that was replaced or a server that came
// back is found again without a restart.

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

/// Threads: all. Bound: `most` stores are kept; more may be open while they are lent.
class StorePool {
 public:
  static constexpr std::chrono::seconds kLongestUse{30};

  StorePool(std::string url, perf::OpenMode mode, std::size_t most)
      : url_(std::move(url)), mode_(mode), most_(most) {}

  /// Calls `use` with a store and passes its Result on.
  /// Errors: unavailable when the store is missing or away; those of `use`.
  template <typename Use>
  auto with(Use use) -> decltype(use(std::declval<perf::OpenStore&>())) {
    auto lent = take();
    if (!lent) return base::fail(std::move(lent.error()));
    auto result = use(lent->store);
    if (result || keeps_working(result.error().code())) give_back(std::move(*lent));
    return result;
  }

 private:
  struct Lent {
    perf::OpenStore store;
    std::chrono::steady_clock::time_point opened;
  };

  [[nodiscard]] base::Result<Lent> take();
  void give_back(Lent lent);
  /// The error is about what was asked, not about the store.
  [[nodiscard]] static bool keeps_working(base::ErrorCode code);

  std::string url_;
  perf::OpenMode mode_;
  std::size_t most_;
  std::mutex mutex_;
  std::vector<Lent> idle_;
};

}  // namespace headroom::cli
