#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace headroom::native {

/// Instructions before `end` (counted in code units, from the end of the entry before) belong to `line`;
/// 0 is none.
struct LineRange {
  std::uint32_t end = 0;
  std::uint32_t line = 0;

  [[nodiscard]] bool operator==(const LineRange&) const = default;
};

/// Decodes co_linetable of CPython 3.11. Neighbours of one line become one range. Any bytes may be given
/// (they are read while the program runs): what is cut or wrong ends the list.
/// Source: CPython 3.11, Objects/locations.md.
[[nodiscard]] std::vector<LineRange> decode_location_table(std::span<const unsigned char> table,
                                                           std::uint32_t first_line);

/// The line of the instruction at `unit`; `otherwise` when the table does not tell.
/// Cost: O(log ranges).
[[nodiscard]] std::uint32_t line_of(const std::vector<LineRange>& ranges, std::int64_t unit,
                                    std::uint32_t otherwise);

}  // namespace headroom::native
