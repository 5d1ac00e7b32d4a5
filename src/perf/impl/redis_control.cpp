// Rules and pruning. Pruning goes in steps of at most 500 calls, a script for each session among them, so
// that other clients never wait long.

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "perf/impl/redis_client.hpp"
#include "perf/impl/redis_keys.hpp"
#include "perf/lua/scripts.hpp"
#include "perf/record_codec.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using redis_keys::of_database;
using redis_keys::of_session;

constexpr std::size_t kStep = 500;
constexpr std::size_t kMostRules = 1'000;
constexpr std::string_view kAge = "retention_age";
constexpr std::string_view kBytes = "retention_bytes";

/// Calls of one session that go together.
using Doomed = std::map<std::pair<std::string, std::string>, std::vector<RedisPlace>>;

class RedisControl final : public StoreControl {
 public:
  RedisControl(redis::Url url, OpenMode mode) : client_(std::move(url)), mode_(mode) {}

  Result<RuleSet> rules(std::uint64_t known_version) override {
    return guarded([&] {
      const auto version = client_.text({"HGET", redis_keys::kRules, "version"});
      RuleSet set{version ? static_cast<std::uint64_t>(parse_number(*version)) : 0, {}};
      if (set.version != known_version) read_rules(set);
      return set;
    });
  }

  Result<std::string> add_rule(const Rule& rule) override {
    return guarded([&] {
      require_write(mode_);
      auto id = std::string(or_throw(
          run(add_rule_, {redis_keys::kRules}, {std::to_string(kMostRules), to_json(rule)}).as_text()));
      if (id.empty()) {
        throw RedisError(
            {ErrorCode::kOverloaded, fmt::format("there are {} rules: remove some first", kMostRules)});
      }
      return id;
    });
  }

  Result<void> remove_rule(std::string_view id) override {
    return guarded([&] {
      require_write(mode_);
      if (or_throw(run(remove_rule_, {redis_keys::kRules}, {std::string(id)}).as_integer()) == 1) return;
      throw RedisError({ErrorCode::kNotFound, fmt::format("there is no rule '{}'", id.substr(0, 40))});
    });
  }

  Result<Retention> retention() override {
    return guarded([&] {
      Retention retention;
      const auto age = client_.text({"HGET", redis_keys::kAbout, kAge});
      const auto bytes = client_.text({"HGET", redis_keys::kAbout, kBytes});
      if (age) retention.age = Microseconds(parse_number(*age));
      if (bytes) retention.bytes = static_cast<std::uint64_t>(parse_number(*bytes));
      return retention;
    });
  }

  Result<void> set_retention(const Retention& retention) override {
    return guarded([&] {
      require_write(mode_);
      const auto bytes = std::min<std::uint64_t>(retention.bytes, std::numeric_limits<std::int64_t>::max());
      static_cast<void>(client_.ask({"HSET", redis_keys::kAbout, kAge, std::to_string(retention.age.count()),
                                     kBytes, std::to_string(bytes)}));
    });
  }

  Result<Pruned> prune(const Retention& retention, UtcTime now, Microseconds budget) override {
    return guarded([&] {
      require_write(mode_);
      begin_ = std::chrono::steady_clock::now();
      budget_ = budget;
      Pruned pruned;
      pruned.bytes_before = client_.bytes();
      const auto end = now - retention.age;
      const bool done = prune_calls(pruned, end) && prune_hours(hour_of(end)) &&
                        prune_to_size(pruned, retention.bytes) && forget_databases();
      if (done) remove_expired_rules(now);
      pruned.more = !done;
      pruned.bytes_after = client_.bytes();
      return pruned;
    });
  }

 private:
  redis::Reply run(const redis::Script& script, std::vector<std::string_view> keys,
                   const std::vector<std::string>& arguments) {
    const std::vector<std::string_view> views(arguments.begin(), arguments.end());
    return or_throw(client_.connection().evaluate(script, keys, views));
  }

  void read_rules(RuleSet& set) {
    for (const auto& [field, text] : client_.pairs({"HGETALL", redis_keys::kRules})) {
      if (field == "version") set.version = static_cast<std::uint64_t>(parse_number(text));
      if (field.front() != 'r') continue;
      set.rules.push_back(or_throw(rule_from_json(text)));
      set.rules.back().id = field;
    }
    std::sort(set.rules.begin(), set.rules.end(), [](const Rule& left, const Rule& right) {
      return std::pair(left.id.size(), left.id) < std::pair(right.id.size(), right.id);
    });
  }

  void remove_expired_rules(UtcTime now) {
    RuleSet set;
    read_rules(set);
    for (const auto& rule : set.rules) {
      if (rule.expires && *rule.expires <= now)
        static_cast<void>(run(remove_rule_, {redis_keys::kRules}, {rule.id}));
    }
  }

  static std::int64_t hour_of(UtcTime time) {
    return std::chrono::floor<std::chrono::hours>(time).time_since_epoch().count();
  }

  [[nodiscard]] bool time_is_up() const {
    return std::chrono::floor<Microseconds>(std::chrono::steady_clock::now() - begin_) >= budget_;
  }

  // The parts of pruning give whether they came to their end in time.

  bool prune_calls(Pruned& pruned, UtcTime limit) {
    Filter filter;
    filter.until = limit;
    for (;;) {
      // From the beginning each time: what was there is gone.
      const auto places = RedisOrder(client_, filter).next(kStep);
      if (places.empty()) return true;
      pruned.calls += remove(places);
      if (time_is_up()) return false;
    }
  }

