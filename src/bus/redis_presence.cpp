#include "bus/redis_presence.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

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
constexpr std::size_t kMostTextBytes = 64UL * 1024;
constexpr std::size_t kMostEntries = 64;  ///< of one answer
constexpr int kMostUnderway = 8;
constexpr std::string_view kStreamLength = "1000";
constexpr std::string_view kStream = "headroom:bus:presence";
constexpr std::string_view kNodes = "headroom:bus:presence:nodes";
constexpr std::string_view kNumber = "headroom:bus:presence.number";

std::string users_key(std::string_view node) {
  return fmt::format("headroom:bus:presence:{}", node);
}

char letter(PresenceState state) {
  switch (state) {
    case PresenceState::kOnline:
      return 'n';
    case PresenceState::kAway:
      return 'a';
    case PresenceState::kOffline:
      return 'f';
  }
  return 'f';
}

std::optional<PresenceState> state_of(char letter) {
  if (letter == 'n') return PresenceState::kOnline;
  if (letter == 'a') return PresenceState::kAway;
  if (letter == 'f') return PresenceState::kOffline;
  return std::nullopt;
}

std::int64_t number_in(std::string_view text) {
  std::int64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

redis::ConnectionOptions connection_options() {
  redis::ConnectionOptions options;
  options.reconnect = redis::Reconnect::kWhenAsked;
  options.longest_pause = kLongestPause;
  return options;
}

/// What another node said.
struct Heard {
  std::string node;
  std::string kind;  ///< "changes", "all", "left"
  std::vector<NodePresence> users;
  std::int64_t since_ns = 0;  ///< how long ago
};

}  // namespace

std::vector<std::string> presence_texts(const std::vector<NodePresence>& users, std::size_t most_bytes) {
  std::vector<std::string> texts(1);
  for (const NodePresence& user : users) {
    if (texts.back().size() >= most_bytes) texts.emplace_back();
    texts.back() += fmt::format("{}{}\n", letter(user.state), user.user);
  }
  return texts;
}

std::vector<NodePresence> read_presence_text(std::string_view text) {
  std::vector<NodePresence> users;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto state = line.empty() ? std::nullopt : state_of(line.front());
    if (state && line.size() > 1) users.push_back({std::string(line.substr(1)), *state});
  }
  return users;
}

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
  void give_all();
  void take(const std::vector<Heard>& heard);

  // On the thread of its own.
  void run();
  [[nodiscard]] Result<void> exchange();
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> say();
  [[nodiscard]] Result<void> say(std::string_view kind, const std::vector<NodePresence>& users);
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<void> read_all();
  void add_say(Pipeline& pipeline, std::string_view kind, std::string_view text) const;
  void take_entry(const Reply& entry, std::vector<Heard>& heard);
  void tell(std::vector<Heard> heard);
  void ask_for_all();
  void leave_now();

  template <typename Function>
  void post_to(Function function) {
    post([here = self, function = std::move(function)]() mutable {
      Impl* impl = nullptr;
      if (const auto locked = here.lock()) impl = *locked;
      if (impl != nullptr) function(*impl);
    });
  }

  const RedisPresenceOptions options;
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
  bool wants_all = false;  ///< changes say nothing until everybody was named
  std::optional<std::vector<NodePresence>> all;
  std::map<std::string, PresenceState> changes;
  bool renew = false;
  RedisPresenceCounts counts;

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

void RedisPresence::Impl::give_all() {
  std::vector<NodePresence> users = table->local();
  const std::lock_guard lock(mutex);
  all = std::move(users);
  changes.clear();
  wants_all = false;
  changed.notify_all();
}

/// Everybody of a node at once: who is not named any more is gone.
void RedisPresence::Impl::take(const std::vector<Heard>& heard) {
  --under_way;
  const Now now = read_clocks();
  for (const Heard& one : heard) {
    if (one.kind != "changes") table->node_left(one.node, now);
    const Now said{now.monotonic_ns - one.since_ns, now.unix_s};
    if (one.kind != "left") table->heard(one.node, one.users, said);
  }
}

// On the thread of its own
// ---------------------------------------------------------------------------------------------------------

