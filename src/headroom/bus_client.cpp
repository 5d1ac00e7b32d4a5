#include "headroom/bus_client.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bus/token.hpp"
#include "net/secret_file.hpp"
#include "wire/json.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMostReply = 64U << 20U;
constexpr std::int64_t kTokenLife = 3600;
/// {"history":{"messages":[{"data":...}]}}
constexpr int kDataLevels = 4;

std::string why() {
  return std::generic_category().message(errno);
}

/// An address that listens on all is reached by loopback.
std::string reachable(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  return address == "::" ? "::1" : address;
}

template <typename Address>
int connect_to(int family, const Address& address) {
  const int descriptor = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
    return descriptor;
  ::close(descriptor);
  return -1;
}

int connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return connect_to(AF_UNIX, address);
}

int connect_tcp(const std::string& text, std::uint16_t port) {
  sockaddr_in four{};
  if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    return connect_to(AF_INET, four);
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  ::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr);
  return connect_to(AF_INET6, six);
}

std::string head(const BusAccess& access, std::string_view method, std::string_view target) {
  const std::string proof = access.token.empty() ? "" : "Authorization: Bearer " + access.token + "\r\n";
  return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}", method, target, proof);
}

/// Reads until the head of an answer is whole, or, with `all`, until the service closes.
Result<std::string> read_answer(BusChannel& channel, bool all) {
  std::string bytes;
  while (bytes.size() < kMostReply && (all || bytes.find("\r\n\r\n") == std::string::npos)) {
    auto more = channel.read(kPatience);
    if (!more) return fail(std::move(more.error()));
    if (!*more)
      return fail(ErrorCode::kTimedOut,
                  fmt::format("the service did not answer within {} s", kPatience.count()));
    if ((*more)->empty()) break;
    bytes += **more;
  }
  return bytes;
}

Result<BusReply> parse_reply(const std::string& bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.1 ") || end == std::string::npos || bytes.size() < 12)
    return fail(ErrorCode::kProtocol, "the service did not answer as HTTP");
  return BusReply{std::atoi(bytes.substr(9, 3).c_str()), bytes.substr(end + 4)};
}

tl::unexpected<base::Error> refusal(const BusReply& reply, std::string_view target) {
  const auto body = nlohmann::json::parse(reply.body, nullptr, false);
  std::string message = fmt::format("the service answers {}", reply.status);
  if (body.is_object() && body.contains("error")) message = body["error"].value("message", message);
  if (reply.status == 404 && message.starts_with("nothing is served")) {
    const bool is_worklist = target.starts_with("/api/worklist");
    message += is_worklist ? "; is live = true in its [worklist]?" : "; is [bus] enabled there?";
  }
  return fail(reply.status == 400 ? ErrorCode::kInvalidArgument : ErrorCode::kDenied, message);
}

std::string make_token(const bus::SigningKey& key) {
  const bus::Now now = bus::read_clocks();
  bus::Grant grant;
  grant.user = "headroom-cli";
  grant.channels = {"*"};
  grant.publish = {"*"};
  grant.admin = true;
  grant.issued_unix_s = now.unix_s;
  grant.expires_unix_s = now.unix_s + kTokenLife;
  return bus::write_token(grant, key);
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

/// The data of the messages within a value, as deep as the service writes them. What is broken holds none.
void find_data(std::string_view value, int levels, std::vector<std::string_view>& found) {
  const bool is_object = value.starts_with('{');
  if (levels == 0 || (!is_object && !value.starts_with('['))) return;
  const std::size_t any_depth = value.size();
  const auto read = is_object ? wire::read_object(value, any_depth) : wire::read_list(value, any_depth);
  for (const wire::JsonPart& part : read.parts) {
    if (part.key == "data") {
      found.push_back(part.value);
    } else {
      find_data(part.value, levels - 1, found);
    }
  }
}

}  // namespace

Result<BusChannel> BusChannel::connect(const net::Endpoint& endpoint, std::chrono::milliseconds timeout) {
  const int descriptor = endpoint.is_unix() ? connect_unix(endpoint.path)
                                            : connect_tcp(reachable(endpoint.address), endpoint.port);
  if (descriptor < 0)
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: {}; does 'headroom serve' run?", endpoint.text(), why()));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timeval span{seconds.count(), 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &span, sizeof(span));
  return BusChannel(descriptor);
}

