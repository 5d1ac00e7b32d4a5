#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "headroom/live.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {

/// Which methods come first.
enum class TopOrder { kTime, kNumber, kAverage, kErrors };

/// The order of a key: 't', 'n', 'a' or 'e'.
[[nodiscard]] std::optional<TopOrder> top_order(char key);

struct ScreenSize {
  std::size_t width = 80;
  std::size_t height = 24;  ///< 0: as many lines as there are
};

/// What `headroom top` shows: a line of totals, what runs, what is busy, what was recorded. Never more lines
/// than the screen has, and none is longer. What comes from outside is escaped. Threads: pure.
[[nodiscard]] std::vector<std::string> top_lines(const LiveView& view, TopOrder order, const ScreenSize& size,
                                                 perf::Color color);

}  // namespace headroom::cli
