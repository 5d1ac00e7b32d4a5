#include "perf/store_conformance.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/glob.hpp"
#include "perf/call_order.hpp"
#include "perf/record_codec.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

UtcTime at(std::int64_t second) {
  return UtcTime(std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}) + std::chrono::seconds(second);
}

Filter in_session(std::string session) {
  Filter filter;
  filter.session = std::move(session);
  return filter;
}

StatementInfo info_of(std::uint64_t fingerprint, std::vector<std::string> tables) {
  return {fingerprint, sql::StatementKind::kSelect, std::move(tables), fmt::format("SELECT {}", fingerprint)};
}

CallRecord with_statement(CallRecord record, std::uint64_t fingerprint, std::uint32_t count,
                          std::int64_t time) {
  record.statements.push_back({fingerprint, count, Microseconds(time), Microseconds(time), 1, {}});
  return record;
}

MethodCount count_of(std::string method, std::int64_t hour, std::uint64_t count) {
  MethodCount one;
  one.database = "db";
  one.method = std::move(method);
  one.hour = hour;
  one.count = count;
  one.errors = 1;
  one.time = Microseconds(100 * static_cast<std::int64_t>(count));
  one.sql = Microseconds(10);
  one.statements = 3;
  for (std::uint64_t i = 0; i < count; ++i) one.histogram.add(Microseconds(100));
  return one;
}

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

// Random data and the naive reference
// -----------------------------------------------------------------------------

struct Lcg {
  std::mt19937_64 engine;
  std::uint64_t below(std::uint64_t bound) { return engine() % bound; }
};

CallRecord random_call(Lcg& random, int number) {
  static constexpr std::array<const char*, 4> kMethods = {"model.sale.sale.read", "model.sale.sale.write",
                                                          "model.res.user.read", "common.db.login"};
  CallRecord record = plain_call(fmt::format("call{}", number), static_cast<std::int64_t>(random.below(1000)),
                                 fmt::format("s{}", random.below(3)));
  record.summary.database = random.below(2) == 0 ? "one" : "two";
  record.summary.method = kMethods[random.below(kMethods.size())];
  record.summary.user_id = static_cast<std::int64_t>(random.below(3)) + 1;
  record.summary.user = fmt::format("user{}", *record.summary.user_id);
  record.summary.wall = Microseconds(static_cast<std::int64_t>(random.below(10000)));
  record.summary.has = static_cast<Has>(random.below(64));
  record.summary.most_repeated = static_cast<std::uint32_t>(random.below(50));
  for (std::uint64_t i = random.below(5); i > 0; --i) {
    record = with_statement(std::move(record), 1000 + random.below(6),
                            static_cast<std::uint32_t>(1 + random.below(9)),
                            static_cast<std::int64_t>(random.below(500)));
  }
  return record;
}

/// The numbers that calls can be ordered by; few values, so that many calls are equal.
CallRecord with_random_figures(CallRecord record, Lcg& random) {
  CallSummary& call = record.summary;
  const auto few = [&random] { return static_cast<std::int64_t>(random.below(12)); };
  call.status = static_cast<CallStatus>(random.below(7));
  call.kind = static_cast<CallKind>(random.below(9));
  call.cpu.reset();
  if (random.below(3) != 0) call.cpu = Microseconds(few());
  call.connection_wait = Microseconds(few());
  call.lock_wait = Microseconds(few());
  call.commit = Microseconds(few());
  call.sql = Microseconds(few());
  call.statements = static_cast<std::uint32_t>(few());
  call.rows = few();
  call.bytes_in = random.below(12);
  call.bytes_out = random.below(12);
  call.attempts = static_cast<std::uint32_t>(few());
  call.http_status = static_cast<int>(few());
  if (random.below(4) == 0) call.user.clear();
  if (random.below(4) == 0) call.user_id.reset();
  return record;
}

std::vector<std::string> ids_of(const CallPage& page) {
  std::vector<std::string> found;
  for (const auto& call : page.calls) found.push_back(call.id);
  return found;
}

std::vector<StatementInfo> random_infos() {
  return {info_of(1000, {"a"}),      info_of(1001, {"b", "a"}), info_of(1002, {"c"}),
          info_of(1003, {"c", "b"}), info_of(1004, {}),         info_of(1005, {"d"})};
}

Filter random_filter(Lcg& random) {
  Filter filter;
  if (random.below(3) == 0) filter.database = random.below(2) == 0 ? "one" : "two";
  if (random.below(4) == 0) filter.databases = random.below(2) == 0 ? "*n*" : "tw?";
  if (random.below(2) == 0) filter.session = fmt::format("s{}", random.below(4));
  if (random.below(4) == 0) filter.user = random.below(2) == 0 ? "user2" : "2";
  if (random.below(3) == 0) filter.method = random.below(2) == 0 ? "model.*.read" : "common.db.login";
  if (random.below(3) == 0) filter.since = at(static_cast<std::int64_t>(random.below(1000)));
  if (random.below(3) == 0) filter.until = at(static_cast<std::int64_t>(random.below(1000)));
  if (random.below(4) == 0) filter.has = Has::kProfile | Has::kIo;
  if (random.below(4) == 0) filter.most_repeated_at_least = 25;
  return filter;
}

bool passes(const CallSummary& call, const Filter& filter) {
  const auto is_user = [&] {
    return filter.user == call.user || filter.user == fmt::to_string(*call.user_id);
  };
  return (filter.database.empty() || filter.database == call.database) &&
         (filter.databases.empty() || base::glob_match(filter.databases, call.database)) &&
         (filter.session.empty() || filter.session == call.session) && (filter.user.empty() || is_user()) &&
         (filter.method.empty() || base::glob_match(filter.method, call.method)) &&
         (!filter.since || call.start >= *filter.since) && (!filter.until || call.start < *filter.until) &&
         includes(call.has, filter.has) && call.most_repeated >= filter.most_repeated_at_least;
}

// What samples keep of a call, as text.

std::string text_of(std::vector<std::string> parts, const std::string& method, const CallSample& call) {
  std::sort(parts.begin(), parts.end());
  return fmt::format("{} {} {} {} {}: {}", method, call.start.time_since_epoch().count(), call.wall.count(),
                     call.sql.count(), call.statements, fmt::join(parts, " "));
}

std::string part_text(std::uint64_t fingerprint, std::uint32_t count, Microseconds time,
                      const std::vector<std::string>& tables) {
  return fmt::format("{}x{}={}[{}]", fingerprint, count, time.count(), fmt::join(tables, ","));
}

std::vector<std::string> texts_of(const CallSamples& samples) {
  std::vector<std::string> texts;
  for (const auto& call : samples.calls) {
    std::vector<std::string> parts;
    for (const auto& part : samples.parts_of(call)) {
      const auto& statement = samples.statements.at(part.statement);
      parts.push_back(part_text(statement.fingerprint, part.count, part.time, statement.tables));
    }
    texts.push_back(text_of(parts, samples.methods.at(call.method), call));
  }
  return texts;
}

