#include "bus/impl/redis_client.hpp"

#include <algorithm>
#include <iterator>
#include <span>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

using base::fail;
using redis::Pipeline;
using redis::Reply;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kRest{250};
constexpr milliseconds kLongestWait{1'000};
constexpr milliseconds kWatchEvery{1'000};
constexpr std::size_t kMostTogether = 256;
constexpr std::size_t kMostBytes = 1024 * 1024;           ///< of one round's publications
constexpr std::size_t kMostInScript = 64;                 ///< while it runs everybody else waits
constexpr std::size_t kMostPageBytes = 8 * 1024 * 1024;   ///< of one round's histories
constexpr std::size_t kMostReadBytes = 32 * 1024 * 1024;  ///< of one answer to the reader

RedisLayout layout_of(const RedisBrokerOptions& options, const ChannelRules& rules) {
  RedisLayout layout;
  layout.shards = options.shards;
  layout.stream_length = options.stream_length;
  layout.kept_ms = redis_kept_ms(rules);
  return layout;
}

/// So many entries of a stream that an answer stays within its bound when all are as large as allowed.
std::size_t most_entries(const RedisBrokerOptions& options, const ChannelRules& rules) {
  std::size_t largest = 1;
  for (const ChannelRule& rule : rules.all()) largest = std::max(largest, rule.message_bytes);
  return std::clamp<std::size_t>(kMostReadBytes / options.shards / largest, 1, kMostTogether);
}

}  // namespace

RedisClient::RedisClient(const RedisBrokerOptions& options, const redis::Url& url, const ChannelRules& rules,
                         RedisEvents events)
    : events_(std::move(events)),
      reading_(url, layout_of(options, rules), most_entries(options, rules), interrupt_, doubts_),
      asking_(url, layout_of(options, rules), 1, interrupt_, doubts_) {}

RedisClient::~RedisClient() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  interrupt_.raise();
  changed_.notify_all();
  for (std::thread* thread : {&reader_thread_, &asker_thread_}) {
    if (thread->joinable()) thread->join();
  }
}

void RedisClient::start() {
  reader_thread_ = std::thread([this] { read(); });
  asker_thread_ = std::thread([this] { ask(); });
}

void RedisClient::publish(RedisTicketed publication) {
  const std::lock_guard lock(mutex_);
  new_publishes_.push_back(std::move(publication));
  changed_.notify_all();
}

void RedisClient::inquire(RedisInquiry inquiry) {
  const std::lock_guard lock(mutex_);
  new_inquiries_.push_back(std::move(inquiry));
  changed_.notify_all();
}

void RedisClient::news_taken() {
  if (!news_under_way_.taken()) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void RedisClient::answers_taken() {
  if (!answers_under_way_.taken()) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

RedisBrokerCounts RedisClient::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void RedisClient::rest() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kRest, [this] { return stopping_.load(); });
}

// Reading
// ---------------------------------------------------------------------------------------------------------

void RedisClient::read() {
  while (!stopping_) {
    if (const auto ready = reading_.ensure(); !ready) {
      tell_lost(ready.error());
      rest();
      continue;
    }
    if (std::exchange(joins_, reading_.joins()) != reading_.joins()) tell_joined();
    std::unique_lock lock(mutex_);
    const bool has_room =
        changed_.wait_for(lock, kLongestWait, [this] { return stopping_ || news_under_way_.has_room(); });
    lock.unlock();
    if (has_room && !stopping_) read_once();
  }
}

/// Whoever listens compares its positions: of what came meanwhile the newest may be trimmed away.
void RedisClient::tell_joined() {
  available_ = true;
  {
    const std::lock_guard lock(mutex_);
    const bool is_first = !began_.exchange(true);
    if (!is_first && counts_.epoch != reading_.reader().epoch()) ++counts_.epochs;
    counts_.epoch = reading_.reader().epoch();
    counts_.reading = true;
    counts_.problem.clear();
    changed_.notify_all();
  }
  RedisNews news;
  news.available = true;
  news.compare = true;
  news_under_way_.told();
  events_.news(std::move(news));
}

void RedisClient::tell_lost(const Error& error) {
  const bool is_new = std::exchange(available_, false);
  if (stopping_) return;
  {
    const std::lock_guard lock(mutex_);
    counts_.reading = false;
    counts_.losses += is_new ? 1 : 0;
    counts_.problem = error.message();
  }
  if (is_new) events_.lost();
}

