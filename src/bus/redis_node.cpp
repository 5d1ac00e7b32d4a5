#include "bus/redis_node.hpp"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "bus/broker.hpp"
#include "bus/lua/scripts.hpp"

namespace headroom::bus {

namespace {

using base::fail;
using redis::Pipeline;
using redis::Reply;
using Texts = std::vector<std::string_view>;

constexpr std::int64_t kNsPerMs = 1'000'000;

std::string stream_key(std::size_t shard) {
  return fmt::format("headroom:bus:stream:{}", shard);
}
std::string channel_key(std::string_view channel) {
  return fmt::format("headroom:bus:channel:{}", channel);
}
std::string history_key(std::string_view channel) {
  return fmt::format("headroom:bus:history:{}", channel);
}
/// No channel's name holds a line's end.
std::string id_key(std::string_view channel, std::string_view id) {
  return fmt::format("headroom:bus:id:{}\n{}", channel, id);
}

std::string history_ms(const ChannelRule& rule) {
  return std::to_string(std::max<std::int64_t>(rule.history_age_ns / kNsPerMs, 1));
}

/// A number of the wrong form is none of ours; 0 is none.
std::int64_t number_in(std::string_view text) {
  std::int64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Error no_answer(std::string_view what) {
  return {ErrorCode::kProtocol, fmt::format("the Redis server's answer is no {}", what)};
}

/// "7.0.15" is 7.
int major_of(std::string_view version) {
  return static_cast<int>(number_in(version.substr(0, version.find('.'))));
}

bool is_array(const Reply& reply, std::size_t elements) {
  return reply.type == Reply::Type::kArray && reply.elements.size() >= elements;
}

}  // namespace

// The server
// ---------------------------------------------------------------------------------------------------------

Error other_shards(std::string_view have, std::size_t wanted) {
  return {
      ErrorCode::kInvalidArgument,
      fmt::format("the bus in this Redis has {:.10} shards, [bus] shards says {}: give all nodes the same "
                  "number (or stop them all and run: redis-cli DEL {})",
                  have, wanted, kRedisAbout)};
}

RedisServerFacts read_redis_info(std::string_view info) {
  RedisServerFacts facts;
  facts.version = redis::info_field(info, "redis_version");
  facts.run_id = redis::info_field(info, "run_id");
  facts.former = redis::info_field(info, "master_replid2");
  facts.policy = redis::info_field(info, "maxmemory_policy");
  facts.is_cluster = redis::info_field(info, "cluster_enabled") == "1";
  facts.is_replica = redis::info_field(info, "role") == "slave";
  facts.is_loading = redis::info_field(info, "loading") == "1";
  return facts;
}

Result<void> check_redis_server(const RedisServerFacts& facts) {
  constexpr int kOldest = 7;
  if (facts.run_id.empty()) return fail(no_answer("INFO"));
  if (major_of(facts.version) < kOldest)
    return fail(ErrorCode::kUnsupported,
                fmt::format("Redis {:.20} is too old for the bus; expected 7.0 or later", facts.version));
  if (facts.is_cluster)
    return fail(
        ErrorCode::kUnsupported,
        "a Redis Cluster can't keep the bus: its scripts need all keys in one place; name a server with "
        "cluster-enabled no");
  if (facts.policy != "noeviction")
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("maxmemory-policy {:.40} throws messages of the bus away; set maxmemory-policy "
                            "noeviction",
                            facts.policy));
  if (facts.is_loading) return fail(ErrorCode::kUnavailable, "the Redis server is still loading its data");
  if (facts.is_replica)
    return fail(ErrorCode::kUnavailable, "the Redis server is a replica; name the primary");
  return {};
}

std::size_t RedisLayout::shard_of(std::string_view channel) const {
  return static_cast<std::size_t>(XXH3_64bits(channel.data(), channel.size()) % shards);
}

std::int64_t redis_kept_ms(const ChannelRules& rules) {
  constexpr std::int64_t kDayMs = 86'400'000;
  std::int64_t longest = 0;
  for (const ChannelRule& rule : rules.all()) longest = std::max(longest, rule.history_age_ns / kNsPerMs);
  return std::max(kDayMs, 2 * longest);
}

RedisScripts::RedisScripts()
    : join(std::string(lua_scripts::kJoin)),
      publish(std::string(lua_scripts::kPublish)),
      look(std::string(lua_scripts::kLook)) {}

void add_script_load(Pipeline& pipeline, const RedisScripts& scripts) {
  for (const redis::Script* script : {&scripts.join, &scripts.publish, &scripts.look})
    pipeline.add({"SCRIPT", "LOAD", script->text()});
}

// Publishing and looking
// ---------------------------------------------------------------------------------------------------------

namespace {

bool is_same_channel(const RedisPublication& a, const RedisPublication& b) {
  return a.publication->channel == b.publication->channel;
}

/// What publish.lua is given. The texts stay where they are while more come.
struct PublishArguments {
  std::deque<std::string> made;
  Texts keys;
  Texts arguments;

