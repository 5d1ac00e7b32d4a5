// Channels: they are there while somebody is subscribed, or is about to be.

#include <algorithm>
#include <utility>

#include "bus/impl/hub_impl.hpp"

namespace headroom::bus {

using base::fail;

HubChannel& Hub::Impl::channel_of(const std::string& name) {
  const auto found = by_name.find(name);
  if (found != by_name.end()) return channels[found->second];
  std::uint32_t slot = 0;
  if (free_channels.empty()) {
    slot = static_cast<std::uint32_t>(channels.size());
    channels.emplace_back();
  } else {
    slot = free_channels.back();
    free_channels.pop_back();
  }
  HubChannel& channel = channels[slot];
  channel.name = name;
  channel.slot = slot;
  channel.rule = &rules.find(name);
  by_name.emplace(channel.name, slot);
  return channel;
}

void Hub::Impl::release_if_unused(std::uint32_t slot, const Now& now) {
  HubChannel& channel = channels[slot];
  if (!channel.subscribers.empty() || !channel.waiting.empty() || channel.asking || channel.pins > 0) return;
  broker.unsubscribe(channel.name, now);
  by_name.erase(channel.name);
  const std::uint32_t number = channel.number + 1;
  channel = HubChannel{};
  channel.number = number;
  free_channels.push_back(slot);
}

void Hub::Impl::unpin(std::uint32_t slot, const Now& now) {
  --channels[slot].pins;
  release_if_unused(slot, now);
}

void Hub::Impl::make_live(HubChannel& channel, const Now& now, std::function<void(Result<void>)> then) {
  if (channel.live) return then({});
  channel.waiting.push_back(std::move(then));
  if (std::exchange(channel.asking, true)) return;
  const std::string name = channel.name;
  broker.subscribe(name, now, while_alive([this, name, now](const Result<Position>& position) {
                     const auto found = by_name.find(name);
                     if (found != by_name.end()) begin(channels[found->second], position, now);
                   }));
}

void Hub::Impl::begin(HubChannel& channel, const Result<Position>& position, const Now& now) {
  channel.asking = false;
  if (position) {
    channel.live = true;
    channel.position = *position;
    tell_held(channel, now);
  } else {
    (void)take_held(channel);
    channel.doubtful = false;
  }
  auto waiting = std::exchange(channel.waiting, {});
  for (auto& one : waiting) one(position ? Result<void>() : Result<void>(fail(position.error())));
}

void Hub::Impl::attach(HubSession& session, std::uint32_t slot, bool joins, const Now& now) {
  HubChannel& channel = channels[slot];
  session.subscriptions.push_back({slot, static_cast<std::uint32_t>(channel.subscribers.size()), joins});
  channel.subscribers.push_back(session.slot);
  ++subscriptions;
  ++subscriptions_of[session.grant.user];
  if (joins) ++channel.joiners;
  if (channel.rule->joins) join(channel, session, now);
}

void Hub::Impl::detach(HubSession& session, const HubSubscription& subscription, const Now& now) {
  HubChannel& channel = channels[subscription.channel];
  const std::uint32_t moved = channel.subscribers.back();
  channel.subscribers[subscription.place] = moved;
  channel.subscribers.pop_back();
  if (moved != session.slot) subscription_of(sessions[moved], channel.slot)->place = subscription.place;
  --subscriptions;
  release_room(session.grant.user, 1);
  if (subscription.joins) --channel.joiners;
  if (channel.rule->joins) leave(channel, session, now);
  release_if_unused(channel.slot, now);
}

void Hub::Impl::release_room(const std::string& user, std::uint32_t count) {
  const auto own = subscriptions_of.find(user);
  if (own == subscriptions_of.end()) return;
  own->second -= std::min(own->second, count);
  if (own->second == 0) subscriptions_of.erase(own);
}

void Hub::Impl::take_away(HubSession& session, std::uint32_t slot, const Now& now) {
  const HubSubscription* found = subscription_of(session, slot);
  if (found == nullptr) return;
  const HubSubscription ended = *found;
  session.subscriptions.erase(session.subscriptions.begin() + (found - session.subscriptions.data()));
  detach(session, ended, now);
}

HubSubscription* Hub::Impl::subscription_of(HubSession& session, std::uint32_t channel) {
  const auto found = std::find_if(session.subscriptions.begin(), session.subscriptions.end(),
                                  [channel](const HubSubscription& one) { return one.channel == channel; });
  return found == session.subscriptions.end() ? nullptr : &*found;
}

}  // namespace headroom::bus
