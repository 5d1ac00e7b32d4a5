#include "bus/redis_presence.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/posting.hpp"
#include "bus/lua/scripts.hpp"
#include "redis/connection.hpp"

namespace headroom::bus {

namespace {

using base::fail;
using redis::Pipeline;
using redis::Reply;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{500};
constexpr milliseconds kLongestPause{500};
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::size_t kMostEntries = 64;  ///< of one answer
constexpr int kMostUnderway = 8;
constexpr std::string_view kStreamLength = "1000";

template <typename Number>
Number number_in(std::string_view text) {
  Number value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

redis::ConnectionOptions connection_options() {
  redis::ConnectionOptions options;
  options.reconnect = redis::Reconnect::kWhenAsked;
  options.longest_pause = kLongestPause;
  return options;
}

/// The fields and values of the hash of a node.
PresenceWord kept_word(const std::vector<Reply>& pairs) {
  PresenceWord word;
  word.whole = true;
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const std::string& value = pairs[i + 1].text;
    if (pairs[i].text.empty()) word.number = number_in<std::uint64_t>(value);
    for (NodePresence& user : read_presence_text(value + pairs[i].text))
      word.states.push_back(std::move(user));
  }
  return word;
}

/// What another node said.
struct Heard {
  std::string node;
  bool is_end = false;  ///< the node left
  PresenceWord word;
  std::int64_t since_ns = 0;  ///< how long ago
};

}  // namespace

struct RedisPresence::Impl {
  Impl(const RedisPresenceOptions& given, const redis::Url& url, Post given_post)
      : options(given),
        post(std::move(given_post)),
        script(std::string(lua_scripts::kPresence)),
        connection(url, connection_options()) {}
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void stop();

  // On the hub's thread.
  void take(const std::vector<Heard>& heard);

  // On the thread of its own.
  void run();
  [[nodiscard]] Result<void> exchange();
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> say();
  [[nodiscard]] Result<void> say(const PresenceWord& word);
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<void> read_all();
  void add_say(Pipeline& pipeline, std::string_view kind, std::uint64_t number, std::string_view text) const;
  void take_entry(const Reply& entry, std::vector<Heard>& heard);
  void tell(std::vector<Heard> heard);
  void ask_for_all();
  void leave_now();

  template <typename Function>
  void post_to(Function function) {
    post_while_there(post, self, std::move(function));
  }

  [[nodiscard]] std::string users_key(std::string_view of_node) const {
    return fmt::format("{}:{}", options.key, of_node);
  }

  const RedisPresenceOptions options;
  const std::string nodes_key = options.key + ":nodes";
  const std::string number_key = options.key + ".number";
  Post post;
  PresenceTable* table = nullptr;

  redis::Script script;
  redis::Connection connection;
  std::string read_id = "0-0";
  std::int64_t read_number = 0;
  bool begun = false;   ///< the connection is there
  bool missed = false;  ///< something of the others
  std::atomic<int> under_way{0};

  mutable std::mutex mutex;  ///< of what follows
  std::condition_variable changed;
  bool stopping = false;
  bool leaving = false;
  bool asked = false;  ///< the table misses something
  PresenceWords words;
  ExchangeCounts counts;

  std::shared_ptr<Impl*> alive = std::make_shared<Impl*>(this);
  const std::weak_ptr<Impl*> self = alive;
  std::thread thread;
};

void RedisPresence::Impl::stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }
  if (thread.joinable()) thread.join();
}

// On the hub's thread
// ---------------------------------------------------------------------------------------------------------

void RedisPresence::Impl::take(const std::vector<Heard>& heard) {
  --under_way;
  const Now now = read_clocks();
  for (const Heard& one : heard) {
    if (one.is_end) {
      table->node_left(one.node, now);
    } else {
      table->heard(one.node, one.word, now, one.since_ns);
    }
  }
}

// On the thread of its own
// ---------------------------------------------------------------------------------------------------------

