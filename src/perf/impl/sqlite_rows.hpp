#pragma once

// What reading, writing and pruning share: the packed totals in `call.statements`, the parts of a call, and
// sums.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "perf/impl/sqlite_database.hpp"
#include "perf/record.hpp"

namespace headroom::perf {

/// One StatementTotal in `call.statements`: the numbers of rows instead of fingerprint and text.
struct PackedTotal {
  std::int64_t statement = 0;
  std::uint32_t count = 0;
  Microseconds time{0};
  Microseconds longest{0};
  std::int64_t rows = 0;
  std::int64_t backtrace = 0;  ///< 0 is none
};

void pack(std::string& bytes, const PackedTotal& total);

/// Reads the totals one after the other. Throws SqliteError on bytes that `pack` didn't make.
class PackedTotals final {
 public:
  explicit PackedTotals(std::string_view bytes) : at_(bytes) {}
  [[nodiscard]] bool next(PackedTotal& total);

 private:
  std::string_view at_;
};

/// Calls or statements, and their time.
struct Sum {
  std::int64_t number = 0;
  std::int64_t time = 0;
};

enum class PartKind : std::uint8_t { kDetail, kExactProfile, kSampledProfile, kRequest, kResponse };
inline constexpr std::int64_t kPartsPerCall = 8;

/// What is stored of a part: the bytes as they are, or deflated where that saves something.
struct StoredPart {
  std::int64_t size = 0;
  std::string bytes;
};
[[nodiscard]] StoredPart deflate_part(std::string bytes);
/// Throws SqliteError when the bytes don't inflate to `size`.
[[nodiscard]] std::string inflate_part(std::int64_t size, std::string_view bytes);

/// Days since the epoch, the unit of `used`.
[[nodiscard]] std::int64_t day_of(UtcTime time);

[[noreturn]] void raise_malformed(std::string_view what);

}  // namespace headroom::perf
