#pragma once

// Calls by the hundred thousand, as comparisons need them: a few numbers each, in flat lists, with names and
// texts kept once.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "sql/statement.hpp"

namespace headroom::perf {

/// The executions of one statement within one call.
struct StatementSample {
  std::uint32_t statement = 0;  ///< index into CallSamples::statements
  std::uint32_t count = 0;
  base::Microseconds time{0};
};

struct CallSample {
  base::UtcTime start{};
  base::Microseconds wall{0};
  base::Microseconds sql{0};
  std::uint32_t method = 0;  ///< index into CallSamples::methods
  std::uint32_t statements = 0;
  std::uint64_t first_part = 0;  ///< its StatementSamples in CallSamples::parts
  std::uint32_t parts = 0;
};

/// Calls by start, then rank.
struct CallSamples {
  std::vector<std::string> methods;
  std::vector<sql::Statement> statements;
  std::vector<CallSample> calls;
  std::vector<StatementSample> parts;
  /// False when there are more calls than were asked for: these are the first.
  bool complete = true;

  [[nodiscard]] std::span<const StatementSample> parts_of(const CallSample& call) const {
    return std::span(parts).subspan(call.first_part, call.parts);
  }
};

}  // namespace headroom::perf
