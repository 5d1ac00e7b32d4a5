// What comes from the broker, on its way to the subscribers: in order, without a gap, each once.

#include <utility>

#include <fmt/format.h>

#include "bus/impl/hub_impl.hpp"
#include "bus/impl/protocol.hpp"

namespace headroom::bus {

void Hub::Impl::send(HubSession& session, std::string_view text) {
  send_frame(session, text_frame(text));
}

void Hub::Impl::send_frame(HubSession& session, const wire::Frame& frame) {
  session.peer->send(frame);
  if (session.peer->queued_bytes() > limits.queue_bytes) slow.push_back(id_of(session));
}

void Hub::Impl::close_slow(const Now& now) {
  while (!slow.empty()) {
    const SessionId id = slow.back();
    slow.pop_back();
    HubSession* session = find(id);
    if (session == nullptr) continue;
    ++counts.slow;
    end(*session, {DisconnectCode::kSlow, {0, 5'000}, {}}, now);
  }
}

void Hub::Impl::deliver(HubChannel& channel, const Message& message) {
  channel.position.offset = message.offset;
  ++channel.messages;
  if (channel.subscribers.empty()) return;
  const wire::Frame frame = text_frame(message_json(channel.name, message));
  for (const std::uint32_t slot : channel.subscribers) send_frame(sessions[slot], frame);
  counts.deliveries += channel.subscribers.size();
  counts.delivered_bytes += frame->size() * channel.subscribers.size();
}

void Hub::Impl::message(HubChannel& channel, std::string_view epoch, const Message& message, const Now& now) {
  if (!channel.live || channel.filling) return hold(channel, epoch, message);
  if (epoch != channel.position.epoch) return moved(channel, {message.offset, std::string(epoch)});
  if (message.offset <= channel.position.offset) {
    ++counts.duplicates;
    return;
  }
  if (message.offset == channel.position.offset + 1) return deliver(channel, message);
  ++counts.gaps;
  hold(channel, epoch, message);
  fill(channel, now);
}

void Hub::Impl::hold(HubChannel& channel, std::string_view epoch, const Message& message) const {
  const std::size_t bytes = message.data->size();
  if (channel.held.size() < limits.held_messages && channel.held_bytes + bytes <= limits.held_bytes) {
    channel.held_bytes += bytes;
    channel.held.push_back({std::string(epoch), message});
  } else {
    channel.doubtful = true;
  }
}

std::vector<HeldMessage> Hub::Impl::take_held(HubChannel& channel) {
  channel.held_bytes = 0;
  return std::exchange(channel.held, {});
}

void Hub::Impl::tell_held(HubChannel& channel, const Now& now) {
  for (const HeldMessage& held : take_held(channel)) {
    // Of another epoch: whether of an older or a newer one, the broker knows.
    if (held.epoch == channel.position.epoch) {
      message(channel, held.epoch, held.message, now);
    } else {
      channel.doubtful = true;
    }
  }
  if (channel.doubtful && !channel.filling) fill(channel, now);
}

void Hub::Impl::moved(HubChannel& channel, const Position& position) {
  channel.position = position;
  const wire::Frame frame =
      text_frame(fmt::format(R"({{"lost":{{"channel":"{}",{}}}}})", channel.name, position_json(position)));
  counts.lost += channel.subscribers.size();
  for (const std::uint32_t slot : channel.subscribers) send_frame(sessions[slot], frame);
}

void Hub::Impl::fill(HubChannel& channel, const Now& now) {
  channel.filling = true;
  channel.doubtful = false;
  const Position since = channel.position;
  HistoryQuery query;
  query.since = &since;
  query.limit = limits.held_messages;
  query.bytes = limits.recover_bytes * 16;
  const auto taken = [this, slot = channel.slot, number = channel.number, since,
                      now](const Result<HistoryPage>& page) {
    HubChannel& one = channels[slot];
    if (one.number != number || !one.filling) return;
    if (page) return end_gap(one, since, *page, now);
    unfilled.emplace_back(slot, number);
  };
  broker.history(channel.name, query, now, while_alive(taken));
}

void Hub::Impl::end_gap(HubChannel& channel, const Position& since, const HistoryPage& page, const Now& now) {
  channel.filling = false;
  // A new epoch began meanwhile: the page is of the one before it.
  if (channel.position == since) take_missed(channel, page);
  tell_held(channel, now);
}

void Hub::Impl::take_missed(HubChannel& channel, const HistoryPage& page) {
  if (page.lost || page.more) return moved(channel, page.position);
  for (const Message& message : page.messages) {
    if (message.offset == channel.position.offset + 1) deliver(channel, message);
  }
}

void Hub::Impl::fill_again(const Now& now) {
  for (const auto& [slot, number] : std::exchange(unfilled, {})) {
    HubChannel& channel = channels[slot];
    if (channel.number == number && channel.filling) fill(channel, now);
  }
}

void Hub::tap(Tap tap) {
  impl_->tap = std::move(tap);
}

void Hub::message(std::string_view channel, std::string_view epoch, const Message& message, const Now& now) {
  ++impl_->counts.messages;
  if (impl_->tap) impl_->tap(channel, message);
  const auto found = impl_->by_name.find(channel);
  if (found == impl_->by_name.end()) return;
  impl_->message(impl_->channels[found->second], epoch, message, now);
  impl_->close_slow(now);
}

void Hub::moved(std::string_view channel, const Position& position, const Now& now) {
  const auto found = impl_->by_name.find(channel);
  if (found == impl_->by_name.end()) return;
  HubChannel& known = impl_->channels[found->second];
  (void)Impl::take_held(known);  // they were told before, of the epoch that has ended
  if (known.live) {
    impl_->moved(known, position);
  } else {
    known.doubtful = true;  // the broker's answer may be older than this
  }
  impl_->close_slow(now);
}

void Hub::state(BrokerState state, const Now& now) {
  const bool available = state == BrokerState::kAvailable;
  if (impl_->broker_available == available) return;
  impl_->broker_available = available;
  impl_->lost_ns = now.monotonic_ns;
  if (!available) return;
  for (HubChannel& channel : impl_->channels) {
    if (channel.live && !channel.filling) impl_->fill(channel, now);
  }
}

}  // namespace headroom::bus
