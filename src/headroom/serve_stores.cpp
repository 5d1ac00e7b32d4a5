#include "headroom/serve_stores.hpp"

#include <utility>

namespace headroom::cli {

using base::ErrorCode;

base::Result<StorePool::Lent> StorePool::take() {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(idle_, [&](const Lent& one) { return now - one.opened > kLongestUse; });
    if (!idle_.empty()) {
      Lent lent = std::move(idle_.back());
      idle_.pop_back();
      return lent;
    }
  }
  auto store = perf::open_store(url_, mode_);
  if (store) return Lent{std::move(*store), now};
  const ErrorCode code = store.error().code();
  // For a client of the server a store that is not there yet is a store that is away.
  return base::fail(code == ErrorCode::kNotFound ? ErrorCode::kUnavailable : code, store.error().message());
}

void StorePool::give_back(Lent lent) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < most_) idle_.push_back(std::move(lent));
}

bool StorePool::keeps_working(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kNotFound || code == ErrorCode::kConflict;
}

}  // namespace headroom::cli