std::vector<std::string> texts_of(const Batch& batch) {
  std::map<std::uint64_t, std::vector<std::string>> tables;
  for (const auto& info : batch.statements) tables[info.fingerprint] = info.tables;
  std::vector<std::string> texts;
  for (const auto& record : batch.calls) {
    const auto& summary = record.summary;
    std::vector<std::string> parts;
    for (const auto& one : record.statements)
      parts.push_back(part_text(one.fingerprint, one.count, one.time, tables[one.fingerprint]));
    texts.push_back(text_of(parts, summary.method,
                            {summary.start, summary.wall, summary.sql, 0, summary.statements, 0, 0}));
  }
  return texts;
}

using NamedTotals = std::map<std::string, std::pair<std::uint64_t, std::int64_t>>;

NamedTotals naive_totals(const std::vector<CallRecord>& calls, const Filter& filter, GroupBy group) {
  NamedTotals totals;
  const auto add = [&](const std::string& name, std::uint64_t number, Microseconds time) {
    totals[name].first += number;
    totals[name].second += time.count();
  };
  const auto infos = random_infos();
  for (const auto& call : calls) {
    if (!passes(call.summary, filter)) continue;
    if (group == GroupBy::kMethod) add(call.summary.method, 1, call.summary.wall);
    for (const auto& one : call.statements) {
      const auto& info = infos[one.fingerprint - 1000];
      if (group == GroupBy::kFingerprint) add(info.normalized, one.count, one.time);
      if (group == GroupBy::kTable) {
        for (const auto& table : info.tables) add(table, one.count, one.time);
      }
    }
  }
  return totals;
}

NamedTotals totals_of(const std::vector<TotalRow>& rows) {
  NamedTotals totals;
  for (const auto& row : rows) {
    EXPECT_TRUE(totals.emplace(row.name, std::pair{row.number, row.time.count()}).second)
        << row.name << " twice";
  }
  return totals;
}

std::vector<std::string> naive_ids(const std::vector<CallRecord>& calls, const Filter& filter) {
  std::vector<std::tuple<UtcTime, std::string>> found;
  for (const auto& call : calls) {
    if (passes(call.summary, filter)) found.emplace_back(call.summary.start, call.summary.id);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> ids;
  for (auto& [start, id] : found) ids.push_back(id);
  return ids;
}

/// Runs `work` in `count` processes of their own and waits for them. Returns how many succeeded.
int in_processes(int count, const std::function<bool(int)>& work) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work(i) ? 0 : 1);
    children.push_back(child);
  }
  int succeeded = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    succeeded += WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 1 : 0;
  }
  return succeeded;
}

}  // namespace

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "headroom-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

CallRecord plain_call(const std::string& id, std::int64_t second, const std::string& session) {
  CallRecord record;
  record.summary.id = id;
  record.summary.database = "db";
  record.summary.session = session;
  record.summary.method = "model.res.user.read";
  record.summary.user_id = 1;
  record.summary.user = "admin";
  record.summary.start = at(second);
  record.summary.wall = Microseconds(1000);
  return record;
}

CallRecord full_record(const std::string& id) {
  CallRecord record = plain_call(id, 1);
  auto& call = record.summary;
  call.kind = CallKind::kReport;
  call.status = CallStatus::kException;
  call.cpu = Microseconds(700);
  call.connection_wait = Microseconds(11);
  call.lock_wait = Microseconds(12);
  call.commit = Microseconds(13);
  call.sql = Microseconds(400);
  call.statements = 7;
  call.most_repeated = 5;
  call.rows = 99;
  call.bytes_in = 1234;
  call.bytes_out = 5ULL << 33;
  call.attempts = 2;
  call.http_status = 500;
  call.has = Has::kProfile | Has::kSample | Has::kDb | Has::kQuery | Has::kIo | Has::kConflict;
  record.error = "ValueError: caf\u00e9";
  record.address = "192.0.2.7";
  record.host = "app1";
  record.process = 4711;
  record.thread = 1ULL << 47;
  record.parent = "parent";
  record.cache_hits = 3;
  record.cache_misses = 4;
  record.cache_clears = 5;
  record.memory_growth = -4096;
  record.dropped_details = 6;
  record.attempts = {{Microseconds(10), 3, "OperationalError: could not serialize"},
                     {Microseconds(20), 4, ""}};
  record.statements = {{77, 5, Microseconds(300), Microseconds(90), 60, "a.py:1 f\nb.py:2 g"},
                       {(1ULL << 63) - 1, 2, Microseconds(100), Microseconds(60), -1, ""}};
  record.events = {{77, Microseconds(5), Microseconds(6), 7, "[1,\"x\"]"},
                   {78, Microseconds(8), Microseconds(9), 0, ""}};
  record.slow = {{79, Microseconds(1), Microseconds(2), 3, "SELECT 'a'", "c.py:3 h"}};
  record.exact_profile = Profile{Profile::Kind::kExact,
                                 {{"sale.sale:read", "model.py", 7}, {"g", "model.py", 9}},
                                 {{0, 0, 1, base::Nanoseconds(5), base::Nanoseconds(0)},
                                  {0, 0, 2, base::Nanoseconds(6), base::Nanoseconds(0)},
                                  {1, 1, 3, base::Nanoseconds(7), base::Nanoseconds(0)}},
                                 0,
                                 0,
                                 8};
  record.sampled_profile = Profile{Profile::Kind::kSampled,
                                   {{"f", "x.py", 1}},
                                   {{0, 0, 1, base::Nanoseconds(5), base::Nanoseconds(4)}},
                                   100,
                                   2,
                                   0};
  record.request = Body{std::string(5000, 'r') + "\u20ac", 70000, true};
  record.response = Body{"{}", 2};
  return record;
}

std::string text_of(const CallRecord& record) {
  return encode(record);
}

OpenStore StoreConformance::open(OpenMode mode) const {
  return value_of(open_store(place_->url(), mode));
}

void StoreConformance::append(std::vector<CallRecord> calls, std::vector<StatementInfo> statements) {
  Batch batch;
  batch.calls = std::move(calls);
  batch.statements = std::move(statements);
  const auto appended = store().append(batch);
  ASSERT_TRUE(appended) << appended.error().message();
}

CallPage StoreConformance::calls(const Filter& filter, const Page& page) {
  return value_of(store().calls(filter, page));
}

std::vector<std::string> StoreConformance::ids(const Filter& filter, const Page& page) {
  std::vector<std::string> found;
  for (const auto& call : calls(filter, page).calls) found.push_back(call.id);
  return found;
}

// The suite
// -------------------------------------------------------------------------------------------------------

