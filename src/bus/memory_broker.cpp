// Messages of one process. Each rule has its own budget: a list of its channels by when they were used last,
// whose oldest messages go first. A channel without subscribers and messages older than its age is forgotten;
// the next message in it begins again at offset 1, so a channel that is forgotten takes a new epoch of its
// own.

#include "bus/memory_broker.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace headroom::bus {
namespace {

using base::fail;

constexpr std::size_t kMessageOverhead = 96;
constexpr std::size_t kForgottenInATick = 1000;

struct Kept {
  Message message;
  std::int64_t at_ns = 0;
};

struct Channel {
  std::string name;
  std::size_t rule = 0;
  std::uint64_t offset = 0;
  std::string epoch;
  std::deque<Kept> messages;
  std::size_t bytes = 0;
  std::int64_t used_ns = 0;
  bool subscribed = false;
  std::list<Channel*>::iterator place;  ///< in its rule's list
};

struct SeenId {
  Position position;
  std::int64_t at_ns = 0;
};

/// What the channels of one rule hold together.
struct Budget {
  std::list<Channel*> channels;  ///< the longest unused first
  std::size_t bytes = 0;
  std::unordered_map<std::string, SeenId> ids;
  std::deque<std::pair<std::int64_t, std::string>> id_ages;
};

std::size_t cost(const Message& message) {
  return message.data->size() + kMessageOverhead;
}

}  // namespace

struct MemoryBroker::Impl {
  Impl(const ChannelRules& given, std::string given_epoch)
      : rules(given), epoch(std::move(given_epoch)), budgets(given.all().size()) {}

  Channel& channel_of(std::string_view name, const Now& now) {
    const std::string key(name);
    const auto found = channels.find(key);
    if (found != channels.end()) return use(found->second, now);
    const std::size_t rule = rules.index_of(name);
    if (budgets[rule].channels.size() >= rules.all()[rule].budget_channels) forget_oldest(rule);
    Channel& made = channels[key];
    made.name = key;
    made.rule = rule;
    // Of a name that was forgotten before, an old position must not be taken for one of now.
    made.epoch = forgotten == 0 ? epoch : fmt::format("{}-{}", epoch, forgotten);
    made.place = budgets[rule].channels.insert(budgets[rule].channels.end(), &made);
    return use(made, now);
  }
  Channel& use(Channel& channel, const Now& now) {
    channel.used_ns = now.monotonic_ns;
    auto& list = budgets[channel.rule].channels;
    list.splice(list.end(), list, channel.place);
    return channel;
  }
  bool forget_oldest(std::size_t rule) {
    auto& list = budgets[rule].channels;
    const auto found =
        std::find_if(list.begin(), list.end(), [](const Channel* one) { return !one->subscribed; });
    if (found == list.end()) return false;
    forget(**found);
    return true;
  }
  void forget(Channel& channel) {
    while (!channel.messages.empty()) drop_first(channel);
    budgets[channel.rule].channels.erase(channel.place);
    ++forgotten;
    channels.erase(std::string(channel.name));
  }
  void drop_first(Channel& channel) {
    const std::size_t size = cost(channel.messages.front().message);
    channel.bytes -= size;
    budgets[channel.rule].bytes -= size;
    --messages;
    channel.messages.pop_front();
  }
  void keep(Channel& channel, const Message& message, const Now& now) {
    const ChannelRule& rule = rules.all()[channel.rule];
    if (rule.history_messages == 0) return;
    channel.messages.push_back({message, now.monotonic_ns});
    channel.bytes += cost(message);
    budgets[channel.rule].bytes += cost(message);
    ++messages;
    trim(channel, now);
    while (budgets[channel.rule].bytes > rule.budget_bytes && drop_for_budget(channel.rule)) {
    }
  }
  void trim(Channel& channel, const Now& now) {
    const ChannelRule& rule = rules.all()[channel.rule];
    while (!channel.messages.empty() &&
           (channel.messages.size() > rule.history_messages || channel.bytes > rule.history_bytes ||
            now.monotonic_ns - channel.messages.front().at_ns > rule.history_age_ns)) {
      drop_first(channel);
    }
  }
  bool drop_for_budget(std::size_t rule) {
    for (Channel* one : budgets[rule].channels) {
      if (one->messages.empty()) continue;
      drop_first(*one);
      ++dropped;
      return true;
    }
    return false;
  }
  void forget_ids(Budget& budget, std::int64_t now_ns) {
    while (!budget.id_ages.empty() && now_ns - budget.id_ages.front().first > kRepeatWindowNs) {
      budget.ids.erase(budget.id_ages.front().second);
      budget.id_ages.pop_front();
    }
  }

  const ChannelRules& rules;
  std::string epoch;
  BrokerListener* listener = nullptr;
  std::unordered_map<std::string, Channel> channels;
  std::vector<Budget> budgets;
  std::size_t messages = 0;
  std::uint64_t dropped = 0;
  std::uint64_t forgotten = 0;
  std::uint64_t refused_ids = 0;
};

MemoryBroker::MemoryBroker(const ChannelRules& rules, std::string epoch)
    : impl_(std::make_unique<Impl>(rules, std::move(epoch))) {}

MemoryBroker::~MemoryBroker() = default;

void MemoryBroker::start(BrokerListener& listener, const Now& now) {
  impl_->listener = &listener;
  listener.state(BrokerState::kAvailable, now);
}

