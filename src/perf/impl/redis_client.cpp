#include "perf/impl/redis_client.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "perf/impl/redis_keys.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;

constexpr std::size_t kStep = 1'000;
constexpr std::size_t kRankDigits = 10;

[[noreturn]] void corrupt(std::string_view what) {
  throw RedisError(
      {ErrorCode::kProtocol, fmt::format("the Redis store holds foreign or damaged data: {}", what)});
}

}  // namespace

void require_write(OpenMode mode) {
  if (mode != OpenMode::kRead) return;
  throw RedisError({ErrorCode::kDenied, "the store was opened for reading"});
}

std::string rank_text(std::uint64_t rank) {
  return fmt::format("{:010}", rank);
}

std::int64_t parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size()) return value;
  // Scores over 2^53 / 10 or so come as "1.7e+15".
  double real = 0;
  const auto [real_end, real_error] = std::from_chars(text.data(), text.data() + text.size(), real);
  const bool sound =
      real_error == std::errc{} && real_end == text.data() + text.size() && real > -9e15 && real < 9e15;
  if (!sound) corrupt(fmt::format("'{}' is no number", text.substr(0, 40)));
  return static_cast<std::int64_t>(real);
}

RedisClient::RedisClient(redis::Url url) : connection_(std::move(url)) {}

redis::Reply RedisClient::ask(std::initializer_list<std::string_view> command) {
  return or_throw(connection_.run(command));
}

std::vector<redis::Reply> RedisClient::ask(const redis::Pipeline& pipeline) {
  if (pipeline.empty()) return {};
  auto replies = or_throw(connection_.run(pipeline));
  for (const auto& reply : replies) {
    if (reply.is_error()) throw RedisError(redis::to_error(reply.text).within(connection_.url().text()));
  }
  return replies;
}

std::vector<std::pair<std::string, std::string>> RedisClient::pairs(
    std::initializer_list<std::string_view> command) {
  auto reply = ask(command);
  static_cast<void>(or_throw(reply.as_array()));
  std::vector<std::pair<std::string, std::string>> result;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    result.emplace_back(std::move(reply.elements[i].text), std::move(reply.elements[i + 1].text));
  }
  return result;
}

std::optional<std::string> RedisClient::text(std::initializer_list<std::string_view> command) {
  auto reply = ask(command);
  if (reply.is_nil()) return std::nullopt;
  return std::string(or_throw(reply.as_text()));
}

std::int64_t RedisClient::integer(std::initializer_list<std::string_view> command) {
  return or_throw(ask(command).as_integer());
}

std::vector<std::string> RedisClient::databases(const Filter& filter) {
  if (!filter.database.empty()) {
    if (!includes_database(filter, filter.database)) return {};
    return {filter.database};
  }
  auto reply = ask({"SMEMBERS", redis_keys::kDatabases});
  std::vector<std::string> names;
  for (auto& element : reply.elements) {
    if (includes_database(filter, element.text)) names.push_back(std::move(element.text));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::uint64_t RedisClient::bytes() {
  redis::Pipeline pipeline;
  pipeline.add({"HGET", redis_keys::kAbout, "bytes"});
  for (const auto& database : databases())
    pipeline.add({"HGET", redis_keys::of_database(database, "about"), "bytes"});
  std::int64_t sum = 0;
  for (const auto& reply : ask(pipeline)) sum += reply.is_nil() ? 0 : parse_number(reply.text);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(sum, 0));
}

RedisOrder::RedisOrder(RedisClient& client, const Filter& filter)
    : client_(client), session_(filter.session) {
  const auto from =
      filter.since ? std::to_string(filter.since->time_since_epoch().count()) : std::string("-inf");
  until_ = filter.until ? fmt::format("({}", filter.until->time_since_epoch().count()) : "+inf";
  for (auto& database : client.databases(filter)) {
    auto key = session_.empty() ? redis_keys::of_database(database, "order")
                                : redis_keys::of_session(database, session_, "order");
    sources_.push_back({std::move(database), std::move(key), from, 0, {}, false});
  }
}

std::uint64_t RedisOrder::count() {
  redis::Pipeline pipeline;
  for (const auto& source : sources_) pipeline.add({"ZCOUNT", source.key, source.from, until_});
  std::uint64_t sum = 0;
  for (const auto& reply : client_.ask(pipeline))
    sum += static_cast<std::uint64_t>(or_throw(reply.as_integer()));
  return sum;
}

void RedisOrder::skip(std::uint64_t number) {
  if (sources_.size() == 1) {
    // The position of the first wanted call, counted from the start of the range.
    sources_.front().seen_at_from = number;
    return;
  }
  while (number > 0) {
    const auto step = next(std::min<std::uint64_t>(number, kStep));
    if (step.empty()) return;
    number -= step.size();
  }
}

std::vector<RedisPlace> RedisOrder::next(std::size_t number) {
  const auto earlier = [](const RedisPlace& left, const RedisPlace& right) {
    return std::tie(left.start, left.rank) < std::tie(right.start, right.rank);
  };
  std::vector<RedisPlace> result;
  while (result.size() < number) {
    Source* first = nullptr;
    for (auto& source : sources_) {
      if (source.buffer.empty() && !source.finished) fill(source);
      if (source.buffer.empty()) continue;
      if (first == nullptr || earlier(source.buffer.front(), first->buffer.front())) first = &source;
    }
    if (first == nullptr) break;
    result.push_back(std::move(first->buffer.front()));
    first->buffer.pop_front();
  }
  return result;
}

void RedisOrder::fill(Source& source) {
  const auto entries = client_.pairs({"ZRANGEBYSCORE", source.key, source.from, until_, "WITHSCORES", "LIMIT",
                                      std::to_string(source.seen_at_from), std::to_string(kStep)});
  source.finished = entries.size() < kStep;
  for (const auto& [member, score] : entries) {
    source.seen_at_from = score == source.from ? source.seen_at_from + 1 : 1;
    source.from = score;
    source.buffer.push_back(place(source, member, score));
  }
}

RedisPlace RedisOrder::place(const Source& source, std::string_view member, std::string_view score) const {
  if (member.size() < kRankDigits) corrupt("a call without rank");
  const auto start = parse_number(score);
  if (!session_.empty()) return {source.database, session_, std::string(member), start};
  if (member.size() < kRankDigits + 1) corrupt("a call without session");
  return {source.database, std::string(member.substr(kRankDigits + 1)),
          std::string(member.substr(0, kRankDigits)), start};
}

}  // namespace headroom::perf
