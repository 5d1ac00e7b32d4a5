// Streams by name, in one pool per rule. A pool has three bounds: bytes, channels, ids. When its bytes are
// used up, the stream that is written to gives its own oldest messages as long as it holds more than its
// share, else the stream that was quiet for longest; so a flood fills its own channel, not its neighbours'.
//
// Forgetting a stream forgets its offsets, so the pool begins another epoch for all streams that are made
// after that: a position of before is then `lost`, also when nothing was published. Streams with a subscriber
// are not forgotten.

#include "bus/memory_broker.hpp"

#include <xxhash.h>

#include <algorithm>
#include <deque>
#include <list>
#include <optional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace headroom::bus {
namespace {

/// What a message costs beside its text: the shared text's block, its place in the stream.
constexpr std::size_t kMessageOverhead = 96;

std::size_t cost_of(const std::string& data) {
  return data.size() + kMessageOverhead;
}

struct Stored {
  std::shared_ptr<const std::string> data;
  std::int64_t at_ns = 0;
};

struct IdKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const IdKey&) const = default;
};

struct IdKeyHash {
  std::size_t operator()(const IdKey& key) const { return key.low; }
};

struct Pool;

struct Stream {
  std::string name;
  Pool* pool = nullptr;
  std::string epoch;
  std::uint64_t newest = 0;
  std::vector<Stored> messages;  ///< from `first` on
  std::size_t first = 0;
  std::size_t bytes = 0;
  std::list<Stream*>::iterator place;  ///< in one of the pool's lists
  bool subscribed = false;

  [[nodiscard]] std::size_t size() const { return messages.size() - first; }
  [[nodiscard]] std::uint64_t oldest() const { return newest - size() + 1; }
};

struct Remembered {
  IdKey key;
  std::int64_t at_ns = 0;
};

struct Pool {
  const ChannelRule* rule = nullptr;
  std::string epoch;
  std::uint64_t generation = 0;
  /// The quietest first. Apart, because a look for old messages must not pass thousands of idle channels.
  std::list<Stream*> filled;
  std::list<Stream*> empty;
  std::size_t messages = 0;
  std::size_t bytes = 0;
  std::deque<Remembered> ids_by_age;
  std::unordered_map<IdKey, Position, IdKeyHash> ids;
};

}  // namespace

struct MemoryBroker::Impl {
  Impl(const ChannelRules& given, std::string name)
      : rules(given), epoch(std::move(name)), pools(given.all().size()) {
    for (std::size_t i = 0; i < pools.size(); ++i) {
      pools[i].rule = &rules.all()[i];
      pools[i].epoch = epoch;
    }
  }

  Pool& pool_of(std::string_view channel) { return pools[rules.index_of(channel)]; }

  Stream* find(std::string_view channel) {
    const auto found = streams.find(channel);
    return found == streams.end() ? nullptr : found->second.get();
  }

  /// Null when there is no room: all streams of the pool have subscribers.
  Stream* find_or_make(std::string_view channel) {
    if (Stream* found = find(channel)) return found;
    Pool& pool = pool_of(channel);
    if (pool.filled.size() + pool.empty.size() >= pool.rule->budget_channels && !forget_quietest(pool))
      return nullptr;
    auto made = std::make_unique<Stream>();
    made->name = channel;
    made->pool = &pool;
    made->epoch = pool.epoch;
    made->place = pool.empty.insert(pool.empty.end(), made.get());
    Stream* kept = made.get();
    streams.emplace(kept->name, std::move(made));
    return kept;
  }

  bool forget_quietest(Pool& pool) {
    Stream* victim = first_unsubscribed(pool.empty);
    if (victim == nullptr) victim = first_unsubscribed(pool.filled);
    if (victim == nullptr) return false;
    if (victim->newest > 0) {
      pool.epoch = fmt::format("{}.{}", epoch, ++pool.generation);
      ++forgotten;
    }
    erase(*victim);
    return true;
  }

  static Stream* first_unsubscribed(const std::list<Stream*>& list) {
    const auto found =
        std::find_if(list.begin(), list.end(), [](const Stream* each) { return !each->subscribed; });
    return found == list.end() ? nullptr : *found;
  }

  void erase(Stream& stream) {
    while (stream.size() > 0) drop_oldest(stream);
    stream.pool->empty.erase(stream.place);
    streams.erase(streams.find(stream.name));
  }

