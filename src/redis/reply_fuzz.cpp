// Any bytes are replies or an error, within the limits, however they are cut.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "redis/reply.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  headroom::redis::ReplyReader reader({.bytes = 64'000, .elements = 1'000});
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t step = size == 0 ? 1 : 1 + data[0] % 32U;
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, std::min(step, bytes.size()));
    bytes.remove_prefix(part.size());
    if (!reader.feed(part)) return 0;
    for (;;) {
      auto reply = reader.next();
      if (!reply) return 0;
      if (!*reply) break;
    }
  }
  return 0;
}