void MemoryBroker::publish(Publication publication, const Now& now, Done<Published> done) {
  const std::size_t rule_index = impl_->rules.index_of(publication.channel);
  const ChannelRule& rule = impl_->rules.all()[rule_index];
  if (publication.data.size() > rule.message_bytes) {
    return done(fail(ErrorCode::kTooLarge,
                     fmt::format("a message of {} bytes; channel '{}' takes {} at most",
                                 publication.data.size(), publication.channel, rule.message_bytes)));
  }
  Budget& budget = impl_->budgets[rule_index];
  const std::string id_key =
      publication.id.empty() ? std::string() : publication.channel + '\n' + publication.id;
  if (!id_key.empty()) {
    impl_->forget_ids(budget, now.monotonic_ns);
    const auto seen = budget.ids.find(id_key);
    if (seen != budget.ids.end()) return done(Published{seen->second.position, true});
    if (budget.ids.size() >= rule.budget_ids) {
      ++impl_->refused_ids;
      return done(fail(ErrorCode::kOverloaded, "too many publication ids are remembered; try again later"));
    }
  }
  Channel& channel = impl_->channel_of(publication.channel, now);
  const Message message{++channel.offset, std::make_shared<const std::string>(std::move(publication.data))};
  impl_->keep(channel, message, now);
  const Position position{channel.offset, channel.epoch};
  if (!id_key.empty()) {
    budget.ids[id_key] = {position, now.monotonic_ns};
    budget.id_ages.emplace_back(now.monotonic_ns, id_key);
  }
  const bool subscribed = channel.subscribed;
  done(Published{position, false});
  if (subscribed && impl_->listener != nullptr)
    impl_->listener->message(publication.channel, position.epoch, message, now);
}

void MemoryBroker::subscribe(std::string_view name, const Now& now, Done<Position> done) {
  Channel& channel = impl_->channel_of(name, now);
  channel.subscribed = true;
  done(Position{channel.offset, channel.epoch});
}

void MemoryBroker::unsubscribe(std::string_view name, const Now& now) {
  const auto found = impl_->channels.find(std::string(name));
  if (found == impl_->channels.end()) return;
  found->second.subscribed = false;
  impl_->use(found->second, now);
}

void MemoryBroker::history(std::string_view name, const HistoryQuery& query, const Now& now,
                           Done<HistoryPage> done) {
  HistoryPage page;
  const auto found = impl_->channels.find(std::string(name));
  if (found == impl_->channels.end()) {
    page.position = {
        0, impl_->forgotten == 0 ? impl_->epoch : fmt::format("{}-{}", impl_->epoch, impl_->forgotten)};
    page.lost = query.since != nullptr && *query.since != page.position;
    return done(std::move(page));
  }
  Channel& channel = found->second;
  impl_->trim(channel, now);
  page.position = {channel.offset, channel.epoch};
  const auto& kept = channel.messages;
  const std::uint64_t oldest = channel.offset - kept.size();  // the position before what is kept
  std::uint64_t from = oldest;
  if (query.since != nullptr) {
    from = query.since->offset;
    page.lost = query.since->epoch != channel.epoch || from > channel.offset || from < oldest;
    if (page.lost) return done(std::move(page));
  } else if (kept.size() > query.limit) {
    from = channel.offset - query.limit;
  }
  std::size_t bytes = 0;
  for (std::size_t i = from - oldest; i < kept.size(); ++i) {
    bytes += kept[i].message.data->size();
    page.more = page.messages.size() >= query.limit || (bytes > query.bytes && !page.messages.empty());
    if (page.more) break;
    page.messages.push_back(kept[i].message);
  }
  done(std::move(page));
}

void MemoryBroker::tick(const Now& now) {
  for (std::size_t rule = 0; rule < impl_->budgets.size(); ++rule) {
    Budget& budget = impl_->budgets[rule];
    impl_->forget_ids(budget, now.monotonic_ns);
    const std::int64_t age = impl_->rules.all()[rule].history_age_ns;
    std::size_t looked = 0;
    for (auto at = budget.channels.begin(); at != budget.channels.end() && looked < kForgottenInATick;
         ++looked) {
      Channel& channel = **at++;
      if (now.monotonic_ns - channel.used_ns <= age) break;
      impl_->trim(channel, now);
      if (!channel.subscribed && channel.messages.empty()) impl_->forget(channel);
    }
  }
}

MemoryCounts MemoryBroker::counts() const {
  MemoryCounts counts;
  counts.channels = impl_->channels.size();
  counts.messages = impl_->messages;
  for (const Budget& budget : impl_->budgets) {
    counts.bytes += budget.bytes;
    counts.ids += budget.ids.size();
  }
  counts.dropped_by_budget = impl_->dropped;
  counts.forgotten_channels = impl_->forgotten;
  counts.refused_ids = impl_->refused_ids;
  return counts;
}

std::string random_epoch() {
  static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::array<unsigned char, 12> bytes{};
  (void)::getrandom(bytes.data(), bytes.size(), 0);
  std::string epoch;
  for (const unsigned char byte : bytes) epoch.push_back(kAlphabet[byte % kAlphabet.size()]);
  return epoch;
}

Result<void> check_workers(std::string_view broker, std::int64_t workers) {
  if (broker != "memory" || workers <= 1) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format(
          "broker \"memory\" with {} workers: each would have messages of its own; use redis or postgresql",
          workers));
}

}  // namespace headroom::bus
