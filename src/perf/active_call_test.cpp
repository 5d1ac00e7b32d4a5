#include "perf/active_call.hpp"

#include <gtest/gtest.h>

#include "perf/statement_texts.hpp"

namespace headroom::perf {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
const UtcTime kNow = base::parse_time("2026-11-21T08:00:00Z", {}).value();

Rule rule_for(std::string_view user) {
  Rule rule;
  rule.users = {UserPattern::parse(user)};
  return rule;
}

ActiveCall begin_call(CallKind kind = CallKind::kRpc, std::string_view method = "model.sale.sale.read") {
  ActiveCall::Begin begin;
  begin.kind = kind;
  begin.method = method;
  begin.database = "demo";
  begin.id = "c1";
  begin.utc = kNow;
  begin.now_ns = 0;
  return ActiveCall(std::move(begin), CallLimits{});
}

ActiveCall::End end_at(std::int64_t milliseconds, int http_status = 200) {
  ActiveCall::End end;
  end.now_ns = milliseconds * kMillisecond;
  end.http_status = http_status;
  return end;
}

class AnActiveCall : public ::testing::Test {
 protected:
  std::shared_ptr<StatementText> text(std::string_view text) { return texts_.intern(text); }

  /// A statement that took from `begin` to `end` milliseconds.
  Wanted run(ActiveCall& call, StatementRun& run, std::string_view sql, std::int64_t begin, std::int64_t end,
             std::int64_t rows = 1) {
    return call.executed(run, text(sql), begin * kMillisecond, end * kMillisecond, rows);
  }

  StatementTexts texts_;
};

TEST_F(AnActiveCall, WithoutARuleIsCountedButNotRecorded) {
  ActiveCall call = begin_call();
  call.claim({}, 1, "admin", "token", kNow);
  call.verify({}, 1, "admin", kNow);
  StatementRun statement;
  EXPECT_FALSE(run(call, statement, "SELECT 1", 1, 3).backtrace);
  EXPECT_FALSE(call.end(end_at(10)));
  EXPECT_EQ(call.summary().wall, std::chrono::milliseconds{10});
  EXPECT_EQ(call.summary().sql, std::chrono::milliseconds{2});
  EXPECT_EQ(call.summary().statements, 1U);
}

TEST_F(AnActiveCall, OfATracedUserIsRecordedFromItsClaimOn) {
  const std::vector<Rule> rules{rule_for("1")};
  ActiveCall call = begin_call();
  EXPECT_TRUE(call.claim(rules, 1, "admin", "token", kNow));
  StatementRun statement;
  (void)run(call, statement, "SELECT session", 1, 2);
  call.verify(rules, 1, "admin", kNow);
  (void)run(call, statement, "SELECT sale", 2, 5);
  const auto finished = call.end(end_at(10));
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->totals.size(), 2U);
  EXPECT_EQ(finished->record.summary.session, session_hash("demo", "token"));
  EXPECT_EQ(finished->record.summary.user, "admin");
  EXPECT_EQ(finished->secrets, std::vector<std::string>{"token"});
}

TEST_F(AnActiveCall, ThatIsNeverVerifiedLeavesNoTraceOfTheUserItNamed) {
  const std::vector<Rule> rules{rule_for("login:admin")};
  ActiveCall call = begin_call();
  EXPECT_TRUE(call.claim(rules, 1, "admin", "forged", kNow));
  EXPECT_FALSE(call.end(end_at(10, 401)));
}

TEST_F(AnActiveCall, OfAnotherUserWhoClaimsATracedLoginIsNotRecorded) {
  const std::vector<Rule> rules{rule_for("login:admin")};
  ActiveCall call = begin_call();
  EXPECT_TRUE(call.claim(rules, 7, "admin", "token of bob", kNow));
  EXPECT_FALSE(call.verify(rules, 7, "bob", kNow).record);
  EXPECT_FALSE(call.end(end_at(10)));
}

