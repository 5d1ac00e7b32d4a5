// Whatever bytes come, whole or in pieces: the same events, within the bounds, and text that is UTF-8.

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "wire/websocket.hpp"

namespace {

using namespace headroom::wire;

constexpr std::size_t kMost = 1000;

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<Event> read(std::string_view bytes, Sender sender, std::size_t piece) {
  FrameReader reader(sender, kMost);
  std::vector<Event> events;
  while (!bytes.empty()) {
    std::string_view some = bytes.substr(0, piece);
    bytes.remove_prefix(some.size());
    while (!some.empty()) {
      auto event = reader.next(some);
      if (event) events.push_back(std::move(*event));
    }
    require(reader.buffered() <= kMost + 125);
  }
  return events;
}

void check(const Event& event, bool last) {
  require(event.payload.size() <= kMost);
  if (event.kind == Event::Kind::kText || event.kind == Event::Kind::kClose) require(is_utf8(event.payload));
  if (event.kind == Event::Kind::kClose || event.kind == Event::Kind::kFailed) require(last);
}

void check_same(const std::vector<Event>& one, const std::vector<Event>& other) {
  require(one.size() == other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    require(one[i].kind == other[i].kind && one[i].code == other[i].code &&
            one[i].payload == other[i].payload);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const Sender sender : {Sender::kClient, Sender::kServer}) {
    const auto whole = read(bytes, sender, size + 1);
    for (std::size_t i = 0; i < whole.size(); ++i) check(whole[i], i + 1 == whole.size());
    check_same(whole, read(bytes, sender, 1));
    check_same(whole, read(bytes, sender, 7));
  }
  return 0;
}
