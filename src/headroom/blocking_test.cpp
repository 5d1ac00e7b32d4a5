// Sessions of the database joined with calls: who is who, in which order, in which words.

#include "headroom/blocking.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "headroom/blocking_watch.hpp"
#include "headroom/live.hpp"
#include "headroom/top_screen.hpp"

namespace headroom::cli {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

sql::Session session(std::int32_t process, std::vector<std::int32_t> waits_for, seconds age = seconds{10}) {
  sql::Session made;
  made.process = process;
  made.user = "tryton";
  made.application = "psql";
  made.state = waits_for.empty() ? "idle in transaction" : "active";
  made.transaction_age = age;
  made.waits_for = std::move(waits_for);
  return made;
}

perf::RunningCall call(std::string id, std::vector<perf::Backend> backends) {
  perf::RunningCall made;
  made.summary.id = std::move(id);
  made.summary.database = "shop";
  made.summary.user = "admin";
  made.summary.method = "model.sale.sale.write";
  made.process = 4711;
  made.statement = "UPDATE sale SET a = %s";
  made.backends = std::move(backends);
  return made;
}

std::vector<std::string> order(const std::vector<Party>& parties) {
  std::vector<std::string> lines;
  for (const Party& party : parties)
    lines.push_back(std::string(party.depth, '-') + std::to_string(party.session.process));
  return lines;
}

TEST(JoinCalls, PutThoseThatWaitBelowThoseThatTheyWaitFor) {
  const auto parties = join_calls(
      "shop", {session(3, {2}), session(2, {1}), session(1, {}), session(5, {1}), session(4, {2})}, {});
  EXPECT_THAT(order(parties), ElementsAre("1", "-2", "--3", "--4", "-5"));
}

TEST(JoinCalls, ShowACircleAndABlockerThatIsNotAmongThemOnceEach) {
  EXPECT_THAT(order(join_calls("shop", {session(1, {2}), session(2, {1})}, {})), ElementsAre("1", "-2"));
  EXPECT_THAT(order(join_calls("shop", {session(1, {9})}, {})), ElementsAre("1"));
  EXPECT_THAT(order(join_calls("shop", {session(1, {1})}, {})), ElementsAre("1"));
}

TEST(JoinCalls, KnowACallByItsSessionOfTheDatabase) {
  const auto parties =
      join_calls("shop", {session(1, {}), session(2, {1})}, {call("a", {{7, seconds{1}}, {2, seconds{3}}})});
  EXPECT_FALSE(parties[0].call);
  ASSERT_TRUE(parties[1].call);
  EXPECT_EQ(parties[1].call->summary.id, "a");
}

TEST(JoinCalls, GiveAConnectionOfThePoolToTheCallThatUsedItLast) {
  const auto parties = join_calls("shop", {session(1, {}), session(2, {1})},
                                  {call("before", {{1, seconds{8}}}), call("now", {{1, seconds{2}}})});
  EXPECT_EQ(parties[0].call->summary.id, "now");
  const auto others =
      join_calls("shop", {session(1, {}, seconds{3}), session(2, {1})}, {call("before", {{1, seconds{8}}})});
  EXPECT_FALSE(others[0].call) << "the transaction began after the call's last statement";
  EXPECT_FALSE(join_calls("other", {session(1, {})}, {call("a", {{1, seconds{1}}})})[0].call);
}

BlockingView view_of_two() {
  BlockingView view;
  view.parties = join_calls("shop", {session(1, {}), session(2, {1})}, {call("a", {{2, seconds{3}}})});
  view.parties[1].session.waiting = seconds{3};
  return view;
}

TEST(BlockedBy, SaysInWordsWhatACallWaitsFor) {
  EXPECT_EQ(blocked_by(view_of_two(), call("a", {})), "psql of tryton (backend 1, idle in transaction)");
  EXPECT_EQ(blocked_by(view_of_two(), call("b", {})), "");
  EXPECT_EQ(party_name(view_of_two().parties[1]), "model.sale.sale.write of admin (process 4711)");
}

TEST(BlockedBy, NamesThreeOfMany) {
  BlockingView view;
  view.parties = join_calls("shop", {session(9, {1, 2, 3, 4, 5})}, {call("a", {{9, seconds{1}}})});
  EXPECT_EQ(blocked_by(view, call("a", {})), "backend 1, backend 2, backend 3 and 2 more");
}

TEST(BlockingJson, HasTheCallsAndNoBytesThatBreakIt) {
  BlockingView view = view_of_two();
  view.parties[0].session.application = "\x1b[31m\xff<script>";
  const auto text = blocking_json(view).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto read = nlohmann::json::parse(text);
  EXPECT_TRUE(read["sessions"][0]["call"].is_null());
  EXPECT_EQ(read["sessions"][1]["call"]["method"], "model.sale.sale.write");
  EXPECT_EQ(read["sessions"][1]["waits_for"], nlohmann::json::parse("[1]"));
  EXPECT_EQ(read["sessions"][1]["statement"], "UPDATE sale SET a = %s") << "as it was sent";
  EXPECT_EQ(read["sessions"][1]["waiting"], 3);
}

TEST(TopLines, NameWhoBlocksACallOnlyWhereSomebodyDoes) {
  LiveView live;
  live.at = base::utc_now();
  live.running = {call("a", {}), call("b", {})};
  const auto lines = [&] {
    std::string text;
    for (const std::string& line : top_lines(live, {}, {200, 0}, perf::Color::kOff)) text += line + "\n";
    return text;
  };
  EXPECT_EQ(lines().find("blocked by"), std::string::npos);
  live.blocking = view_of_two();
  live.blocking.parties[0].session.application = "\x1b[31m";
  EXPECT_THAT(lines(), HasSubstr("blocked by"));
  EXPECT_THAT(lines(), HasSubstr("\\x1b[31m of tryton"));
  live.blocking.problems = {"database 'shop': it is away"};
  EXPECT_THAT(lines(), HasSubstr("locks: database 'shop': it is away"));
}

TEST(BlockingWatchTest, AsksNobodyWhileNoCallIsInAStatementForLong) {
  BlockingWatch watch({{"shop", "postgresql://user:secret@127.0.0.1:1/shop"}, {"file", "sqlite:///nowhere"}});
  auto running = call("a", {});
  running.activity = perf::Activity::kSql;
  EXPECT_TRUE(watch.look({running}, Asked::kWhoWaits, 1).problems.empty());
  running.activity_age = seconds{1};
  const BlockingView view = watch.look({running}, Asked::kWhoWaits, 1);
  ASSERT_EQ(view.problems.size(), 1U) << "a file has no sessions";
  EXPECT_THAT(view.problems[0], testing::StartsWith("database 'shop': "));
  EXPECT_THAT(view.problems[0], testing::Not(HasSubstr("secret")));
  EXPECT_EQ(view.answered, 0U);
}

}  // namespace
}  // namespace headroom::cli