TEST_F(AnActiveCall, RecordsAFailedLoginAsOneLineWithoutUserAndDetails) {
  const std::vector<Rule> rules{rule_for("login:admin")};
  ActiveCall call = begin_call(CallKind::kLogin, "common.db.login");
  call.claim(rules, std::nullopt, "admin", "", kNow);
  StatementRun statement;
  (void)run(call, statement, "SELECT password_hash FROM res_user", 1, 2);
  auto end = end_at(10, 401);
  end.keep_failed_login = true;
  const auto finished = call.end(end);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->record.summary.session, "login:demo");
  EXPECT_EQ(finished->record.summary.user, "");
  EXPECT_EQ(finished->record.summary.status, CallStatus::kHttpError);
  EXPECT_EQ(finished->record.error, "HTTP 401");
  EXPECT_TRUE(finished->totals.empty());
}

TEST_F(AnActiveCall, KeepsNoDatabaseThatAFailedLoginMayHaveMadeUp) {
  ActiveCall call = begin_call(CallKind::kLogin, "common.db.login");
  auto end = end_at(10, 401);
  end.keep_failed_login = true;
  end.database_exists = false;
  const auto finished = call.end(end);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->record.summary.database, "");
  EXPECT_EQ(finished->record.summary.session, "login:");
}

TEST_F(AnActiveCall, InsideAnotherOneBelongsToItsSessionAndIsRecordedWithIt) {
  Rule rule = rule_for("1");
  rule.methods = {"model.sale.sale.confirm"};
  rule.query = std::chrono::milliseconds{200};
  rule.io = {"*"};
  const std::vector<Rule> rules{rule};
  ActiveCall confirm = begin_call(CallKind::kRpc, "model.sale.sale.confirm");
  confirm.claim(rules, 1, "admin", "token", kNow);
  confirm.verify(rules, 1, "admin", kNow);
  ActiveCall task = begin_call(CallKind::kTask, "task");
  task.run_inside(confirm);
  task.describe(CallKind::kTask, "model.sale.sale.process", "demo");
  const Decision decision = task.verify(rules, 1, "admin", kNow);
  EXPECT_EQ(decision.query, rule.query);
  EXPECT_FALSE(decision.io) << "meant the method that the rule names";
  const auto finished = task.end(end_at(10));
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->record.parent, "c1");
  EXPECT_EQ(finished->record.summary.session, session_hash("demo", "token"));
  EXPECT_EQ(finished->record.summary.kind, CallKind::kTask);
}

TEST_F(AnActiveCall, InsideOneThatIsNotRecordedFollowsTheRulesAlone) {
  const std::vector<Rule> rules{rule_for("2")};
  ActiveCall outer = begin_call();
  outer.claim(rules, 1, "admin", "token", kNow);
  outer.verify(rules, 1, "admin", kNow);
  ActiveCall task = begin_call(CallKind::kTask, "model.sale.sale.process");
  task.run_inside(outer);
  EXPECT_FALSE(task.verify(rules, 1, "admin", kNow).record);
  EXPECT_FALSE(task.end(end_at(10)));
  EXPECT_EQ(task.summary().session, session_hash("demo", "token"));
}

TEST_F(AnActiveCall, InsideOneThatOnlyClaimsAUserGetsNothingOfTheClaim) {
  const std::vector<Rule> rules{rule_for("1")};
  ActiveCall outer = begin_call();
  EXPECT_TRUE(outer.claim(rules, 1, "admin", "forged", kNow));
  ActiveCall task = begin_call(CallKind::kTask, "model.sale.sale.process");
  task.run_inside(outer);
  EXPECT_FALSE(task.verify(rules, 2, "bob", kNow).record);
  EXPECT_EQ(task.summary().session, "task:demo");
}