TEST_P(StoreConformance, a_new_store_answers_every_question_with_nothing) {
  EXPECT_THAT(value_of(store().sessions({})), IsEmpty());
  EXPECT_THAT(value_of(store().totals({}, GroupBy::kTable)), IsEmpty());
  EXPECT_EQ(calls({}).total, 0U);
  EXPECT_THAT(value_of(store().load({"x"})).calls, IsEmpty());
  EXPECT_THAT(value_of(store().counts({})), IsEmpty());
  EXPECT_THAT(value_of(control().rules(99)).rules, IsEmpty());
  const auto info = value_of(store().info());
  EXPECT_EQ(info.calls, 0U);
  EXPECT_FALSE(info.oldest);
  EXPECT_EQ(info.kind, GetParam().name);
  EXPECT_GE(info.schema, 1U);
}

TEST_P(StoreConformance, a_record_comes_back_with_every_field) {
  auto record = full_record("full");
  append({record}, {info_of(77, {"t"}), info_of(78, {"u", "t"}), info_of(79, {})});
  const auto loaded = value_of(store().load({"full"}));
  ASSERT_THAT(loaded.calls, SizeIs(1));
  record.summary.rank = 1;
  EXPECT_EQ(text_of(loaded.calls[0]), text_of(record));
  EXPECT_THAT(loaded.counts, IsEmpty());
  EXPECT_FALSE(loaded.process);
  std::map<std::uint64_t, StatementInfo> infos;
  for (const auto& info : loaded.statements) infos[info.fingerprint] = info;
  ASSERT_THAT(infos, SizeIs(3));
  EXPECT_THAT(infos[78].tables, ElementsAre("u", "t"));
  EXPECT_EQ(infos[78].kind, sql::StatementKind::kSelect);
  EXPECT_EQ(infos[79].normalized, "SELECT 79");
}

TEST_P(StoreConformance, a_summary_in_a_page_equals_that_of_the_record) {
  append({full_record("full")});
  const auto page = calls({});
  ASSERT_THAT(page.calls, SizeIs(1));
  EXPECT_EQ(encode(page.calls[0]), encode(value_of(store().load({"full"})).calls.at(0).summary));
}

TEST_P(StoreConformance, records_are_loaded_in_the_order_asked_and_unknown_ids_left_out) {
  append({plain_call("a", 1), plain_call("b", 2), plain_call("c", 3)});
  const auto loaded = value_of(store().load({"c", "nobody", "a", "b"}));
  std::vector<std::string> order;
  for (const auto& record : loaded.calls) order.push_back(record.summary.id);
  EXPECT_THAT(order, ElementsAre("c", "a", "b"));
}

TEST_P(StoreConformance, a_batch_that_is_sent_twice_is_stored_once) {
  const auto call = with_statement(plain_call("a", 1), 5, 3, 100);
  append({call, call}, {info_of(5, {"t"})});
  append({call, plain_call("b", 2)});
  EXPECT_THAT(ids({}), ElementsAre("a", "b"));
  const auto totals = totals_of(value_of(store().totals({}, GroupBy::kTable)));
  EXPECT_EQ(totals.at("t"), (std::pair<std::uint64_t, std::int64_t>{3, 100}));
  EXPECT_EQ(value_of(store().sessions({})).at(0).calls, 2U);
}

TEST_P(StoreConformance, ranks_count_the_calls_of_a_session_in_order_of_arrival) {
  auto other = plain_call("x", 1);
  other.summary.database = "other";
  append({plain_call("late", 9), other, plain_call("early", 1)});
  append({plain_call("last", 5), plain_call("s2", 1, "s2")});
  std::map<std::string, std::uint64_t> ranks;
  for (const auto& call : calls({}).calls) ranks[call.id] = call.rank;
  EXPECT_EQ(ranks, (std::map<std::string, std::uint64_t>{
                       {"late", 1}, {"early", 2}, {"last", 3}, {"x", 1}, {"s2", 1}}));
  Filter filter = in_session("s1");
  filter.database = "db";
  filter.rank = 2;
  EXPECT_THAT(ids(filter), ElementsAre("early"));
}

TEST_P(StoreConformance, calls_come_by_start_and_then_by_rank) {
  append({plain_call("c", 7), plain_call("a", 3), plain_call("d", 7), plain_call("b", 5)});
  EXPECT_THAT(ids(in_session("s1")), ElementsAre("a", "b", "c", "d"));
}

TEST_P(StoreConformance, pages_cut_the_list_from_both_ends_and_the_total_does_not_change) {
  std::vector<CallRecord> batch;
  for (int i = 0; i < 25; ++i) batch.push_back(plain_call(fmt::format("c{:02}", i), i));
  append(batch);
  EXPECT_THAT(ids(in_session("s1"), {0, 2}), ElementsAre("c00", "c01"));
  EXPECT_THAT(ids(in_session("s1"), {11, 3}), ElementsAre("c11", "c12", "c13"));
  EXPECT_THAT(ids(in_session("s1"), {23, 10}), ElementsAre("c23", "c24"));
  EXPECT_THAT(ids(in_session("s1"), {25, 10}), IsEmpty());
  EXPECT_THAT(ids({}, {24, 1}), ElementsAre("c24"));
  EXPECT_EQ(calls(in_session("s1"), {11, 3}).total, 25U);
  EXPECT_EQ(calls(in_session("s1"), {1000, 3}).total, 25U);
}

TEST_P(StoreConformance, a_page_without_limit_holds_a_thousand) {
  std::vector<CallRecord> batch;
  for (int i = 0; i < 1003; ++i) batch.push_back(plain_call(fmt::format("c{}", i), i));
  append(batch);
  const auto page = calls({});
  EXPECT_THAT(page.calls, SizeIs(1000));
  EXPECT_EQ(page.total, 1003U);
}

TEST_P(StoreConformance, sessions_are_listed_newest_last_call_first) {
  auto other = plain_call("o", 50, "s1");
  other.summary.database = "other";
  append({plain_call("a", 10, "s1"), plain_call("b", 90, "s2"), plain_call("c", 30, "s1"), other});
  const auto rows = value_of(store().sessions({}));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].session, "s2");
  EXPECT_EQ(rows[1].database, "other");
  EXPECT_EQ(rows[2].session, "s1");
  EXPECT_EQ(rows[2].user, "admin");
  EXPECT_EQ(rows[2].user_id, 1);
  EXPECT_EQ(rows[2].first, at(10));
  EXPECT_EQ(rows[2].last, at(30));
  EXPECT_EQ(rows[2].calls, 2U);
  EXPECT_EQ(rows[2].time, Microseconds(2000));
}