  std::string_view keep(std::string text) { return made.emplace_back(std::move(text)); }
  void add_number(std::size_t number) { arguments.push_back(keep(std::to_string(number))); }
  /// Messages of one channel.
  void add(const RedisLayout& layout, std::span<const RedisPublication> messages);
};

void PublishArguments::add(const RedisLayout& layout, std::span<const RedisPublication> messages) {
  const std::string& channel = messages.front().publication->channel;
  const ChannelRule& rule = *messages.front().rule;
  keys.push_back(keep(stream_key(layout.shard_of(channel))));
  keys.push_back(keep(channel_key(channel)));
  keys.push_back(keep(history_key(channel)));
  arguments.push_back(channel);
  add_number(rule.history_messages);
  add_number(rule.history_bytes);
  arguments.push_back(keep(history_ms(rule)));
  add_number(messages.size());
  for (const RedisPublication& one : messages) {
    const bool has_id = !one.publication->id.empty();
    if (has_id) keys.push_back(keep(id_key(channel, one.publication->id)));
    arguments.push_back(one.publication->data);
    arguments.emplace_back(has_id ? "1" : "0");
  }
}

Result<Published> published_in(const Reply& reply) {
  constexpr std::size_t kElements = 3;
  if (reply.is_error()) return fail(redis::to_error(reply.text));
  if (!is_array(reply, kElements)) return fail(no_answer("position"));
  Published published;
  published.position = {static_cast<std::uint64_t>(reply.elements[0].integer), reply.elements[1].text};
  published.repeated = reply.elements[2].integer == 1;
  return published;
}

}  // namespace

void add_publish(Pipeline& pipeline, const RedisScripts& scripts, const RedisLayout& layout,
                 std::span<const RedisPublication> together) {
  PublishArguments given;
  given.keys.push_back(kRedisAbout);
  given.add_number(layout.stream_length);
  given.arguments.push_back(given.keep(std::to_string(layout.kept_ms)));
  given.arguments.push_back(given.keep(std::to_string(kRepeatWindowNs / kNsPerMs)));
  for (auto begin = together.begin(); begin != together.end();) {
    const auto end = std::find_if(begin, together.end(),
                                  [&](const RedisPublication& one) { return !is_same_channel(*begin, one); });
    given.add(layout, {begin, end});
    begin = end;
  }
  pipeline.add_script(scripts.publish, given.keys, given.arguments);
}

std::vector<Result<Published>> redis_published(const Reply& reply, std::size_t count) {
  std::vector<Result<Published>> published;
  if (!is_array(reply, count)) {
    published.resize(count, fail(reply.is_error() ? redis::to_error(reply.text) : no_answer("positions")));
    return published;
  }
  for (std::size_t i = 0; i < count; ++i) published.push_back(published_in(reply.elements[i]));
  return published;
}

void add_look(Pipeline& pipeline, const RedisScripts& scripts, const RedisLayout& layout,
              const RedisInquiry& inquiry) {
  const std::string channel = channel_key(inquiry.channel);
  const std::string history = history_key(inquiry.channel);
  const Texts keys{kRedisAbout, channel, history};
  const std::string since = inquiry.has_since ? std::to_string(inquiry.since.offset) : "-1";
  const std::string limit = std::to_string(inquiry.limit);
  const std::string bytes = std::to_string(inquiry.bytes);
  const std::string age = history_ms(*inquiry.rule);
  const std::string kept = std::to_string(layout.kept_ms);
  const std::string unused = std::to_string(RedisLayout::kUnusedMs);
  const Texts arguments{since, inquiry.since.epoch, limit, bytes, age, kept, unused};
  pipeline.add_script(scripts.look, keys, arguments);
}

Result<HistoryPage> redis_page(const RedisInquiry& inquiry, const Reply& reply) {
  constexpr std::size_t kElements = 5;
  if (reply.is_error()) return fail(redis::to_error(reply.text));
  if (!is_array(reply, kElements)) return fail(no_answer("history"));
  HistoryPage page;
  page.position = {static_cast<std::uint64_t>(reply.elements[0].integer), reply.elements[1].text};
  page.lost = reply.elements[2].integer == 1;
  auto offset = static_cast<std::uint64_t>(reply.elements[3].integer);
  for (const Reply& data : reply.elements[4].elements)
    page.messages.push_back({offset++, std::make_shared<const std::string>(data.text)});
  if (inquiry.has_since && !page.lost) page.more = offset - 1 < page.position.offset;
  return page;
}

bool is_no_epoch(const Reply& reply) {
  return reply.is_error() && reply.text.starts_with("NOEPOCH");
}

// Reading
// ---------------------------------------------------------------------------------------------------------

namespace {

/// 0-0 is before all entries, and what an answer of another form says.
RedisEntryId entry_id(std::string_view text) {
  const std::size_t dash = std::min(text.find('-'), text.size());
  RedisEntryId id;
  (void)std::from_chars(text.data(), text.data() + dash, id.stamp);
  if (dash < text.size()) (void)std::from_chars(text.data() + dash + 1, text.data() + text.size(), id.number);
  return id;
}

std::string text_of(const RedisEntryId& id) {
  return fmt::format("{}-{}", id.stamp, id.number);
}

/// Takes what is before the next blank, and the blank.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::vector<std::string> texts_of(const std::vector<RedisEntryId>& ids) {
  std::vector<std::string> texts;
  for (const RedisEntryId& id : ids) texts.push_back(text_of(id));
  return texts;
}

}  // namespace

