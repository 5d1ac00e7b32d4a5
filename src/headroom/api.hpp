#pragma once

// The JSON API under /api/perf; docs/api.md describes it for its users.

#include <functional>
#include <string>

#include "base/result.hpp"
#include "headroom/serve_stores.hpp"
#include "net/http.hpp"
#include "net/router.hpp"
#include "perf/report.hpp"
#include "perf/rule.hpp"

namespace headroom::cli {

/// What the API works on. Lifetime: outlives the router.
struct ApiContext {
  StorePool& read;
  StorePool& write;
  /// The folder of the scoreboards.
  std::string state;
  /// `headroom status` as JSON.
  std::function<base::Result<std::string>()> status;
};

/// Adds every route under /api/perf.
void add_perf_api(net::Router& router, const ApiContext& context);

/// Reads the query of GET /api/perf/REPORT. Errors: invalid_argument (an unknown, repeated or malformed
/// parameter; the message names it and what is accepted). Threads: pure.
[[nodiscard]] base::Result<perf::ReportRequest> parse_report_request(std::string_view report,
                                                                     const net::Parameters& query,
                                                                     base::UtcTime now);

/// Reads the body of POST /api/perf/rules. Errors: invalid_argument. Threads: pure.
[[nodiscard]] base::Result<perf::Rule> parse_rule(std::string_view body, base::UtcTime now);

/// The body of a report's answer. Threads: pure.
[[nodiscard]] std::string report_body(const perf::ReportRequest& request, const perf::Report& report);

}  // namespace headroom::cli
