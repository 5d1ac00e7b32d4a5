#include "net/websocket.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "net/access.hpp"

namespace headroom::net {
namespace {

/// Calls `take` for each name of every header of that name.
template <typename Take>
void each_listed(const Headers& headers, std::string_view name, Take take) {
  for (const auto& [key, value] : headers.all()) {
    if (!equals_ignoring_case(key, name)) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t end = rest.find(',');
      std::string_view one = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
      while (one.starts_with(' ')) one.remove_prefix(1);
      while (one.ends_with(' ')) one.remove_suffix(1);
      take(one);
    }
  }
}

bool lists(const Headers& headers, std::string_view name, std::string_view wanted) {
  bool found = false;
  each_listed(headers, name,
              [&](std::string_view one) { found = found || equals_ignoring_case(one, wanted); });
  return found;
}

std::string chosen_protocol(const Headers& headers, const std::vector<std::string>& known) {
  std::vector<std::string_view> offered;
  each_listed(headers, "Sec-WebSocket-Protocol", [&](std::string_view one) { offered.push_back(one); });
  for (const std::string& protocol : known) {
    if (std::ranges::find(offered, protocol) != offered.end()) return protocol;
  }
  return {};
}

Response upgrade_required() {
  Response response = error_response(426, "protocol", "this path speaks WebSocket, version 13");
  response.headers.add("Upgrade", "websocket");
  response.headers.add("Sec-WebSocket-Version", "13");
  return response;
}

}  // namespace

Response websocket_handshake(const Request& request, const WebSocketRoute& route) {
  const Headers& headers = request.headers;
  const std::string* version = headers.find("Sec-WebSocket-Version");
  const bool asked = request.method == "GET" && lists(headers, "Upgrade", "websocket") &&
                     lists(headers, "Connection", "upgrade");
  if (!asked || version == nullptr || *version != "13") return upgrade_required();
  if (route.access != Access::kOwn && comes_from_another_site(request))
    return error_response(403, "denied", "a page of another site may not open a WebSocket here");
  const std::string* key = headers.find("Sec-WebSocket-Key");
  if (key == nullptr || !wire::is_key(*key) || headers.count("Sec-WebSocket-Key") != 1)
    return error_response(400, "protocol", "Sec-WebSocket-Key must be the base64 of 16 bytes");
  Response response;
  response.status = 101;
  response.headers.add("Upgrade", "websocket");
  response.headers.add("Connection", "Upgrade");
  response.headers.add("Sec-WebSocket-Accept", wire::accept_key(*key));
  const std::string protocol = chosen_protocol(headers, route.protocols);
  if (!protocol.empty()) response.headers.add("Sec-WebSocket-Protocol", protocol);
  return response;
}

void WebSocketGroup::join(const std::shared_ptr<WebSocket>& socket) {
  members_.emplace(socket.get(), socket);
  size_ = members_.size();
}

void WebSocketGroup::leave(const WebSocket* socket) {
  members_.erase(socket);
  size_ = members_.size();
}

void WebSocketGroup::send(const wire::Frame& frame) {
  // A copy: a socket that is closed for being slow leaves at once.
  std::vector<std::shared_ptr<WebSocket>> members;
  members.reserve(members_.size());
  for (const auto& [key, member] : members_) members.push_back(member);
  for (const auto& member : members) member->send(frame);
}

}  // namespace headroom::net
