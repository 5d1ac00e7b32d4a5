// The first byte chooses the reader. An answer that is understood must be coded and read again to the same;
// out of any bytes come only requests that are coded as they stood there, and little is kept for later.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "perf/stack_exchange.hpp"

namespace {

namespace perf = headroom::perf;

void check_answer(std::string_view bytes) {
  const auto answer = perf::decode_answer(bytes);
  const auto again = perf::decode_answer(perf::encode_answer(answer, std::size_t{1} << 24));
  if (answer && (!again || *again != *answer)) std::abort();
}

void check_requests(std::string_view bytes) {
  std::string rest(bytes);
  for (const auto& request : perf::take_requests(rest)) {
    if (bytes.find(perf::encode_request(request).substr(0, 24)) == std::string_view::npos) std::abort();
  }
  if (rest.size() >= perf::encode_request({}).size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'a') {
    check_answer(bytes);
  } else {
    check_requests(bytes);
  }
  return 0;
}
