#include "bus/tryton_history.hpp"

#include <algorithm>
#include <utility>

namespace headroom::bus {

namespace {

/// About what the tables take beside the texts.
constexpr std::size_t kOverhead = 256;

std::size_t size_of(const TrytonMessage& message) {
  return kOverhead + message.body.size() + message.id.size() + message.channel.size();
}

}  // namespace

void TrytonHistory::append(Time now, Message message) {
  auto& channel = channels_[message->channel];
  const Number number = ++last_number_;
  channel.push_back(number);
  // A sender that repeats an id: who got the first one goes on from there.
  ids_.try_emplace(message->id, number);
  bytes_ += size_of(*message);
  messages_.emplace(number, Kept{now, std::move(message)});
  if (channel.size() > limits_.channel_messages) push_out(channel.front());
  while (messages_.size() > limits_.messages || bytes_ > limits_.bytes) push_out(messages_.begin()->first);
}

TrytonHistory::Message TrytonHistory::next(std::span<const std::string> channels,
                                           const std::optional<std::string>& last) const {
  Number after = 0;
  const auto known = last ? ids_.find(*last) : ids_.end();
  if (known != ids_.end()) {
    const std::string& channel = messages_.at(known->second).message->channel;
    if (std::ranges::find(channels, channel) != channels.end()) after = known->second;
  }
  Number first = 0;
  for (const std::string& name : channels) {
    const auto channel = channels_.find(name);
    if (channel == channels_.end()) continue;
    const auto found = std::ranges::upper_bound(channel->second, after);
    if (found != channel->second.end() && (first == 0 || *found < first)) first = *found;
  }
  return first == 0 ? nullptr : messages_.at(first).message;
}

void TrytonHistory::expire(Time now) {
  while (!messages_.empty() && now - messages_.begin()->second.arrived >= limits_.age)
    erase(messages_.begin()->first);
}

void TrytonHistory::forget(const std::string& channel) {
  while (true) {
    const auto found = channels_.find(channel);
    if (found == channels_.end()) return;
    erase(found->second.front());
  }
}

void TrytonHistory::push_out(Number number) {
  ++pushed_out_;
  erase(number);
}

/// It is the oldest of its channel, always.
void TrytonHistory::erase(Number number) {
  const auto found = messages_.find(number);
  const Message message = found->second.message;
  messages_.erase(found);
  bytes_ -= size_of(*message);
  const auto channel = channels_.find(message->channel);
  channel->second.pop_front();
  if (channel->second.empty()) channels_.erase(channel);
  const auto id = ids_.find(message->id);
  if (id != ids_.end() && id->second == number) ids_.erase(id);
}

}  // namespace headroom::bus
