#pragma once

// `headroom diff`, and what the command and the API share of it.

#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "perf/diff.hpp"

namespace headroom::cli {

/// A comparison as it was asked for, in the user's words.
struct DiffRequest {
  std::string a;
  std::string b;
  std::string by = "method";
  std::string measure = "time";
  std::string threshold = "10%";
  /// Holds for both sides; its session is not read.
  perf::Filter filter;
  perf::Page page;
};

/// Errors: invalid_argument (what is wrong, and what is accepted); those of perf::diff.
[[nodiscard]] base::Result<perf::Diff> make_diff(perf::Store& store, const DiffRequest& request,
                                                 const perf::Releases& releases, base::UtcTime now);

}  // namespace headroom::cli
