// Any text is a URL or an error in one line; what is a URL has a place to connect to.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "redis/url.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto url = headroom::redis::parse_url(text);
  if (url && url->host.empty() && url->path.empty()) std::abort();
  if (!url && url.error().message().find('\n') != std::string::npos) std::abort();
  return 0;
}