TEST_F(AnActiveCall, AddsUpEqualTextsAndAsksForABacktraceAtTheFirstRepetition) {
  const std::vector<Rule> rules{Rule{}};
  ActiveCall call = begin_call();
  call.verify(rules, 1, "admin", kNow);
  StatementRun statement;
  EXPECT_FALSE(run(call, statement, "SELECT a", 0, 1).backtrace);
  EXPECT_TRUE(run(call, statement, "SELECT a", 1, 4, 10).backtrace);
  call.keep_backtrace(statement, {std::make_shared<const std::string>("sale.py:1 read")});
  EXPECT_FALSE(run(call, statement, "SELECT a", 4, 5).backtrace);
  const auto finished = call.end(end_at(6)).value();
  ASSERT_EQ(finished.totals.size(), 1U);
  EXPECT_EQ(finished.totals[0].count, 3U);
  EXPECT_EQ(finished.totals[0].time, std::chrono::milliseconds{5});
  EXPECT_EQ(finished.totals[0].longest, std::chrono::milliseconds{3});
  EXPECT_EQ(finished.totals[0].rows, 12);
  EXPECT_EQ(finished.totals[0].backtrace.size(), 1U);
}

TEST_F(AnActiveCall, AsksForABacktraceWhenAnotherTextOfOneFingerprintComes) {
  const std::vector<Rule> rules{Rule{}};
  ActiveCall call = begin_call();
  call.verify(rules, 1, "admin", kNow);
  for (const char* sql : {"IN (%s)", "IN (%s, %s)", "IN (%s, %s, %s)"}) text(sql)->fingerprint = 7;
  StatementRun statement;
  EXPECT_FALSE(run(call, statement, "IN (%s)", 0, 1).backtrace);
  EXPECT_TRUE(run(call, statement, "IN (%s, %s)", 1, 2).backtrace);
  EXPECT_FALSE(run(call, statement, "IN (%s, %s, %s)", 2, 3).backtrace);
}

TEST_F(AnActiveCall, BecomesSlowWhileFetchingToo) {
  std::vector<Rule> rules{Rule{}};
  rules[0].query = std::chrono::milliseconds{5};
  ActiveCall call = begin_call();
  call.verify(rules, 1, "admin", kNow);
  StatementRun statement;
  EXPECT_FALSE(run(call, statement, "SELECT big", 0, 1, -1).slow);
  EXPECT_FALSE(call.fetched(statement, std::chrono::milliseconds{3}, 100).slow);
  EXPECT_TRUE(call.fetched(statement, std::chrono::milliseconds{2}, 100).slow);
  call.keep_slow(statement, "SELECT big", {}, {});
  EXPECT_FALSE(call.fetched(statement, std::chrono::milliseconds{4}, 100).slow);
  const auto finished = call.end(end_at(20)).value();
  ASSERT_EQ(finished.slow.size(), 1U);
  EXPECT_EQ(finished.slow[0].event.duration, std::chrono::milliseconds{10});
  EXPECT_EQ(finished.slow[0].event.rows, 300);
  EXPECT_EQ(finished.totals[0].longest, std::chrono::milliseconds{10});
  EXPECT_TRUE(includes(finished.record.summary.has, Has::kQuery));
}

TEST_F(AnActiveCall, KeepsEachAttemptWithItsTimeStatementsAndError) {
  const std::vector<Rule> rules{Rule{}};
  ActiveCall call = begin_call();
  call.verify(rules, 1, "admin", kNow);
  StatementRun statement;
  call.attempt(1 * kMillisecond);
  (void)run(call, statement, "UPDATE a", 1, 2);
  call.attempt_failed("SerializationFailure: could not serialize", 3 * kMillisecond);
  call.attempt_failed("", 3 * kMillisecond);
  call.attempt(5 * kMillisecond);
  (void)run(call, statement, "UPDATE a", 6, 7);
  (void)run(call, statement, "SELECT b", 7, 8);
  const auto record = call.end(end_at(10)).value().record;
  ASSERT_EQ(record.attempts.size(), 2U);
  EXPECT_EQ(record.attempts[0].duration, std::chrono::milliseconds{2});
  EXPECT_EQ(record.attempts[0].statements, 1U);
  EXPECT_EQ(record.attempts[0].error, "SerializationFailure: could not serialize");
  EXPECT_EQ(record.attempts[1].duration, std::chrono::milliseconds{5});
  EXPECT_EQ(record.attempts[1].statements, 2U);
  EXPECT_EQ(record.attempts[1].error, "");
  EXPECT_EQ(record.summary.attempts, 2U);
  EXPECT_TRUE(includes(record.summary.has, Has::kConflict));
}

