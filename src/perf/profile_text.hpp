#pragma once

// Profiles as text: what people and flame graph tools already know how to read.

#include <string>

#include "perf/profile.hpp"

namespace headroom::perf {

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