void RedisPresence::Impl::run() {
  while (true) {
    {
      std::unique_lock lock(mutex);
      changed.wait_for(lock, kLookEvery, [this] { return stopping || asked || !words.empty(); });
      if (stopping) break;
    }
    if (!exchange()) {
      connection.close();
      std::unique_lock lock(mutex);
      counts.losses += std::exchange(begun, false) ? 1 : 0;
      changed.wait_for(lock, kLongestPause, [this] { return stopping; });
    }
  }
  leave_now();
}

Result<void> RedisPresence::Impl::exchange() {
  if (!connection.is_open()) {
    if (auto opened = begin(); !opened) return opened;
  }
  if (auto said = say(); !said) return said;
  return look();
}

/// A server may have forgotten, or have got back an older state: the node says everything anew.
Result<void> RedisPresence::Impl::begin() {
  if (auto opened = connection.open(); !opened) return opened;
  begun = true;
  missed = true;
  ask_for_all();
  return {};
}

void RedisPresence::Impl::ask_for_all() {
  {
    const std::lock_guard lock(mutex);
    if (!words.start_anew()) return;
  }
  post_to([](Impl& impl) { impl.table->announce_whole(); });
}

Result<void> RedisPresence::Impl::say() {
  std::deque<PresenceWord> waiting;
  {
    const std::lock_guard lock(mutex);
    waiting = words.take();
    missed = std::exchange(asked, false) || missed;
  }
  for (const PresenceWord& word : waiting) {
    if (auto said = say(word); !said) return said;
  }
  return {};
}

Result<void> RedisPresence::Impl::say(const PresenceWord& word) {
  Pipeline pipeline;
  add_say(pipeline, word.whole ? "all" : "changes", word.number, presence_text(word.states));
  const auto replies = connection.run(pipeline);
  if (!replies) return fail(replies.error());
  if (auto done = replies->front().as_success(); !done) return done;
  const bool is_forgotten = !word.whole && replies->front().integer == 0;
  if (is_forgotten) ask_for_all();
  const std::lock_guard lock(mutex);
  counts.announced += word.states.size();
  return {};
}

void RedisPresence::Impl::add_say(Pipeline& pipeline, std::string_view kind, std::uint64_t number,
                                  std::string_view text) const {
  const std::string users = users_key(options.node);
  const std::vector<std::string_view> keys{options.key, nodes_key, users, number_key};
  const std::string lease = std::to_string(std::max<std::int64_t>(options.lease_ns / kNsPerMs, 1));
  const std::string word = std::to_string(number);
  const std::vector<std::string_view> arguments{options.node, kind, lease, kStreamLength, word, text};
  pipeline.add_script(script, keys, arguments);
}

/// While the hub is slow nothing is read; what is trimmed away then is seen as missed.
Result<void> RedisPresence::Impl::look() {
  bool has_more = true;
  while (has_more && under_way < kMostUnderway) {
    if (missed) {
      if (auto read = read_all(); !read) return read;
    }
    const auto reply =
        connection.run({"XREAD", "COUNT", std::to_string(kMostEntries), "STREAMS", options.key, read_id});
    if (!reply) return fail(reply.error());
    std::vector<Heard> heard;
    std::size_t entries = 0;
    if (reply->type == Reply::Type::kArray && !reply->elements.empty() &&
        reply->elements[0].elements.size() == 2) {
      const std::vector<Reply>& found = reply->elements[0].elements[1].elements;
      entries = found.size();
      for (const Reply& entry : found) take_entry(entry, heard);
    }
    if (!heard.empty()) tell(std::move(heard));
    has_more = entries == kMostEntries || missed;
  }
  return {};
}

