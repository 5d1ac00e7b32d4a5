// The store in Redis. Which keys there are stands in impl/redis_keys.hpp, what the scripts do in lua/.
//
// Model. Everything of one application database shares one hash tag, so that one script can store a call, its
// places in the indexes and its sums together; a reader never sees half of it, and no index can disagree with
// the calls. The price: in a cluster one database lives on one node. (Considered: a tag per session. Then the
// index of a database by time is in another slot, is written apart, and must be repaired after a crash.)
//
// Sums. Each call keeps what it added to the totals (its method, its fingerprints), so that pruning takes
// away exactly that. Tables are not summed: a table's totals are those of the fingerprints that name it,
// joined when read. So the text of a statement may come later than its calls.
//
// Sent again. A call is known by its id. Counts have none: each append carries a token, and the batch that
// follows an error with the same bytes carries the same token, which the server remembers for 15 minutes.

#include "perf/redis_store.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/glob.hpp"
#include "perf/call_order.hpp"
#include "perf/impl/redis_client.hpp"
#include "perf/impl/redis_keys.hpp"
#include "perf/lua/scripts.hpp"
#include "perf/record_codec.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;
using redis_keys::of_database;
using redis_keys::of_session;

constexpr std::uint32_t kSchema = 1;
constexpr std::string_view kMostStatements = "200000";
constexpr std::string_view kTokenSeconds = "900";
constexpr std::size_t kMostDatabases = 1'000;      // that counts may name
constexpr std::string_view kMostFields = "50000";  // of the counts of one hour: some 3,000 methods
constexpr std::uint64_t kDefaultLimit = 1'000;
constexpr std::size_t kStep = 1'000;
constexpr std::size_t kLongestName = 1UL << 20;
constexpr std::int64_t kHour = 3'600'000'000;

UtcTime utc(std::int64_t microseconds) {
  return UtcTime(Microseconds(microseconds));
}

std::string fingerprint_text(std::uint64_t fingerprint) {
  return fmt::format("{:x}", fingerprint);
}

/// Arguments of a script; the texts live here.
class Values final {
 public:
  template <typename Number>
  void number(Number value) {
    text(std::to_string(value));
  }
  void text(std::string value) { texts_.push_back(std::move(value)); }
  [[nodiscard]] std::vector<std::string_view> views() const { return {texts_.begin(), texts_.end()}; }

 private:
  std::deque<std::string> texts_;
};

/// What a call adds to the totals: method and fingerprints, each with number and time.
std::string sums_of(const CallRecord& record) {
  auto sums = nlohmann::json::array({record.summary.wall.count()});
  const auto add = [&](std::string name, std::uint64_t number, Microseconds time) {
    sums.push_back(std::move(name));
    sums.push_back(number);
    sums.push_back(time.count());
  };
  add("m" + record.summary.method, 1, record.summary.wall);
  for (const auto& total : record.statements)
    add("f" + fingerprint_text(total.fingerprint), total.count, total.time);
  const auto bytes = nlohmann::json::to_msgpack(sums);
  return {bytes.begin(), bytes.end()};
}

/// The record without its summary, which stands apart.
std::string detail_of(const CallRecord& record) {
  auto detail = record;
  detail.summary = {};
  return encode(detail);
}

/// Calls `add(name, number, time)` for each part of what `sums_of` made.
template <typename Add>
void read_sums(std::string_view bytes, Add add) {
  const auto sums = nlohmann::json::from_msgpack(bytes, true, false);
  bool sound = sums.is_array() && sums.size() % 3 == 1;
  for (std::size_t i = 1; sound && i < sums.size(); i += 3) {
    sound = sums[i].is_string() && sums[i + 1].is_number_integer() && sums[i + 2].is_number_integer();
    if (sound)
      add(sums[i].get_ref<const std::string&>(), sums[i + 1].get<std::int64_t>(),
          sums[i + 2].get<std::int64_t>());
  }
  if (!sound)
    throw RedisError({ErrorCode::kProtocol, "the Redis store holds foreign or damaged data: sums of a call"});
}

