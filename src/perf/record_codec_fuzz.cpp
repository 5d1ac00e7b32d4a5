// The first byte chooses the decoder; what it accepts must be coded and read again to the same bytes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "perf/record_codec.hpp"

namespace {

using headroom::base::Result;
using headroom::perf::encode;

template <typename T>
void check(Result<T> (*decode)(std::string_view), std::string_view bytes) {
  const auto value = decode(bytes);
  if (!value) return;
  const auto coded = encode(*value);
  const auto again = decode(coded);
  if (!again || encode(*again) != coded) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  namespace perf = headroom::perf;
  switch (data[0]) {
    case 'r':
      check(perf::decode, bytes);
      break;
    case 's':
      check(perf::decode_summary, bytes);
      break;
    case 'p':
      check(perf::decode_profile, bytes);
      break;
    case 'i':
      check(perf::decode_statement, bytes);
      break;
    case 'c':
      check(perf::decode_count, bytes);
      break;
    case 'h':
      check(perf::decode_process, bytes);
      break;
    default:
      check(perf::decode_body, bytes);
  }
  return 0;
}
