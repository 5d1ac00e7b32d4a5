// The original wrote a few keys per call and never removed any; here they become records, session by session.
//
// Ids. A call's id is a hash of its session, rank, method and start, so that a second import finds it known.
//
// Tables. The original counts statements per table for a whole session (t:n:, t:t:) and lists them only for
// calls that were named in `db` (x:db:). Our sums come from calls. What the lists do not explain is therefore
// added to the sums of the session's last call, rather than spread over calls that may not have sent it;
// numbers of calls and their own figures stay those of the original. So the last call read is held back until
// the end. A session that was imported before got its remainder then: adding another one would count twice.

#include "perf/original.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include "perf/redact.hpp"
#include "redis/connection.hpp"

namespace headroom::perf {

namespace {

using base::fail;
using Fields = std::map<std::string, std::string>;

constexpr std::uint64_t kStep = 100;
constexpr std::uint64_t kMostMissing =
    10'000;  ///< ranks without a call, one after the other, before a session ends
constexpr std::size_t kMostDetails = 10'000;  ///< statements of a call, as the recorder's bound
constexpr std::size_t kTextLimit = 64'000;

std::string hash_text(std::string_view text) {
  const auto hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

template <typename Number>
std::optional<Number> number(const Fields& fields, const std::string& name) {
  const auto found = fields.find(name);
  if (found == fields.end()) return std::nullopt;
  const auto& text = found->second;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool sound = error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
  if (!sound || std::abs(value) > 4e9) return std::nullopt;
  return static_cast<Number>(value);
}

std::string text_of(const Fields& fields, const std::string& name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string{} : found->second;
}

Microseconds time_of(const Fields& fields, const std::string& name) {
  const auto seconds = number<double>(fields, name).value_or(0);
  return Microseconds(std::llround(std::clamp(seconds, 0.0, 1e9) * 1e6));
}

std::uint64_t count_of(const Fields& fields, const std::string& name) {
  return static_cast<std::uint64_t>(std::max(0.0, number<double>(fields, name).value_or(0)));
}

/// A hash or sorted set as it came; empty for a key that is missing. Nothing for a key of another type.
std::optional<Fields> fields_of(const redis::Reply& reply) {
  if (reply.type != redis::Reply::Type::kArray) return std::nullopt;
  Fields fields;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    fields[reply.elements[i].text] = reply.elements[i + 1].text;
  }
  return fields;
}

bool is_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// A statement of which only action and table are known.
StatementInfo statement_of(const std::string& action, const std::string& table) {
  StatementInfo info;
  const auto name = fmt::format("{} {}", action, table);
  info.fingerprint = std::max<std::uint64_t>(1, XXH3_64bits(name.data(), name.size()) >> 1);
  info.kind = sql::statement_kind(action);
  if (!table.empty() && table != "x") info.tables = {table};
  info.normalized = fmt::format("{} (text not kept)", name);
  return info;
}

/// Reads one session after the other.
class Importer final {
 public:
  Importer(redis::Url url, std::string database, Store& target, const ImportProgress& progress)
      : source_(std::move(url)), database_(std::move(database)), target_(target), progress_(progress) {}

  Result<ImportCounts> run() {
    const auto sessions = find_sessions();
    if (!sessions) return fail(sessions.error());
    total_ = sessions->size();
    for (const auto& session : *sessions) {
      if (auto done = import_session(session); !done)
        return fail(std::move(done.error()).within("while importing"));
      ++counts_.sessions;
      report();
    }
    return std::move(counts_);
  }

 private:
  struct Session {
    std::string name;  ///< as in the keys
    std::string id;
    std::string user;
    std::optional<std::int64_t> user_id;
    UtcTime last{};
    Fields table_numbers;
    Fields table_times;
    std::map<std::uint64_t, std::vector<SlowStatement>> slow;  ///< by rank
    std::map<std::string, std::pair<std::uint64_t, Microseconds>>
        explained;  ///< by table, from the lists of calls
    std::optional<CallRecord> last_call;
    std::uint64_t known_calls = 0;  ///< in the target before
  };

  void leave_out(const std::string& reason, std::uint64_t times = 1) {
    if (times > 0) counts_.left_out[reason] += times;
  }

  void report() const {
    if (progress_) progress_(counts_, total_);
  }