void RedisClient::read_once() {
  const RedisTime now = steady_clock::now();
  const bool watch = now >= watch_at_;
  if (watch) watch_at_ = now + kWatchEvery;
  auto news = ask_news(watch);
  if (!news) {
    if (news.error().code() == ErrorCode::kTooLarge) reading_.reader().read_less();
    reading_.doubt();
    if (news.error().code() != ErrorCode::kConflict) tell_lost(news.error());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    counts_.entries = reading_.reader().entries();
  }
  if (news->rows.empty() && !news->compare) return;
  news_under_way_.told();
  events_.news(std::move(*news));
}

Result<RedisNews> RedisClient::ask_news(bool watch) {
  Pipeline pipeline;
  reading_.reader().add_read(pipeline, std::min(kLongestWait, reading_.timeout() / 2));
  if (watch) RedisLink::add_watch(pipeline);
  auto replies = reading_.run(pipeline);
  if (!replies) return fail(std::move(replies.error()));
  if (watch) reading_.watched(replies->back());
  return reading_.reader().read((*replies)[0], (*replies)[1]);
}

// Publishing and asking
// ---------------------------------------------------------------------------------------------------------

void RedisClient::ask() {
  while (!stopping_) {
    wait_for_orders();
    const RedisTime now = steady_clock::now();
    take_orders(now);
    if (!may_ask() || (publishes_.empty() && inquiries_.empty())) continue;
    if (!asking_.ensure()) {
      rest();
      continue;
    }
    ask_round();
  }
}

/// What is queued and can't go yet is looked at now and then, since it may get too late.
void RedisClient::wait_for_orders() {
  const bool has_some = !publishes_.empty() || !inquiries_.empty();
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, has_some ? kRest : kLongestWait, [&] {
    return stopping_ || !new_publishes_.empty() || !new_inquiries_.empty() || (has_some && may_ask());
  });
}

void RedisClient::take_orders(RedisTime now) {
  std::vector<RedisTicketed> publishes;
  std::vector<RedisInquiry> inquiries;
  {
    const std::lock_guard lock(mutex_);
    publishes.swap(new_publishes_);
    inquiries.swap(new_inquiries_);
  }
  std::move(publishes.begin(), publishes.end(), std::back_inserter(publishes_));
  std::move(inquiries.begin(), inquiries.end(), std::back_inserter(inquiries_));
  expire(now);
  const std::lock_guard lock(mutex_);
  counts_.queued = publishes_.size() + inquiries_.size();
}

/// Refuses what waited too long. Who asked something was answered by the broker.
void RedisClient::expire(RedisTime now) {
  while (!inquiries_.empty() && inquiries_.front().deadline <= now) inquiries_.pop_front();
  RedisAnswers answers;
  while (!publishes_.empty() && publishes_.front().deadline <= now) {
    answers.published.emplace_back(publishes_.front().ticket,
                                   fail(ErrorCode::kUnavailable, "the Redis server can't be reached"));
    publishes_.pop_front();
  }
  if (!answers.published.empty()) tell(std::move(answers));
}

RedisClient::Round RedisClient::next_round() {
  Round round;
  take_publishes(round);
  std::size_t page_bytes = 0;
  while (!inquiries_.empty() && round.inquiries.size() < kMostTogether && page_bytes < kMostPageBytes) {
    page_bytes += inquiries_.front().limit == 0 ? 0 : inquiries_.front().bytes;
    round.inquiries.push_back(std::move(inquiries_.front()));
    inquiries_.pop_front();
  }
  return round;
}

/// By channel, since a script looks at each of its channels once; those of a channel stay in order.
void RedisClient::take_publishes(Round& round) {
  std::size_t bytes = 0;
  while (!publishes_.empty() && round.publishes.size() < kMostTogether && bytes < kMostBytes) {
    bytes += publishes_.front().publication.data.size();
    round.publishes.push_back(std::move(publishes_.front()));
    publishes_.pop_front();
  }
  std::stable_sort(round.publishes.begin(), round.publishes.end(),
                   [](const RedisTicketed& a, const RedisTicketed& b) {
                     return a.publication.channel < b.publication.channel;
                   });
  for (std::size_t left = round.publishes.size(); left > 0; left -= round.scripts.back())
    round.scripts.push_back(std::min(left, kMostInScript));
}

