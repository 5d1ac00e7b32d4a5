#include "bus/redis_revocations.hpp"

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "bus/impl/posting.hpp"
#include "redis/connection.hpp"

namespace headroom::bus {

namespace {

using base::fail;
using redis::Reply;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{500};
constexpr milliseconds kLongestPause{500};
constexpr std::string_view kMostKeptText = "10000";
constexpr std::size_t kMostEntries = 1'000;  ///< of one answer
constexpr std::string_view kStream = "headroom:bus:revoked";
constexpr std::string_view kBegin = "0-0";

redis::ConnectionOptions connection_options() {
  redis::ConnectionOptions options;
  options.reconnect = redis::Reconnect::kWhenAsked;
  options.longest_pause = kLongestPause;
  return options;
}

/// "id, [k key b before]". Nothing when it is none of ours.
std::optional<Revocation> revocation_in(const Reply& entry) {
  constexpr std::size_t kFields = 4;
  if (entry.elements.size() != 2 || entry.elements[1].elements.size() < kFields) return std::nullopt;
  const std::string& key = entry.elements[1].elements[1].text;
  const std::string& before = entry.elements[1].elements[3].text;
  Revocation revocation{key, 0};
  const char* end = before.data() + before.size();
  const auto [stop, error] = std::from_chars(before.data(), end, revocation.before_unix_s);
  if (!is_revocation_key(key) || error != std::errc() || stop != end) return std::nullopt;
  return revocation;
}

}  // namespace

struct RedisRevocations::Impl {
  Impl(const redis::Url& url, Post given_post)
      : post(std::move(given_post)), connection(url, connection_options()) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // On the hub's thread.
  void announce_all();

  // On any.
  void announce(const Revocation& revocation);

  // On the thread of its own.
  void run();
  [[nodiscard]] Result<void> exchange();
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<void> say();
  [[nodiscard]] Result<void> say(const Revocation& revocation);
  [[nodiscard]] std::optional<Revocation> next_word();
  [[nodiscard]] bool takes_all();

  Post post;
  Hub* hub = nullptr;
  redis::Connection connection;
  std::string read_id{kBegin};

  mutable std::mutex mutex;  ///< of what follows
  std::condition_variable changed;
  bool stopping = false;
  RevocationWords words;
  RevocationCounts counts;

  std::shared_ptr<Impl*> alive = std::make_shared<Impl*>(this);
  const std::weak_ptr<Impl*> self = alive;
  std::thread thread;
};

RedisRevocations::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }
  if (thread.joinable()) thread.join();
}

void RedisRevocations::Impl::announce_all() {
  // What is there already is passed over later.
  for (const Revocation& one : hub->revocations()) announce(one);
}

void RedisRevocations::Impl::announce(const Revocation& revocation) {
  const std::lock_guard lock(mutex);
  words.add(revocation);
  changed.notify_all();
}

void RedisRevocations::Impl::run() {
  while (true) {
    {
      std::unique_lock lock(mutex);
      changed.wait_for(lock, kLookEvery, [this] { return stopping || !words.empty(); });
      if (stopping) return;
    }
    if (exchange()) continue;
    connection.close();
    std::unique_lock lock(mutex);
    changed.wait_for(lock, kLongestPause, [this] { return stopping; });
  }
}

/// A server may have forgotten, or be another one: with a new connection all is read, and what it lacks is
/// told.
Result<void> RedisRevocations::Impl::exchange() {
  if (!connection.is_open()) {
    if (auto opened = connection.open(); !opened) return opened;
    read_id = kBegin;
    const std::lock_guard lock(mutex);
    words.start_anew();
  }
  if (auto looked = look(); !looked) return looked;
  if (takes_all()) post_while_there(post, self, [](Impl& impl) { impl.announce_all(); });
  return say();
}

Result<void> RedisRevocations::Impl::look() {
  std::size_t entries = kMostEntries;
  while (entries == kMostEntries) {
    const auto reply =
        connection.run({"XREAD", "COUNT", std::to_string(kMostEntries), "STREAMS", kStream, read_id});
    if (!reply) return fail(reply.error());
    const bool has_some = !reply->elements.empty() && reply->elements[0].elements.size() == 2;
    if (!has_some) return {};
    std::vector<Revocation> heard;
    const std::vector<Reply>& found = reply->elements[0].elements[1].elements;
    for (const Reply& entry : found) {
      if (!entry.elements.empty()) read_id = entry.elements[0].text;
      if (auto one = revocation_in(entry)) heard.push_back(std::move(*one));
    }
    entries = found.size();
    {
      const std::lock_guard lock(mutex);
      for (const Revocation& one : heard) words.heard(one);
      counts.heard += heard.size();
    }
    post_while_there(
        post, self, [heard = std::move(heard)](Impl& impl) { (void)impl.hub->revoke(heard, read_clocks()); });
  }
  return {};
}

std::optional<Revocation> RedisRevocations::Impl::next_word() {
  const std::lock_guard lock(mutex);
  return words.next();
}

bool RedisRevocations::Impl::takes_all() {
  const std::lock_guard lock(mutex);
  return words.takes_all();
}

Result<void> RedisRevocations::Impl::say() {
  while (const auto word = next_word()) {
    if (auto said = say(*word); !said) return said;
  }
  return {};
}

Result<void> RedisRevocations::Impl::say(const Revocation& revocation) {
  const auto reply = connection.run({"XADD", kStream, "MAXLEN", kMostKeptText, "*", "k", revocation.key, "b",
                                     std::to_string(revocation.before_unix_s)});
  if (!reply) return fail(reply.error());
  const std::lock_guard lock(mutex);
  words.heard(revocation);
  ++counts.announced;
  return {};
}

RedisRevocations::RedisRevocations(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RedisRevocations::~RedisRevocations() {
  impl_->alive.reset();
}

Result<std::unique_ptr<RedisRevocations>> RedisRevocations::make(std::string_view url, Post post) {
  const auto parsed = redis::parse_url(url);
  if (!parsed) return fail(parsed.error());
  return std::unique_ptr<RedisRevocations>(
      new RedisRevocations(std::make_unique<Impl>(*parsed, std::move(post))));
}

void RedisRevocations::start(Hub& hub) {
  impl_->hub = &hub;
  hub.use(*this);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void RedisRevocations::announce(const Revocation& revocation) {
  impl_->announce(revocation);
}

RevocationCounts RedisRevocations::counts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->counts;
}

}  // namespace headroom::bus