  /// SCAN may give a key more than once.
  Result<std::set<std::string>> find_sessions() {
    std::set<std::string> names;
    std::string cursor = "0";
    do {
      auto reply = source_.run({"SCAN", cursor, "MATCH", "s:*", "COUNT", "1000"});
      if (!reply) return fail(std::move(reply.error()));
      if (reply->elements.size() != 2) return fail(base::ErrorCode::kProtocol, "SCAN gave no cursor");
      cursor = reply->elements[0].text;
      for (const auto& key : reply->elements[1].elements) names.insert(key.text.substr(2));
    } while (cursor != "0");
    return names;
  }

  Result<void> import_session(const std::string& name) {
    redis::Pipeline pipeline;
    pipeline.add({"HGETALL", "s:" + name});
    pipeline.add({"ZRANGE", "t:n:" + name, "0", "-1", "WITHSCORES"});
    pipeline.add({"ZRANGE", "t:t:" + name, "0", "-1", "WITHSCORES"});
    pipeline.add({"ZRANGE", "m:n:" + name, "0", "-1", "WITHSCORES"});
    pipeline.add({"LRANGE", "q:" + name, "0", "-1"});
    auto replies = source_.run(pipeline);
    if (!replies) return fail(std::move(replies.error()));
    const auto about = fields_of((*replies)[0]);
    if (!about || about->empty()) {
      leave_out("sessions that are no hash");
      return {};
    }
    auto session = session_of(name, *about);
    session.table_numbers = fields_of((*replies)[1]).value_or(Fields{});
    session.table_times = fields_of((*replies)[2]).value_or(Fields{});
    Batch batch;
    read_slow((*replies)[4], session, batch);
    const auto known = calls_in_target(session);
    if (!known) return fail(known.error());
    session.known_calls = *known;
    const auto before = counts_.calls;
    auto done = import_calls(session, count_of(*about, "nb"), batch);
    if (!done) return done;
    count_missing_calls((*replies)[3], counts_.calls - before);
    if (auto ended = append_last(session); !ended) return ended;
    const auto stored = calls_in_target(session);
    if (!stored) return fail(stored.error());
    counts_.new_calls += *stored - std::min(*stored, session.known_calls);
    return {};
  }

  Result<std::uint64_t> calls_in_target(const Session& session) {
    Filter filter;
    filter.database = database_;
    filter.session = session.id;
    const auto page = target_.calls(filter, {0, 1});
    if (!page) return fail(page.error());
    return page->total;
  }

  static Session session_of(const std::string& name, const Fields& about) {
    Session session;
    session.name = name;
    session.id = is_hex(name) && name.size() <= 64 ? name : hash_text(name).substr(0, 16);
    const auto user = UserPattern::parse(text_of(about, "user"));
    session.user = user.login;
    session.user_id = user.id;
    const auto first = original_time(text_of(about, "first")).value_or(UtcTime{});
    session.last = original_time(text_of(about, "last")).value_or(first);
    return session;
  }

  /// Calls that the sums by method know and that are gone.
  void count_missing_calls(const redis::Reply& methods, std::uint64_t found) {
    double counted = 0;
    const auto sums = fields_of(methods).value_or(Fields{});
    for (const auto& [method, text] : sums) counted += number<double>(sums, method).value_or(0);
    const auto known = static_cast<std::uint64_t>(std::clamp(counted, 0.0, 1e15));
    leave_out("calls of which only the sums by method are left", known > found ? known - found : 0);
  }

  void read_slow(const redis::Reply& list, Session& session, Batch& batch) {
    for (const auto& element : list.elements) {
      const auto fields = flat_msgpack(element.text);
      const auto rank = fields ? count_of(*fields, "call") : 0;
      if (!fields || rank == 0) {
        leave_out("slow statements that can't be read");
        continue;
      }
      const auto sql = text_of(*fields, "sql");
      auto info = sql.empty() ? statement_of(text_of(*fields, "action"), text_of(*fields, "table"))
                              : sql::analyze(sql);
      SlowStatement slow;
      slow.fingerprint = info.fingerprint;
      slow.duration = time_of(*fields, "tm");
      slow.rows = number<std::int64_t>(*fields, "count").value_or(0);
      slow.sql = redactor_.sql(sql, kTextLimit);
      slow.backtrace = redactor_.text(text_of(*fields, "bt"), kTextLimit);
      session.slow[rank].push_back(std::move(slow));
      batch.statements.push_back(std::move(info));
    }
  }

