// Any bytes as a packed profile: refused, or a tree that every reader of profiles can walk.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "perf/profile.hpp"
#include "perf/profile_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headroom::perf;
  const auto profile = unpack_profile({reinterpret_cast<const char*>(data), size});
  if (!profile) return 0;
  const auto again = unpack_profile(pack_profile(*profile));
  if (!again || *again != *profile) std::abort();
  static_cast<void>(pstats_text(*profile));
  return 0;
}
