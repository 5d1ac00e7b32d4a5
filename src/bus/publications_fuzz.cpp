// Whatever is posted: it is refused, or each publication holds one JSON value in compact UTF-8, which is read
// again as the same.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "bus/impl/json.hpp"
#include "bus/publications.hpp"
#include "wire/utf8.hpp"

namespace {

using namespace headroom::bus;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Publication& one) {
  require(check_channel(one.channel).has_value());
  require(one.id.size() <= kMostPublicationIdBytes);
  require(headroom::wire::is_utf8(one.data));
  require(compact(one.data) == one.data);
  const std::string body = "{\"channel\":" + quoted(one.channel) + ",\"data\":" + one.data + "}";
  const auto again = parse_publications(body, 1);
  require(again && again->all.front() && again->all.front()->data == one.data &&
          again->all.front()->channel == one.channel);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = parse_publications({reinterpret_cast<const char*>(data), size}, 16);
  if (!parsed) return 0;
  require(!parsed->all.empty() && parsed->all.size() <= 16);
  for (const auto& one : parsed->all) {
    if (one) check(*one);
  }
  return 0;
}
