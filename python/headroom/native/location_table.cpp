#include "location_table.hpp"

#include <algorithm>

namespace headroom::native {

namespace {

/// Kinds of entries; the names are those of CPython's PyCodeLocationInfoKind.
enum Kind : unsigned { kOneLine0 = 10, kOneLine2 = 12, kNoColumns = 13, kLong = 14, kNone = 15 };

class TableReader {
 public:
  explicit TableReader(std::span<const unsigned char> table) : rest_(table) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// An entry begins with the only byte whose top bit is set.
  [[nodiscard]] bool at_entry() const { return !rest_.empty() && (rest_.front() & 0x80U) != 0; }

  unsigned byte() {
    if (rest_.empty()) return 0;
    const unsigned value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }

  /// Six bits a byte, lowest first; bit 6 says that more follow.
  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 32; shift += 6) {
      const unsigned bits = byte();
      value |= (bits & 0x3fU) << shift;
      if ((bits & 0x40U) == 0) break;
    }
    return value;
  }

  /// The lowest bit is the sign.
  std::int64_t signed_varint() {
    const std::uint32_t value = varint();
    const auto magnitude = static_cast<std::int64_t>(value >> 1U);
    return (value & 1U) != 0 ? -magnitude : magnitude;
  }

  void skip_entry() {
    while (!rest_.empty() && !at_entry()) rest_ = rest_.subspan(1);
  }

 private:
  std::span<const unsigned char> rest_;
};

std::int64_t line_delta(unsigned kind, TableReader& reader) {
  if (kind >= kOneLine0 && kind <= kOneLine2) return static_cast<std::int64_t>(kind) - kOneLine0;
  if (kind == kNoColumns || kind == kLong) return reader.signed_varint();
  return 0;
}

std::uint32_t shown(std::int64_t line) {
  return line > 0 && line <= 0x7fffffff ? static_cast<std::uint32_t>(line) : 0;
}

}  // namespace

std::vector<LineRange> decode_location_table(std::span<const unsigned char> table, std::uint32_t first_line) {
  std::vector<LineRange> ranges;
  TableReader reader(table);
  std::int64_t line = first_line;
  std::uint32_t end = 0;
  while (reader.at_entry()) {
    const unsigned head = reader.byte();
    const unsigned kind = (head >> 3U) & 15U;
    end += (head & 7U) + 1;
    line += line_delta(kind, reader);
    reader.skip_entry();
    const std::uint32_t here = kind == kNone ? 0 : shown(line);
    if (!ranges.empty() && ranges.back().line == here) {
      ranges.back().end = end;
    } else {
      ranges.push_back({end, here});
    }
  }
  return ranges;
}

std::uint32_t line_of(const std::vector<LineRange>& ranges, std::int64_t unit, std::uint32_t otherwise) {
  const auto found = std::partition_point(ranges.begin(), ranges.end(),
                                          [&](const LineRange& range) { return range.end <= unit; });
  return unit < 0 || found == ranges.end() || found->line == 0 ? otherwise : found->line;
}

}  // namespace headroom::native