TEST_P(StoreConformance, sessions_are_filtered_by_database_session_user_and_overlap) {
  auto other = plain_call("o", 50, "s3");
  other.summary.database = "other";
  other.summary.user_id = 42;
  other.summary.user = "42";
  append({plain_call("a", 10, "s1"), plain_call("b", 20, "s1"), plain_call("c", 30, "s2"), other});
  const auto names = [&](const Filter& filter) {
    std::vector<std::string> found;
    for (const auto& row : value_of(store().sessions(filter))) found.push_back(row.session);
    return found;
  };
  Filter filter;
  filter.database = "other";
  EXPECT_THAT(names(filter), ElementsAre("s3"));
  EXPECT_THAT(names(in_session("s2")), ElementsAre("s2"));
  filter = {};
  filter.user = "42";
  EXPECT_THAT(names(filter), ElementsAre("s3"));
  filter.user = "admin";
  EXPECT_THAT(names(filter), UnorderedElementsAre("s1", "s2"));
  filter = {};
  filter.since = at(15);
  filter.until = at(30);
  EXPECT_THAT(names(filter), ElementsAre("s1"));
  filter.until = at(31);
  EXPECT_THAT(names(filter), UnorderedElementsAre("s1", "s2"));
}

TEST_P(StoreConformance, a_session_shows_its_user_once_one_call_knows_it) {
  auto unknown = plain_call("a", 1);
  unknown.summary.user.clear();
  unknown.summary.user_id.reset();
  append({unknown});
  EXPECT_EQ(value_of(store().sessions({})).at(0).user, "");
  EXPECT_FALSE(value_of(store().sessions({})).at(0).user_id);
  append({plain_call("b", 2)});
  unknown.summary.id = "c";
  append({unknown});
  EXPECT_EQ(value_of(store().sessions({})).at(0).user, "admin");
}

TEST_P(StoreConformance, a_session_keeps_its_user_when_a_task_inside_a_call_runs_as_another) {
  auto task = plain_call("task", 2);
  task.parent = "a";
  task.summary.user.clear();
  task.summary.user_id = 0;
  append({plain_call("a", 1), task});
  const auto row = value_of(store().sessions({})).at(0);
  EXPECT_EQ(row.user, "admin");
  EXPECT_EQ(row.calls, 2U);
}

TEST_P(StoreConformance, every_filter_restricts_calls_and_totals) {
  auto match = with_statement(plain_call("match", 10), 5, 2, 30);
  match.summary.database = "one";
  match.summary.method = "model.sale.sale.read";
  match.summary.user_id = 7;
  match.summary.user = "eve";
  match.summary.has = Has::kIo | Has::kDb;
  match.summary.most_repeated = 9;
  append({match, plain_call("other", 20, "s2")}, {info_of(5, {"t"})});
  const auto only_match = [&](auto set) {
    Filter filter;
    set(filter);
    EXPECT_THAT(ids(filter), ElementsAre("match"));
    EXPECT_EQ(calls(filter).total, 1U);
    EXPECT_THAT(value_of(store().totals(filter, GroupBy::kMethod)), SizeIs(1));
    EXPECT_THAT(value_of(store().totals(filter, GroupBy::kFingerprint)), SizeIs(1));
  };
  only_match([](Filter& filter) { filter.database = "one"; });
  only_match([](Filter& filter) { filter.session = "s1"; });
  only_match([](Filter& filter) { filter.user = "eve"; });
  only_match([](Filter& filter) { filter.user = "7"; });
  only_match([](Filter& filter) { filter.method = "model.sale.*"; });
  only_match([](Filter& filter) { filter.method = "model.sale.sale.read"; });
  only_match([](Filter& filter) { filter.until = at(20); });
  only_match([](Filter& filter) {
    filter.since = at(10);
    filter.until = at(11);
  });
  only_match([](Filter& filter) { filter.has = Has::kIo; });
  only_match([](Filter& filter) { filter.most_repeated_at_least = 9; });
  Filter nothing;
  nothing.has = Has::kIo | Has::kProfile;
  EXPECT_EQ(calls(nothing).total, 0U);
  nothing = {};
  nothing.method = "no.such.method";
  EXPECT_THAT(value_of(store().totals(nothing, GroupBy::kMethod)), IsEmpty());
  nothing = in_session("nobody");
  EXPECT_EQ(calls(nothing).total, 0U);
}

TEST_P(StoreConformance, random_calls_give_what_a_naive_recount_gives) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Lcg random{std::mt19937_64(seed)};
  std::vector<CallRecord> all;
  for (int i = 0; i < 300; ++i) all.push_back(random_call(random, i));
  for (std::size_t from = 0; from < all.size(); from += 50) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(from);
    append({begin, begin + 50}, random_infos());
  }
  for (int round = 0; round < 60; ++round) {
    const auto filter = random_filter(random);
    const auto expected = naive_ids(all, filter);
    const auto page = calls(filter);
    EXPECT_EQ(page.total, expected.size());
    std::vector<std::string> found;
    for (const auto& call : page.calls) found.push_back(call.id);
    EXPECT_TRUE(std::is_sorted(page.calls.begin(), page.calls.end(), [](const auto& a, const auto& b) {
      return std::pair(a.start, a.rank) < std::pair(b.start, b.rank);
    }));
    EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected));
    for (const auto group : {GroupBy::kMethod, GroupBy::kTable, GroupBy::kFingerprint}) {
      EXPECT_EQ(totals_of(value_of(store().totals(filter, group))), naive_totals(all, filter, group));
    }
  }
}

TEST_P(StoreConformance, samples_are_the_calls_of_the_filter_with_their_statements) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Lcg random{std::mt19937_64(seed)};
  std::vector<CallRecord> all;
  for (int i = 0; i < 200; ++i) all.push_back(random_call(random, i));
  append(all, random_infos());
  for (int round = 0; round < 30; ++round) {
    const auto filter = random_filter(random);
    const auto most = 1 + random.below(100);
    const auto samples = value_of(store().samples(filter, most));
    EXPECT_EQ(samples.complete, calls(filter).total <= most);
    EXPECT_EQ(texts_of(samples), texts_of(value_of(store().load(ids(filter, {0, most})))));
  }
}

