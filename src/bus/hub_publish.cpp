// What clients and the application publish, and the history that they ask for.

#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"
#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

using base::fail;

constexpr std::uint64_t kMostHistory = 1000;
constexpr std::uint64_t kUsualHistory = 100;

/// What a command asks to publish, of a channel that was allowed.
Result<Publication> publication_of(const JsonParts& body, std::string channel) {
  const JsonPart* data = member(body, "data");
  if (data == nullptr) return fail(ErrorCode::kInvalidArgument, "'data' is missing");
  std::string id = text_member(body, "id").value_or(std::string());
  if (id.size() > kMostPublicationIdBytes || (member(body, "id") != nullptr && id.empty())) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'id' is a text of 1 to {} bytes", kMostPublicationIdBytes));
  }
  return Publication{std::move(channel), compact(data->value), std::move(id)};
}

Result<std::size_t> limit_of(const JsonParts& body) {
  const JsonPart* part = member(body, "limit");
  const auto most = part == nullptr ? std::optional(kUsualHistory) : json_integer(part->value);
  if (most && *most <= kMostHistory) return static_cast<std::size_t>(*most);
  return fail(ErrorCode::kInvalidArgument, fmt::format("'limit' is a whole number up to {}", kMostHistory));
}

std::string page_json(const HistoryPage& page) {
  std::string text = fmt::format(R"("history":{{{},"messages":[)", position_json(page.position));
  for (const Message& message : page.messages) {
    if (text.back() != '[') text.push_back(',');
    text += fmt::format(R"({{"offset":{},"data":{}}})", message.offset, *message.data);
  }
  text += "]";
  if (page.lost) text += R"(,"lost":true)";
  if (page.more) text += R"(,"more":true)";
  return text + "}";
}

}  // namespace

void Hub::Impl::publish(const HubCommand& command) {
  HubSession& session = command.session;
  std::string channel = text_member(command.body, "channel").value_or(std::string());
  if (auto allowed = may_write(session, channel, command.now); !allowed)
    return answer_error(session, command.id, allowed.error());
  auto publication = publication_of(command.body, std::move(channel));
  if (!publication) return answer_error(session, command.id, publication.error());
  if (!session.publishes.take(limits.publishes, command.now.monotonic_ns)) {
    ++counts.rate_limited;
    return answer_error(session, command.id,
                        Error(ErrorCode::kOverloaded, "too many publications of this connection"));
  }
  const auto answered = [this, asked = id_of(session), id = command.id](Result<Published> published) {
    HubSession* one = find(asked);
    if (one == nullptr) return;
    if (!published) return answer_error(*one, id, published.error());
    answer(*one, id,
           fmt::format(R"("publish":{{{}{}}})", position_json(published->position),
                       published->repeated ? R"(,"repeated":true)" : ""));
  };
  publish(std::move(*publication), command.now, answered);
}

void Hub::Impl::publish(Publication publication, const Now& now, Done<Published> done) {
  if (auto checked = check_channel(publication.channel); !checked)
    return done(fail(std::move(checked.error())));
  if (!wire::is_utf8(publication.data)) return done(fail(ErrorCode::kInvalidArgument, "'data' is not UTF-8"));
  const ChannelRule& rule = rules.find(publication.channel);
  if (publication.data.size() > rule.message_bytes) {
    return done(fail(ErrorCode::kTooLarge,
                     fmt::format("a message of {} bytes; channel '{}' takes {} at most",
                                 publication.data.size(), publication.channel, rule.message_bytes)));
  }
  const auto counted = [this, done = std::move(done)](Result<Published> published) {
    if (published) ++(published->repeated ? counts.repeated : counts.published);
    done(std::move(published));
  };
  broker.publish(std::move(publication), now, while_alive(counted));
}

void Hub::Impl::history(const HubCommand& command) {
  HubSession& session = command.session;
  const std::string channel = text_member(command.body, "channel").value_or(std::string());
  const std::string signature = text_member(command.body, "signature").value_or(std::string());
  if (auto allowed = may_read(session, channel, signature, command.now); !allowed)
    return answer_error(session, command.id, allowed.error());
  const auto since = since_of(command.body);
  if (!since) return answer_error(session, command.id, since.error());
  const auto limit = limit_of(command.body);
  if (!limit) return answer_error(session, command.id, limit.error());
  HistoryQuery query;
  query.limit = *limit;
  if (*since) query.since = &**since;
  const auto shown = [this, asked = id_of(session), id = command.id](const Result<HistoryPage>& page) {
    show_history(asked, id, page);
  };
  broker.history(channel, query, command.now, while_alive(shown));
}

void Hub::Impl::show_history(SessionId asked, std::uint64_t id, const Result<HistoryPage>& page) {
  HubSession* session = find(asked);
  if (session == nullptr) return;
  if (!page) return answer_error(*session, id, page.error());
  answer(*session, id, page_json(*page));
}

void Hub::publish(Publication publication, const Now& now, Done<Published> done) {
  impl_->publish(std::move(publication), now, std::move(done));
  impl_->close_slow(now);
}

void Hub::history(std::string_view channel, const HistoryQuery& query, const Now& now,
                  Done<HistoryPage> done) {
  impl_->broker.history(channel, query, now, std::move(done));
}

}  // namespace headroom::bus