RedisReader::RedisReader(const RedisLayout& layout, std::size_t most)
    : layout_(layout), most_(std::max<std::size_t>(most, 1)), read_(layout.shards) {
  for (std::size_t shard = 0; shard < layout.shards; ++shard) keys_.push_back(stream_key(shard));
}

void RedisReader::add_join(Pipeline& pipeline, const RedisScripts& scripts, const RedisServerFacts& facts,
                           const std::string& fresh) const {
  Texts keys{kRedisAbout};
  keys.insert(keys.end(), keys_.begin(), keys_.end());
  const std::string identity = facts.identity();
  const std::vector<std::string> read = texts_of(read_);
  Texts arguments{kVersion, identity, fresh, epoch_};
  arguments.insert(arguments.end(), read.begin(), read.end());
  pipeline.add_script(scripts.join, keys, arguments);
}

/// A node that comes back goes on where it was. In another epoch it reads all that is there, since it may
/// have begun before the node came; a node that never read anything needs nothing of what was before.
Result<void> RedisReader::joined(const Reply& reply) {
  if (reply.is_error() && reply.text.starts_with("OTHERSHARDS"))
    return fail(other_shards(std::string_view(reply.text).substr(reply.text.find(' ') + 1), layout_.shards));
  if (reply.is_error() && reply.text.starts_with("OTHERVERSION"))
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("the bus in this Redis is of another version of headroom: run the same version on "
                    "all nodes (or stop them all and run: redis-cli DEL {})",
                    kRedisAbout));
  if (reply.is_error()) return fail(redis::to_error(reply.text));
  if (!is_array(reply, 1 + read_.size())) return fail(no_answer("epoch"));
  const std::string& epoch = reply.elements[0].text;
  if (epoch == epoch_) return {};
  const bool is_first = epoch_.empty();
  for (std::size_t shard = 0; shard < read_.size(); ++shard)
    read_[shard] = is_first ? entry_id(reply.elements[1 + shard].text) : RedisEntryId{};
  epoch_ = epoch;
  return {};
}