TEST_P(StoreConformance, a_glob_means_databases_by_pattern_or_by_their_very_name) {
  std::vector<MethodCount> counts;
  for (const char* database : {"shop_a", "shop_b", "test", "[ab]", "a"}) {
    auto call = plain_call(database, 1);
    call.summary.database = database;
    counts.push_back(count_of("m", 500000, 1));
    counts.back().database = database;
    append({call});
  }
  Batch batch;
  batch.counts = counts;
  ASSERT_TRUE(store().append(batch));
  const auto found = [&](const char* glob) {
    Filter filter;
    filter.databases = glob;
    const auto all = ids(filter);
    EXPECT_THAT(value_of(store().sessions(filter)), SizeIs(all.size()));
    EXPECT_THAT(value_of(store().counts(filter)), SizeIs(all.size()));
    EXPECT_EQ(calls(filter, {0, 1}).total, all.size());
    std::uint64_t number = 0;
    for (const auto& row : value_of(store().totals(filter, GroupBy::kMethod))) number += row.number;
    EXPECT_EQ(number, all.size());
    return std::set<std::string>(all.begin(), all.end());
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(found("shop_*"), (Names{"shop_a", "shop_b"}));
  EXPECT_EQ(found("[ab]"), (Names{"[ab]", "a"}));
  EXPECT_EQ(found("test"), Names{"test"});
  EXPECT_EQ(found("x*"), Names{});
  Filter both;
  both.database = "test";
  both.databases = "shop_*";
  EXPECT_THAT(ids(both), testing::IsEmpty());
  EXPECT_EQ(calls(both).total, 0U);
  EXPECT_THAT(value_of(store().totals(both, GroupBy::kMethod)), testing::IsEmpty());
  EXPECT_THAT(value_of(store().counts(both)), testing::IsEmpty());
}

TEST_P(StoreConformance, pages_put_together_are_the_whole_list) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Lcg random{std::mt19937_64(seed)};
  std::vector<CallRecord> all;
  for (int i = 0; i < 120; ++i) all.push_back(random_call(random, i));
  append(all);
  for (int round = 0; round < 8; ++round) {
    const auto filter = random_filter(random);
    const auto whole = ids(filter);
    std::vector<std::string> parts;
    for (std::uint64_t offset = 0; offset < whole.size(); offset += 7) {
      for (auto& id : ids(filter, {offset, 7})) parts.push_back(std::move(id));
    }
    EXPECT_EQ(parts, whole);
  }
}

TEST_P(StoreConformance, calls_come_in_any_order_that_is_asked_for) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Lcg random{std::mt19937_64(seed)};
  std::vector<CallRecord> all;
  for (int i = 0; i < 150; ++i) all.push_back(with_random_figures(random_call(random, i), random));
  append(all);
  constexpr auto kKeys = static_cast<std::uint64_t>(CallKey::kHttpStatus) + 1;
  for (int round = 0; round < 80; ++round) {
    const auto filter = random_filter(random);
    const CallOrder order{static_cast<CallKey>(random.below(kKeys)), random.below(2) == 0};
    SCOPED_TRACE(fmt::format("key {}{}", order.descending ? "-" : "", static_cast<int>(order.key)));
    auto expected = calls(filter);
    sort_page(expected.calls, order, {});
    std::vector<std::string> found;
    while (found.size() < expected.total) {
      const auto page = value_of(store().calls(filter, {found.size(), 7}, order));
      ASSERT_THAT(page.calls, Not(IsEmpty()));
      EXPECT_EQ(page.total, expected.total);
      for (const auto& call : page.calls) found.push_back(call.id);
    }
    EXPECT_EQ(found, ids_of(expected));
    EXPECT_THAT(value_of(store().calls(filter, {expected.total, 7}, order)).calls, IsEmpty());
  }
}

TEST_P(StoreConformance, an_order_holds_what_was_written_and_pruned_since_its_last_page) {
  const CallOrder slowest{CallKey::kWall, true};
  const auto with_wall = [](const std::string& id, std::int64_t second, std::int64_t wall) {
    auto call = plain_call(id, second);
    call.summary.wall = Microseconds(wall);
    return call;
  };
  const auto found = [&] { return ids_of(value_of(store().calls(in_session("s1"), {}, slowest))); };
  append({with_wall("a", 1, 10), with_wall("b", 2000, 30)});
  EXPECT_THAT(found(), ElementsAre("b", "a"));
  append({with_wall("c", 3000, 20)});
  EXPECT_THAT(found(), ElementsAre("b", "c", "a"));
  auto other = open(OpenMode::kWrite);
  Batch batch;
  batch.calls = {with_wall("d", 4000, 40)};
  ASSERT_TRUE(other.store->append(batch));
  EXPECT_THAT(found(), ElementsAre("d", "b", "c", "a"));
  Retention retention;
  retention.age = std::chrono::seconds(1500);
  ASSERT_TRUE(control().prune(retention, at(4000)));
  EXPECT_THAT(found(), ElementsAre("d", "c"));
}

TEST_P(StoreConformance, a_statement_counts_at_every_table_and_keeps_its_fingerprint) {
  append({with_statement(with_statement(plain_call("a", 1), 5, 2, 30), 6, 1, 7)},
         {info_of(5, {"t", "u"}), info_of(6, {"u"})});
  EXPECT_EQ(totals_of(value_of(store().totals({}, GroupBy::kTable))),
            (NamedTotals{{"t", {2, 30}}, {"u", {3, 37}}}));
  for (const auto& row : value_of(store().totals({}, GroupBy::kFingerprint))) {
    EXPECT_EQ(row.name, fmt::format("SELECT {}", row.fingerprint));
  }
}

TEST_P(StoreConformance, a_statement_may_be_known_later_than_its_calls) {
  append({with_statement(plain_call("a", 1), 5, 2, 30)});
  const auto before = value_of(store().totals({}, GroupBy::kFingerprint));
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_EQ(before[0].fingerprint, 5U);
  append({}, {info_of(5, {"t"})});
  auto changed = info_of(5, {"other"});
  append({}, {changed});
  EXPECT_EQ(totals_of(value_of(store().totals({}, GroupBy::kTable))), (NamedTotals{{"t", {2, 30}}}));
}

TEST_P(StoreConformance, counts_of_the_same_hour_are_added_up) {
  Batch batch;
  batch.counts = {count_of("m", 500000, 2), count_of("m", 500001, 1), count_of("n", 500000, 4)};
  ASSERT_TRUE(store().append(batch));
  batch.counts = {count_of("m", 500000, 3)};
  ASSERT_TRUE(store().append(batch));
  Filter filter;
  filter.method = "m";
  filter.until = UtcTime(std::chrono::hours(500001));
  const auto counts = value_of(store().counts(filter));
  ASSERT_THAT(counts, SizeIs(1));
  EXPECT_EQ(counts[0].count, 5U);
  EXPECT_EQ(counts[0].errors, 2U);
  EXPECT_EQ(counts[0].time, Microseconds(500));
  EXPECT_EQ(counts[0].sql, Microseconds(20));
  EXPECT_EQ(counts[0].statements, 6U);
  EXPECT_EQ(counts[0].histogram.count(), 5U);
  EXPECT_EQ(counts[0].histogram.longest(), Microseconds(100));
  EXPECT_EQ(counts[0].histogram.quantile(0.99), Microseconds(100));
  EXPECT_EQ(counts[0].hour, 500000);
  filter = {};
  filter.since = UtcTime(std::chrono::hours(500001));
  EXPECT_THAT(value_of(store().counts(filter)), SizeIs(1));
  filter = {};
  filter.database = "nobody";
  EXPECT_THAT(value_of(store().counts(filter)), IsEmpty());
}

