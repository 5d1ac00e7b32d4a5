// From the text of a frame to the function of its command.

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"
#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

constexpr std::string_view kCommands =
    "connect, subscribe, unsubscribe, publish, history, presence, watch, unwatch, who, activity, refresh, "
    "ping";

bool is_command(std::string_view name) {
  static constexpr std::array<std::string_view, 12> kKnown{"connect", "subscribe", "unsubscribe", "publish",
                                                           "history", "presence",  "watch",       "unwatch",
                                                           "who",     "activity",  "refresh",     "ping"};
  return std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end();
}

/// The first member that is a command; else the first that could be meant as one. Others are ignored.
const JsonPart* command_in(const JsonParts& frame) {
  const JsonPart* meant = nullptr;
  for (const JsonPart& one : frame.parts) {
    if (is_command(one.key)) return &one;
    if (meant == nullptr && one.key != "id") meant = &one;
  }
  return meant;
}

Error unknown(std::string_view name) {
  return {ErrorCode::kUnsupported, fmt::format("unknown command '{:.40}'; known are {}", name, kCommands)};
}

}  // namespace

void Hub::Impl::received(HubSession& session, std::string_view text, const Now& now) {
  ++counts.commands;
  if (!take_command(session, now)) {
    ++counts.rate_limited;
    return end(session, {DisconnectCode::kRateLimited, {1'000, 5'000}, {}}, now);
  }
  // One subscriber after the other would close a connection that brings what is not UTF-8.
  if (!wire::is_utf8(text)) {
    ++counts.malformed;
    return end(session, {DisconnectCode::kProtocol, {}, "not UTF-8"}, now);
  }
  if (session.stage == HubStage::kAsking && keep_early(session, text)) return;
  read(session, text, now);
}

/// Doors that get all commands at once, and clients that do not wait, send more than `connect`.
bool Hub::Impl::keep_early(HubSession& session, std::string_view text) const {
  if (!session.early) session.early = std::make_unique<std::vector<std::string>>();
  std::size_t bytes = text.size();
  for (const std::string& one : *session.early) bytes += one.size();
  if (session.early->size() >= limits.early_commands || bytes > limits.message_bytes) return false;
  session.early->emplace_back(text);
  return true;
}

void Hub::Impl::read_early(SessionId asked, const Now& now) {
  HubSession* session = find(asked);
  if (session == nullptr || !session->early) return;
  const auto early = std::move(session->early);
  for (const std::string& text : *early) {
    session = find(asked);
    if (session == nullptr) return;
    read(*session, text, now);
  }
}

bool Hub::Impl::take_command(HubSession& session, const Now& now) {
  return session.commands.take(limits.commands, now.monotonic_ns) &&
         by_address[session.address].take(limits.commands_per_address, now.monotonic_ns);
}

void Hub::Impl::read(HubSession& session, std::string_view text, const Now& now) {
  const JsonParts frame = read_object(text);
  const JsonPart* id_part = member(frame, "id");
  const auto id = id_part == nullptr ? std::nullopt : json_integer(id_part->value);
  if (!id || *id == 0 || *id > kMostInteger) {
    ++counts.malformed;
    return end(session, {DisconnectCode::kProtocol, {}, "no command id"}, now);
  }
  if (frame.wrong_at) {
    ++counts.malformed;
    return answer_error(session, *id, Error(ErrorCode::kInvalidArgument, why_wrong(frame)));
  }
  const JsonPart* part = command_in(frame);
  if (part == nullptr) {
    const std::string why = fmt::format("no command; known are {}", kCommands);
    return answer_error(session, *id, Error(ErrorCode::kInvalidArgument, why));
  }
  if (!is_command(part->key)) return answer_error(session, *id, unknown(part->key));
  const JsonParts body = read_object(part->value);
  if (!body.is_container) {
    const std::string why = fmt::format("'{}' is an object", part->key);
    return answer_error(session, *id, Error(ErrorCode::kInvalidArgument, why));
  }
  run(part->key, {session, *id, body, now});
}

void Hub::Impl::run(std::string_view name, const HubCommand& command) {
  HubSession& session = command.session;
  if (name == "ping") return answer(session, command.id, R"("ping":{})");
  if (name == "connect" && session.stage == HubStage::kSilent) return connect(command);
  if (name == "connect")
    return answer_error(session, command.id, Error(ErrorCode::kConflict, "'connect' came before"));
  if (session.stage == HubStage::kAsking) {
    const std::string why =
        fmt::format("more than {} commands, or {} bytes, wait for the answer to 'connect'",
                    limits.early_commands, limits.message_bytes);
    return answer_error(session, command.id, Error(ErrorCode::kOverloaded, why));
  }
  if (session.stage != HubStage::kOpen) {
    const std::string why = fmt::format("'{}' before 'connect'", name);
    return answer_error(session, command.id, Error(ErrorCode::kDenied, why));
  }
  if (name == "subscribe") return subscribe(command);
  if (name == "unsubscribe") return unsubscribe(command);
  if (name == "publish") return publish(command);
  if (name == "history") return history(command);
  if (name == "presence") return show_presence(command);
  if (name == "watch") return watch(command);
  if (name == "unwatch") return unwatch(command);
  if (name == "who") return who(command);
  if (name == "activity") return report_activity(command);
  refresh(command);
}

void Hub::received(SessionId id, std::string_view text, const Now& now) {
  HubSession* session = impl_->find(id);
  if (session != nullptr) impl_->received(*session, text, now);
  impl_->close_slow(now);
}

}  // namespace headroom::bus