/// Names become parts of keys and members of sets: longer ones are a mistake of the caller.
void require_short_names(const Batch& batch) {
  const auto check = [](const std::string& text, std::string_view what) {
    if (text.size() <= kLongestName) return;
    throw RedisError({ErrorCode::kTooLarge, fmt::format("a {} has {} bytes; a store keeps at most {}", what,
                                                        text.size(), kLongestName)});
  };
  for (const auto& call : batch.calls) {
    check(call.summary.id, "call id");
    check(call.summary.database, "database name");
    check(call.summary.session, "session");
    check(call.summary.method, "method name");
    check(call.summary.user, "user name");
  }
  for (const auto& count : batch.counts) {
    check(count.database, "database name");
    check(count.method, "method name");
  }
}

/// The filter speaks of more than the indexes know.
bool needs_summary(const Filter& filter) {
  return !filter.user.empty() || !filter.method.empty() || filter.has != Has::kNothing ||
         filter.most_repeated_at_least != 0 || filter.rank != 0;
}

bool needs_calls(const Filter& filter) {
  return needs_summary(filter) || filter.since || filter.until;
}

bool matches(const CallSummary& call, const Filter& filter) {
  return includes_database(filter, call.database) &&
         (filter.session.empty() || call.session == filter.session) &&
         is_user(filter.user, call.user, call.user_id) &&
         (filter.method.empty() || base::glob_match(filter.method, call.method)) &&
         (!filter.since || call.start >= *filter.since) && (!filter.until || call.start < *filter.until) &&
         includes(call.has, filter.has) && call.most_repeated >= filter.most_repeated_at_least &&
         (filter.rank == 0 || call.rank == filter.rank);
}

struct Scripts {
  redis::Script append{std::string(lua::kAppend)};
  redis::Script count{std::string(lua::kCount)};
  redis::Script process{std::string(lua::kProcess)};
  redis::Script statement{std::string(lua::kStatement)};
};

/// Collects samples out of summaries and sums, and interns what they name.
class RedisSampler final {
 public:
  explicit RedisSampler(std::uint64_t most) : most_(most) {}

  void add(const CallSummary& summary, std::string_view sums) {
    if (!wants_more()) return;
    if (samples_.calls.size() == most_) {
      samples_.complete = false;
      return;
    }
    CallSample call;
    call.start = summary.start;
    call.wall = summary.wall;
    call.sql = summary.sql;
    call.statements = summary.statements;
    call.method = method_of(summary.method);
    call.first_part = samples_.parts.size();
    read_sums(sums, [&](const std::string& name, std::int64_t number, std::int64_t time) {
      if (name.empty() || name.front() != 'f') return;
      samples_.parts.push_back({statement_of(name), static_cast<std::uint32_t>(number), Microseconds(time)});
    });
    call.parts = static_cast<std::uint32_t>(samples_.parts.size() - call.first_part);
    samples_.calls.push_back(call);
  }

  /// False once it is known that there are more calls than are wanted.
  [[nodiscard]] bool wants_more() const { return samples_.complete; }
  [[nodiscard]] const std::vector<std::uint64_t>& fingerprints() const { return fingerprints_; }

  CallSamples finish(const std::map<std::uint64_t, StatementInfo>& known) && {
    for (const auto fingerprint : fingerprints_) {
      const auto found = known.find(fingerprint);
      samples_.statements.push_back(found == known.end() ? StatementInfo{} : found->second);
      samples_.statements.back().fingerprint = fingerprint;
    }
    return std::move(samples_);
  }

 private:
  std::uint32_t method_of(const std::string& name) {
    const auto [found, made] =
        methods_.try_emplace(name, static_cast<std::uint32_t>(samples_.methods.size()));
    if (made) samples_.methods.push_back(name);
    return found->second;
  }

  std::uint32_t statement_of(const std::string& name) {
    const auto [found, made] =
        statements_.try_emplace(name, static_cast<std::uint32_t>(fingerprints_.size()));
    if (made) {
      std::uint64_t fingerprint = 0;
      std::from_chars(name.data() + 1, name.data() + name.size(), fingerprint, 16);
      fingerprints_.push_back(fingerprint);
    }
    return found->second;
  }

  std::uint64_t most_;
  CallSamples samples_;
  std::unordered_map<std::string, std::uint32_t> methods_;
  std::unordered_map<std::string, std::uint32_t> statements_;
  std::vector<std::uint64_t> fingerprints_;
};

using Rollup = std::map<std::string, TotalRow>;  ///< by "m" + method or "f" + fingerprint

