#pragma once

// What the command `headroom export` and its route share.

#include <string_view>

#include "base/result.hpp"
#include "headroom/configuration.hpp"
#include "perf/export.hpp"

namespace headroom::cli {

/// Errors: invalid_argument (the message lists the formats).
[[nodiscard]] base::Result<perf::ExportFormat> parse_export_format(std::string_view text);
/// What traces are said to come from.
[[nodiscard]] perf::OtlpResource otlp_resource(const Configuration& configuration);

}  // namespace headroom::cli
