#pragma once

// Options that the commands with questions over many calls share.

#include <string>

#include "base/result.hpp"
#include "perf/store.hpp"

namespace CLI {
class App;
}

namespace headroom::cli {

/// --user, --database, --method
void add_call_filter_options(CLI::App& command, perf::Filter& filter);
/// The same, with --limit and --offset.
void add_filter_options(CLI::App& command, perf::Filter& filter, perf::Page& page);

/// --since and --until as text: they are understood when the command runs.
struct RangeOptions {
  std::string since;
  std::string until;
};
void add_range_options(CLI::App& command, RangeOptions& options);
/// Errors: invalid_argument.
[[nodiscard]] base::Result<void> read_range(const RangeOptions& options, perf::Filter& filter);

}  // namespace headroom::cli