class RedisStore final : public Store {
 public:
  RedisStore(redis::Url place, std::string url, OpenMode mode)
      : client_(std::move(place)), url_(std::move(url)), mode_(mode) {}

  /// Errors: those of `open_store`.
  Result<void> open() {
    return guarded([&] {
      if (mode_ != OpenMode::kRead) {
        static_cast<void>(client_.ask({"HSETNX", redis_keys::kAbout, "schema", std::to_string(kSchema)}));
      }
      const auto schema = client_.text({"HGET", redis_keys::kAbout, "schema"});
      if (mode_ == OpenMode::kChange && !schema) {
        throw RedisError({ErrorCode::kNotFound, fmt::format("{}: nothing was recorded into this database yet",
                                                            client_.connection().url().text())});
      }
      if (schema && parse_number(*schema) > kSchema) {
        throw RedisError(
            {ErrorCode::kProtocol, fmt::format("{}: the store has schema {}, this version reads up to {}",
                                               client_.connection().url().text(), *schema, kSchema)});
      }
    });
  }

  Result<void> append(const Batch& batch) override {
    return guarded([&] {
      require_write(mode_);
      require_short_names(batch);
      const auto counts = bounded(batch.counts);
      auto pipeline = calls_of(batch, counts);
      const auto token = token_for(pipeline, batch);
      add_counts(pipeline, counts, token);
      add_process(pipeline, batch);
      static_cast<void>(client_.ask(pipeline));
      unsure_ = 0;
    });
  }

  Result<std::vector<SessionRow>> sessions(const Filter& filter) override {
    return guarded([&] {
      std::vector<SessionRow> rows;
      for (const auto& database : client_.databases(filter)) add_sessions(database, filter, rows);
      std::stable_sort(rows.begin(), rows.end(), [](const SessionRow& left, const SessionRow& right) {
        return left.last > right.last;
      });
      return rows;
    });
  }

  Result<std::vector<TotalRow>> totals(const Filter& filter, GroupBy group) override {
    return guarded([&] {
      const char wanted = group == GroupBy::kMethod ? 'm' : 'f';
      auto rollup = needs_calls(filter) ? rollup_of_calls(filter, wanted) : stored_rollup(filter, wanted);
      return group == GroupBy::kMethod ? by_method(rollup) : by_statement(rollup, group);
    });
  }

  Result<CallPage> calls(const Filter& filter, const Page& page, const CallOrder& order) override {
    return guarded(
        [&] { return order == CallOrder{} ? usual_page(filter, page) : sorted_page(filter, page, order); });
  }

  Result<Batch> load(const std::vector<std::string>& ids) override {
    return guarded([&] {
      Batch batch;
      for (std::size_t begin = 0; begin < ids.size(); begin += kLoadStep) {
        const auto end = std::min(ids.size(), begin + kLoadStep);
        load_calls(places_of({ids.begin() + static_cast<std::ptrdiff_t>(begin),
                              ids.begin() + static_cast<std::ptrdiff_t>(end)}),
                   batch);
      }
      std::set<std::uint64_t> used;
      for (const auto& call : batch.calls) {
        for (const auto& part : call.statements) used.insert(part.fingerprint);
        for (const auto& part : call.events) used.insert(part.fingerprint);
        for (const auto& part : call.slow) used.insert(part.fingerprint);
      }
      for (auto& [fingerprint, statement] : statements({used.begin(), used.end()})) {
        batch.statements.push_back(std::move(statement));
      }
      return batch;
    });
  }

  Result<std::vector<MethodCount>> counts(const Filter& filter) override {
    return guarded([&] {
      std::vector<MethodCount> rows;
      for (const auto& database : client_.databases(filter)) add_hours(database, filter, rows);
      return rows;
    });
  }

  Result<CallSamples> samples(const Filter& filter, std::uint64_t most) override {
    return guarded([&] {
      RedisSampler sampler(most);
      each_match(filter, [&](const std::vector<RedisPlace>& places, const std::vector<CallSummary>& calls) {
        const auto sums = values(places, "sums");
        for (std::size_t i = 0; i < calls.size(); ++i) {
          if (sums[i]) sampler.add(calls[i], *sums[i]);
        }
        return sampler.wants_more();
      });
      const auto known = statements(sampler.fingerprints());
      return std::move(sampler).finish(known);
    });
  }

