#include "headroom/worklist_client.hpp"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "net/secret_file.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMostToken = 514;
constexpr std::size_t kMostHead = 64 * 1024;
constexpr std::size_t kMostEvent = 16 * 1024 * 1024;

Result<std::string> read_token(const std::string& file) {
  auto text = net::read_secret_file(file, kMostToken);
  if (!text) return fail(std::move(text.error()).within("[serve] token_file"));
  return text->substr(0, text->find_first_of("\r\n"));
}

/// The head of the answer, and what came of the body.
Result<std::pair<std::string, std::string>> read_head(BusChannel& channel) {
  std::string bytes;
  while (bytes.size() < kMostHead) {
    if (const std::size_t end = bytes.find("\r\n\r\n"); end != std::string::npos)
      return std::pair(bytes.substr(0, end + 2), bytes.substr(end + 4));
    auto more = channel.read(kPatience);
    if (!more) return fail(std::move(more.error()));
    if (!*more) return fail(ErrorCode::kTimedOut, "the service did not answer within 10 s");
    if ((*more)->empty()) break;
    bytes += **more;
  }
  return fail(ErrorCode::kProtocol, "the service did not answer as HTTP");
}

/// The whole body of a refusal, which ends with the connection.
std::string message_of(BusChannel& channel, std::string body) {
  while (body.size() < kMostHead) {
    auto more = channel.read(kPatience);
    if (!more || !*more || (*more)->empty()) break;
    body += **more;
  }
  const auto parsed = nlohmann::json::parse(body, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("error")) return "the service refuses";
  const std::string message = parsed["error"].value("message", "the service refuses");
  return message.starts_with("nothing is served") ? message + "; is live = true in its [worklist]?" : message;
}

}  // namespace

Result<BusAccess> service_access(const Configuration& configuration, ServiceUse use) {
  const ServeSection& serve = configuration.serve;
  auto endpoint = net::parse_endpoint(serve.socket.empty() ? serve.listen : "unix:" + serve.socket);
  if (!endpoint) return fail(std::move(endpoint.error()));
  if (serve.token_file.empty()) {
    if (use == ServiceUse::kReads) return BusAccess{std::move(*endpoint), {}};
    return fail(ErrorCode::kInvalidArgument, "this needs the service's token: set [serve] token_file");
  }
  auto token = read_token(serve.token_file);
  if (!token && use == ServiceUse::kChanges) return fail(std::move(token.error()));
  return BusAccess{std::move(*endpoint), token.value_or(std::string())};
}

std::string worklist_target(std::string_view user, std::string_view tail) {
  return fmt::format("/api/worklist/users/{}/{}", percent_encoded(user), tail);
}

Result<WorklistEvents> WorklistEvents::open(const BusAccess& access, std::string_view user) {
  auto channel = BusChannel::connect(access.endpoint, kPatience);
  if (!channel) return fail(std::move(channel.error()));
  const std::string proof = access.token.empty() ? "" : "Authorization: Bearer " + access.token + "\r\n";
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n",
                                          worklist_target(user, "events"), proof);
  if (auto written = channel->write(request); !written) return fail(std::move(written.error()));
  auto head = read_head(*channel);
  if (!head) return fail(std::move(head.error()));
  if (!head->first.starts_with("HTTP/1.1 200"))
    return fail(ErrorCode::kDenied, message_of(*channel, std::move(head->second)));
  return WorklistEvents(std::move(*channel), std::move(head->second));
}

std::optional<WorklistEvents::Event> WorklistEvents::take() {
  const std::size_t end = bytes_.find("\n\n");
  if (end == std::string::npos) return std::nullopt;
  Event event;
  const std::string text = std::exchange(bytes_, bytes_.substr(end + 2)).substr(0, end + 1);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const std::string_view line = std::string_view(text).substr(at, text.find('\n', at) - at);
    if (line.starts_with("event: ")) event.name = line.substr(7);
    if (line.starts_with("data: ")) event.data = line.substr(6);
  }
  return event;
}

Result<std::optional<WorklistEvents::Event>> WorklistEvents::next(std::chrono::milliseconds timeout) {
  while (true) {
    // A comment keeps the connection, and says nothing.
    while (auto event = take()) {
      if (!event->name.empty()) return event;
    }
    if (bytes_.size() > kMostEvent) return fail(ErrorCode::kProtocol, "the service sends no end of an event");
    auto more = channel_.read(timeout);
    if (!more) return fail(std::move(more.error()));
    if (!*more) return std::optional<Event>();
    if ((*more)->empty()) return fail(ErrorCode::kUnavailable, "the service has closed the stream");
    bytes_ += **more;
  }
}

}  // namespace headroom::cli
