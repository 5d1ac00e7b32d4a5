// Each pass on the smallest history that has its finding, and on one that has not.

#include "perf/advice.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "perf/memory_store.hpp"
#include "perf/report_sample.hpp"

namespace headroom::perf {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint64_t kSelect = 0x51;
constexpr std::uint64_t kUpdate = 0x52;
constexpr std::uint64_t kBegin = 0x53;
constexpr std::uint64_t kPaged = 0x54;
constexpr std::uint64_t kWritesParty = 0x55;

AdviceMaterial nothing_yet() {
  AdviceMaterial material;
  material.statements[kSelect] = {
      kSelect, sql::StatementKind::kSelect, {"party_party"}, "SELECT name FROM party_party WHERE id = ?"};
  material.statements[kUpdate] = {
      kUpdate, sql::StatementKind::kUpdate, {"sale_sale"}, "UPDATE sale_sale SET state = ?"};
  material.statements[kBegin] = {kBegin, sql::StatementKind::kTransaction, {}, "BEGIN"};
  return material;
}

AdviceCall call(const std::string& method, Microseconds wall) {
  AdviceCall made;
  made.summary.session = "71aa";
  made.summary.method = method;
  made.summary.wall = wall;
  return made;
}

/// Appends a call a tenth of a second after the last one.
AdviceCall& add(AdviceMaterial& material, AdviceCall made) {
  made.summary.rank = material.calls.size() + 1;
  made.summary.start = UtcTime(1h) + 100ms * static_cast<std::int64_t>(material.calls.size());
  ++material.total;
  material.time += made.summary.wall;
  material.calls.push_back(std::move(made));
  return material.calls.back();
}

std::vector<std::string> kinds(const AdviceMaterial& material) {
  std::vector<std::string> result;
  for (const Finding& finding : advise(material)) result.push_back(finding.kind);
  return result;
}

Finding only(const AdviceMaterial& material) {
  const auto findings = advise(material);
  EXPECT_EQ(findings.size(), 1U);
  return findings.empty() ? Finding{} : findings.front();
}

TEST(Advice, FindsNothingWhereNothingIsWrong) {
  AdviceMaterial material = nothing_yet();
  for (int i = 0; i < 50; ++i) {
    AdviceCall& one = add(material, call("model.sale.sale.read", 20ms));
    one.statements = {{kBegin, 40, 20ms, 1ms, 0, ""}, {kSelect, 2, 4ms, 2ms, 2, ""}};
    one.summary.commit = 4ms;
    one.cache_hits = 9;
    one.attempts = {{20ms, 3, ""}};
  }
  EXPECT_THAT(kinds(material), IsEmpty());
  EXPECT_THAT(kinds({}), IsEmpty());
}

TEST(Advice, FindsAStatementThatACallRepeats) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.sale.sale.read", 100ms)).statements = {
      {kSelect, 14, 28ms, 3ms, 14, "a\nsale.py:7 get"}};
  add(material, call("model.sale.sale.read", 100ms)).statements = {
      {kSelect, 20, 40ms, 4ms, 20, "a\nsale.py:9 get"}};
  const Finding finding = only(material);
  EXPECT_EQ(finding.kind, "repeated_statement");
  EXPECT_EQ(finding.cost, 68ms);
  EXPECT_EQ(finding.saving, 61ms);
  EXPECT_EQ(
      finding.words,
      "model.sale.sale.read sends one select on party_party up to 20 times in one call (N+1), in 2 calls.");
  EXPECT_EQ(finding.backtrace, "a\nsale.py:9 get");
  EXPECT_EQ(finding.calls, (std::vector<std::string>{"71aa 2", "71aa 1"}));
}

Filter of_session(const std::string& session) {
  Filter filter;
  filter.database = "shop";
  filter.session = session;
  return filter;
}

/// A call whose statements are kept in order.
CallRecord ordered(std::vector<StatementEvent> events) {
  CallRecord record;
  record.summary.id = "ordered";
  record.summary.database = "shop";
  record.summary.session = "71aa";
  record.summary.method = "model.sale.sale.confirm";
  record.summary.start = UtcTime(1h);
  record.summary.wall = 100ms;
  record.summary.has = Has::kDb;
  record.attempts = {{100ms, 9, ""}};
  record.statements = {{kSelect, 3, 30ms, 10ms, 3, "a\nsale.py:7 confirm"}};
  record.events = std::move(events);
  return record;
}

StatementEvent event(std::uint64_t fingerprint, std::string parameters, std::int64_t rows = 1) {
  return {fingerprint, 0ms, 10ms, rows, std::move(parameters)};
}

