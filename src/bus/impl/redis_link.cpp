#include "bus/impl/redis_link.hpp"

#include <utility>

#include "bus/memory_broker.hpp"

namespace headroom::bus {

namespace {

using base::fail;
using redis::Pipeline;
using redis::Reply;

constexpr std::chrono::milliseconds kLongestPause{500};

redis::ConnectionOptions link_options(const redis::Interrupt& interrupt) {
  redis::ConnectionOptions options;
  options.reconnect = redis::Reconnect::kWhenAsked;
  options.longest_pause = kLongestPause;
  options.interrupt = &interrupt;
  return options;
}

}  // namespace

Result<RedisServerFacts> ask_redis_facts(redis::Connection& connection) {
  const auto info = connection.run({"INFO"});
  if (!info) return fail(info.error());
  RedisServerFacts facts = read_redis_info(info->text);
  if (auto checked = check_redis_server(facts); !checked)
    return fail(std::move(checked.error()).within(connection.url().text()));
  return facts;
}

Result<void> check_redis_shards(redis::Connection& connection, std::size_t shards) {
  const auto have = connection.run({"HGET", kRedisAbout, "shards"});
  if (!have) return fail(have.error());
  if (have->is_nil() || have->text == std::to_string(shards)) return {};
  return fail(other_shards(have->text, shards).within(connection.url().text()));
}

RedisLink::RedisLink(const redis::Url& url, const RedisLayout& layout, std::size_t most,
                     const redis::Interrupt& interrupt, RedisDoubts& doubts)
    : layout_(layout), connection_(url, link_options(interrupt)), reader_(layout, most), doubts_(doubts) {}

Result<void> RedisLink::ensure() {
  const std::uint64_t doubts = doubts_;
  if (connection_.is_open() && joined_ && doubts == settled_doubts_) return {};
  joined_ = false;
  if (auto opened = connection_.open(); !opened)
    return fail(std::move(opened.error()).within(connection_.url().text()));
  if (auto joined = join(); !joined) return joined;
  joined_ = true;
  settled_doubts_ = doubts;
  ++joins_;
  return {};
}

Result<void> RedisLink::join() {
  auto facts = ask_redis_facts(connection_);
  if (!facts) return fail(std::move(facts.error()));
  facts_ = std::move(*facts);
  Pipeline pipeline;
  add_script_load(pipeline, scripts_);
  reader_.add_join(pipeline, scripts_, facts_, random_epoch());
  const auto replies = connection_.run(pipeline);
  if (!replies) return fail(replies.error());
  if (auto joined = reader_.joined(replies->back()); !joined)
    return fail(std::move(joined.error()).within(connection_.url().text()));
  return {};
}

Result<std::vector<Reply>> RedisLink::run(const Pipeline& pipeline) {
  return connection_.run(pipeline);
}

void RedisLink::watched(const Reply& reply) {
  const RedisServerFacts facts = read_redis_info(reply.text);
  if (facts.is_replica || facts.former != facts_.former) doubt();
}

std::chrono::milliseconds RedisLink::timeout() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(connection_.url().timeout);
}

}  // namespace headroom::bus