TEST_P(StoreConformance, counts_keep_databases_and_kinds_apart) {
  Batch batch;
  batch.counts = {count_of("m", 500000, 1), count_of("m", 500000, 1), count_of("m", 500000, 1)};
  batch.counts[1].database = "other";
  batch.counts[2].kind = CallKind::kBus;
  ASSERT_TRUE(store().append(batch));
  EXPECT_THAT(value_of(store().counts({})), SizeIs(3));
}

TEST_P(StoreConformance, the_newest_entry_of_a_process_replaces_older_ones) {
  const auto now = base::utc_now();
  ProcessInfo process{"app1", 7, "uwsgi", "1.0", now, now, 10, 5, 1, 2, "oops", 3, {}};
  process.rules.resize(1);
  process.rules[0].methods = {"model.sale.*"};
  const auto put = [&](UtcTime seen, std::uint64_t number) {
    Batch batch;
    process.seen = seen;
    process.calls = number;
    batch.process = process;
    ASSERT_TRUE(store().append(batch));
  };
  put(now, 20);
  put(now - std::chrono::minutes(1), 10);
  process.process = 8;
  put(now - std::chrono::hours(2), 1);
  process.process = 9;
  put(now + std::chrono::seconds(1), 30);
  const auto processes = value_of(store().info()).processes;
  ASSERT_THAT(processes, SizeIs(2));
  EXPECT_EQ(processes[0].process, 9);
  EXPECT_EQ(processes[1].calls, 20U);
  EXPECT_EQ(processes[1].last_error, "oops");
  EXPECT_EQ(processes[1].rules_version, 3U);
  ASSERT_THAT(processes[1].rules, SizeIs(1));
  EXPECT_EQ(processes[1].rules[0].methods, std::vector<std::string>{"model.sale.*"});
}

TEST_P(StoreConformance, a_process_that_has_ended_is_forgotten_but_not_a_later_one_of_its_number) {
  const auto now = base::utc_now();
  Batch batch;
  const auto put = [&](UtcTime seen, bool ended) {
    batch.process.emplace();
    batch.process->host = "app1";
    batch.process->process = 7;
    batch.process->seen = seen;
    batch.process->ended = ended;
    ASSERT_TRUE(store().append(batch));
  };
  put(now, false);
  put(now - std::chrono::seconds(1), true);
  EXPECT_THAT(value_of(store().info()).processes, SizeIs(1));
  put(now + std::chrono::seconds(1), true);
  EXPECT_THAT(value_of(store().info()).processes, IsEmpty());
}

TEST_P(StoreConformance, info_tells_how_much_there_is_since_when) {
  append({plain_call("b", 20), plain_call("a", 10)});
  const auto info = value_of(store().info());
  EXPECT_EQ(info.calls, 2U);
  EXPECT_EQ(info.oldest, at(10));
  EXPECT_GT(info.bytes, 0U);
  EXPECT_EQ(info.url, without_password(url()));
}

TEST_P(StoreConformance, rules_get_ids_and_every_change_a_new_version) {
  Rule rule;
  rule.users = {UserPattern::parse("admin"), UserPattern::parse("login:42")};
  rule.methods = {"model.sale.*"};
  rule.query = Microseconds(5000);
  rule.expires = at(100);
  rule.created = at(1);
  rule.author = "root";
  const auto first = value_of(control().rules(0)).version;
  const auto id = value_of(control().add_rule(rule));
  const auto second = value_of(control().add_rule(Rule{}));
  EXPECT_NE(id, second);
  const auto set = value_of(control().rules(first));
  EXPECT_GT(set.version, first);
  ASSERT_THAT(set.rules, SizeIs(2));
  rule.id = id;
  EXPECT_EQ(set.rules[0], rule) << "expiry is the reader's business: " << to_json(set.rules[0]);
  EXPECT_THAT(value_of(control().rules(set.version)).rules, IsEmpty());
  ASSERT_TRUE(control().remove_rule(id));
  const auto rest = value_of(control().rules(set.version));
  EXPECT_GT(rest.version, set.version);
  ASSERT_THAT(rest.rules, SizeIs(1));
  EXPECT_EQ(rest.rules[0].id, second);
}

TEST_P(StoreConformance, removing_a_rule_that_is_not_there_is_not_found) {
  const auto before = value_of(control().rules(0)).version;
  for (const char* id : {"r99", "", "config", "r", "99"}) {
    const auto removed = control().remove_rule(id);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code(), ErrorCode::kNotFound);
  }
  EXPECT_EQ(value_of(control().rules(0)).version, before);
}

TEST_P(StoreConformance, a_rule_is_seen_by_another_connection) {
  auto other = open(OpenMode::kRead);
  const auto before = value_of(other.control->rules(0)).version;
  ASSERT_TRUE(control().add_rule(Rule{}));
  EXPECT_THAT(value_of(other.control->rules(before)).rules, SizeIs(1));
}

TEST_P(StoreConformance, pruning_by_age_removes_what_is_older_and_keeps_the_sums_right) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Lcg random{std::mt19937_64(seed)};
  std::vector<CallRecord> all;
  for (int i = 0; i < 200; ++i) all.push_back(random_call(random, i));
  append(all, random_infos());
  const auto pruned = value_of(control().prune({std::chrono::seconds(600), 1ULL << 40}, at(1000)));
  std::vector<CallRecord> left;
  for (const auto& call : all) {
    if (call.summary.start >= at(400)) left.push_back(call);
  }
  EXPECT_EQ(pruned.calls, all.size() - left.size());
  EXPECT_EQ(value_of(store().info()).calls, left.size());
  EXPECT_EQ(calls({}).total, left.size());
  for (const auto group : {GroupBy::kMethod, GroupBy::kTable, GroupBy::kFingerprint}) {
    EXPECT_EQ(totals_of(value_of(store().totals({}, group))), naive_totals(left, {}, group));
    EXPECT_EQ(totals_of(value_of(store().totals(in_session("s1"), group))),
              naive_totals(left, in_session("s1"), group));
  }
  for (const auto& row : value_of(store().sessions({}))) {
    std::vector<UtcTime> starts;
    for (const auto& call : left) {
      if (call.summary.session == row.session && call.summary.database == row.database) {
        starts.push_back(call.summary.start);
      }
    }
    ASSERT_THAT(starts, testing::Not(IsEmpty()));
    EXPECT_EQ(row.calls, starts.size());
    EXPECT_EQ(row.first, *std::min_element(starts.begin(), starts.end()));
    EXPECT_EQ(row.last, *std::max_element(starts.begin(), starts.end()));
  }
  for (const auto& call : left) {
    EXPECT_THAT(value_of(store().load({call.summary.id})).calls, SizeIs(1));
  }
}

