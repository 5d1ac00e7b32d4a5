#include "bus/redis_broker.hpp"

#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bus/impl/posting.hpp"
#include "bus/impl/redis_client.hpp"
#include "bus/impl/redis_link.hpp"
#include "bus/impl/waiting.hpp"

namespace headroom::bus {

namespace {

using base::fail;

constexpr std::int64_t kNsPerS = 1'000'000'000;
/// The thread refuses what it never sent; a second later the rest is given up.
constexpr std::int64_t kGraceNs = kNsPerS;
/// A channel with subscribers is kept from being forgotten: all are looked at in turn, some at each tick.
constexpr std::int64_t kTouchEveryNs = RedisLayout::kUnusedMs / 3 * 1'000'000;
constexpr std::size_t kTouchAtOnce = 64;
constexpr std::size_t kMostHeld = 1'000;  ///< messages of a channel whose position is asked for

RedisTime as_time(std::int64_t monotonic_ns) {
  return RedisTime(std::chrono::nanoseconds{monotonic_ns});
}

Result<redis::Url> check_options(const RedisBrokerOptions& options) {
  if (options.shards < 1 || options.shards > kMostRedisShards)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} shards; expected 1 to {}", options.shards, kMostRedisShards));
  return redis::parse_url(options.url);
}

Result<void> check_size(const Publication& publication, const ChannelRule& rule) {
  if (publication.data.size() <= rule.message_bytes) return {};
  return fail(ErrorCode::kTooLarge,
              fmt::format("a message of {} bytes is too large for channel {}; {} are accepted",
                          publication.data.size(), publication.channel, rule.message_bytes));
}

}  // namespace

/// Lives on the hub's thread. What the threads tell is posted, and finds it through `alive`.
struct RedisBroker::Impl {
  Impl(const RedisBrokerOptions& given, const ChannelRules& given_rules, Post given_post)
      : options(given), rules(given_rules), post(std::move(given_post)) {}

  /// A subscribed channel. What comes before its position is known waits for it, since it may be older.
  struct Subscription {
    std::int64_t asked = 0;  ///< number of the question for the position; 0: it was answered
    Position answered;       ///< the streams may be read later than the position was
    std::vector<RedisRow> held;

    [[nodiscard]] bool is_told(const RedisRow& row) const {
      return row.epoch == answered.epoch && row.message.offset <= answered.offset;
    }
  };

  void take(const RedisNews& news);
  void take(const RedisRow& row, const Now& now);
  void tell_held(Subscription& subscription, const Now& now);
  void begin(const std::string& channel, std::int64_t asked, const Result<HistoryPage>& page,
             const Done<Position>& done);
  void take(const RedisAnswers& answers);
  void lose(const Now& now);
  void touch(const Now& now);
  void inquire(std::string_view channel, const HistoryQuery& query, const Now& now, Done<HistoryPage> done);
  [[nodiscard]] RedisInquiry position_of(std::string_view channel, const Now& now) const;
  [[nodiscard]] std::int64_t deadline(const Now& now) const {
    return now.monotonic_ns + std::chrono::nanoseconds(options.answer_within).count();
  }
  RedisEvents events();

  /// Posts a function that runs only while the broker is there.
  template <typename Function>
  void post_to(Function function) {
    post_while_there(post, self, std::move(function));
  }

  template <typename T>
  void give_up(Waiting<T>& waiting, const Now& now) {
    const std::weak_ptr<Impl*> here = alive;
    for (const Done<T>& done : waiting.take_late(now)) {
      if (here.expired()) return;
      done(fail(ErrorCode::kTimedOut,
                "the Redis server did not answer in time; it may have kept the message"));
    }
  }

  const RedisBrokerOptions options;
  const ChannelRules& rules;
  Post post;
  BrokerListener* listener = nullptr;
  BrokerState state = BrokerState::kAvailable;
  bool came_up = false;  ///< the streams were read once
  std::int64_t started_ns = 0;
  Waiting<Published> publishes;
  Waiting<HistoryPage> inquiries;
  std::map<std::string, Subscription, std::less<>> subscribed;
  std::int64_t next_number = 1;
  std::string touched;  ///< the channel that was looked at last; empty: none of this turn
  std::int64_t touch_ns = 0;
  std::shared_ptr<Impl*> alive = std::make_shared<Impl*>(this);
  /// For the threads, which may not read `alive` while the hub's thread ends it.
  const std::weak_ptr<Impl*> self = alive;
  std::unique_ptr<RedisClient> client;  ///< last: its threads end first
};

