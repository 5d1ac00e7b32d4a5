// What operators see: counts, channels, connections.

#include <algorithm>
#include <utility>

#include "bus/impl/hub_impl.hpp"

namespace headroom::bus {
namespace {

bool comes_before(const HubSession* a, const HubSession* b, ConnectionOrder order) {
  if (order == ConnectionOrder::kQueue) {
    const std::size_t of_a = a->peer->queued_bytes();
    const std::size_t of_b = b->peer->queued_bytes();
    if (of_a != of_b) return of_a > of_b;
  }
  return a->number < b->number;
}

/// Leaves the first `limit` of them, in order.
void keep_first(std::vector<const HubSession*>& found, std::size_t limit, ConnectionOrder order) {
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(limit, found.size()));
  std::partial_sort(found.begin(), end, found.end(),
                    [order](const HubSession* a, const HubSession* b) { return comes_before(a, b, order); });
  found.erase(end, found.end());
}

}  // namespace

HubCounts Hub::counts() const {
  HubCounts counts = impl_->counts;
  counts.sessions = impl_->open_sessions();
  counts.authenticated = impl_->authenticated;
  counts.channels = impl_->by_name.size();
  counts.subscriptions = impl_->subscriptions;
  counts.refused = impl_->admission.refused();
  counts.broker_available = impl_->broker_available;
  return counts;
}

std::vector<ChannelInfo> Hub::channels(std::string_view prefix, std::size_t most) const {
  std::vector<ChannelInfo> found;
  for (const auto& [name, slot] : impl_->by_name) {
    const HubChannel& channel = impl_->channels[slot];
    if (name.starts_with(prefix))
      found.push_back({channel.name, channel.position, channel.subscribers.size(), channel.messages});
  }
  std::sort(found.begin(), found.end(), [](const ChannelInfo& a, const ChannelInfo& b) {
    return a.subscribers != b.subscribers ? a.subscribers > b.subscribers : a.channel < b.channel;
  });
  if (found.size() > most) found.resize(most);
  return found;
}

ConnectionPage Hub::connections(const ConnectionQuery& query, const Now& now) const {
  ConnectionPage page;
  std::vector<const HubSession*> found;
  for (const HubSession& session : impl_->sessions) {
    if (!impl_->matches(session, query)) continue;
    ++page.count;
    if (session.number > query.after) found.push_back(&session);
  }
  page.more = query.order == ConnectionOrder::kOldest && found.size() > query.limit;
  keep_first(found, query.limit, query.order);
  for (const HubSession* session : found) page.connections.push_back(impl_->info_of(*session, now));
  return page;
}

bool Hub::Impl::matches(const HubSession& session, const ConnectionQuery& query) const {
  if (session.stage != HubStage::kOpen) return false;
  if (!query.user.empty() && session.grant.user != query.user) return false;
  if (query.channel.empty()) return true;
  return std::any_of(session.subscriptions.begin(), session.subscriptions.end(),
                     [&](const HubSubscription& one) { return channels[one.channel].name == query.channel; });
}

ConnectionInfo Hub::Impl::info_of(const HubSession& session, const Now& now) const {
  ConnectionInfo info;
  info.number = session.number;
  info.user = session.grant.user;
  info.address = session.address;
  info.age_s = (now.monotonic_ns - session.opened_ns) / kNsPerS;
  info.queued_bytes = session.peer->queued_bytes();
  info.activity = session.activity;
  info.subscriptions = session.subscriptions.size();
  for (std::size_t i = 0; i < std::min(kChannelsShown, info.subscriptions); ++i)
    info.channels.push_back(channels[session.subscriptions[i].channel].name);
  return info;
}

}  // namespace headroom::bus
