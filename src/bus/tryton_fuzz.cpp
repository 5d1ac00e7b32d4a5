// Any bytes as a payload, as the body of a poll and as the header. An answer that is taken is JSON and says
// what the payload said.

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bus/tryton_payload.hpp"

namespace {

using namespace headroom::bus;
using nlohmann::json;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_payload(std::string_view text) {
  const auto message = parse_tryton_payload(text);
  if (!message) return;
  const json payload = json::parse(text);
  const json answer = json::parse(message->body);
  require(answer["message"] == payload["message"]);
  require(answer["channel"] == payload["channel"] && answer["channel"] == message->channel);
  require(answer["message"]["message_id"] == message->id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_payload(text);
  if (const auto poll = parse_tryton_poll(text)) require(poll->channels.size() <= kTrytonChannels);
  if (const auto session = parse_tryton_authorization(text)) require(session->digest.size() == 64);
  return 0;
}
