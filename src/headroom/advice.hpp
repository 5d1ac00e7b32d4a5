#pragma once

// `headroom advice`, and what the command and the API share of it.

#include <string>

#include "base/result.hpp"
#include "headroom/explain.hpp"
#include "perf/advice.hpp"

namespace headroom::cli {

/// A question for advice: about one session, or about all calls that match.
struct AdviceRequest {
  std::string session;  ///< any unique beginning; empty for all
  perf::Filter filter;
  perf::Page page;
};

/// Where a URL of their database is known, the plans of the dearest slow statements are looked at; a plan
/// that can't be had makes the finding no worse than it was without. Errors: as perf::find_session; those of
/// the store. Cost: up to two seconds for each of five plans.
[[nodiscard]] base::Result<perf::Report> make_advice(perf::Store& store, const AdviceRequest& request,
                                                     const Databases& databases);

}  // namespace headroom::cli