  Result<StoreInfo> info() override {
    return guarded([&] {
      StoreInfo info;
      info.url = url_;
      info.kind = "redis";
      info.schema = kSchema;
      info.bytes = client_.bytes();
      for (const auto& database : client_.databases()) {
        const auto calls = client_.text({"HGET", of_database(database, "about"), "calls"});
        info.calls += calls ? static_cast<std::uint64_t>(parse_number(*calls)) : 0;
        const auto first = client_.pairs({"ZRANGE", of_database(database, "order"), "0", "0", "WITHSCORES"});
        if (first.empty()) continue;
        const auto start = utc(parse_number(first.front().second));
        info.oldest = std::min(info.oldest.value_or(start), start);
      }
      info.processes = processes();
      info.evicting = evicting_policy();
      return info;
    });
  }

 private:
  static constexpr std::size_t kLoadStep = 100;

  // --- writing

  /// The counts, with one name for the databases beyond the bound.
  std::vector<MethodCount> bounded(std::vector<MethodCount> counts) {
    if (counts.empty()) return counts;
    const auto names = client_.databases();
    std::set<std::string> known(names.begin(), names.end());
    for (auto& count : counts) {
      if (known.size() >= kMostDatabases && !known.contains(count.database))
        count.database = count.method = kOther;
      known.insert(count.database);
    }
    return counts;
  }

  redis::Pipeline calls_of(const Batch& batch, const std::vector<MethodCount>& counts) {
    redis::Pipeline pipeline;
    std::set<std::string_view> databases;
    std::map<std::pair<std::string_view, std::string_view>, std::vector<const CallRecord*>> sessions;
    for (const auto& call : batch.calls) {
      databases.insert(call.summary.database);
      sessions[{call.summary.database, call.summary.session}].push_back(&call);
    }
    for (const auto& count : counts) databases.insert(count.database);
    for (const auto& database : databases) pipeline.add({"SADD", redis_keys::kDatabases, database});
    add_statements(pipeline, batch);
    for (const auto& [key, calls] : sessions) add_session(pipeline, key.first, key.second, calls);
    return pipeline;
  }

  void add_statements(redis::Pipeline& pipeline, const Batch& batch) {
    if (batch.statements.empty()) return;
    Values values;
    values.text(std::string(kMostStatements));
    for (const auto& statement : batch.statements) {
      values.text(fingerprint_text(statement.fingerprint));
      values.text(encode(statement));
    }
    const std::vector<std::string_view> keys{redis_keys::kStatements, redis_keys::kAbout};
    pipeline.add_script(scripts_.statement, keys, values.views());
  }

  void add_session(redis::Pipeline& pipeline, std::string_view database, std::string_view session,
                   const std::vector<const CallRecord*>& calls) {
    Values values;
    values.text(std::string(session));
    values.number(RedisClient::kOverhead);
    for (const auto* call : calls) {
      const auto& summary = call->summary;
      values.text(summary.id);
      values.number(summary.start.time_since_epoch().count());
      const bool names_user = call->parent.empty();  // a task may run as another one than its session's
      values.text(names_user ? summary.user : std::string{});
      values.text(names_user && summary.user_id ? std::to_string(*summary.user_id) : std::string{});
      values.text(encode(summary));
      values.text(detail_of(*call));
      values.text(sums_of(*call));
    }
    const auto names = redis_keys::of_calls(database, session);
    const std::vector<std::string_view> keys(names.begin(), names.end());
    pipeline.add_script(scripts_.append, keys, values.views());
  }

  /// A new token, or that of the batch before when this is the same one, sent again after an error.
  std::string token_for(const redis::Pipeline& pipeline, const Batch& batch) {
    auto print = std::hash<std::string_view>{}(pipeline.bytes());
    for (const auto& count : batch.counts) print = print * 31 + std::hash<std::string>{}(encode(count));
    if (batch.process) print = print * 31 + std::hash<std::string>{}(encode(*batch.process));
    if (unsure_ != print || token_.empty()) token_ = fmt::format("{:016x}{:x}", random_(), ++appends_);
    unsure_ = print;
    return token_;
  }

  void add_counts(redis::Pipeline& pipeline, const std::vector<MethodCount>& all, const std::string& token) {
    std::map<std::pair<std::string_view, std::int64_t>, std::vector<const MethodCount*>> hours;
    for (const auto& count : all) hours[{count.database, count.hour}].push_back(&count);
    for (const auto& [key, counts] : hours) add_hour(pipeline, key.first, key.second, counts, token);
  }

