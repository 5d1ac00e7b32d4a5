#pragma once

// What a call reads although it has it: the part of "read and never used" that a record can prove.

#include <map>
#include <string>
#include <vector>

#include "perf/advice.hpp"
#include "perf/impl/report_parts.hpp"

namespace headroom::perf::impl {

/// Finds executions of a SELECT that came after the same SELECT with the same values in the same call, with
/// no statement between that writes one of its tables, and that gave as many rows.
///
/// Only calls whose statements are all kept in order (`db` rules) have the material for it. A fingerprint is
/// blind to literals in the text; so a text may have no more places than values were bound, and no limit
/// beside a list, whose length is not known. Values that were removed or cut prove nothing.
class ReadsAgain final {
 public:
  /// By fingerprint. Cost: O(events log events).
  [[nodiscard]] std::vector<ReadAgain> find(const CallRecord& record, const Records& records);

 private:
  enum class Effect : std::uint8_t { kReads, kNothing, kWrites, kAnything };
  /// What a statement's text tells; looked at once.
  struct Shape {
    Effect effect = Effect::kAnything;
    std::vector<std::string> tables;
    std::size_t places = 0;
    bool has_list_and_limit = false;
  };
  class Reader;

  static Shape look_at(const StatementInfo* info);

  std::map<std::uint64_t, Shape> shapes_;
};

}  // namespace headroom::perf::impl
