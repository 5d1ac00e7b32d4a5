// Any bytes as a request target: what is accepted must hold the promises of target.hpp, and routing must cope
// with it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/router.hpp"
#include "net/target.hpp"
#include "wire/utf8.hpp"

namespace {

using namespace headroom::net;

void require(bool promise) {
  if (!promise) std::abort();
}

const Router& router() {
  static const Router kRouter = [] {
    Router made;
    const Handler answer = [](const Request&) { return Response{}; };
    for (const char* pattern :
         {"/", "/health", "/api/perf/{report}", "/api/perf/rules", "/api/perf/rules/{id}", "/{a}/{b}/{c}"}) {
      made.add({.method = "GET", .pattern = pattern, .deadline = {}, .handler = answer});
    }
    return made;
  }();
  return kRouter;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto target = parse_target({reinterpret_cast<const char*>(data), size});
  if (!target) return 0;
  for (const std::string& segment : target->segments) {
    require(!segment.empty() && segment != "." && segment != ".." && headroom::wire::is_utf8(segment));
    require(segment.find('\0') == std::string::npos && segment.find('\n') == std::string::npos);
  }
  for (const auto& [name, value] : target->query.all())
    require(headroom::wire::is_utf8(name) && headroom::wire::is_utf8(value));
  const Match get = router().match("GET", target->segments);
  const Match post = router().match("POST", target->segments);
  require(post.route == nullptr && (get.route == nullptr) == post.allow.empty());
  return 0;
}