/// What a call had read and reads again, by the store and the passes.
std::vector<Finding> findings_of(CallRecord record) {
  MemoryStore store;
  Batch batch;
  for (const auto& [fingerprint, info] : nothing_yet().statements) batch.statements.push_back(info);
  batch.statements.push_back({kPaged,
                              sql::StatementKind::kSelect,
                              {"party_party"},
                              "SELECT id FROM party_party WHERE id IN (?) LIMIT ?"});
  batch.statements.push_back(
      {kWritesParty, sql::StatementKind::kUpdate, {"party_party"}, "UPDATE party_party SET name = ?"});
  batch.calls.push_back(std::move(record));
  EXPECT_TRUE(store.append(batch));
  const auto material = gather_advice(store, of_session("71aa"));
  EXPECT_TRUE(material);
  return material ? advise(*material) : std::vector<Finding>{};
}

TEST(Advice, FindsRowsThatACallReadsAgain) {
  const auto findings = findings_of(
      ordered({event(kSelect, R"(["1"])"), event(kSelect, R"(["2"])"), event(kUpdate, R"(["'done'"])"),
               event(kSelect, R"(["1"])"), event(kSelect, R"(["1"])")}));
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].kind, "read_again");
  EXPECT_EQ(findings[0].saving, 20ms);
  EXPECT_EQ(findings[0].backtrace, "a\nsale.py:7 confirm");
  EXPECT_THAT(findings[0].words,
              HasSubstr("sends one select on party_party again with the same values, up to 2 times"));
}

TEST(Advice, ReadsAgainOnlyWhereItIsSure) {
  const auto one = event(kSelect, R"(["1"])");
  EXPECT_THAT(findings_of(ordered({one, event(kSelect, R"(["2"])")})), IsEmpty()) << "other values";
  EXPECT_THAT(findings_of(ordered({one, event(kSelect, R"(["1"])", 2)})), IsEmpty()) << "other rows";
  EXPECT_THAT(findings_of(ordered({one, event(kWritesParty, R"(["'x'"])"), one})), IsEmpty()) << "written";
  EXPECT_THAT(findings_of(ordered({one, event(kBegin, "[]"), one})), IsEmpty()) << "a new transaction";
  EXPECT_THAT(findings_of(ordered({one, event(0x99, "[]"), one})), IsEmpty()) << "nobody knows what it did";
  for (const char* values : {"[]", R"(["***"])", R"(["1", "..."])", R"(["?"])", "", "not JSON"})
    EXPECT_THAT(findings_of(ordered({event(kSelect, values), event(kSelect, values)})), IsEmpty()) << values;
  const auto page = event(kPaged, R"(["1", "2", "3"])");
  EXPECT_THAT(findings_of(ordered({page, page})), IsEmpty()) << "its limit may be another one";
  CallRecord dropped = ordered({one, one});
  dropped.dropped_details = 1;
  EXPECT_THAT(findings_of(dropped), IsEmpty()) << "not all statements are known";
  CallRecord retried = ordered({one, one});
  retried.attempts = {{50ms, 1, "SerializationFailure"}, {50ms, 1, ""}};
  for (const Finding& finding : findings_of(retried)) EXPECT_EQ(finding.kind, "retries");
  EXPECT_EQ(findings_of(ordered({one, one})).size(), 1U);
}

TEST(Advice, DoesNotCallItALoopWhereTheSameIsRead) {
  std::vector<StatementEvent> events(8, event(kSelect, R"(["1"])"));
  CallRecord record = ordered(events);
  record.statements = {{kSelect, 8, 80ms, 10ms, 8, ""}};
  const auto findings = findings_of(record);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].kind, "read_again");
}

TEST(Advice, FindsACallThatTheClientRepeatsAndThatWritesNothing) {
  AdviceMaterial material = nothing_yet();
  for (int i = 0; i < 3; ++i) add(material, call("model.res.user.read", 30ms)).request = 77;
  add(material, call("model.res.user.read", 30ms)).request = 78;
  for (int i = 0; i < 3; ++i) {
    AdviceCall& writes = add(material, call("model.sale.sale.write", 30ms));
    writes.request = 79;
    writes.statements = {{kUpdate, 1, 1ms, 1ms, 1, ""}};
  }
  for (int i = 0; i < 3; ++i) (void)add(material, call("model.unknown.read", 30ms));
  const Finding finding = only(material);
  EXPECT_EQ(finding.kind, "repeated_call");
  EXPECT_EQ(finding.number, 2U);
  EXPECT_EQ(finding.saving, 60ms);
}

TEST(Advice, DoesNotTakeTheSameQuestionMuchLaterForARepetition) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.res.user.read", 30ms)).request = 77;
  AdviceCall& later = add(material, call("model.res.user.read", 30ms));
  later.request = 77;
  later.summary.start += 6s;
  EXPECT_THAT(kinds(material), IsEmpty());
}