  void drop_oldest(Stream& stream) {
    Stored& oldest = stream.messages[stream.first];
    const std::size_t cost = cost_of(*oldest.data);
    oldest.data.reset();
    ++stream.first;
    stream.bytes -= cost;
    stream.pool->bytes -= cost;
    --stream.pool->messages;
    if (stream.size() == 0) {
      Pool& pool = *stream.pool;
      pool.empty.splice(pool.empty.end(), pool.filled, stream.place);
      stream.messages = {};
      stream.first = 0;
    } else if (stream.first > 16 && stream.first * 2 > stream.messages.size()) {
      stream.messages.erase(stream.messages.begin(),
                            stream.messages.begin() + static_cast<std::ptrdiff_t>(stream.first));
      stream.first = 0;
    }
  }

  static bool is_too_old(const Stream& stream, std::int64_t now_ns) {
    return stream.size() > 0 &&
           now_ns - stream.messages[stream.first].at_ns >= stream.pool->rule->history_age_ns;
  }

  static bool is_all_old(const Stream& stream, std::int64_t now_ns) {
    return now_ns - stream.messages.back().at_ns >= stream.pool->rule->history_age_ns;
  }

  void drop_old(Stream& stream, std::int64_t now_ns) {
    while (is_too_old(stream, now_ns)) drop_oldest(stream);
  }

  void append(Stream& stream, std::shared_ptr<const std::string> data, std::int64_t now_ns) {
    Pool& pool = *stream.pool;
    ++stream.newest;
    std::list<Stream*>& now_in = stream.size() == 0 ? pool.empty : pool.filled;
    const bool keeps = pool.rule->history_messages > 0;
    std::list<Stream*>& then_in = keeps ? pool.filled : pool.empty;
    then_in.splice(then_in.end(), now_in, stream.place);
    if (!keeps) return;
    const std::size_t cost = cost_of(*data);
    stream.messages.push_back({std::move(data), now_ns});
    stream.bytes += cost;
    pool.bytes += cost;
    ++pool.messages;
    const std::size_t most_bytes = pool.rule->history_bytes + kMessageOverhead;
    while (stream.size() > pool.rule->history_messages || (stream.bytes > most_bytes && stream.size() > 1))
      drop_oldest(stream);
    drop_old(stream, now_ns);
    keep_budget(pool, stream);
  }

  void keep_budget(Pool& pool, Stream& written) {
    const std::size_t most = pool.rule->budget_bytes + kMessageOverhead;
    while (pool.bytes > most) {
      const std::size_t share = most / pool.filled.size();
      const bool over_share = written.bytes > share && written.size() > 1;
      drop_oldest(over_share ? written : *pool.filled.front());
      ++dropped_by_budget;
    }
  }

