#pragma once

// What running calls execute now: for `headroom stack`, for top, and for the pages.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "perf/scoreboard.hpp"
#include "perf/stack_exchange.hpp"

namespace headroom::cli {

/// A running call, and its stack or why there is none.
struct ShownStack {
  perf::RunningCall call;
  perf::StackAnswer stack;
};

inline constexpr std::size_t kMostStacks = 10;
inline constexpr std::size_t kUsualStacks = 5;

/// The calls that are meant: those of a process (its number), one call by its id or a beginning or an end of
/// it that no other one has, or, when nothing is named, all. Oldest first, at most `most`.
/// Errors: invalid_argument for what can't be an id, not_found, conflict (the message names some).
/// Threads: pure.
[[nodiscard]] base::Result<std::vector<perf::RunningCall>> choose_calls(
    std::vector<perf::RunningCall> running, std::string_view which, std::size_t most);

/// Asks the processes one after the other. Cost: up to two seconds for each that does not answer.
[[nodiscard]] std::vector<ShownStack> take_stacks(std::vector<perf::RunningCall> calls);

/// {"stacks":[...]} on one line, as docs/api.md describes it; without a line end. Threads: pure.
[[nodiscard]] std::string stacks_json(const std::vector<ShownStack>& stacks);

/// "call ID  METHOD  USER@DATABASE  process N  runs for 12.000 s, sql for 11.990 s", escaped.
[[nodiscard]] std::string call_line(const perf::RunningCall& call);
/// "FILE:LINE FUNCTION", as in a backtrace, escaped.
[[nodiscard]] std::string frame_line(const perf::StackFrame& frame);
/// For people: each call with its frames, innermost last as in a backtrace.
[[nodiscard]] std::string stacks_text(const std::vector<ShownStack>& stacks);

}  // namespace headroom::cli