TEST_P(StoreConformance, pruning_forgets_old_counts_and_keeps_new_ones) {
  Batch batch;
  batch.counts = {count_of("m", 500000, 1), count_of("m", 500010, 1)};
  ASSERT_TRUE(store().append(batch));
  ASSERT_TRUE(control().prune({std::chrono::hours(5), 1ULL << 40}, UtcTime(std::chrono::hours(500011))));
  const auto counts = value_of(store().counts({}));
  ASSERT_THAT(counts, SizeIs(1));
  EXPECT_EQ(counts[0].hour, 500010);
}

TEST_P(StoreConformance, pruning_by_size_removes_the_oldest_until_it_fits) {
  std::mt19937_64 noise(1);  // NOLINT: the same bytes each time, and bytes that don't compress
  std::vector<CallRecord> batch;
  for (int i = 0; i < 1500; ++i) {
    auto call = plain_call(fmt::format("c{:04}", i), i);
    call.request = Body{};
    for (int k = 0; k < 500; ++k) call.request->text += fmt::format("{:016x}", noise());
    batch.push_back(std::move(call));
    if (batch.size() == 250) {
      append(batch);
      batch.clear();
    }
  }
  const auto before = value_of(store().info()).bytes;
  const auto limit = before / 2;
  const auto pruned = value_of(control().prune({std::chrono::hours(24 * 365), limit}, at(2000)));
  EXPECT_GE(pruned.bytes_before, before);
  EXPECT_LE(pruned.bytes_after, limit);
  EXPECT_GT(pruned.calls, 0U);
  const auto left = calls({}).total;
  EXPECT_EQ(left + pruned.calls, 1500U);
  EXPECT_GT(left, 0U);
  EXPECT_EQ(ids({}, {left - 1, 1}), std::vector<std::string>{"c1499"});
  EXPECT_EQ(value_of(store().info()).oldest, at(static_cast<std::int64_t>(pruned.calls)));
}

TEST_P(StoreConformance, pruning_by_size_takes_the_oldest_counts_with_the_calls_of_their_time) {
  Batch batch;
  for (const int hour : {0, 1, 2}) {
    auto call = plain_call(fmt::format("c{}", hour), hour * 3600 + 60);
    call.request = Body{std::string(1U << 16, 'r'), 1U << 16};
    batch.calls.push_back(std::move(call));
    const auto at_hour = std::chrono::floor<std::chrono::hours>(at(hour * 3600)).time_since_epoch().count();
    batch.counts.push_back(count_of("m", at_hour, 1));
  }
  ASSERT_TRUE(store().append(batch));
  // Nothing is old; whatever the size, the hour of the oldest call that is left keeps its counts.
  ASSERT_TRUE(control().prune({std::chrono::hours(24 * 365), 0}, at(3 * 3600)));
  EXPECT_THAT(value_of(store().counts({})), IsEmpty());
  EXPECT_EQ(calls({}).total, 0U);
}

TEST_P(StoreConformance, pruning_stops_when_its_time_is_up_and_goes_on_the_next_time) {
  std::vector<CallRecord> all;
  for (int i = 0; i < 1200; ++i) all.push_back(plain_call(fmt::format("c{:04}", i), i));
  append(std::move(all));
  const Retention retention{std::chrono::seconds(100), 1ULL << 40};
  std::uint64_t removed = 0;
  int turns = 0;
  for (bool more = true; more && turns < 100; ++turns) {
    const auto pruned = value_of(control().prune(retention, at(5000), Microseconds{0}));
    EXPECT_LE(pruned.calls, 500U);
    removed += pruned.calls;
    more = pruned.more;
  }
  EXPECT_EQ(removed, 1200U);
  EXPECT_GE(turns, 3);
  EXPECT_LT(turns, 100);
  EXPECT_FALSE(value_of(control().prune(retention, at(5000))).more);
}

TEST_P(StoreConformance, the_retention_is_kept_for_everybody) {
  EXPECT_EQ(value_of(control().retention()), Retention{});
  const Retention longer{std::chrono::days{30}, 5ULL << 40};
  ASSERT_TRUE(control().set_retention(longer));
  const auto reader = open(OpenMode::kRead);
  EXPECT_EQ(value_of(reader.control->retention()), longer);
  ASSERT_TRUE(control().set_retention({std::chrono::hours{1}, ~0ULL}));
  const auto largest = value_of(reader.control->retention());
  EXPECT_EQ(largest.age, Microseconds{std::chrono::hours{1}});
  EXPECT_GE(largest.bytes, 1ULL << 62);
  EXPECT_FALSE(reader.control->set_retention(longer));
}