  static IdKey key_of(const Publication& publication, std::uint64_t seed) {
    const std::string text = publication.channel + "\n" + publication.id;
    const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), seed);
    return {hash.high64, hash.low64};
  }

  static void forget_ids(Pool& pool, std::int64_t now_ns) {
    while (!pool.ids_by_age.empty() && now_ns - pool.ids_by_age.front().at_ns >= kRepeatWindowNs) {
      pool.ids.erase(pool.ids_by_age.front().key);
      pool.ids_by_age.pop_front();
    }
  }

  /// A publication that was taken, and the message if a listener is to be told.
  struct Taken {
    Published published;
    std::optional<Message> told;
  };

  Result<Taken> take(Publication& publication, const Now& now) {
    Pool& pool = pool_of(publication.channel);
    if (publication.data.size() > pool.rule->message_bytes) {
      return base::fail(ErrorCode::kTooLarge,
                        fmt::format("a message of {} bytes; channel '{}' takes {} at most",
                                    publication.data.size(), publication.channel, pool.rule->message_bytes));
    }
    if (publication.id.empty()) return append(publication, now);
    forget_ids(pool, now.monotonic_ns);
    const IdKey key = key_of(publication, seed);
    if (const auto found = pool.ids.find(key); found != pool.ids.end())
      return Taken{{found->second, true}, std::nullopt};
    if (pool.ids.size() >= pool.rule->budget_ids) {
      ++refused_ids;
      return base::fail(ErrorCode::kOverloaded, "too many publication ids are remembered; try again later");
    }
    auto taken = append(publication, now);
    if (!taken) return taken;
    pool.ids.emplace(key, taken->published.position);
    pool.ids_by_age.push_back({key, now.monotonic_ns});
    return taken;
  }

  Result<Taken> append(Publication& publication, const Now& now) {
    Stream* stream = find_or_make(publication.channel);
    if (stream == nullptr) return base::fail(too_many_channels(pool_of(publication.channel)));
    Message message{stream->newest + 1, std::make_shared<const std::string>(std::move(publication.data))};
    append(*stream, message.data, now.monotonic_ns);
    Taken taken{{{stream->newest, stream->epoch}, false}, std::nullopt};
    if (stream->subscribed) taken.told = std::move(message);
    return taken;
  }

  static Error too_many_channels(const Pool& pool) {
    return {ErrorCode::kOverloaded,
            fmt::format("the rule of prefix '{}' has {} channels with subscribers already", pool.rule->prefix,
                        pool.rule->budget_channels)};
  }

  HistoryPage page_of(std::string_view channel, const HistoryQuery& query, std::int64_t now_ns) {
    HistoryPage page;
    Stream* stream = find(channel);
    page.position =
        stream == nullptr ? Position{0, pool_of(channel).epoch} : Position{stream->newest, stream->epoch};
    if (stream != nullptr) drop_old(*stream, now_ns);
    std::uint64_t from = page.position.offset + 1;
    if (query.since != nullptr) {
      const std::uint64_t oldest = stream == nullptr ? 1 : stream->oldest();
      page.lost = query.since->epoch != page.position.epoch || query.since->offset > page.position.offset ||
                  query.since->offset + 1 < oldest;
      if (page.lost) return page;
      from = query.since->offset + 1;
    } else if (stream != nullptr) {
      from = newest_that_fit(*stream, query);
    }
    if (stream != nullptr) fill(page, *stream, from, query);
    return page;
  }

  static const std::shared_ptr<const std::string>& data_at(const Stream& stream, std::uint64_t offset) {
    return stream.messages[stream.first + static_cast<std::size_t>(offset - stream.oldest())].data;
  }

  /// The offset of the first of the newest messages that fit into the page: one at least, if any is asked
  /// for.
  static std::uint64_t newest_that_fit(const Stream& stream, const HistoryQuery& query) {
    std::uint64_t from = stream.newest + 1;
    std::size_t bytes = 0;
    while (from > stream.oldest() && stream.newest + 1 - from < query.limit) {
      bytes += data_at(stream, from - 1)->size();
      if (bytes > query.bytes && from <= stream.newest) break;
      --from;
    }
    return from;
  }

  static void fill(HistoryPage& page, const Stream& stream, std::uint64_t from, const HistoryQuery& query) {
    std::size_t bytes = 0;
    for (std::uint64_t offset = from; offset <= stream.newest; ++offset) {
      const auto& data = data_at(stream, offset);
      bytes += data->size();
      page.more = page.messages.size() >= query.limit || (bytes > query.bytes && !page.messages.empty());
      if (page.more) return;
      page.messages.push_back({offset, data});
    }
  }

  const ChannelRules& rules;
  std::string epoch;
  std::vector<Pool> pools;
  std::unordered_map<std::string_view, std::unique_ptr<Stream>> streams;
  BrokerListener* listener = nullptr;
  std::uint64_t seed = std::random_device{}();
  std::uint64_t dropped_by_budget = 0;
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
  auto taken = impl_->take(publication, now);
  if (!taken) return done(base::fail(std::move(taken.error())));
  const Published published = taken->published;
  done(published);
  if (taken->told && impl_->listener != nullptr)
    impl_->listener->message(publication.channel, published.position.epoch, *taken->told, now);
}

void MemoryBroker::subscribe(std::string_view channel, const Now& /*now*/, Done<Position> done) {
  Stream* stream = impl_->find_or_make(channel);
  if (stream == nullptr) return done(base::fail(Impl::too_many_channels(impl_->pool_of(channel))));
  stream->subscribed = true;
  done(Position{stream->newest, stream->epoch});
}

void MemoryBroker::unsubscribe(std::string_view channel, const Now& /*now*/) {
  Stream* stream = impl_->find(channel);
  if (stream == nullptr) return;
  stream->subscribed = false;
  if (stream->newest == 0) impl_->erase(*stream);
}

void MemoryBroker::history(std::string_view channel, const HistoryQuery& query, const Now& now,
                           Done<HistoryPage> done) {
  done(impl_->page_of(channel, query, now.monotonic_ns));
}

void MemoryBroker::tick(const Now& now) {
  for (Pool& pool : impl_->pools) {
    Impl::forget_ids(pool, now.monotonic_ns);
    while (!pool.filled.empty() && Impl::is_all_old(*pool.filled.front(), now.monotonic_ns))
      impl_->drop_old(*pool.filled.front(), now.monotonic_ns);
  }
}

MemoryCounts MemoryBroker::counts() const {
  MemoryCounts counts;
  counts.channels = impl_->streams.size();
  for (const Pool& pool : impl_->pools) {
    counts.messages += pool.messages;
    counts.bytes += pool.bytes;
    counts.ids += pool.ids.size();
  }
  counts.dropped_by_budget = impl_->dropped_by_budget;
  counts.forgotten_channels = impl_->forgotten;
  counts.refused_ids = impl_->refused_ids;
  return counts;
}

std::string random_epoch() {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string epoch;
  for (int i = 0; i < 12; ++i) epoch += kAlphabet[random() % kAlphabet.size()];
  return epoch;
}

}  // namespace headroom::bus
