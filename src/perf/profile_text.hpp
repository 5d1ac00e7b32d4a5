#pragma once

// Profiles as text: what people and flame graph tools already know how to read.

#include <cstdint>
#include <string>
#include <vector>

#include "perf/profile.hpp"

namespace headroom::perf {

/// What one frame amounts to over the whole tree. Cumulative figures count only where the frame is not
/// already running.
struct FrameTotal {
  std::uint64_t calls = 0;
  std::uint64_t primitive_calls = 0;   ///< calls that were not inside another call of the same frame
  std::uint64_t cumulative_calls = 0;  ///< with everything below it, as cumulative time
  base::Nanoseconds self{0};
  base::Nanoseconds cpu{0};
  base::Nanoseconds cumulative{0};
};

/// Shape: one for each of the profile's frames, in their order. Cost: O(nodes), however deep the tree.
[[nodiscard]] std::vector<FrameTotal> totals_by_frame(const Profile& profile);

/// As pstats prints `sort_stats('cumulative').print_stats()`. Recursion counts as pstats does: "3/1" is
/// three calls of which one was not inside another of the same function, and cumulative time holds the
/// outermost only. A sampled profile shows one row for each function, with the line where it spent most:
/// samples in it and what it called, samples in itself, self and CPU seconds and cumulative seconds; and what
/// was missed. Cost: O(nodes).
[[nodiscard]] std::string pstats_text(const Profile& profile);

/// Folded stacks, one path a line with its self time in microseconds: "a (file:1);b (file:2) 1234".
/// Paths without self time are left out; ';' and line breaks inside names become ':' and ' '. Ordered by
/// path.
/// Source: Brendan Gregg, FlameGraph/stackcollapse; read by flamegraph.pl, speedscope and inferno.
[[nodiscard]] std::string collapsed(const Profile& profile);

}  // namespace headroom::perf