TEST_F(AnActiveCall, FasterThanItsRuleWantsIsDropped) {
  std::vector<Rule> rules{Rule{}};
  rules[0].slower_than = std::chrono::seconds{2};
  ActiveCall quick = begin_call();
  quick.verify(rules, 1, "admin", kNow);
  EXPECT_FALSE(quick.end(end_at(1999)));
  ActiveCall slow = begin_call();
  slow.verify(rules, 1, "admin", kNow);
  EXPECT_TRUE(slow.end(end_at(2000)));
}

TEST_F(AnActiveCall, IsBoundedAndSaysWhatItLeftOut) {
  std::vector<Rule> rules{Rule{}};
  rules[0].db = {"*"};
  CallLimits limits;
  limits.totals = 3;
  limits.events = 5;
  ActiveCall::Begin begin;
  ActiveCall call(std::move(begin), limits);
  call.verify(rules, 1, "admin", kNow);
  StatementRun statement;
  for (int i = 0; i < 10; ++i) (void)run(call, statement, "SELECT " + std::to_string(i), i, i + 1);
  const auto finished = call.end(end_at(20)).value();
  EXPECT_EQ(finished.totals.size(), 3U);
  EXPECT_EQ(finished.events.size(), 5U);
  EXPECT_EQ(finished.record.dropped_details, 7U + 5U);
  EXPECT_EQ(finished.record.summary.statements, 10U);
}

TEST_F(AnActiveCall, KeepsTheBeginningOfABodyWithTheSizeOfTheWhole) {
  Rule rule;
  rule.io = {"*"};
  const std::vector<Rule> rules{rule};
  ActiveCall call = begin_call();
  call.verify(rules, 1, "admin", kNow);
  call.keep_request(std::string(300U << 10, 'x'), 3'000'000);
  call.keep_response("[1]");
  const auto finished = call.end(end_at(10));
  ASSERT_TRUE(finished && finished->record.request && finished->record.response);
  EXPECT_EQ(finished->record.request->text.size(), CallLimits{}.body);
  EXPECT_EQ(finished->record.request->size, 3'000'000U);
  EXPECT_TRUE(finished->record.request->cut);
  EXPECT_EQ(finished->record.response->size, 3U);
  EXPECT_FALSE(finished->record.response->cut);
}

TEST_F(AnActiveCall, TakesReportsAndWizardsByTheirName) {
  EXPECT_EQ(begin_call(CallKind::kRpc, "report.sale.sale.execute").summary().kind, CallKind::kReport);
  EXPECT_EQ(begin_call(CallKind::kRpc, "wizard.sale.modify.create").summary().kind, CallKind::kWizard);
  EXPECT_EQ(begin_call(CallKind::kTask, "report.x").summary().kind, CallKind::kTask);
}

TEST(SessionHash, TellsDatabasesApartAndHidesTheToken) {
  EXPECT_EQ(session_hash("a", "token").size(), 16U);
  EXPECT_NE(session_hash("a", "token"), session_hash("b", "token"));
  EXPECT_NE(session_hash("a", "btoken"), session_hash("ab", "token"));
}

TEST(StatementTexts, GivesOneObjectForEqualTextsAndForgetsTheLeastRecentlyUsed) {
  StatementTexts texts(2);
  const auto a = texts.intern("SELECT a");
  (void)texts.intern("SELECT b");
  EXPECT_EQ(texts.intern("SELECT a"), a);
  (void)texts.intern("SELECT c");
  EXPECT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts.intern("SELECT a"), a) << "b was used least recently";
}

TEST(StatementTexts, AreBoundedInBytesAndTellLongTextsApart) {
  StatementTexts texts(100, 150'000);
  const std::string head(100'000, 'x');
  const auto one = texts.intern(head + "1");
  const auto two = texts.intern(head + "2");
  EXPECT_NE(one->text, two->text);
  EXPECT_LT(one->text.size(), 66'000U);
  (void)texts.intern(head + "3");
  EXPECT_EQ(texts.size(), 2U);
}

}  // namespace
}  // namespace headroom::perf
