#pragma once

// One HTTP POST with a deadline: what the OTLP exporter needs of a client.

#include <chrono>
#include <string>

#include "base/result.hpp"
#include "headroom/otlp_section.hpp"

namespace headroom::cli {

struct HttpAnswer {
  int status = 0;
  std::string retry_after;
  std::string body;  ///< at most 64 KiB
};

/// Connects, sends a JSON body and reads the answer. Errors: timed_out, unavailable. The look-up of the name
/// is part of the deadline.
[[nodiscard]] base::Result<HttpAnswer> post_json(const HttpTarget& target, const HttpHeader* header,
                                                 const std::string& body, std::chrono::milliseconds timeout);

}  // namespace headroom::cli
