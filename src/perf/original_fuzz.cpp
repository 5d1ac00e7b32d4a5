// Any bytes as the original's msgpack, pstats text or date give a value or nothing.
#include <cstdint>
#include <string_view>

#include "perf/original.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(headroom::perf::flat_msgpack(bytes));
  static_cast<void>(headroom::perf::profile_from_pstats(bytes));
  static_cast<void>(headroom::perf::original_time(bytes));
  return 0;
}