  void add_hour(redis::Pipeline& pipeline, std::string_view database, std::int64_t hour,
                const std::vector<const MethodCount*>& counts, const std::string& token) {
    Values values;
    values.number(hour);
    values.text(std::string(kTokenSeconds));
    values.text(std::string(kMostFields));
    for (const auto* count : counts) {
      values.text(fmt::format("{}:{}", name(count->kind), count->method));
      values.number(count->count);
      values.number(count->errors);
      values.number(count->time.count());
      values.number(count->sql.count());
      values.number(count->statements);
      values.text(count->histogram.encode());
    }
    const auto hours_key = of_database(database, "hours");
    const auto hour_key = of_database(database, fmt::format("hour:{}", hour));
    const auto sent_key = of_database(database, fmt::format("sent:{}:{}", token, hour));
    const auto about_key = of_database(database, "about");
    const std::vector<std::string_view> keys{hours_key, hour_key, sent_key, about_key};
    pipeline.add_script(scripts_.count, keys, values.views());
  }

  void add_process(redis::Pipeline& pipeline, const Batch& batch) {
    if (!batch.process) return;
    const auto& process = *batch.process;
    const auto seen = process.seen.time_since_epoch().count();
    Values values;
    values.text(fmt::format("{}:{}", process.host, process.process));
    values.number(seen);
    values.text(process.ended ? std::string{} : encode(process));
    values.number(seen - 24 * kHour);
    const std::vector<std::string_view> keys{redis_keys::kProcesses, redis_keys::kSeen};
    pipeline.add_script(scripts_.process, keys, values.views());
  }

  // --- sessions