void RedisPresence::Impl::run() {
  while (true) {
    {
      std::unique_lock lock(mutex);
      changed.wait_for(lock, kLookEvery, [this] { return stopping || all || renew || !changes.empty(); });
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
    if (std::exchange(wants_all, true)) return;
    all.reset();
    changes.clear();
  }
  post_to([](Impl& impl) { impl.give_all(); });
}

Result<void> RedisPresence::Impl::say() {
  std::optional<std::vector<NodePresence>> everybody;
  std::vector<NodePresence> some;
  bool has_some = false;
  {
    const std::lock_guard lock(mutex);
    everybody = std::exchange(all, std::nullopt);
    for (auto& [user, state] : changes) some.push_back({user, state});
    changes.clear();
    has_some = std::exchange(renew, false) || !some.empty();
  }
  if (everybody) {
    if (auto said = say("all", *everybody); !said) return said;
  }
  return has_some ? say("changes", some) : Result<void>();
}

Result<void> RedisPresence::Impl::say(std::string_view kind, const std::vector<NodePresence>& users) {
  Pipeline pipeline;
  for (const std::string& text : presence_texts(users, kMostTextBytes)) {
    add_say(pipeline, pipeline.empty() ? kind : "changes", text);
  }
  const auto replies = connection.run(pipeline);
  if (!replies) return fail(replies.error());
  for (const Reply& reply : *replies) {
    if (auto done = reply.as_success(); !done) return done;
  }
  const bool is_forgotten = kind == "changes" && replies->front().integer == 0;
  if (is_forgotten) ask_for_all();
  const std::lock_guard lock(mutex);
  counts.announced += users.size();
  return {};
}

void RedisPresence::Impl::add_say(Pipeline& pipeline, std::string_view kind, std::string_view text) const {
  const std::string users = users_key(options.node);
  const std::vector<std::string_view> keys{kStream, kNodes, users, kNumber};
  const std::string lease = std::to_string(std::max<std::int64_t>(options.lease_ns / kNsPerMs, 1));
  const std::vector<std::string_view> arguments{options.node, kind, lease, kStreamLength, text};
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
        connection.run({"XREAD", "COUNT", std::to_string(kMostEntries), "STREAMS", kStream, read_id});
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

/// "id, [n number node name kind word users text]", as presence.lua writes it.
void RedisPresence::Impl::take_entry(const Reply& entry, std::vector<Heard>& heard) {
  constexpr std::size_t kFields = 8;
  if (entry.elements.size() != 2 || entry.elements[1].elements.size() < kFields) return;
  const std::vector<Reply>& fields = entry.elements[1].elements;
  const std::int64_t number = number_in(fields[1].text);
  missed = missed || number != read_number + 1;
  read_id = entry.elements[0].text;
  read_number = number;
  if (fields[3].text == options.node) return;
  heard.push_back({fields[3].text, fields[5].text, read_presence_text(fields[7].text), 0});
}

/// What the nodes keep; what they say from now on is read after it.
Result<void> RedisPresence::Impl::read_all() {
  Pipeline first;
  first.add({"GET", kNumber});
  first.add({"XREVRANGE", kStream, "+", "-", "COUNT", "1"});
  first.add({"SMEMBERS", kNodes});
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
      if (const auto removed = connection.run({"SREM", kNodes, node.text}); !removed)
        return fail(removed.error());
      continue;
    }
    Heard one{node.text, "all", {}, std::max<std::int64_t>(options.lease_ns - left_ns, 0)};
    const std::vector<Reply>& pairs = (*kept)[1].elements;
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const auto state = pairs[i + 1].text.empty() ? std::nullopt : state_of(pairs[i + 1].text.front());
      if (state) one.users.push_back({pairs[i].text, *state});
    }
    heard.push_back(std::move(one));
  }
  read_number = number_in((*known)[0].text);
  const std::vector<Reply>& newest = (*known)[1].elements;
  read_id = newest.empty() || newest[0].elements.empty() ? "0-0" : newest[0].elements[0].text;
  missed = false;
  if (!heard.empty()) tell(std::move(heard));
  return {};
}

void RedisPresence::Impl::tell(std::vector<Heard> heard) {
  {
    const std::lock_guard lock(mutex);
    for (const Heard& one : heard) counts.heard += one.users.size();
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
  add_say(pipeline, "left", "");
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

void RedisPresence::announce(const std::vector<NodePresence>& changes, const Now& /*now*/) {
  const std::lock_guard lock(impl_->mutex);
  impl_->renew = true;
  if (!impl_->wants_all) {
    for (const NodePresence& change : changes) impl_->changes[change.user] = change.state;
  }
  impl_->changed.notify_all();
}

RedisPresenceCounts RedisPresence::counts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->counts;
}

}  // namespace headroom::bus
