#pragma once

#include "perf/active_call.hpp"

namespace headroom::native {

/// Where the running thread is, innermost frame last, at most 25 frames; frames of this package are left
/// out, and what is outside of its outermost one.
/// The lines are shared: each (code, instruction) is formatted once and kept, up to 16,384 of them.
/// Threads: the caller holds the interpreter's lock. Cost: about 100 ns a frame.
[[nodiscard]] perf::Backtrace capture_backtrace();

}  // namespace headroom::native