void RedisReader::add_read(Pipeline& pipeline, std::chrono::milliseconds block) const {
  pipeline.add({"HGET", kRedisAbout, "epoch"});
  const std::string count = std::to_string(most_);
  const std::string wait = std::to_string(std::max<std::int64_t>(block.count(), 1));
  Texts command{"XREAD", "COUNT", count, "BLOCK", wait, "STREAMS"};
  command.insert(command.end(), keys_.begin(), keys_.end());
  const std::vector<std::string> read = texts_of(read_);
  command.insert(command.end(), read.begin(), read.end());
  pipeline.add(command);
}

Result<RedisNews> RedisReader::read(const Reply& epoch, const Reply& streams) {
  if (epoch.is_error()) return fail(redis::to_error(epoch.text));
  if (streams.is_error()) return fail(redis::to_error(streams.text));
  if (epoch.text != epoch_) return fail(ErrorCode::kConflict, "another epoch has begun");
  RedisNews news;
  news.available = true;
  for (const Reply& stream : streams.elements) {
    if (auto taken = take_stream(stream, news); !taken) return fail(std::move(taken.error()));
  }
  entries_ += news.rows.size();
  return news;
}

/// "name, entries"; only streams with something new are there.
Result<void> RedisReader::take_stream(const Reply& stream, RedisNews& news) {
  if (!is_array(stream, 2)) return fail(no_answer("stream"));
  const auto key = std::find(keys_.begin(), keys_.end(), stream.elements[0].text);
  if (key == keys_.end()) return fail(no_answer("stream of the bus"));
  RedisEntryId& read = read_[static_cast<std::size_t>(key - keys_.begin())];
  for (const Reply& entry : stream.elements[1].elements) {
    if (auto taken = take_entry(read, entry, news); !taken) return taken;
  }
  return {};
}

/// "id, [at "EPOCH OFFSET CHANNEL" data DATA]", as publish.lua writes it.
Result<void> RedisReader::take_entry(RedisEntryId& read, const Reply& entry, RedisNews& news) {
  constexpr std::size_t kFields = 4;
  if (!is_array(entry, 2) || !is_array(entry.elements[1], kFields))
    return fail(no_answer("entry of the bus"));
  const std::vector<Reply>& fields = entry.elements[1].elements;
  const RedisEntryId before = std::exchange(read, entry_id(entry.elements[0].text));
  std::string_view at = fields[1].text;
  const std::string_view epoch = take_word(at);
  // Of before, or of an epoch that the next look at the server's tells: then all is read again.
  const bool is_ours =
      epoch.starts_with(epoch_) && epoch.size() > epoch_.size() && epoch[epoch_.size()] == '.';
  if (!is_ours) return {};
  if (!read.is_next_of(before)) news.compare = true;
  RedisRow row;
  row.epoch = epoch;
  row.message = {static_cast<std::uint64_t>(number_in(take_word(at))),
                 std::make_shared<const std::string>(fields[3].text)};
  row.channel = at;
  news.rows.push_back(std::move(row));
  return {};
}

}  // namespace headroom::bus