  Result<void> import_calls(Session& session, std::uint64_t number_of_calls, Batch& batch) {
    std::uint64_t missing = 0;
    for (std::uint64_t rank = 1; missing < kMostMissing && (number_of_calls == 0 || rank <= number_of_calls);
         rank += kStep) {
      const auto last = number_of_calls == 0 ? rank + kStep - 1 : std::min(number_of_calls, rank + kStep - 1);
      auto replies = ask_calls(session, rank, last);
      if (!replies) return fail(std::move(replies.error()));
      for (auto at = rank; at <= last; ++at) {
        const bool found = add_call(session, at, std::span(*replies).subspan((at - rank) * 4, 4), batch);
        missing = found ? 0 : missing + 1;
      }
      hold_last(session, batch);
      if (auto stored = append(batch); !stored) return stored;
    }
    for (const auto& [rank, slow] : session.slow)
      leave_out("slow statements whose call is gone", slow.size());
    return {};
  }

  Result<std::vector<redis::Reply>> ask_calls(const Session& session, std::uint64_t first,
                                              std::uint64_t last) {
    redis::Pipeline pipeline;
    for (auto rank = first; rank <= last; ++rank) {
      const auto place = fmt::format("{}:{}", session.name, rank);
      pipeline.add({"HGETALL", "c:" + place});
      pipeline.add({"GET", "x:p:" + place});
      pipeline.add({"LRANGE", "x:db:" + place, "0", std::to_string(kMostDetails)});
      pipeline.add({"HGETALL", "x:io:" + place});
    }
    return source_.run(pipeline);
  }

  bool add_call(Session& session, std::uint64_t rank, std::span<const redis::Reply> parts, Batch& batch) {
    const auto fields = fields_of(parts[0]);
    if (!fields) leave_out("calls that are no hash");
    if (!fields || fields->empty()) return false;
    CallRecord record = call_of(session, rank, *fields);
    add_profile(parts[1], record);
    add_events(parts[2], session, record, batch);
    add_bodies(parts[3], record);
    if (const auto slow = session.slow.find(rank); slow != session.slow.end()) {
      counts_.slow_statements += slow->second.size();
      record.slow = std::move(slow->second);
      record.summary.has = record.summary.has | Has::kQuery;
      session.slow.erase(slow);
    }
    batch.calls.push_back(std::move(record));
    ++counts_.calls;
    return true;
  }