TEST(Advice, FindsCachesThatGoOnMissing) {
  AdviceMaterial material = nothing_yet();
  for (int i = 0; i < 6; ++i) add(material, call("model.ir.ui.menu.read", 50ms)).cache_misses = 4;
  for (int i = 0; i < 4; ++i) add(material, call("model.ir.ui.menu.read", 10ms)).cache_hits = 4;
  const Finding finding = only(material);
  EXPECT_EQ(finding.kind, "cache_misses");
  EXPECT_EQ(finding.saving, 240ms) << "six times 50 - 10 ms";
  EXPECT_THAT(finding.words, HasSubstr("24 misses against 16 hits"));
  for (AdviceCall& one : material.calls) one.cache_hits = 30;
  EXPECT_THAT(kinds(material), IsEmpty());
}

TEST(Advice, FindsSlowCommits) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.sale.sale.write", 200ms)).summary.commit = 90ms;
  add(material, call("model.sale.sale.write", 200ms)).summary.commit = 20ms;
  const Finding finding = only(material);
  EXPECT_EQ(finding.kind, "slow_commit");
  EXPECT_EQ(finding.number, 1U);
  EXPECT_EQ(finding.saving, 80ms);
}

TEST(Advice, FindsWorkThatWasDoneAgain) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.sale.sale.process", 900ms)).attempts = {{300ms, 3, "SerializationFailure"},
                                                                    {600ms, 3, ""}};
  add(material, call("model.sale.sale.process", 300ms)).attempts = {{300ms, 3, "UserError: no"}};
  const Finding finding = only(material);
  EXPECT_EQ(finding.kind, "retries");
  EXPECT_EQ(finding.saving, 300ms);
}

TEST(Advice, FindsWaitsForConnectionsAndLocks) {
  AdviceMaterial material = nothing_yet();
  AdviceCall& waits = add(material, call("model.sale.sale.write", 200ms));
  waits.summary.connection_wait = 60ms;
  waits.summary.lock_wait = 30ms;
  EXPECT_EQ(kinds(material), (std::vector<std::string>{"connection_wait", "lock_wait"}));
}

TEST(Advice, TellsASlowStatementWithAndWithoutItsPlan) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.party.party.search", 2s)).slow = {
      {kSelect, 0ms, 700ms, 1, "SELECT ...", "b\nparty.py:3 f"},
      {kSelect, 0ms, 900ms, 1, "SELECT ...", "b\nparty.py:4 f"}};
  Finding finding = only(material);
  EXPECT_EQ(finding.kind, "slow_statement");
  EXPECT_FALSE(finding.saving);
  EXPECT_EQ(finding.cost, 1600ms);
  EXPECT_EQ(finding.number, 1U);
  EXPECT_EQ(finding.calls.size(), 1U);
  EXPECT_EQ(finding.backtrace, "b\nparty.py:4 f");
  material.scans[kSelect] = {"party_party", "(name = ?)"};
  finding = only(material);
  EXPECT_EQ(finding.kind, "missing_index");
  EXPECT_THAT(finding.remedy, HasSubstr("An index on party_party that serves (name = ?)"));
  ASSERT_EQ(dearest_slow_statements(material, 5).size(), 1U);
  EXPECT_EQ(dearest_slow_statements(material, 5)[0].slow.duration, 900ms);
}

TEST(Advice, SaysSoWhereOnlyAnAliasIsKnown) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.party.party.search", 2s)).slow = {{kSelect, 0ms, 900ms, 1, "SELECT ...", ""}};
  material.scans[kSelect] = {"f", "", true};
  const Finding finding = only(material);
  EXPECT_EQ(finding.table, "alias f");
  EXPECT_THAT(finding.words, HasSubstr("Its plan reads all of alias f."));
  EXPECT_THAT(finding.remedy, HasSubstr("An index on the table behind alias f that serves"));
}

TEST(Advice, SaysWhatBecameOfThePlan) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.party.party.search", 2s)).slow = {{kSelect, 0ms, 900ms, 1, "SELECT ...", ""}};
  const auto remedy = [&material] { return only(material).remedy; };
  EXPECT_THAT(remedy(), HasSubstr("once [perf.databases] names the database"));
  material.plans[kSelect] = PlanAnswer::kNotAsked;
  EXPECT_THAT(remedy(), HasSubstr("only those of dearer statements were looked at"));
  EXPECT_THAT(remedy(), Not(HasSubstr("[perf.databases]")));
  material.plans[kSelect] = PlanAnswer::kNone;
  EXPECT_THAT(remedy(), HasSubstr("The database gave no plan of it"));
  material.plans[kSelect] = PlanAnswer::kSeen;
  EXPECT_THAT(remedy(), HasSubstr("Its plan reads no large table as a whole"));
  EXPECT_EQ(only(material).basis, "no saving can be told from its plan");
  material.scans[kSelect] = {"party_party", ""};
  EXPECT_THAT(remedy(), HasSubstr("An index on party_party"));
}

