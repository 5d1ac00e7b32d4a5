#include "perf/original.hpp"

#include <bit>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "redis/connection.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::perf {
namespace {

using headroom::testing::RedisServer;
using headroom::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr std::string_view kSession = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kPstats = R"(         19 function calls (17 primitive calls) in 0.004 seconds

   Ordered by: cumulative time

   ncalls  tottime  percall  cumtime  percall filename:lineno(function)
        1    0.001    0.001    0.004    0.004 /srv/trytond/model/modelsql.py:842(read)
      3/1    0.002    0.001    0.002    0.002 /srv/trytond/tools/misc.py:12(reduce_ids)
       15    0.001    0.000    0.001    0.000 {method 'append' of 'list' objects}


)";

UtcTime at(int second, int microsecond) {
  return UtcTime(std::chrono::sys_days{std::chrono::year{2016} / 3 / 2}) + std::chrono::hours{14} +
         std::chrono::minutes{5} + std::chrono::seconds{second} + Microseconds{microsecond};
}

std::string packed(const nlohmann::json& value) {
  const auto bytes = nlohmann::json::to_msgpack(value);
  return {bytes.begin(), bytes.end()};
}

/// A server filled as trytond/perf_analyzer.py fills it: three calls, the second under `profile`, `db` and
/// `io`.
class Original {
 public:
  Original() : connection_(redis::parse_url(server_.url()).value()) {
    const std::string session(kSession);
    put({"HSET", "s:" + session, "user", "admin", "first", "2016-03-02@14:05:06.000001", "last",
         "2016-03-02@14:05:08.000000", "nb", "3", "tm", "0.75"});
    put({"ZADD", "m:n:" + session, "2", "model.res.user.read", "1", "model.ir.ui.menu.read"});
    put({"ZADD", "m:t:" + session, "0.25", "model.res.user.read", "0.5", "model.ir.ui.menu.read"});
    put({"ZADD", "t:n:" + session, "5", "ir_session", "2", "res_user"});
    put({"ZADD", "t:t:" + session, "0.05", "ir_session", "0.2", "res_user"});
    put({"HSET", "c:" + session + ":1", "method", "model.res.user.read", "dt", "2016-03-02@14:05:06.000001",
         "tm", "0.25", "db_nb", "4", "db_tm", "0.04", "req_size", "120", "res_size", "4096"});
    put({"HSET", "c:" + session + ":2", "method", "model.ir.ui.menu.read", "dt", "2016-03-02@14:05:07.500000",
         "tm", "0.5", "db_nb", "3", "db_tm", "0.21"});
    put({"HSET", "c:" + session + ":3", "method", "model.res.user.read", "dt", "2016-03-02@14:05:08.000000"});
    put({"SET", "x:p:" + session + ":2", std::string(kPstats)});
    put({"RPUSH", "x:db:" + session + ":2",
         packed({{"action", "select"}, {"table", "ir_session"}, {"tm", 0.01}}),
         packed({{"action", "select"}, {"table", "res_user"}, {"tm", 0.15}}),
         packed({{"action", "select"}, {"table", "res_user"}, {"tm", 0.05}})});
    put({"HSET", "x:io:" + session + ":2", "req", R"({"method": "common.db.login", "password": "hunter22"})",
         "res", "[1]"});
    put({"RPUSH", "q:" + session,
         packed({{"method", "model.ir.ui.menu.read"},
                 {"call", 2},
                 {"action", "select"},
                 {"table", "res_user"},
                 {"tm", 0.15},
                 {"count", 7},
                 {"sql", "SELECT id FROM res_user WHERE id = 4"},
                 {"bt", "File \"a.py\", line 1"}})});
  }

  void put(const std::vector<std::string>& command) {
    const std::vector<std::string_view> views(command.begin(), command.end());
    const auto reply = connection_.run(redis::Arguments(views));
    ASSERT_TRUE(reply) << reply.error().message();
  }
  [[nodiscard]] std::string url() const { return server_.url(); }

 private:
  RedisServer server_;
  redis::Connection connection_;
};

class Target {
 public:
  Target()
      : opened_(std::move(
            open_store("sqlite://" + (folder_.path() / "perf.sqlite").string(), OpenMode::kWrite).value())) {}
  [[nodiscard]] Store& store() { return *opened_.store; }

 private:
  TemporaryFolder folder_;
  OpenStore opened_;
};