  void add_sessions(const std::string& database, const Filter& filter, std::vector<SessionRow>& rows) {
    const auto since =
        filter.since ? std::to_string(filter.since->time_since_epoch().count()) : std::string("-inf");
    auto names =
        client_.pairs({"ZRANGEBYSCORE", of_database(database, "sessions"), since, "+inf", "WITHSCORES"});
    std::erase_if(
        names, [&](const auto& entry) { return !filter.session.empty() && entry.first != filter.session; });
    redis::Pipeline pipeline;
    for (const auto& [session, last] : names) {
      pipeline.add({"HMGET", of_session(database, session, "about"), "user", "user_id", "calls", "time"});
      pipeline.add({"ZRANGE", of_session(database, session, "order"), "0", "0", "WITHSCORES"});
    }
    const auto replies = client_.ask(pipeline);
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto row = session_row(replies[2 * i], replies[2 * i + 1]);
      if (!row) continue;  // pruned meanwhile
      row->database = database;
      row->session = names[i].first;
      row->last = utc(parse_number(names[i].second));
      const bool wanted =
          is_user(filter.user, row->user, row->user_id) && (!filter.until || row->first < *filter.until);
      row->user = shown_name(row->user);
      if (wanted) rows.push_back(std::move(*row));
    }
  }

  static std::optional<SessionRow> session_row(const redis::Reply& about, const redis::Reply& first) {
    if (about.elements.size() != 4 || about.elements[2].is_nil() || first.elements.size() != 2)
      return std::nullopt;
    SessionRow row;
    row.user = about.elements[0].text;
    if (!about.elements[1].is_nil()) row.user_id = parse_number(about.elements[1].text);
    row.calls = static_cast<std::uint64_t>(parse_number(about.elements[2].text));
    row.time = Microseconds(parse_number(about.elements[3].text));
    row.first = utc(parse_number(first.elements[1].text));
    return row;
  }

  // --- totals

  static TotalRow& row_of(Rollup& rollup, const std::string& name) {
    auto& row = rollup[name];
    row.name = name.substr(1);
    return row;
  }

  Rollup stored_rollup(const Filter& filter, char wanted) {
    Rollup rollup;
    for (const auto& database : client_.databases(filter)) {
      const auto key = filter.session.empty() ? of_database(database, "totals")
                                              : of_session(database, filter.session, "totals");
      for (const auto& [field, text] : client_.pairs({"HGETALL", key})) {
        if (field.size() < 2 || field[1] != wanted) continue;
        auto& row = row_of(rollup, field.substr(1));
        if (field[0] == 'n') row.number += static_cast<std::uint64_t>(parse_number(text));
        if (field[0] == 't') row.time += Microseconds(parse_number(text));
      }
    }
    return rollup;
  }

  Rollup rollup_of_calls(const Filter& filter, char wanted) {
    Rollup rollup;
    each_match(filter, [&](const std::vector<RedisPlace>& places, const std::vector<CallSummary>&) {
      for (const auto& bytes : values(places, "sums")) {
        if (!bytes) continue;
        read_sums(*bytes, [&](const std::string& name, std::int64_t number, std::int64_t time) {
          if (name.empty() || name.front() != wanted) return;
          auto& row = row_of(rollup, name);
          row.number += static_cast<std::uint64_t>(number);
          row.time += Microseconds(time);
        });
      }
      return true;
    });
    return rollup;
  }

  static std::vector<TotalRow> by_method(Rollup& rollup) {
    std::vector<TotalRow> rows;
    for (auto& [name, row] : rollup) rows.push_back(std::move(row));
    return rows;
  }

  std::vector<TotalRow> by_statement(Rollup& rollup, GroupBy group) {
    std::vector<std::uint64_t> fingerprints;
    for (auto& [name, row] : rollup) {
      std::from_chars(name.data() + 1, name.data() + name.size(), row.fingerprint, 16);
      fingerprints.push_back(row.fingerprint);
    }
    const auto known = statements(fingerprints);
    return group == GroupBy::kTable ? by_table(rollup, known) : by_fingerprint(rollup, known);
  }

  static std::vector<TotalRow> by_fingerprint(Rollup& rollup,
                                              const std::map<std::uint64_t, StatementInfo>& known) {
    std::vector<TotalRow> rows;
    for (auto& [name, row] : rollup) {
      const auto statement = known.find(row.fingerprint);
      row.name = statement == known.end() ? std::string{} : statement->second.normalized;
      rows.push_back(std::move(row));
    }
    return rows;
  }

  static std::vector<TotalRow> by_table(const Rollup& rollup,
                                        const std::map<std::uint64_t, StatementInfo>& known) {
    std::map<std::string, TotalRow> tables;
    for (const auto& [name, row] : rollup) {
      const auto statement = known.find(row.fingerprint);
      if (statement == known.end()) continue;
      for (const auto& table : statement->second.tables) {
        auto& sum = tables[table];
        sum.name = table;
        sum.number += row.number;
        sum.time += row.time;
      }
    }
    std::vector<TotalRow> rows;
    for (auto& [name, row] : tables) rows.push_back(std::move(row));
    return rows;
  }

  // --- calls

  /// The values of a hash of each call's session, in the order of the places.
  std::vector<std::optional<std::string>> values(const std::vector<RedisPlace>& places,
                                                 std::string_view what) {
    redis::Pipeline pipeline;
    for (const auto& at : places) pipeline.add({"HGET", of_session(at.database, at.session, what), at.rank});
    std::vector<std::optional<std::string>> result;
    for (auto& reply : client_.ask(pipeline)) {
      result.push_back(reply.is_nil() ? std::nullopt : std::optional(std::move(reply.text)));
    }
    return result;
  }

  /// The summaries that are still there; `places` loses the others.
  std::vector<CallSummary> summaries(std::vector<RedisPlace>& places) {
    std::vector<CallSummary> calls;
    std::vector<RedisPlace> kept;
    auto bytes = values(places, "calls");
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (!bytes[i]) continue;
      calls.push_back(or_throw(decode_summary(*bytes[i])));
      calls.back().rank = static_cast<std::uint64_t>(parse_number(places[i].rank));
      kept.push_back(std::move(places[i]));
    }
    places = std::move(kept);
    return calls;
  }

  /// Calls `use(places, summaries)` with the calls that match, a step at a time; `use` returns false to stop.
  template <typename Use>
  void each_match(const Filter& filter, Use use) {
    RedisOrder order(client_, filter);
    for (auto places = first_places(order, filter); !places.empty(); places = next_places(order, filter)) {
      auto calls = summaries(places);
      std::vector<RedisPlace> matching_places;
      std::vector<CallSummary> matching;
      for (std::size_t i = 0; i < calls.size(); ++i) {
        if (!matches(calls[i], filter)) continue;
        matching_places.push_back(std::move(places[i]));
        matching.push_back(std::move(calls[i]));
      }
      if (!use(matching_places, matching)) return;
    }
  }

  /// A rank of a session names its call directly.
  std::vector<RedisPlace> first_places(RedisOrder& order, const Filter& filter) {
    if (filter.rank == 0 || filter.session.empty()) return order.next(kStep);
    std::vector<RedisPlace> places;
    for (const auto& database : client_.databases(filter)) {
      places.push_back({database, filter.session, rank_text(filter.rank), 0});
    }
    return places;
  }

  static std::vector<RedisPlace> next_places(RedisOrder& order, const Filter& filter) {
    if (filter.rank != 0 && !filter.session.empty()) return {};
    return order.next(kStep);
  }

  CallPage usual_page(const Filter& filter, const Page& page) {
    return needs_summary(filter) ? matching_page(filter, page) : indexed_page(filter, page);
  }

  /// Reads the summaries of all: Redis has an index by start alone.
  CallPage sorted_page(const Filter& filter, const Page& page, const CallOrder& order) {
    CallPage result = usual_page(filter, {0, kMostSorted});
    sort_page(result.calls, order, {page.offset, page.limit == 0 ? kDefaultLimit : page.limit});
    return result;
  }

  CallPage matching_page(const Filter& filter, const Page& page) {
    CallPage result;
    const auto limit = page.limit == 0 ? kDefaultLimit : page.limit;
    each_match(filter, [&](const std::vector<RedisPlace>&, std::vector<CallSummary>& calls) {
      for (auto& call : calls) {
        if (result.total >= page.offset && result.calls.size() < limit) {
          cut_names(call);
          result.calls.push_back(std::move(call));
        }
        ++result.total;
      }
      return true;
    });
    return result;
  }

  CallPage indexed_page(const Filter& filter, const Page& page) {
    CallPage result;
    RedisOrder order(client_, filter);
    result.total = order.count();
    order.skip(page.offset);
    auto left = page.limit == 0 ? kDefaultLimit : page.limit;
    while (left > 0) {
      auto places = order.next(std::min<std::uint64_t>(left, kStep));
      if (places.empty()) break;
      left -= places.size();
      for (auto& call : summaries(places)) {
        cut_names(call);
        result.calls.push_back(std::move(call));
      }
    }
    return result;
  }

  std::vector<RedisPlace> places_of(const std::vector<std::string>& ids) {
    const auto databases = client_.databases();
    redis::Pipeline pipeline;
    for (const auto& id : ids) {
      for (const auto& database : databases) pipeline.add({"HGET", of_database(database, "ids"), id});
    }
    const auto replies = client_.ask(pipeline);
    std::vector<RedisPlace> places;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const auto& text = replies[i].text;
      if (replies[i].is_nil() || text.size() < 11) continue;
      places.push_back({databases[i % databases.size()], text.substr(11), text.substr(0, 10), 0});
    }
    return places;
  }

  void load_calls(std::vector<RedisPlace> places, Batch& batch) {
    auto calls = summaries(places);
    const auto details = values(places, "details");
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (!details[i]) continue;
      auto record = or_throw(decode(*details[i]));
      record.summary = std::move(calls[i]);
      batch.calls.push_back(std::move(record));
    }
  }

  std::map<std::uint64_t, StatementInfo> statements(const std::vector<std::uint64_t>& fingerprints) {
    redis::Pipeline pipeline;
    for (const auto fingerprint : fingerprints) {
      pipeline.add({"HGET", redis_keys::kStatements, fingerprint_text(fingerprint)});
    }
    std::map<std::uint64_t, StatementInfo> result;
    const auto replies = client_.ask(pipeline);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i].is_nil()) result.emplace(fingerprints[i], or_throw(decode_statement(replies[i].text)));
    }
    return result;
  }

  // --- counts and processes

  void add_hours(const std::string& database, const Filter& filter, std::vector<MethodCount>& rows) {
    // An hour is in when any of it lies within [since, until).
    const auto hour_of = [](UtcTime time) {
      return std::chrono::floor<std::chrono::hours>(time).time_since_epoch().count();
    };
    const auto since = filter.since ? std::to_string(hour_of(*filter.since)) : std::string("-inf");
    const auto until =
        filter.until ? std::to_string(hour_of(*filter.until - Microseconds{1})) : std::string("+inf");
    for (const auto& [hour, score] :
         client_.pairs({"ZRANGEBYSCORE", of_database(database, "hours"), since, until, "WITHSCORES"})) {
      add_hour_rows(database, hour, filter, rows);
    }
  }

  void add_hour_rows(const std::string& database, const std::string& hour, const Filter& filter,
                     std::vector<MethodCount>& rows) {
    std::map<std::string, MethodCount> counts;
    std::map<std::string, std::string> histograms;
    for (const auto& [field, text] : client_.pairs({"HGETALL", of_database(database, "hour:" + hour)})) {
      const auto colon = field.find(':');
      if (colon == std::string::npos) continue;
      const auto number = parse_number(text);
      set_count(counts[field.substr(colon + 1)], histograms[field.substr(colon + 1)], field.substr(0, colon),
                number);
    }
    for (auto& [key, count] : counts) {
      const auto colon = key.find(':');
      count.kind = call_kind(key.substr(0, colon)).value_or(CallKind::kRpc);
      count.method = key.substr(colon + 1);
      if (!filter.method.empty() && !base::glob_match(filter.method, count.method)) continue;
      count.method = shown_name(count.method);
      count.database = shown_name(database);
      count.hour = parse_number(hour);
      count.histogram = or_throw(base::Histogram::decode(histograms[key]));
      rows.push_back(std::move(count));
    }
  }

  static void set_count(MethodCount& count, std::string& histogram, const std::string& what,
                        std::int64_t number) {
    const auto positive = static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
    if (what == "n") {
      count.count = positive;
    } else if (what == "e") {
      count.errors = positive;
    } else if (what == "t") {
      count.time = Microseconds(number);
    } else if (what == "s") {
      count.sql = Microseconds(number);
    } else if (what == "q") {
      count.statements = positive;
    } else if (what == "m") {
      histogram += fmt::format("{}max:{}", histogram.empty() ? "" : ",", positive);
    } else {
      const auto most = std::min<std::uint64_t>(positive, std::numeric_limits<std::uint32_t>::max());
      histogram += fmt::format("{}{}:{}", histogram.empty() ? "" : ",", what, most);
    }
  }

  std::vector<ProcessInfo> processes() {
    const auto now = base::utc_now().time_since_epoch().count();
    const auto names = client_.pairs(
        {"ZRANGEBYSCORE", redis_keys::kSeen, std::to_string(now - kHour), "+inf", "WITHSCORES"});
    redis::Pipeline pipeline;
    for (const auto& [process, seen] : names) pipeline.add({"HGET", redis_keys::kProcesses, process});
    std::vector<ProcessInfo> result;
    for (const auto& reply : client_.ask(pipeline)) {
      if (!reply.is_nil()) result.push_back(or_throw(decode_process(reply.text)));
    }
    std::reverse(result.begin(), result.end());
    return result;
  }

  /// Policies that throw away only what expires do no harm: what expires here is a guard against counting
  /// twice. INFO is asked because CONFIG is often forbidden; a server that does not tell is believed.
  std::string evicting_policy() {
    const auto told = client_.connection().run({"INFO", "memory"});
    if (!told || told->is_error()) return {};
    const auto policy = redis::info_field(told->text, "maxmemory_policy");
    const bool bounded = redis::info_field(told->text, "maxmemory") != "0";
    return bounded && policy.starts_with("allkeys") ? std::string(policy) : std::string();
  }

  RedisClient client_;
  Scripts scripts_;
  std::random_device random_;
  std::string url_;  ///< as it was given, without the password
  OpenMode mode_;
  std::uint64_t appends_ = 0;
  std::size_t unsure_ = 0;  ///< fingerprint of the batch whose append may or may not have arrived
  std::string token_;
};

}  // namespace

Result<OpenStore> open_redis_store(std::string_view url, OpenMode mode) {
  auto parsed = redis::parse_url(url);
  if (!parsed) return fail(std::move(parsed.error()));
  auto store = std::make_unique<RedisStore>(*parsed, without_password(url), mode);
  if (auto opened = store->open(); !opened) return fail(std::move(opened.error()));
  return OpenStore{std::move(store), make_redis_control(std::move(*parsed), mode)};
}

}  // namespace headroom::perf