TEST_P(StoreConformance, counts_of_invented_names_are_added_up_under_one) {
  Batch batch;
  for (int i = 0; i < 12'000; ++i) {
    batch.counts.push_back(count_of("m", 500000, 1));
    batch.counts.back().database = fmt::format("d{}", i);
    if (i % 2 == 0) std::swap(batch.counts.back().database, batch.counts.back().method);
  }
  ASSERT_TRUE(store().append(batch));
  batch.counts.resize(1);
  ASSERT_TRUE(store().append(batch)) << "what is known already goes on being counted by its name";
  const auto counts = value_of(store().counts({}));
  EXPECT_LE(counts.size(), 10'002U);
  std::uint64_t sum = 0;
  bool found = false;
  for (const auto& one : counts) {
    sum += one.count;
    found = found || one.method == kOther;
    if (one.database == batch.counts[0].database && one.method == batch.counts[0].method) {
      EXPECT_EQ(one.count, 2U);
    }
  }
  EXPECT_EQ(sum, 12'001U);
  EXPECT_TRUE(found);
}

TEST_P(StoreConformance, pruning_takes_calls_and_statements_that_took_no_time_and_hours_of_one_database) {
  auto call = with_statement(plain_call("a", 1), 7, 1, 0);
  call.summary.wall = Microseconds(0);
  Batch batch;
  batch.calls = {call};
  batch.counts = {count_of("m", 500000, 1), count_of("m", 500001, 1)};
  batch.counts[1].database = "other";
  ASSERT_TRUE(store().append(batch));
  const auto pruned = value_of(control().prune({std::chrono::hours(24 * 365 * 200), 0}, at(10)));
  EXPECT_EQ(pruned.calls, 1U);
  EXPECT_THAT(value_of(store().counts({})), IsEmpty());
  EXPECT_THAT(value_of(store().totals({}, GroupBy::kMethod)), IsEmpty());
}

TEST_P(StoreConformance, pruning_twice_finds_nothing_the_second_time) {
  append({plain_call("a", 1), plain_call("b", 5000)});
  const Retention retention{std::chrono::seconds(100), 1ULL << 40};
  EXPECT_EQ(value_of(control().prune(retention, at(5050))).calls, 1U);
  EXPECT_EQ(value_of(control().prune(retention, at(5050))).calls, 0U);
}

TEST_P(StoreConformance, hostile_and_empty_strings_come_back_as_they_were) {
  const std::vector<std::string> strings = {"",
                                            std::string("a\0b", 3),
                                            "\x01\x1f\x7f",
                                            "'; DROP TABLE call; --",
                                            "\xff\xfe",
                                            "a:b{c}*[d]",
                                            "tab\tline\n",
                                            "\u5546\u54c1\U0001F600",
                                            "%s?$1",
                                            "model.*"};
  std::vector<CallRecord> batch;
  for (std::size_t i = 0; i < strings.size(); ++i) {
    auto call = plain_call(fmt::format("c{}", i), static_cast<std::int64_t>(i), strings[i]);
    call.summary.database = strings[i];
    call.summary.method = strings[i];
    call.summary.user = strings[i];
    call.error = strings[i];
    call.statements = {{i + 1, 1, Microseconds(1), Microseconds(1), 1, strings[i]}};
    batch.push_back(std::move(call));
  }
  append(batch);
  for (std::size_t i = 0; i < strings.size(); ++i) {
    const auto loaded = value_of(store().load({fmt::format("c{}", i)}));
    ASSERT_THAT(loaded.calls, SizeIs(1));
    auto expected = batch[i];
    expected.summary.rank = 1;
    EXPECT_EQ(text_of(loaded.calls[0]), text_of(expected));
    if (strings[i].empty()) continue;
    Filter filter = in_session(strings[i]);
    filter.database = strings[i];
    EXPECT_EQ(calls(filter).total, 1U) << "string " << i;
    EXPECT_THAT(value_of(store().sessions(filter)), SizeIs(1)) << "string " << i;
  }
}

TEST_P(StoreConformance, names_up_to_a_mebibyte_are_kept_and_longer_ones_refused) {
  auto call = plain_call("long", 1);
  call.summary.method = std::string(1U << 20, 'm');
  append({call});
  EXPECT_EQ(value_of(store().load({"long"})).calls.at(0).summary.method.size(), 1U << 20);
  EXPECT_THAT(calls({}).calls.at(0).method, testing::EndsWith("mm\u2026 (1048576 bytes)"));
  EXPECT_LE(calls({}).calls.at(0).method.size(), kLongestShownName);
  Filter whole;
  whole.method = call.summary.method;
  EXPECT_EQ(calls(whole).total, 1U) << "a filter means the whole name";
  call.summary.id = "longer";
  call.summary.method += 'm';
  Batch batch;
  batch.calls = {plain_call("good", 2), call};
  const auto refused = store().append(batch);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooLarge);
  EXPECT_FALSE(refused.error().retryable());
  EXPECT_THAT(ids({}), ElementsAre("long")) << "all or nothing";
}

TEST_P(StoreConformance, extreme_numbers_come_back) {
  auto call = plain_call("x", 1);
  call.summary.user_id = std::numeric_limits<std::int64_t>::min();
  call.summary.wall = Microseconds(std::numeric_limits<std::int32_t>::max());
  call.summary.rows = -1;
  call.summary.bytes_in = std::numeric_limits<std::int64_t>::max();
  call.summary.statements = std::numeric_limits<std::uint32_t>::max();
  append({call});
  auto expected = call;
  expected.summary.rank = 1;
  EXPECT_EQ(text_of(value_of(store().load({"x"})).calls.at(0)), text_of(expected));
}

TEST_P(StoreConformance, processes_that_write_at_once_lose_and_double_nothing) {
  constexpr int kProcesses = 4;
  constexpr int kBatches = 15;
  const auto write = [&](int process) {
    auto mine = open_store(url(), OpenMode::kWrite);
    if (!mine) return false;
    for (int i = 0; i < kBatches; ++i) {
      Batch batch;
      batch.statements = {info_of(5, {"t"})};
      batch.counts = {count_of("m", 500000, 1)};
      for (int k = 0; k < 4; ++k) {
        batch.calls.push_back(
            with_statement(plain_call(fmt::format("p{}.{}.{}", process, i, k), i), 5, 1, 10));
      }
      batch.calls.push_back(plain_call(fmt::format("shared{}", i), i));
      if (!mine->store->append(batch)) return false;
    }
    return true;
  };
  EXPECT_EQ(in_processes(kProcesses, write), kProcesses);
  constexpr std::uint64_t kOwn = std::uint64_t{kProcesses} * kBatches * 4;
  const auto page = calls({});
  EXPECT_EQ(page.total, kOwn + kBatches);
  std::set<std::uint64_t> ranks;
  for (const auto& call : page.calls) ranks.insert(call.rank);
  EXPECT_THAT(ranks, SizeIs(page.calls.size()));
  EXPECT_EQ(*ranks.rbegin(), kOwn + kBatches);
  EXPECT_EQ(totals_of(value_of(store().totals({}, GroupBy::kTable))).at("t").first, kOwn);
  EXPECT_EQ(value_of(store().counts({})).at(0).count, std::uint64_t{kProcesses} * kBatches);
}

TEST_P(StoreConformance, readers_see_whole_batches_while_others_write) {
  constexpr int kBatches = 30;
  std::thread writer([&] {
    auto mine = open(OpenMode::kWrite);
    for (int i = 0; i < kBatches; ++i) {
      Batch batch;
      for (int k = 0; k < 10; ++k) batch.calls.push_back(plain_call(fmt::format("{}.{}", i, k), i));
      if (!mine.store->append(batch)) return;
    }
  });
  auto reader = open(OpenMode::kRead);
  std::uint64_t seen = 0;
  bool grew = true;
  bool answered = true;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (seen < kBatches * 10 && answered && std::chrono::steady_clock::now() < deadline) {
    const auto rows = reader.store->sessions({});
    answered = rows.has_value();
    if (!answered || rows->empty()) continue;
    const auto count = (*rows)[0].calls;
    grew = grew && count >= seen && count % 10 == 0;
    seen = count;
  }
  writer.join();
  EXPECT_TRUE(answered);
  EXPECT_TRUE(grew);
  EXPECT_EQ(seen, kBatches * 10U);
}

TEST_P(StoreConformance, a_store_opened_for_reading_refuses_to_write) {
  auto reader = open(OpenMode::kRead);
  Batch batch;
  batch.calls = {plain_call("a", 1)};
  const auto appended = reader.store->append(batch);
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code(), ErrorCode::kDenied);
  EXPECT_FALSE(reader.control->add_rule(Rule{}));
  EXPECT_FALSE(reader.control->prune({}, at(0)));
  EXPECT_EQ(calls({}).total, 0U);
}

}  // namespace headroom::perf