std::map<std::string, std::pair<std::uint64_t, std::int64_t>> totals(Store& store, GroupBy group) {
  std::map<std::string, std::pair<std::uint64_t, std::int64_t>> result;
  const auto rows = store.totals({}, group).value();
  for (const auto& row : rows) result[row.name] = {row.number, row.time.count()};
  return result;
}

TEST(ImportOriginal, KeepsEveryFigure) {
  const Original original;
  Target target;
  const auto done = import_original(original.url(), "old", target.store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->sessions, 1U);
  EXPECT_EQ(done->calls, 3U);
  EXPECT_EQ(done->slow_statements, 1U);
  EXPECT_EQ(done->profiles, 1U);
  EXPECT_EQ(done->bodies, 2U);
  EXPECT_THAT(done->left_out, IsEmpty());

  const auto sessions = target.store().sessions({}).value();
  ASSERT_THAT(sessions, SizeIs(1));
  EXPECT_EQ(sessions[0].session, kSession);
  EXPECT_EQ(sessions[0].database, "old");
  EXPECT_EQ(sessions[0].user, "admin");
  EXPECT_EQ(sessions[0].first, at(6, 1));
  EXPECT_EQ(sessions[0].last, at(8, 0));
  EXPECT_EQ(sessions[0].time, Microseconds{750'000});
  EXPECT_THAT(totals(target.store(), GroupBy::kTable),
              ElementsAre(Pair("ir_session", std::pair(5, 50'000)), Pair("res_user", std::pair(2, 200'000))));
  EXPECT_THAT(totals(target.store(), GroupBy::kMethod),
              ElementsAre(Pair("model.ir.ui.menu.read", std::pair(1, 500'000)),
                          Pair("model.res.user.read", std::pair(2, 250'000))));
  EXPECT_EQ(done->new_calls, 3U);
  EXPECT_EQ(sessions[0].calls, 3U);
}

TEST(ImportOriginal, KeepsTheDetailsOfCalls) {
  const Original original;
  Target target;
  ASSERT_TRUE(import_original(original.url(), "old", target.store()));
  const auto page = target.store().calls({}, {}).value();
  ASSERT_THAT(page.calls, SizeIs(3));
  std::vector<std::string> ids;
  for (const auto& call : page.calls) ids.push_back(call.id);
  const auto batch = target.store().load(ids).value();
  const auto& first = batch.calls[0].summary;
  EXPECT_EQ(first.rank, 1U);
  EXPECT_EQ(first.wall, Microseconds{250'000});
  EXPECT_EQ(first.statements, 4U);
  EXPECT_EQ(first.sql, Microseconds{40'000});
  EXPECT_EQ(first.bytes_in, 120U);
  EXPECT_EQ(first.bytes_out, 4'096U);

  const auto& second = batch.calls[1];
  EXPECT_EQ(second.summary.rank, 2U);
  EXPECT_TRUE(includes(second.summary.has, Has::kProfile | Has::kDb | Has::kQuery | Has::kIo));
  ASSERT_THAT(second.events, SizeIs(3));
  EXPECT_EQ(second.events[2].offset, Microseconds{160'000});
  EXPECT_EQ(second.events[2].duration, Microseconds{50'000});
  ASSERT_THAT(second.slow, SizeIs(1));
  EXPECT_EQ(second.slow[0].rows, 7);
  EXPECT_EQ(second.slow[0].duration, Microseconds{150'000});
  EXPECT_THAT(second.slow[0].sql, HasSubstr("FROM res_user"));
  EXPECT_THAT(second.slow[0].backtrace, HasSubstr("a.py"));
  ASSERT_TRUE(second.exact_profile && second.request && second.response);
  EXPECT_THAT(second.exact_profile->frames, SizeIs(3));
  EXPECT_THAT(second.request->text, Not(HasSubstr("hunter22")));
  EXPECT_EQ(second.response->text, "[1]");

  EXPECT_EQ(batch.calls[2].summary.status, CallStatus::kException) << "the original has no end of it";
}

TEST(ImportOriginal, StoresOnceWhenItRunsTwice) {
  const Original original;
  Target target;
  ASSERT_TRUE(import_original(original.url(), "old", target.store()));
  const auto before = totals(target.store(), GroupBy::kTable);
  std::uint64_t reports = 0;
  const auto again = import_original(original.url(), "old", target.store(),
                                     [&](const ImportCounts&, std::uint64_t total) { reports += total; });
  ASSERT_TRUE(again);
  EXPECT_EQ(again->calls, 3U);
  EXPECT_EQ(again->new_calls, 0U);
  EXPECT_EQ(target.store().calls({}, {})->total, 3U);
  EXPECT_EQ(totals(target.store(), GroupBy::kTable), before);
  EXPECT_GE(reports, 1U);
}

TEST(ImportOriginal, SkipsAndCountsWhatIsDamaged) {
  Original original;
  const std::string session(kSession);
  original.put({"RPUSH", "q:" + session, "\xc1\xff", packed({{"call", 99}}), std::string(100'000, '\x91')});
  original.put({"RPUSH", "x:db:" + session + ":1", "\xdb\xff\xff\xff\xff"});
  original.put({"SET", "x:p:" + session + ":1", "no profile"});
  original.put({"HSET", "c:" + session + ":1", "dt", "yesterday", "tm", "nan", "db_nb", "-7"});
  original.put({"SET", "s:wrong", "type"});
  original.put({"HSET", "s:None", "user", "7", "nb", "999999999999999999999999"});
  original.put({"SET", "c:None:1", "type"});
  original.put({"ZADD", "m:n:None", "12", "gone"});
  Target target;
  const auto done = import_original(original.url(), "old", target.store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_THAT(
      done->left_out,
      ElementsAre(Pair("calls of which only the sums by method are left", 12),
                  Pair("calls that are no hash", 1), Pair("dates that can't be read", 1),
                  Pair("profiles that can't be read", 1), Pair("sessions that are no hash", 1),
                  Pair("slow statements that can't be read", 2),
                  Pair("slow statements whose call is gone", 1), Pair("statements that can't be read", 1)));
  EXPECT_EQ(done->calls, 3U);
}

TEST(ImportOriginal, SaysWhenThereIsNothingOrNoServer) {
  const RedisServer empty;
  Target target;
  EXPECT_EQ(import_original(empty.url(), "old", target.store())->sessions, 0U);
  const auto nowhere = fmt::format("redis://127.0.0.1:{}", headroom::testing::free_port());
  EXPECT_EQ(import_original(nowhere, "old", target.store()).error().code(), base::ErrorCode::kUnavailable);
  EXPECT_EQ(import_original("http://x", "old", target.store()).error().code(),
            base::ErrorCode::kInvalidArgument);
}

TEST(PstatsText, BecomesOneNodeForEachFunction) {
  const auto profile = profile_from_pstats(kPstats);
  ASSERT_TRUE(profile);
  ASSERT_THAT(profile->frames, SizeIs(3));
  EXPECT_EQ(profile->frames[0], (Frame{"read", "/srv/trytond/model/modelsql.py", 842}));
  EXPECT_EQ(profile->frames[2].function, "{method 'append' of 'list' objects}");
  ASSERT_THAT(profile->nodes, SizeIs(4));
  EXPECT_EQ(profile->nodes[2].calls, 3U);
  EXPECT_EQ(profile->nodes[2].wall, base::Nanoseconds{2'000'000});
  EXPECT_FALSE(profile_from_pstats("   ncalls  tottime  percall\nnothing"));
}

TEST(FlatMsgpack, TakesNumbersTextAndBytesAndNoNesting) {
  const auto map = flat_msgpack(packed({{"a", 1}, {"b", 0.25}, {"c", "x"}, {"d", nullptr}}));
  ASSERT_TRUE(map);
  EXPECT_THAT(*map, ElementsAre(Pair("a", "1"), Pair("b", "0.25"), Pair("c", "x"), Pair("d", "")));
  EXPECT_FALSE(flat_msgpack(packed({{"a", {1}}})));
  EXPECT_FALSE(flat_msgpack(packed({{"a", {{"b", 1}}}})));
  EXPECT_FALSE(flat_msgpack(""));
  EXPECT_FALSE(flat_msgpack(std::string(1'000'000, '\x91')));
}

TEST(OriginalTime, IsUtcWithMicroseconds) {
  EXPECT_EQ(original_time("2016-03-02@14:05:06.000001"), at(6, 1));
  for (const auto* text : {"", "@", "2016-03-02", "2016-03-02 14:05:06", "2016-13-02@14:05:06.0", "10s@"}) {
    EXPECT_FALSE(original_time(text)) << text;
  }
}

}  // namespace
}  // namespace headroom::perf