void RedisClient::ask_round() {
  Round round = next_round();
  Pipeline pipeline;
  std::vector<RedisPublication> publications;
  for (const RedisTicketed& one : round.publishes) publications.push_back({&one.publication, one.rule});
  std::span<const RedisPublication> left = publications;
  for (const std::size_t count : round.scripts) {
    add_publish(pipeline, asking_.scripts(), asking_.layout(), left.first(count));
    left = left.subspan(count);
  }
  for (const RedisInquiry& one : round.inquiries)
    add_look(pipeline, asking_.scripts(), asking_.layout(), one);
  const auto replies = asking_.run(pipeline);
  if (!replies) return put_back(std::move(round), replies.error());
  take_replies(std::move(round), *replies);
}

/// Where the bus was deleted by hand nothing was done: it is begun anew, and asked again.
void RedisClient::take_replies(Round round, const std::vector<Reply>& replies) {
  RedisAnswers answers;
  take_published(round, replies, answers);
  std::vector<RedisInquiry> again;
  std::size_t at = round.scripts.size();
  for (RedisInquiry& one : round.inquiries) {
    const Reply& reply = replies[at++];
    if (is_no_epoch(reply)) {
      again.push_back(std::move(one));
    } else {
      answers.pages.emplace_back(one.number, redis_page(one, reply));
    }
  }
  inquiries_.insert(inquiries_.begin(), std::make_move_iterator(again.begin()),
                    std::make_move_iterator(again.end()));
  const auto is_away = [](const auto& answer) {
    return !answer.second && answer.second.error().code() == ErrorCode::kUnavailable;
  };
  if (std::any_of(replies.begin(), replies.end(), is_no_epoch) ||
      std::any_of(answers.published.begin(), answers.published.end(), is_away) ||
      std::any_of(answers.pages.begin(), answers.pages.end(), is_away))
    asking_.doubt();
  tell(std::move(answers));
}

void RedisClient::take_published(Round& round, const std::vector<Reply>& replies, RedisAnswers& answers) {
  std::vector<RedisTicketed> again;
  auto next = round.publishes.begin();
  for (std::size_t script = 0; script < round.scripts.size(); ++script) {
    const std::size_t count = round.scripts[script];
    const auto end = next + static_cast<std::ptrdiff_t>(count);
    if (is_no_epoch(replies[script])) {
      std::move(next, end, std::back_inserter(again));
      next = end;
      continue;
    }
    for (Result<Published>& published : redis_published(replies[script], count))
      answers.published.emplace_back((next++)->ticket, std::move(published));
  }
  publishes_.insert(publishes_.begin(), std::make_move_iterator(again.begin()),
                    std::make_move_iterator(again.end()));
}

/// What was under way may have been kept. What has an id can be sent again, and so can questions.
void RedisClient::put_back(Round round, const Error& error) {
  RedisAnswers answers;
  std::vector<RedisTicketed> again;
  for (RedisTicketed& one : round.publishes) {
    if (!one.publication.id.empty()) {
      again.push_back(std::move(one));
    } else {
      answers.published.emplace_back(
          one.ticket,
          fail(error.code() == ErrorCode::kTimedOut ? ErrorCode::kTimedOut : ErrorCode::kUnavailable,
               fmt::format("{}; the message may have been kept", error.message())));
    }
  }
  publishes_.insert(publishes_.begin(), std::make_move_iterator(again.begin()),
                    std::make_move_iterator(again.end()));
  inquiries_.insert(inquiries_.begin(), std::make_move_iterator(round.inquiries.begin()),
                    std::make_move_iterator(round.inquiries.end()));
  if (!answers.published.empty()) tell(std::move(answers));
}

void RedisClient::tell(RedisAnswers answers) {
  {
    const std::lock_guard lock(mutex_);
    counts_.published +=
        static_cast<std::uint64_t>(std::count_if(answers.published.begin(), answers.published.end(),
                                                 [](const auto& one) { return one.second.has_value(); }));
  }
  answers_under_way_.told();
  events_.answered(std::move(answers));
}

}  // namespace headroom::bus