/// "id, [n number node name kind KIND word number users text]", as presence.lua writes it. What was said
/// after something that was missed is in what the nodes keep, which is read next.
void RedisPresence::Impl::take_entry(const Reply& entry, std::vector<Heard>& heard) {
  constexpr std::size_t kFields = 10;
  if (entry.elements.size() != 2 || entry.elements[1].elements.size() < kFields) return;
  const std::vector<Reply>& fields = entry.elements[1].elements;
  const auto number = number_in<std::int64_t>(fields[1].text);
  missed = missed || number != read_number + 1;
  read_id = entry.elements[0].text;
  read_number = number;
  const bool is_end = fields[5].text == "left";
  if (fields[3].text == options.node || (missed && !is_end)) return;
  PresenceWord word{number_in<std::uint64_t>(fields[7].text), fields[5].text == "all",
                    read_presence_text(fields[9].text)};
  heard.push_back({fields[3].text, is_end, std::move(word), 0});
}

/// What the nodes keep; what they say from now on is read after it.
Result<void> RedisPresence::Impl::read_all() {
  Pipeline first;
  first.add({"GET", number_key});
  first.add({"XREVRANGE", options.key, "+", "-", "COUNT", "1"});
  first.add({"SMEMBERS", nodes_key});
  const auto known = connection.run(first);
  if (!known) return fail(known.error());
  for (const Reply& reply : *known) {
    if (auto done = reply.as_success(); !done) return done;
  }
  std::vector<Heard> heard;
  for (const Reply& node : (*known)[2].elements) {
    if (node.text == options.node) continue;
    Pipeline pipeline;
    pipeline.add({"PTTL", users_key(node.text)});
    pipeline.add({"HGETALL", users_key(node.text)});
    const auto kept = connection.run(pipeline);
    if (!kept) return fail(kept.error());
    const std::int64_t left_ns = (*kept)[0].integer * kNsPerMs;
    if (left_ns <= 0) {
      if (const auto removed = connection.run({"SREM", nodes_key, node.text}); !removed)
        return fail(removed.error());
      continue;
    }
    PresenceWord word = kept_word((*kept)[1].elements);
    heard.push_back(
        {node.text, false, std::move(word), std::max<std::int64_t>(options.lease_ns - left_ns, 0)});
  }
  read_number = number_in<std::int64_t>((*known)[0].text);
  const std::vector<Reply>& newest = (*known)[1].elements;
  read_id = newest.empty() || newest[0].elements.empty() ? "0-0" : newest[0].elements[0].text;
  missed = false;
  if (!heard.empty()) tell(std::move(heard));
  return {};
}

void RedisPresence::Impl::tell(std::vector<Heard> heard) {
  {
    const std::lock_guard lock(mutex);
    for (const Heard& one : heard) counts.heard += one.word.states.size();
  }
  ++under_way;
  post_to([heard = std::move(heard)](Impl& impl) { impl.take(heard); });
}

void RedisPresence::Impl::leave_now() {
  {
    const std::lock_guard lock(mutex);
    if (!leaving) return;
  }
  if (!connection.is_open()) return;
  Pipeline pipeline;
  add_say(pipeline, "left", 0, "");
  (void)connection.run(pipeline);
}

RedisPresence::RedisPresence(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RedisPresence::~RedisPresence() {
  impl_->alive.reset();
}

Result<std::unique_ptr<RedisPresence>> RedisPresence::make(const RedisPresenceOptions& options, Post post) {
  const auto url = redis::parse_url(options.url);
  if (!url) return fail(url.error());
  return std::unique_ptr<RedisPresence>(
      new RedisPresence(std::make_unique<Impl>(options, *url, std::move(post))));
}

void RedisPresence::start(PresenceTable& table) {
  impl_->table = &table;
  table.use(*this);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void RedisPresence::leave() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->leaving = true;
  }
  impl_->stop();
}

void RedisPresence::announce(const PresenceWord& word, const Now& /*now*/) {
  bool is_taken = false;
  {
    const std::lock_guard lock(impl_->mutex);
    is_taken = impl_->words.add(word);
    impl_->changed.notify_all();
  }
  if (!is_taken) impl_->ask_for_all();
}

void RedisPresence::ask(std::string_view /*node*/, const Now& /*now*/) {
  const std::lock_guard lock(impl_->mutex);
  impl_->asked = true;
  impl_->changed.notify_all();
}

ExchangeCounts RedisPresence::counts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->counts;
}

}  // namespace headroom::bus