RedisEvents RedisBroker::Impl::events() {
  RedisEvents told;
  told.news = [this](RedisNews news) { post_to([news = std::move(news)](Impl& impl) { impl.take(news); }); };
  told.lost = [this] { post_to([](Impl& impl) { impl.lose(read_clocks()); }); };
  told.answered = [this](RedisAnswers answers) {
    post_to([answers = std::move(answers)](Impl& impl) { impl.take(answers); });
  };
  return told;
}

/// Whoever listens compares its positions when the state becomes available again, so another epoch, or that
/// something was missed, is told as a short loss.
void RedisBroker::Impl::take(const RedisNews& news) {
  const Now now = read_clocks();
  client->news_taken();
  const bool is_first = !std::exchange(came_up, true);
  if (news.compare && !is_first) lose(now);
  const std::weak_ptr<Impl*> here = alive;
  for (const RedisRow& row : news.rows) {
    take(row, now);
    if (here.expired()) return;
  }
  if (state == BrokerState::kAvailable) return;
  state = BrokerState::kAvailable;
  listener->state(state, now);
}

void RedisBroker::Impl::take(const RedisRow& row, const Now& now) {
  const auto found = subscribed.find(row.channel);
  if (found == subscribed.end()) return;
  Subscription& subscription = found->second;
  if (subscription.asked != 0) subscription.held.push_back(row);
  if (subscription.asked == 0) {
    if (!subscription.is_told(row)) listener->message(row.channel, row.epoch, row.message, now);
    return;
  }
  if (subscription.held.size() > kMostHeld) tell_held(subscription, now);
}

/// Those that are not older than the position, if it is known; from now on messages are told as they come.
void RedisBroker::Impl::tell_held(Subscription& subscription, const Now& now) {
  const std::weak_ptr<Impl*> here = alive;
  const Subscription held = std::exchange(subscription, {0, subscription.answered, {}});
  for (const RedisRow& row : held.held) {
    if (!held.is_told(row)) listener->message(row.channel, row.epoch, row.message, now);
    if (here.expired()) return;
  }
}

/// The position of a channel that was subscribed to is known, or will not be.
void RedisBroker::Impl::begin(const std::string& channel, std::int64_t asked, const Result<HistoryPage>& page,
                              const Done<Position>& done) {
  const std::weak_ptr<Impl*> here = alive;
  done(page ? Result<Position>(page->position) : Result<Position>(fail(page.error())));
  if (here.expired()) return;
  const auto found = subscribed.find(channel);
  if (found == subscribed.end() || found->second.asked != asked) return;
  if (page) found->second.answered = page->position;
  tell_held(found->second, read_clocks());
}

void RedisBroker::Impl::take(const RedisAnswers& answers) {
  client->answers_taken();
  const std::weak_ptr<Impl*> here = alive;
  for (const auto& [ticket, published] : answers.published) {
    if (const auto done = publishes.take(ticket)) done(published);
    if (here.expired()) return;
  }
  for (const auto& [number, page] : answers.pages) {
    if (const auto done = inquiries.take(number)) done(page);
    if (here.expired()) return;
  }
}

void RedisBroker::Impl::lose(const Now& now) {
  if (state == BrokerState::kLost) return;
  state = BrokerState::kLost;
  listener->state(state, now);
}

RedisInquiry RedisBroker::Impl::position_of(std::string_view channel, const Now& now) const {
  RedisInquiry inquiry;
  inquiry.deadline = as_time(deadline(now));
  inquiry.channel = channel;
  inquiry.rule = &rules.find(channel);
  return inquiry;
}

void RedisBroker::Impl::inquire(std::string_view channel, const HistoryQuery& query, const Now& now,
                                Done<HistoryPage> done) {
  if (inquiries.size() >= options.queued_inquiries)
    return done(fail(ErrorCode::kOverloaded, "too many questions wait for Redis; ask again later"));
  RedisInquiry inquiry = position_of(channel, now);
  inquiry.number = next_number++;
  inquiry.has_since = query.since != nullptr;
  if (inquiry.has_since) inquiry.since = *query.since;
  inquiry.limit = query.limit;
  inquiry.bytes = query.bytes;
  inquiries.add(inquiry.number, deadline(now), std::move(done));
  client->inquire(std::move(inquiry));
}