  CallRecord call_of(const Session& session, std::uint64_t rank, const Fields& fields) {
    auto record =
        empty_call(session, fmt::format("{}:{}:{}", rank, text_of(fields, "method"), text_of(fields, "dt")));
    auto& call = record.summary;
    call.method = text_of(fields, "method").substr(0, 1'000);
    if (call.method == "common.db.login") call.kind = CallKind::kLogin;
    if (const auto start = original_time(text_of(fields, "dt"))) {
      call.start = *start;
    } else {
      leave_out("dates that can't be read");
    }
    call.wall = time_of(fields, "tm");
    call.sql = time_of(fields, "db_tm");
    call.statements = static_cast<std::uint32_t>(count_of(fields, "db_nb"));
    call.bytes_in = count_of(fields, "req_size");
    call.bytes_out = count_of(fields, "res_size");
    if (fields.find("tm") == fields.end()) {
      call.status = CallStatus::kException;
      record.error = "unknown: the original analyzer has no end of this call";
    }
    return record;
  }

  CallRecord empty_call(const Session& session, std::string_view what) {
    CallRecord record;
    record.summary.id = hash_text(fmt::format("{}:{}:{}", database_, session.name, what));
    record.summary.database = database_;
    record.summary.session = session.id;
    record.summary.user = session.user;
    record.summary.user_id = session.user_id;
    record.summary.start = session.last;
    return record;
  }

  void add_profile(const redis::Reply& reply, CallRecord& record) {
    if (reply.is_nil()) return;
    record.exact_profile = profile_from_pstats(reply.text);
    if (!record.exact_profile) {
      leave_out("profiles that can't be read");
      return;
    }
    record.summary.has = record.summary.has | Has::kProfile;
    ++counts_.profiles;
  }

  void add_events(const redis::Reply& list, Session& session, CallRecord& record, Batch& batch) {
    if (list.is_error()) leave_out("statement lists that are no list");
    std::map<std::uint64_t, StatementTotal> totals;
    Microseconds offset{0};
    for (const auto& element : list.elements) {
      const auto fields = flat_msgpack(element.text);
      if (!fields) leave_out("statements that can't be read");
      if (!fields) continue;
      const auto table = text_of(*fields, "table");
      const auto duration = time_of(*fields, "tm");
      auto info = statement_of(text_of(*fields, "action"), table);
      record.events.push_back({info.fingerprint, offset, duration, 0, {}});
      offset += duration;
      auto& total = totals[info.fingerprint];
      total.fingerprint = info.fingerprint;
      ++total.count;
      total.time += duration;
      total.longest = std::max(total.longest, duration);
      auto& explained = session.explained[table];
      ++explained.first;
      explained.second += duration;
      if (total.count == 1) batch.statements.push_back(std::move(info));
      record.summary.most_repeated = std::max(record.summary.most_repeated, total.count);
    }
    if (!totals.empty()) record.summary.has = record.summary.has | Has::kDb;
    for (auto& [fingerprint, total] : totals) record.statements.push_back(std::move(total));
  }

  void add_bodies(const redis::Reply& reply, CallRecord& record) {
    const auto fields = fields_of(reply);
    if (!fields || fields->empty()) return;
    const auto body = [&](const std::string& name) -> std::optional<Body> {
      const auto found = fields->find(name);
      if (found == fields->end()) return std::nullopt;
      ++counts_.bodies;
      return redactor_.body(Body{found->second, found->second.size()}, kTextLimit);
    };
    record.request = body("req");
    record.response = body("res");
    if (record.request || record.response) record.summary.has = record.summary.has | Has::kIo;
  }

  /// Exchanges the call that was held back for the batch's last one.
  static void hold_last(Session& session, Batch& batch) {
    if (batch.calls.empty()) return;
    if (session.last_call) {
      batch.calls.insert(batch.calls.begin(), *std::exchange(session.last_call, std::nullopt));
    }
    session.last_call = std::move(batch.calls.back());
    batch.calls.pop_back();
  }

  Result<void> append_last(Session& session) {
    Batch batch;
    std::uint64_t unexplained = 0;
    for (const auto& [table, text] : session.table_numbers) {
      const auto explained = session.explained.find(table);
      const auto known =
          explained == session.explained.end() ? std::pair<std::uint64_t, Microseconds>{} : explained->second;
      const auto all = count_of(session.table_numbers, table);
      if (all <= known.first) continue;
      const auto time = std::max(time_of(session.table_times, table) - known.second, Microseconds{0});
      unexplained += all - known.first;
      if (session.last_call && session.known_calls == 0)
        add_remainder(*session.last_call, batch, table, all - known.first, time);
    }
    if (!session.last_call) leave_out("statements of which only the sums by table are left", unexplained);
    if (session.last_call) batch.calls.push_back(std::move(*session.last_call));
    return append(batch);
  }

  static void add_remainder(CallRecord& record, Batch& batch, const std::string& table, std::uint64_t number,
                            Microseconds time) {
    auto info = statement_of("other", table);
    record.statements.push_back(
        {info.fingerprint, static_cast<std::uint32_t>(number), time, Microseconds{0}, 0, {}});
    batch.statements.push_back(std::move(info));
  }

  Result<void> append(Batch& batch) {
    if (batch.calls.empty() && batch.statements.empty()) return {};
    auto done = target_.append(batch);
    batch = {};
    report();
    return done;
  }

  redis::Connection source_;
  std::string database_;
  Store& target_;
  const ImportProgress& progress_;
  Redactor redactor_;
  ImportCounts counts_;
  std::uint64_t total_ = 0;
};

}  // namespace

Result<ImportCounts> import_original(std::string_view url, const std::string& database, Store& target,
                                     const ImportProgress& progress) {
  auto parsed = redis::parse_url(url);
  if (!parsed) return fail(std::move(parsed.error()));
  return Importer(std::move(*parsed), database, target, progress).run();
}

}  // namespace headroom::perf
