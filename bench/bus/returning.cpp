#include "returning.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "socket.hpp"

namespace bench {

namespace wire = headroom::wire;

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

/// The number behind the first `key`, as `"offset":`.
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  const char* begin = text.data() + at + key.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
  if (error != std::errc() || end == begin) return std::nullopt;
  return number;
}

std::string text_behind(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + key.size());
  return std::string(rest.substr(0, rest.find('"')));
}

}  // namespace

bool ReturningClient::begin() {
  reader_ = wire::FrameReader(wire::Sender::kServer, 1024 * 1024);
  head_.clear();
  stage_ = Stage::kConnecting;
  return link_.connect(port_, static_cast<unsigned>(number_));
}

void ReturningClient::ready(bool readable, std::int64_t now_ns) {
  if (stage_ == Stage::kAway) return;
  if (stage_ == Stage::kConnecting) {
    if (!link_.connected() || !link_.send(dialect_.upgrade())) return stay_away(now_ns);
    stage_ = Stage::kUpgrading;
    return;
  }
  if (!readable) return;
  const Link::Received received = link_.receive();
  if (!received.bytes.empty()) read(received.bytes, now_ns);
  if (received.over && stage_ != Stage::kAway) stay_away(now_ns);
}

std::optional<std::int64_t> ReturningClient::due_ns() const {
  if (stage_ != Stage::kAway) return std::nullopt;
  return due_ns_;
}

void ReturningClient::stay_away(std::int64_t now_ns) {
  leave(growing(), now_ns);
}

void ReturningClient::leave(std::int64_t wait_ns, std::int64_t now_ns) {
  if (stage_ != Stage::kThere) ++returns_.refused;
  link_.close();
  stage_ = Stage::kAway;
  due_ns_ = now_ns + wait_ns;
}

void ReturningClient::read(std::string_view bytes, std::int64_t now_ns) {
  if (stage_ == Stage::kUpgrading) bytes = read_upgrade(bytes, now_ns);
  while (!bytes.empty() && stage_ != Stage::kAway) {
    if (const auto event = reader_.next(bytes)) take(*event, now_ns);
  }
}

std::string_view ReturningClient::read_upgrade(std::string_view bytes, std::int64_t now_ns) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const std::size_t before = head_.size();
  head_ += bytes;
  const std::size_t end = head_.find(kEnd);
  if (end == std::string::npos) return {};
  if (!head_.starts_with("HTTP/1.1 101")) {
    stay_away(now_ns);
    return {};
  }
  bytes.remove_prefix(end + kEnd.size() - before);
  stage_ = Stage::kSubscribing;
  send(wire::Opcode::kText, dialect_.greeting(number_).front());
  send(wire::Opcode::kText, subscription());
  return bytes;
}

std::string ReturningClient::subscription() const {
  const std::string since =
      epoch_.empty() ? "" : fmt::format(R"(,"since":{{"offset":{},"epoch":"{}"}})", offset_, epoch_);
  return fmt::format(R"({{"id":2,"subscribe":{{"channels":[{{"channel":"room:1"{}}}]}}}})", since);
}

void ReturningClient::take(const wire::Event& event, std::int64_t now_ns) {
  using Kind = wire::Event::Kind;
  if (event.kind == Kind::kPing) return send(wire::Opcode::kPong, event.payload);
  if (event.kind == Kind::kText) return take_text(event.payload, now_ns);
  if (event.kind == Kind::kFailed) give_up(fmt::format("client {}: {}", number_, event.payload));
  if (event.kind == Kind::kClose) leave(wait_after(event), now_ns);
}

void ReturningClient::take_text(std::string_view text, std::int64_t now_ns) {
  if (text.starts_with(R"({"message":)")) return take_message(text);
  if (text.starts_with(R"({"id":2,)")) return take_answer(text, now_ns);
  if (text.starts_with(R"({"lost":)")) {
    ++returns_.lost;
    offset_ = number_behind(text, R"("offset":)").value_or(0);
    epoch_ = text_behind(text, R"("epoch":")");
  }
}

void ReturningClient::take_answer(std::string_view text, std::int64_t now_ns) {
  if (text.find(R"("error")") != std::string_view::npos) {
    // Not now: the broker is on its way.
    if (text.find(R"("retry":true)") == std::string_view::npos) give_up(fmt::format("refused: {}", text));
    return stay_away(now_ns);
  }
  const bool recovered = text.find(R"("recovered":true)") != std::string_view::npos;
  if (recovered) ++returns_.recovered;
  if (text.find(R"("lost":true)") != std::string_view::npos) ++returns_.lost;
  offset_ = number_behind(text, R"("offset":)").value_or(0);
  epoch_ = text_behind(text, R"("epoch":")");
  ++returns_.connected;
  tries_ = 0;
  stage_ = Stage::kThere;
  there_ns_ = now_ns;
}

void ReturningClient::take_message(std::string_view text) {
  const auto number = number_behind(text, R"("n":)");
  const auto offset = number_behind(text, R"("offset":)");
  if (!number || !offset) give_up(fmt::format("not a message: {:.200}", text));
  offset_ = *offset;
  if (*number <= last_) {
    ++returns_.twice;
    return;
  }
  returns_.missed += *number - last_ - 1;
  last_ = *number;
}

void ReturningClient::send(wire::Opcode opcode, std::string_view payload) {
  // When it is gone, the next read says so.
  (void)link_.send(wire::masked_frame(opcode, payload, {1, 2, 3, 4}));
}

std::int64_t ReturningClient::wait_after(const wire::Event& event) {
  const int code = static_cast<int>(event.code);
  if (code >= 4200 && code < 4300)
    give_up(fmt::format("client {} may not come back: {}", number_, event.payload));
  const auto window = number_behind(event.payload, R"("window_ms":)");
  if (!window) return growing();
  const auto after = static_cast<std::int64_t>(number_behind(event.payload, R"("after_ms":)").value_or(0));
  std::uniform_int_distribution<std::int64_t> part(0, static_cast<std::int64_t>(*window));
  return (after + part(random_)) * kNsPerMs;
}

/// 1 s doubled to 60 s, each with a random half.
std::int64_t ReturningClient::growing() {
  const std::int64_t whole = std::min<std::int64_t>(60'000, std::int64_t{1000} << std::min(tries_++, 6U));
  std::uniform_int_distribution<std::int64_t> half(whole / 2, whole);
  return half(random_) * kNsPerMs;
}

}  // namespace bench
