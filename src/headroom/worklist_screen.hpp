#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "headroom/top_screen.hpp"

namespace headroom::cli {

/// What a user's events have told until now.
struct WorklistView {
  using Time = std::chrono::steady_clock::time_point;
  struct List {
    std::uint64_t count = 0;
    std::optional<Time> changed;  ///< none: since it is looked at
  };
  std::string user;
  std::string state;  ///< "current", "waiting for transaction of process 4711, open for 12 s"
  std::string lsn;
  std::map<std::string, List> lists;  ///< by key; without those that a guard refuses
  std::string problem;                ///< why nothing is told now; empty

  /// Takes an event in. Errors: protocol (no JSON of that kind). Cost: O(lists in it x log lists).
  [[nodiscard]] base::Result<void> take(std::string_view name, std::string_view data, Time now);
};

enum class WorklistShown : std::uint8_t { kNotZero, kAll };

/// What `headroom worklist watch` shows: a line of how fresh it is, and the lists. As bounded as `top_lines`.
/// Threads: pure.
[[nodiscard]] std::vector<std::string> worklist_lines(const WorklistView& view, WorklistShown shown,
                                                      const ScreenSize& size, perf::Color color,
                                                      WorklistView::Time now);

}  // namespace headroom::cli