BusChannel::BusChannel(BusChannel&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

BusChannel& BusChannel::operator=(BusChannel&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

BusChannel::~BusChannel() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> BusChannel::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return fail(ErrorCode::kUnavailable, "the service has closed the connection: " + why());
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Result<std::optional<std::string>> BusChannel::read(std::chrono::milliseconds timeout) {
  pollfd waiting{descriptor_, POLLIN, 0};
  const int ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
  if (ready < 0 && errno != EINTR) return fail(ErrorCode::kIo, why());
  if (ready <= 0) return std::optional<std::string>();
  std::array<char, 65536> space{};
  const ssize_t size = ::recv(descriptor_, space.data(), space.size(), 0);
  return std::optional<std::string>(
      std::string(space.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
}

Result<BusAccess> bus_access(const Configuration& configuration, const std::string& token_file) {
  const std::string where =
      configuration.serve.socket.empty() ? configuration.serve.listen : "unix:" + configuration.serve.socket;
  auto endpoint = net::parse_endpoint(where);
  if (!endpoint) return fail(std::move(endpoint.error()));
  if (!token_file.empty()) {
    auto token = net::read_secret_file(token_file, bus::kMostTokenBytes + 2);
    if (!token) return fail(std::move(token.error()).within("--token-file"));
    return BusAccess{std::move(*endpoint), first_line(*token)};
  }
  if (configuration.bus.secret_files.empty())
    return fail(ErrorCode::kInvalidArgument, "no token: set [bus] secret_files, or give --token-file");
  auto secret = net::read_secret_file(configuration.bus.secret_files.front(), 4096);
  if (!secret) return fail(std::move(secret.error()).within("[bus] secret_files"));
  const auto key = bus::SigningKey::from_text(first_line(*secret));
  if (!key) return fail(base::Error(key.error()).within("[bus] secret_files"));
  return BusAccess{std::move(*endpoint), make_token(*key)};
}

Result<BusReply> ask_bus(const BusAccess& access, std::string_view method, std::string_view target,
                         std::string_view body) {
  auto channel = BusChannel::connect(access.endpoint, kPatience);
  if (!channel) return fail(std::move(channel.error()));
  const std::string request =
      head(access, method, target) +
      fmt::format("Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                  body.size(), body);
  if (auto written = channel->write(request); !written) return fail(std::move(written.error()));
  auto bytes = read_answer(*channel, true);
  if (!bytes) return fail(std::move(bytes.error()));
  auto reply = parse_reply(*bytes);
  if (reply && reply->status >= 300) return refusal(*reply, target);
  return reply;
}

Result<BusConnection> BusConnection::open(const BusAccess& access) {
  auto channel = BusChannel::connect(access.endpoint, kPatience);
  if (!channel) return fail(std::move(channel.error()));
  const std::string request =
      "GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aGVhZHJvb20gYnVzIENMSQ==\r\n\r\n";
  if (auto written = channel->write(request); !written) return fail(std::move(written.error()));
  auto bytes = read_answer(*channel, false);
  if (!bytes) return fail(std::move(bytes.error()));
  auto reply = parse_reply(*bytes);
  if (!reply) return fail(std::move(reply.error()));
  if (reply->status != 101) return refusal(*reply, "/bus/ws");
  return BusConnection(std::move(*channel), std::move(reply->body));
}

Result<void> BusConnection::send(std::string_view object) {
  std::array<unsigned char, 4> mask{};
  (void)::getrandom(mask.data(), mask.size(), 0);
  return channel_.write(wire::masked_frame(wire::Opcode::kText, object, mask));
}

Result<std::optional<wire::Event>> BusConnection::next(std::chrono::milliseconds timeout) {
  while (true) {
    std::string_view rest = bytes_;
    auto event = reader_.next(rest);
    bytes_.erase(0, bytes_.size() - rest.size());
    if (event && event->kind == wire::Event::Kind::kPing) {
      const std::string pong = wire::masked_frame(wire::Opcode::kPong, event->payload, {1, 2, 3, 4});
      if (auto written = channel_.write(pong); !written) return fail(std::move(written.error()));
      continue;
    }
    if (event) return std::optional<wire::Event>(std::move(*event));
    auto more = channel_.read(timeout);
    if (!more) return fail(std::move(more.error()));
    if (!*more) return std::optional<wire::Event>();
    if ((*more)->empty())
      return std::optional<wire::Event>(
          wire::Event{wire::Event::Kind::kClose, wire::CloseCode::kAbnormal, {}});
    bytes_ += **more;
  }
}

std::vector<std::string_view> data_in(std::string_view object) {
  std::vector<std::string_view> found;
  find_data(object, kDataLevels, found);
  return found;
}

std::string without_data(std::string_view object) {
  std::string rest;
  for (const std::string_view data : data_in(object)) {
    const auto before = static_cast<std::size_t>(data.data() - object.data());
    rest.append(object.substr(0, before)).append("null");
    object.remove_prefix(before + data.size());
  }
  return rest.append(object);
}

std::string harmless_json(std::string_view value) {
  std::string shown;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto byte = static_cast<unsigned char>(value[i]);
    const unsigned next = i + 1 < value.size() ? static_cast<unsigned char>(value[i + 1]) : 0;
    if (byte == 0x7f) {
      shown += "\\u007f";
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      shown += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      shown += value[i];
    }
  }
  return shown;
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace headroom::cli
