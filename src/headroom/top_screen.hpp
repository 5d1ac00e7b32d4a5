#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "headroom/live.hpp"
#include "headroom/stack.hpp"
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

/// What the keys have chosen.
struct TopChoice {
  TopOrder order = TopOrder::kTime;
  std::string call = {};  ///< the id of the chosen running call; empty: the oldest
  bool stack = false;
  bool paused = false;
  bool ended = false;
};

/// What a key does: q ends, space pauses, j and k choose the next and the last running call, s shows its
/// stack and goes back, t, n, a and e sort. Threads: pure.
void press(char key, const LiveView& view, TopChoice& choice);

/// The chosen call, while it runs; else null. Lifetime: the view's.
[[nodiscard]] const perf::RunningCall* chosen_call(const LiveView& view, const TopChoice& choice);

/// The screen of one call and its stack, innermost frame first; no stack yet when there is none. As bounded
/// as `top_lines`. Threads: pure.
[[nodiscard]] std::vector<std::string> stack_lines(const std::optional<ShownStack>& shown,
                                                   const ScreenSize& size, perf::Color color);

/// What `headroom top` shows: a line of totals, what runs, what is busy, what was recorded. Never more lines
/// than the screen has, and none is longer. What comes from outside is escaped. Threads: pure.
[[nodiscard]] std::vector<std::string> top_lines(const LiveView& view, const TopChoice& choice,
                                                 const ScreenSize& size, perf::Color color);

}  // namespace headroom::cli