/// Nobody waits for these answers.
void RedisBroker::Impl::touch(const Now& now) {
  if (now.monotonic_ns < touch_ns || state == BrokerState::kLost) return;
  auto next = touched.empty() ? subscribed.begin() : subscribed.upper_bound(touched);
  for (std::size_t i = 0; i < kTouchAtOnce && next != subscribed.end(); ++i, ++next) {
    touched = next->first;
    client->inquire(position_of(touched, now));
  }
  if (next != subscribed.end()) return;
  touched.clear();
  touch_ns = now.monotonic_ns + kTouchEveryNs;
}

RedisBroker::RedisBroker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RedisBroker::~RedisBroker() {
  impl_->alive.reset();
}

Result<std::unique_ptr<RedisBroker>> RedisBroker::make(const RedisBrokerOptions& options,
                                                       const ChannelRules& rules, Post post) {
  const auto url = check_options(options);
  if (!url) return fail(url.error());
  auto impl = std::make_unique<Impl>(options, rules, std::move(post));
  impl->client = std::make_unique<RedisClient>(options, *url, rules, impl->events());
  return std::unique_ptr<RedisBroker>(new RedisBroker(std::move(impl)));
}

void RedisBroker::start(BrokerListener& listener, const Now& now) {
  impl_->listener = &listener;
  impl_->started_ns = now.monotonic_ns;
  impl_->touch_ns = now.monotonic_ns + kTouchEveryNs;
  impl_->client->start();
}

void RedisBroker::publish(Publication publication, const Now& now, Done<Published> done) {
  const ChannelRule& rule = impl_->rules.find(publication.channel);
  if (auto checked = check_size(publication, rule); !checked) return done(fail(std::move(checked.error())));
  if (impl_->publishes.size() >= impl_->options.queued_publishes)
    return done(fail(ErrorCode::kOverloaded, "too many messages wait for Redis; publish again later"));
  const std::int64_t ticket = impl_->next_number++;
  const std::int64_t deadline = impl_->deadline(now);
  impl_->publishes.add(ticket, deadline + kGraceNs, std::move(done));
  impl_->client->publish({ticket, as_time(deadline), std::move(publication), &rule});
}

void RedisBroker::subscribe(std::string_view channel, const Now& now, Done<Position> done) {
  const std::int64_t asked = impl_->next_number;
  impl_->subscribed.try_emplace(std::string(channel), Impl::Subscription{asked, {}, {}});
  HistoryQuery query;
  query.limit = 0;
  impl_->inquire(channel, query, now,
                 [impl = impl_.get(), name = std::string(channel), asked, done = std::move(done)](
                     const Result<HistoryPage>& page) { impl->begin(name, asked, page, done); });
}

void RedisBroker::unsubscribe(std::string_view channel, const Now& /*now*/) {
  const auto found = impl_->subscribed.find(channel);
  if (found != impl_->subscribed.end()) impl_->subscribed.erase(found);
}

void RedisBroker::history(std::string_view channel, const HistoryQuery& query, const Now& now,
                          Done<HistoryPage> done) {
  impl_->inquire(channel, query, now, std::move(done));
}

void RedisBroker::tick(const Now& now) {
  // A server that is there is reached sooner.
  constexpr std::int64_t kComeUpNs = kNsPerS;
  if (!impl_->came_up && now.monotonic_ns - impl_->started_ns > kComeUpNs) impl_->lose(now);
  const std::weak_ptr<Impl*> here = impl_->alive;
  impl_->touch(now);
  impl_->give_up(impl_->publishes, now);
  if (!here.expired()) impl_->give_up(impl_->inquiries, now);
}

RedisBrokerCounts RedisBroker::counts() const {
  return impl_->client->counts();
}

Result<void> check_redis_broker(const RedisBrokerOptions& options) {
  const auto url = check_options(options);
  if (!url) return fail(url.error());
  redis::Connection connection(*url);
  if (const auto facts = ask_redis_facts(connection); !facts) return fail(facts.error());
  return check_redis_shards(connection, options.shards);
}

}  // namespace headroom::bus