  /// Only hours that lie before the limit as a whole.
  bool prune_hours(std::int64_t end) {
    for (const auto& database : client_.databases()) {
      const auto old = client_.pairs(
          {"ZRANGEBYSCORE", of_database(database, "hours"), "-inf", std::to_string(end - 1), "WITHSCORES"});
      for (const auto& [hour, score] : old) {
        forget_hour(database, hour);
        if (time_is_up()) return false;
      }
    }
    return true;
  }

  /// What is oldest goes first, be it an hour of counts or calls.
  bool prune_to_size(Pruned& pruned, std::uint64_t wanted) {
    for (auto bytes = client_.bytes(); bytes > wanted; bytes = client_.bytes()) {
      auto places = RedisOrder(client_, {}).next(kStep);
      const auto end = places.empty() ? std::numeric_limits<std::int64_t>::max() : hour_of(start_of(places));
      if (!forget_oldest_hour(end)) {
        if (places.empty()) return true;
        keep_what_fits(places, bytes - wanted);
        pruned.calls += remove(places);
      }
      if (time_is_up()) return false;
    }
    return true;
  }

  static UtcTime start_of(const std::vector<RedisPlace>& places) {
    return UtcTime(Microseconds(places.front().start));
  }

  /// Forgets the counts of the oldest hour before `end` in all databases; gives whether there was one.
  bool forget_oldest_hour(std::int64_t end) {
    const auto databases = client_.databases();
    redis::Pipeline pipeline;
    for (const auto& database : databases) pipeline.add({"ZRANGE", of_database(database, "hours"), "0", "0"});
    const auto replies = client_.ask(pipeline);
    auto oldest = end;
    for (const auto& reply : replies) {
      if (!reply.elements.empty()) oldest = std::min(oldest, parse_number(reply.elements.front().text));
    }
    if (oldest >= end) return false;
    for (const auto& database : databases) forget_hour(database, std::to_string(oldest));
    return true;
  }

  /// Takes the names of databases of which nothing is left out of the list.
  bool forget_databases() {
    for (const auto& database : client_.databases()) {
      const auto order = of_database(database, "order");
      const auto hours = of_database(database, "hours");
      const auto empty = run(forget_database_,
                             {order, hours, of_database(database, "about"), of_database(database, "totals"),
                              of_database(database, "sessions"), of_database(database, "ids")},
                             {});
      if (or_throw(empty.as_integer()) == 0) continue;
      static_cast<void>(client_.ask({"SREM", redis_keys::kDatabases, database}));
      // A batch may have come between; otherwise the next one writes the name again.
      if (client_.integer({"EXISTS", order}) + client_.integer({"EXISTS", hours}) > 0)
        static_cast<void>(client_.ask({"SADD", redis_keys::kDatabases, database}));
      if (time_is_up()) return false;
    }
    return true;
  }

  /// Shortens `places` to the first whose sizes make up the excess.
  void keep_what_fits(std::vector<RedisPlace>& places, std::uint64_t excess) {
    redis::Pipeline pipeline;
    for (const auto& at : places) {
      for (const auto* what : {"calls", "details", "sums"}) {
        pipeline.add({"HSTRLEN", of_session(at.database, at.session, what), at.rank});
      }
    }
    const auto sizes = client_.ask(pipeline);
    std::uint64_t freed = 0;
    std::size_t number = 0;
    while (number < places.size() && freed < excess) {
      for (std::size_t i = 0; i < 3; ++i) freed += static_cast<std::uint64_t>(sizes[3 * number + i].integer);
      freed += RedisClient::kOverhead;
      ++number;
    }
    places.resize(number);
  }

  std::uint64_t remove(const std::vector<RedisPlace>& places) {
    Doomed doomed;
    for (const auto& at : places) doomed[{at.database, at.session}].push_back(at);
    std::uint64_t removed = 0;
    for (const auto& [key, calls] : doomed) removed += remove_from_session(key.first, key.second, calls);
    return removed;
  }

  std::uint64_t remove_from_session(const std::string& database, const std::string& session,
                                    const std::vector<RedisPlace>& places) {
    redis::Pipeline pipeline;
    for (const auto& at : places) pipeline.add({"HGET", of_session(database, session, "calls"), at.rank});
    const auto summaries = client_.ask(pipeline);
    std::vector<std::string> arguments{session, std::to_string(RedisClient::kOverhead)};
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto summary = decode_summary(summaries[i].text);
      arguments.push_back(places[i].rank);
      arguments.push_back(summary ? summary->id : std::string{});
    }
    const auto names = redis_keys::of_calls(database, session);
    return static_cast<std::uint64_t>(
        or_throw(run(prune_, {names.begin(), names.end()}, arguments).as_integer()));
  }

  void forget_hour(const std::string& database, const std::string& hour) {
    const auto hours_key = of_database(database, "hours");
    const auto hour_key = of_database(database, "hour:" + hour);
    const auto about_key = of_database(database, "about");
    static_cast<void>(run(forget_hour_, {hours_key, hour_key, about_key}, {hour}));
  }

  RedisClient client_;
  OpenMode mode_;
  redis::Script add_rule_{std::string(lua::kAddRule)};
  redis::Script remove_rule_{std::string(lua::kRemoveRule)};
  redis::Script prune_{std::string(lua::kPrune)};
  redis::Script forget_hour_{std::string(lua::kForgetHour)};
  redis::Script forget_database_{std::string(lua::kForgetDatabase)};
  std::chrono::steady_clock::time_point begin_;  ///< of the pruning
  Microseconds budget_{0};
};

}  // namespace

std::unique_ptr<StoreControl> make_redis_control(redis::Url url, OpenMode mode) {
  return std::make_unique<RedisControl>(std::move(url), mode);
}

}  // namespace headroom::perf
