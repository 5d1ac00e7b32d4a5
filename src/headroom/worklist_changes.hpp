#pragma once

// What a listener has been told, and the newest counts on their way to him.

#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "worklist/live_service.hpp"

namespace headroom::cli {

/// From the counters' thread to the I/O thread: the newest alone. Threads: any.
class WorklistMailbox {
 public:
  /// True when somebody has to be told that there is something.
  [[nodiscard]] bool put(base::Result<worklist::LiveCounts> news) {
    const std::lock_guard lock(mutex_);
    newest_ = std::move(news);
    return !std::exchange(is_announced_, true);
  }
  [[nodiscard]] std::optional<base::Result<worklist::LiveCounts>> take() {
    const std::lock_guard lock(mutex_);
    is_announced_ = false;
    return std::exchange(newest_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::optional<base::Result<worklist::LiveCounts>> newest_;
  bool is_announced_ = false;
};

/// The numbers that a listener knows.
class WorklistChanges {
 public:
  /// An object of the lists whose number is another than was told, or null where a guard refuses it now; it
  /// is taken as told. Nothing when none is; the first time all that no guard refuses.
  [[nodiscard]] std::optional<nlohmann::json> take(const worklist::Definitions& definitions,
                                                   const std::vector<worklist::Count>& counts);

 private:
  bool is_first_ = true;
  std::vector<std::optional<std::uint64_t>> told_;  ///< nothing: a guard refuses it
};

}  // namespace headroom::cli