TEST(Advice, NamesTheMethodThatSendsASlowStatementMostOften) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.sale.sale.search", 9s)).slow = {{kUpdate, 0ms, 900ms, 1, "UPDATE ...", ""}};
  for (int i = 0; i < 3; ++i)
    add(material, call("model.sale.sale.write", 1s)).slow = {{kUpdate, 0ms, 200ms, 1, "UPDATE ...", ""}};
  Finding finding = only(material);
  EXPECT_EQ(finding.method, "model.sale.sale.write");
  EXPECT_EQ(finding.words,
            "model.sale.sale.write and 1 other method send one update on sale_sale that is slow: 4 times, at "
            "worst 900 ms.");
  EXPECT_EQ(finding.calls.front(), "71aa 1");
  add(material, call("model.sale.line.write", 1s)).slow = {{kUpdate, 0ms, 200ms, 1, "UPDATE ...", ""}};
  EXPECT_THAT(only(material).words, HasSubstr("model.sale.sale.write and 2 other methods send"));
}

TEST(Advice, PutsWhatSavesMostFirstAndLeavesOutWhatHardlyCosts) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.a.read", 10s)).statements = {{kSelect, 9, 500us, 100us, 9, ""}};
  add(material, call("model.b.read", 10s)).statements = {{kSelect, 9, 90ms, 10ms, 9, ""}};
  add(material, call("model.c.read", 10s)).statements = {{kSelect, 9, 900ms, 100ms, 9, ""}};
  const auto findings = advise(material);
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].method, "model.c.read");
  EXPECT_EQ(findings[1].method, "model.b.read");
}

TEST(Advice, ReadsAStoreAndTellsItInWordsAndRows) {
  MemoryStore store;
  ASSERT_TRUE(store.append(sample_batch()));
  const auto material = gather_advice(store, of_session("71aa"));
  ASSERT_TRUE(material) << material.error().message();
  const Report report = advice_report(*material, advise(*material), {});
  EXPECT_THAT(
      report.text,
      HasSubstr("1. costs 1.100 s (slow_statement): model.sale.sale.write sends one update on sale_sale"));
  EXPECT_THAT(report.text, HasSubstr("2. saves about 0.025 s (repeated_statement): model.sale.sale.read"));
  EXPECT_THAT(report.text, HasSubstr("sent by    File \"modules/sale/sale.py\", line 7, in get_party"));
  EXPECT_THAT(report.note, HasSubstr("in 3 calls of 1.415 s"));
  const auto rows = nlohmann::json::parse(to_json(report.table));
  EXPECT_EQ(rows[0]["saving"], nullptr);
  EXPECT_EQ(rows[1]["table"], "party_party");
  const Report second = advice_report(*material, advise(*material), {1, 1});
  EXPECT_EQ(second.table.rows.size(), 1U);
  EXPECT_THAT(second.text, HasSubstr("2. saves"));
}

TEST(Advice, KnowsTheSameRequestWhateverItsNumber) {
  MemoryStore store;
  Batch batch;
  for (int i = 0; i < 3; ++i) {
    CallRecord record;
    record.summary.id = fmt::format("r{}", i);
    record.summary.database = "shop";
    record.summary.session = "71aa";
    record.summary.method = "model.res.user.read";
    record.summary.start = UtcTime(1h) + 100ms * i;
    record.summary.wall = 10ms;
    record.request =
        Body{fmt::format(R"({{"id":{},"method":"model.res.user.read","params":[[1]]}})", i), 60, false};
    batch.calls.push_back(record);
  }
  ASSERT_TRUE(store.append(batch));
  const auto material = gather_advice(store, of_session("71aa"));
  ASSERT_TRUE(material);
  EXPECT_EQ(kinds(*material), (std::vector<std::string>{"repeated_call"}));
}

TEST(Advice, EscapesWhatAClientChose) {
  AdviceMaterial material = nothing_yet();
  add(material, call("model.\x1b[2J\nevil", 1s)).summary.commit = 500ms;
  const Report report = advice_report(material, advise(material), {});
  EXPECT_THAT(report.text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(report.text, HasSubstr("model.\\x1b[2J\\nevil"));
}

}  // namespace
}  // namespace headroom::perf
