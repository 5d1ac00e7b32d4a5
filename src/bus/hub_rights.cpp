// Who a session is, what it may do, and until when.

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"

namespace headroom::bus {
namespace {

using base::fail;

const Error& no_token() {
  static const Error kError(ErrorCode::kInvalidArgument, "'token' is a text");
  return kError;
}

/// The member, where the token ends.
std::string expires_json(const HubSession& session, const Now& now) {
  if (!session.grant.expires_unix_s) return {};
  return fmt::format(R"("expires_in_s":{})",
                     std::max<std::int64_t>(0, *session.grant.expires_unix_s - now.unix_s));
}

}  // namespace

void Hub::Impl::connect(const HubCommand& command) {
  const auto token = text_member(command.body, "token");
  if (!token) return answer_error(command.session, command.id, no_token());
  command.session.stage = HubStage::kAsking;
  const auto decided = [this, asked = id_of(command.session), id = command.id,
                        now = command.now](Result<Grant> grant) { decide(asked, id, std::move(grant), now); };
  authority.authenticate(*token, command.now, while_alive(decided));
}

void Hub::Impl::decide(SessionId asked, std::uint64_t id, Result<Grant> grant, const Now& now) {
  HubSession* session = find(asked);
  if (session == nullptr) return;
  if (!grant) return refuse_token(*session, grant.error(), now);
  if (const auto checked = check_user(grant->user); !checked)
    return refuse_token(*session, Error(ErrorCode::kDenied, checked.error().message()), now);
  if (revocations.is_revoked(*grant)) return end(*session, {DisconnectCode::kTokenRevoked, {}, {}}, now);
  welcome(*session, id, std::move(*grant), now);
  read_early(asked, now);
}

void Hub::Impl::refuse_token(HubSession& session, const Error& error, const Now& now) {
  ++counts.denied;
  if (error.code() == ErrorCode::kTimedOut) return end(session, {DisconnectCode::kTokenExpired, {}, {}}, now);
  if (error.code() == ErrorCode::kDenied)
    return end(session, {DisconnectCode::kTokenInvalid, {}, error.message()}, now);
  end(session, {DisconnectCode::kOverloaded, {1'000, 5'000}, {}}, now);
}

void Hub::Impl::welcome(HubSession& session, std::uint64_t id, Grant grant, const Now& now) {
  session.grant = std::move(grant);
  session.stage = HubStage::kOpen;
  session.number = ++connections;
  ++authenticated;
  presence.connected(session.grant.user, now);
  const std::string expires = expires_json(session, now);
  answer(session, id,
         fmt::format(R"("connect":{{"connection":"c{}","user":"{}","protocol":1{}{},"ping_s":{},)"
                     R"("limits":{{"message_bytes":{},"subscriptions":{}}}}})",
                     session.number, session.grant.user, expires.empty() ? "" : ",", expires, limits.ping_s,
                     limits.message_bytes, limits.subscriptions));
}

void Hub::Impl::refresh(const HubCommand& command) {
  const auto token = text_member(command.body, "token");
  if (!token) return answer_error(command.session, command.id, no_token());
  const auto decided = [this, asked = id_of(command.session), id = command.id,
                        now = command.now](Result<Grant> grant) {
    HubSession* session = find(asked);
    if (session == nullptr) return;
    if (!grant) return answer_error(*session, id, grant.error());
    renew(*session, id, std::move(*grant), now);
  };
  authority.authenticate(*token, command.now, while_alive(decided));
}

void Hub::Impl::renew(HubSession& session, std::uint64_t id, Grant grant, const Now& now) {
  if (grant.user != session.grant.user)
    return answer_error(session, id, Error(ErrorCode::kDenied, "the token is of another user"));
  if (revocations.is_revoked(grant)) return end(session, {DisconnectCode::kTokenRevoked, {}, {}}, now);
  session.grant = std::move(grant);
  session.warned = false;
  answer(session, id, fmt::format(R"("refresh":{{{}}})", expires_json(session, now)));
  check_underway_again(session, now);
  check_rights_again(session, now);
  check_watches_again(session);
}

void Hub::Impl::check_rights_again(HubSession& session, const Now& now) {
  const std::vector<HubSubscription> before = session.subscriptions;
  for (const HubSubscription& subscription : before) {
    const std::string name = channels[subscription.channel].name;
    const ChannelRule& rule = *channels[subscription.channel].rule;
    if (rule.subscribe == Who::kSigned) continue;  // its signature was checked when it came
    const auto allowed = may_read(session, name, {}, now);
    if (allowed) continue;
    take_away(session, subscription.channel, now);
    send(session,
         fmt::format(R"({{"unsubscribed":{{"channel":"{}",{}}}}})", name, error_json(allowed.error())));
  }
}

/// Those that were judged by the token of before, and are not answered yet.
void Hub::Impl::check_underway_again(const HubSession& session, const Now& now) {
  for (const auto& work : underway) {
    if (work->session != id_of(session)) continue;
    for (SubscribeEntry& entry : work->entries) {
      if (entry.error || rules.find(entry.channel).subscribe == Who::kSigned) continue;
      if (auto allowed = may_read(session, entry.channel, {}, now); !allowed) entry.error = allowed.error();
    }
  }
}

void Hub::Impl::look_at(HubSession& session, const Now& now) {
  if (session.stage == HubStage::kSilent && now.monotonic_ns - session.opened_ns >= limits.connect_ns)
    return end(session, {DisconnectCode::kConnectTimeout, {0, 5'000}, {}}, now);
  if (session.stage != HubStage::kOpen || !session.grant.expires_unix_s) return;
  const std::int64_t grace = limits.grace_ns / kNsPerS;
  const std::int64_t left = *session.grant.expires_unix_s - now.unix_s;
  if (left <= -grace) return end(session, {DisconnectCode::kTokenExpired, {0, 1'000}, {}}, now);
  if (left > grace || std::exchange(session.warned, true)) return;
  send(session, fmt::format(R"({{"expires":{{"in_s":{}}}}})", std::max<std::int64_t>(0, left)));
}

Result<void> Hub::Impl::may(Who who, const HubSession& session, const std::string& channel,
                            const ChannelRule& rule, const std::vector<std::string>& granted,
                            std::string_view signature, const Now& now) {
  switch (who) {
    case Who::kUsers:
      return {};
    case Who::kOwner:
      if (owner_of(channel, rule.prefix) == session.grant.user) return {};
      break;
    case Who::kGranted:
      if (grants(granted, channel)) return {};
      break;
    case Who::kSigned:
      if (is_signed(channel, session.grant.user, signature, keys, now.unix_s)) return {};
      break;
    case Who::kNobody:
      break;
  }
  return fail(ErrorCode::kDenied, "");
}

Result<void> Hub::Impl::may_read(const HubSession& session, const std::string& channel,
                                 std::string_view signature, const Now& now) {
  if (auto checked = check_channel(channel); !checked) return checked;
  if (session.grant.rights) return may_read_by_rights(session, channel, now);
  const ChannelRule& rule = rules.find(channel);
  // Whatever the rules say, the channels of a user are his.
  if (channel.starts_with(kUserPrefix) && owner_of(channel, kUserPrefix) != session.grant.user)
    return fail(ErrorCode::kDenied, fmt::format("channel '{}' belongs to another user", channel));
  if (may(rule.subscribe, session, channel, rule, session.grant.channels, signature, now)) return {};
  return fail(ErrorCode::kDenied,
              fmt::format("user '{}' may not read channel '{}'", session.grant.user, channel));
}

Result<void> Hub::Impl::may_read_by_rights(const HubSession& session, const std::string& channel,
                                           const Now& now) {
  if (session.grant.rights->may_read(channel, now)) return {};
  return fail(ErrorCode::kDenied,
              fmt::format("user '{}' may not read channel '{}'", session.grant.user, channel));
}

Result<void> Hub::Impl::may_write(const HubSession& session, const std::string& channel, const Now& now) {
  if (auto checked = check_channel(channel); !checked) return checked;
  const ChannelRule& rule = rules.find(channel);
  if (!session.grant.rights && may(rule.publish, session, channel, rule, session.grant.publish, {}, now))
    return {};
  return fail(ErrorCode::kDenied,
              fmt::format("user '{}' may not publish to channel '{}'", session.grant.user, channel));
}

void Hub::Impl::announce(const Revocation& revocation) {
  if (revocation_exchange != nullptr) revocation_exchange->announce(revocation);
}

template <typename Which>
std::size_t Hub::Impl::end_each(Which which, const Now& now) {
  std::size_t ended = 0;
  for (HubSession& session : sessions) {
    if (session.stage != HubStage::kOpen || !which(session.grant)) continue;
    end(session, {DisconnectCode::kTokenRevoked, {}, {}}, now);
    ++ended;
  }
  return ended;
}

std::size_t Hub::disconnect_user(std::string_view user, const Now& now) {
  impl_->announce(impl_->revocations.revoke_user(user, now));
  return impl_->end_each([user](const Grant& grant) { return grant.user == user; }, now);
}

std::size_t Hub::disconnect_session(std::string_view name, const Now& now) {
  if (name.empty()) return 0;
  impl_->announce(impl_->revocations.revoke_session(name, now));
  return end_session(name, now);
}

std::size_t Hub::end_session(std::string_view name, const Now& now) {
  if (name.empty()) return 0;
  return impl_->end_each([name](const Grant& grant) { return grant.session == name; }, now);
}

void Hub::use(RevocationExchange& exchange) {
  impl_->revocation_exchange = &exchange;
}

std::size_t Hub::revoke(const std::vector<Revocation>& revocations, const Now& now) {
  bool is_new = false;
  for (const Revocation& one : revocations) is_new = impl_->revocations.add(one) || is_new;
  if (!is_new) return 0;
  return impl_->end_each([this](const Grant& grant) { return is_revoked(grant); }, now);
}

const std::vector<Revocation>& Hub::revocations() const {
  return impl_->revocations.all();
}

bool Hub::is_revoked(const Grant& grant) const {
  return impl_->revocations.is_revoked(grant);
}

}  // namespace headroom::bus
