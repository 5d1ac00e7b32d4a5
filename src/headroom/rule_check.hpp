#pragma once

// Judges a finished rule before it goes into the store, whether the command line or the API made it. A rule
// obeys at once in every process: one that means more than was asked slows everybody down and fills the
// store.

#include <string_view>

#include "base/result.hpp"
#include "perf/rule.hpp"

namespace headroom::cli {

/// Errors: invalid_argument: nothing limits the rule, a user without a name, an empty glob or one whose '['
/// is not closed, an end that is not behind its beginning. The message says what is accepted. Threads: pure.
[[nodiscard]] base::Result<void> check_rule(const perf::Rule& rule);

/// What a list option or key was given, for messages.
[[nodiscard]] base::Result<void> check_not_empty(std::string_view what, std::string_view value);

}  // namespace headroom::cli
