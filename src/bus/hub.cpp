// Sessions: how they come, what is due for them, how they end.

#include "bus/hub.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"

namespace headroom::bus {
namespace {

constexpr std::int64_t kStopStepNs = 20'000'000;
constexpr std::size_t kStopSteps = 20;

}  // namespace

HubSession& Hub::Impl::take_slot() {
  if (free_slots.empty()) {
    const auto slot = static_cast<std::uint32_t>(sessions.size());
    sessions.emplace_back().slot = slot;
    return sessions.back();
  }
  const std::uint32_t slot = free_slots.back();
  free_slots.pop_back();
  return sessions[slot];
}

HubSession* Hub::Impl::find(SessionId id) {
  if (id.slot >= sessions.size()) return nullptr;
  HubSession& session = sessions[id.slot];
  return session.generation == id.generation && session.stage != HubStage::kFree ? &session : nullptr;
}

void Hub::Impl::answer(HubSession& session, std::uint64_t id, std::string_view rest) {
  send(session, fmt::format(R"({{"id":{},{}}})", id, rest));
}

void Hub::Impl::answer_error(HubSession& session, std::uint64_t id, const Error& error) {
  if (error.code() == ErrorCode::kDenied) ++counts.denied;
  answer(session, id, error_json(error));
}

void Hub::Impl::end(HubSession& session, const Disconnect& disconnect, const Now& now) {
  Peer* peer = session.peer;
  forget(session, now);
  peer->close(disconnect);
}

void Hub::Impl::forget(HubSession& session, const Now& now) {
  const std::vector<HubSubscription> ended = std::exchange(session.subscriptions, {});
  for (const HubSubscription& subscription : ended) detach(session, subscription, now);
  for (const std::string& user : session.watched) stop_watching(session, user);
  session.watched = {};
  if (session.stage == HubStage::kOpen) {
    --authenticated;
    presence.disconnected(session.grant.user, session.activity, now);
  }
  admission.left(session.address);
  const SessionId ended_id = id_of(session);
  session = HubSession{};
  session.slot = ended_id.slot;
  session.generation = ended_id.generation + 1;
  free_slots.push_back(ended_id.slot);
}

void Hub::Impl::tick(const Now& now) {
  leave_lost_broker(now);
  revocations.forget_old(now);
  presence.tick(now, [this](const std::vector<NodePresence>& changes) { tell_presence(changes); });
  members.tick(now, [this](const std::vector<NodePresence>& changes) { tell_members(changes); });
  if (now.monotonic_ns - looked_ns >= kNsPerS) {
    looked_ns = now.monotonic_ns;
    fill_again(now);
    look_at_sessions(now);
  }
  if (stopping) stop_some(now);
  close_slow(now);
}

void Hub::Impl::look_at_sessions(const Now& now) {
  for (HubSession& session : sessions) look_at(session, now);
  if (by_address.size() > limits.admission.addresses) by_address.clear();
}

void Hub::Impl::leave_lost_broker(const Now& now) {
  if (broker_available || now.monotonic_ns - lost_ns < limits.broker_lost_ns) return;
  for (HubSession& session : sessions) {
    if (session.stage != HubStage::kFree)
      end(session, {DisconnectCode::kBrokerLost, {5'000, 30'000}, {}}, now);
  }
}

void Hub::Impl::stop_some(const Now& now) {
  if (now.monotonic_ns < next_stop_ns) return;
  next_stop_ns = now.monotonic_ns + kStopStepNs;
  std::size_t left = stop_step;
  for (HubSession& session : sessions) {
    if (session.stage == HubStage::kFree) continue;
    end(session, {DisconnectCode::kGoingAway, {0, stop_window_ms}, {}}, now);
    if (--left == 0) break;
  }
}

Hub::Hub(const HubLimits& limits, const ChannelRules& rules, Broker& broker, Authority& authority,
         std::vector<SigningKey> keys, const PresenceLimits& presence)
    : impl_(std::make_unique<Impl>(limits, rules, broker, authority, std::move(keys), presence)) {}

Hub::~Hub() = default;

Hub::Opened Hub::open(Peer& peer, std::string_view address, const Now& now) {
  if (impl_->stopping) return {{}, Disconnect{DisconnectCode::kGoingAway, {0, impl_->stop_window_ms}, {}}};
  if (auto refused = impl_->admission.enter(address, now)) return {{}, std::move(refused)};
  HubSession& session = impl_->take_slot();
  session.peer = &peer;
  session.address = address;
  session.opened_ns = now.monotonic_ns;
  session.stage = HubStage::kSilent;
  return {Impl::id_of(session), std::nullopt};
}

void Hub::closed(SessionId id, const Now& now, Departure how) {
  HubSession* session = impl_->find(id);
  if (session != nullptr && how == Departure::kSlow) ++impl_->counts.slow;
  if (session != nullptr) impl_->forget(*session, now);
  impl_->close_slow(now);
}

void Hub::tick(const Now& now) {
  impl_->tick(now);
}

void Hub::stop(std::int64_t window_ms, const Now& now) {
  impl_->stopping = true;
  impl_->stop_window_ms = window_ms;
  impl_->next_stop_ns = now.monotonic_ns;
  // All are gone within some two seconds, at an even pace.
  impl_->stop_step = impl_->open_sessions() / kStopSteps + 1;
}

bool Hub::drained() const {
  return impl_->stopping && impl_->open_sessions() == 0;
}

PresenceTable& Hub::presence() {
  return impl_->presence;
}

PresenceTable& Hub::members() {
  return impl_->members;
}

}  // namespace headroom::bus
