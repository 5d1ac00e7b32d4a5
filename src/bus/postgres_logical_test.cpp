// Publications through the write-ahead log of a real server: what commits and what does not, a change of the
// source under way, kills, lost slots, and what is said about a database that lacks something.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "bus/postgres_broker.hpp"
#include "bus/postgres_world.hpp"
#include "sql/replication.hpp"

namespace headroom::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

PostgresBrokerOptions from_log() {
  PostgresBrokerOptions options;
  options.source = PostgresSource::kLog;
  return options;
}

std::unique_ptr<PostgresNode> node_on(const PostgresDatabase& database, const std::string& name,
                                      const std::string& user = "postgres") {
  auto node = std::make_unique<PostgresNode>(database.url(user), name, from_log());
  node->start();
  return node;
}

bool reads_log(PostgresNode& node) {
  return node.run_until([&node] { return node.broker().counts().reads_log; });
}

/// Data of the whole history of a channel.
std::vector<std::string> kept(PostgresNode& node, const std::string& channel) {
  const Position before{0, node.subscribe(channel).epoch};
  HistoryQuery query;
  query.since = &before;
  query.limit = 100'000;
  query.bytes = 64U << 20U;
  const auto page = node.history(channel, query).value();
  EXPECT_FALSE(page.lost);
  std::vector<std::string> datas;
  for (const Message& message : page.messages) datas.push_back(*message.data);
  return datas;
}

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i <= to; ++i) all.push_back(std::to_string(i));
  return all;
}

TEST(PostgresLog, BringsWhatCommitsInTheOrderOfTheCommitsAndLeavesNoRow) {
  const PostgresDatabase database(PostgresSource::kLog);
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  node->subscribe("orders");
  SqlSession session(database.url());
  session.run(
      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT headroom.publish('orders', '2');"
      " SAVEPOINT s; SELECT headroom.publish('orders', '\"never\"'); ROLLBACK TO SAVEPOINT s;"
      " SELECT headroom.publish('orders', E'[3,\\n3]', 'id')");
  SqlSession other(database.url());
  other.run("BEGIN; SELECT headroom.publish('orders', '\"never\"'); ROLLBACK");
  const auto first = node->publish("orders", "1");
  ASSERT_TRUE(first) << first.error().message();
  session.run("COMMIT");
  const auto again = node->publish("orders", "[3,3]", "id");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->position.offset, 3U);
  ASSERT_TRUE(node->run_until([&] { return node->count("orders") == 3; }));
  EXPECT_THAT(node->told("orders"), ElementsAre("1", "2", "[3, 3]"));
  EXPECT_THAT(session.run("SELECT count(*) FROM headroom.outbox"), ElementsAre("0"));
}

TEST(PostgresLog, ChangesToTheLogWhilePublicationsAreUnderWay) {
  const PostgresDatabase database(PostgresSource::kLog);
  SqlSession before(database.url());
  before.run("SELECT headroom.publish('a', '1')");
  before.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', '2')");
  ASSERT_TRUE(node->run_until([&] { return node->broker().counts().sequenced == 2; }));
  before.run("SELECT headroom.publish('a', '3'); COMMIT");
  EXPECT_THAT(session.run("SELECT count(*) > 0 FROM headroom.outbox"), ElementsAre("t")) << "of before";
  ASSERT_TRUE(node->run_until([&] { return node->broker().counts().sequenced == 3; }));
  EXPECT_EQ(kept(*node, "a"), numbers(1, 3));
}

TEST(PostgresLog, OrdersATransactionOfThousandsAsAWhole) {
  const PostgresDatabase database(PostgresSource::kLog);
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  SqlSession(database.url()).run("SELECT headroom.publish('a', i::text) FROM generate_series(1, 5000) i");
  ASSERT_TRUE(node->run_until([&] { return node->broker().counts().sequenced == 5'000; }));
  EXPECT_EQ(kept(*node, "a"), numbers(1, 5'000));
}

TEST(PostgresLog, TakesNoMessageFromWhoMayNotPublish) {
  const PostgresDatabase database(PostgresSource::kLog);
  make_logins(database);
  const auto node = node_on(database, "one", "node");
  ASSERT_TRUE(reads_log(*node)) << node->broker().counts().problem;
  SqlSession stranger(database.url("stranger"));
  stranger.run("SELECT pg_logical_emit_message(true, 'headroom', E'a\\n\\n\\n1')");
  EXPECT_EQ(stranger.fails("SELECT prefix FROM headroom.log"), "42501");
  EXPECT_EQ(stranger.fails("SELECT * FROM headroom.log_state()"), "42501");
  SqlSession app(database.url("app"));
  EXPECT_EQ(app.fails("SELECT prefix FROM headroom.about"), "42501");
  EXPECT_EQ(app.fails("SELECT headroom.use_log(1, false)"), "42501");
  app.run("SELECT headroom.publish('a', '2')");
  ASSERT_TRUE(node->run_until([&] { return node->broker().counts().sequenced == 1; }));
  EXPECT_THAT(kept(*node, "a"), ElementsAre("2"));
}

TEST(PostgresLog, LetsTheServerForgetWhatIsStoredAndWhatConcernsNobody) {
  const PostgresDatabase database(PostgresSource::kLog);
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', '1')");
  session.run("CREATE TABLE other AS SELECT i, repeat('x', 1000) t FROM generate_series(1, 20000) i");
  const std::string written = session.run("SELECT pg_current_wal_flush_lsn()").front();
  EXPECT_TRUE(node->run_until([&] {
    return session
               .run("SELECT s.confirmed_flush_lsn >= '" + written +
                    "' FROM pg_replication_slots s, headroom.log_state() l WHERE s.slot_name = l.slot")
               .front() == "t";
  }));
}

/// A step of the sequencer that waits, and is ended before it could store what was read.
TEST(PostgresLog, LetsTheServerForgetNothingThatIsNotStored) {
  const PostgresDatabase database(PostgresSource::kLog);
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  SqlSession blocking(database.url());
  blocking.run("BEGIN; LOCK TABLE headroom.batch IN SHARE MODE");
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', i::text) FROM generate_series(1, 10) i");
  const std::string written = session.run("SELECT pg_current_wal_flush_lsn()").front();
  std::set<std::string> replies;
  ASSERT_TRUE(node->run_until([&] {
    const auto told = session.run(
        "SELECT r.reply_time FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid) WHERE"
        " r.application_name = 'headroom log' AND a.datname = current_database() AND r.sent_lsn >= '" +
        written + "'");
    replies.insert(told.begin(), told.end());
    return replies.size() == 3;
  }));
  session.run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'headroom sequencer' AND datname = current_database()");
  blocking.run("ROLLBACK");
  ASSERT_TRUE(node->run_until([&] { return node->broker().counts().sequenced == 10; }));
  EXPECT_EQ(kept(*node, "a"), numbers(1, 10));
}

// Kills
// ---------------------------------------------------------------------------------------------------------

TEST(PostgresLog, LosesNothingAndBringsNothingTwiceWhateverIsEnded) {
  const PostgresDatabase database(PostgresSource::kLog);
  auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  constexpr int kMessages = 3'000;
  std::atomic<int> published{0};
  std::thread publisher([&] {
    SqlSession session(database.url());
    while (published < kMessages) session.run(fmt::format("SELECT headroom.publish('a', '{}')", ++published));
  });
  SqlSession session(database.url());
  const auto end_session = [&](const std::string& part) {
    session.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headroom " +
                part + "' AND datname = current_database()");
  };
  int next = 0;
  for (int round = 0; published < kMessages; ++round) {
    next += 250;
    ASSERT_TRUE(node->run_until([&] { return published >= std::min(next, kMessages); }));
    if (round % 4 == 0) end_session("log");
    if (round % 4 == 1) end_session("sequencer");
    if (round % 4 == 2) end_session("reader");
    if (round % 4 == 3) {
      node.reset();
      node = node_on(database, fmt::format("node {}", round));
    }
  }
  publisher.join();
  ASSERT_TRUE(node->run_until([&] { return node->subscribe("a").offset >= kMessages; }));
  EXPECT_EQ(kept(*node, "a"), numbers(1, kMessages));
}

TEST(PostgresLog, LosesNothingWhenTheServerIsKilled) {
  testing::PostgresServer server(without_disk({"wal_level = logical"}));
  const PostgresDatabase database(server);
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  int committed = 0;
  std::set<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    {
      SqlSession session(database.url());
      for (int i = 0; i < 100; ++i) {
        session.run(fmt::format("SELECT headroom.publish('a', '{}')", ++committed));
        acknowledged.insert(std::to_string(committed));
      }
    }
    server.kill();
    ASSERT_TRUE(node->run_until([&] { return !node->available(); }));
    server.start();
    ASSERT_TRUE(reads_log(*node)) << node->broker().counts().problem;
  }
  ASSERT_TRUE(node->run_until([&] { return node->subscribe("a").offset >= acknowledged.size(); }));
  EXPECT_EQ(kept(*node, "a"), numbers(1, committed));
}

TEST(PostgresLog, AnotherNodeTakesTheSlotOver) {
  const PostgresDatabase database(PostgresSource::kLog);
  auto one = node_on(database, "one");
  ASSERT_TRUE(reads_log(*one));
  const auto two = node_on(database, "two");
  two->subscribe("a");
  ASSERT_TRUE(two->publish("a", "1"));
  EXPECT_FALSE(two->broker().counts().reads_log);
  one.reset();
  const auto published = two->publish("a", "2");
  ASSERT_TRUE(published) << published.error().message();
  EXPECT_EQ(published->position.offset, 2U);
  EXPECT_TRUE(two->broker().counts().reads_log);
  EXPECT_THAT(SqlSession(database.url())
                  .run("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"),
              ElementsAre("1"));
}

/// As a node that hangs: its lock is gone, its slot is not.
TEST(PostgresLog, FreesTheSlotOfANodeThatHangs) {
  const PostgresDatabase database(PostgresSource::kLog);
  begin_log(database);
  const std::string slot = SqlSession(database.url()).run("SELECT slot FROM headroom.log_state()").front();
  sql::ReplicationOptions options;
  options.url = database.url();
  options.silence = std::chrono::minutes{10};
  const auto now = [] { return std::chrono::steady_clock::now(); };
  auto hanging = sql::ReplicationConnection::open(std::move(options), now()).value();
  while (hanging.state() != sql::ReplicationConnection::State::kStreaming) {
    hanging.advance(now());
    (void)hanging.take_answer();
    ASSERT_NE(hanging.state(), sql::ReplicationConnection::State::kEnded);
    // The process of the first node may need a moment to end.
    if (hanging.state() == sql::ReplicationConnection::State::kIdle)
      hanging.stream(now(), {slot, {std::string(kLogPublication)}, 0});
  }
  const auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node)) << node->broker().counts().problem;
  EXPECT_TRUE(node->publish("a", "1"));
}

// What is lost is told
// ---------------------------------------------------------------------------------------------------------

/// A position of before has to be answered `lost`, in another epoch.
void expect_lost(PostgresNode& node, const Position& before) {
  ASSERT_TRUE(node.run_until([&] { return node.subscribe("a").epoch != before.epoch; }));
  HistoryQuery query;
  query.since = &before;
  const auto page = node.history("a", query);
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->lost);
}

TEST(PostgresLog, ASlotThatWasDroppedIsALossAndThenThereIsAnother) {
  const PostgresDatabase database(PostgresSource::kLog);
  auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  ASSERT_TRUE(node->publish("a", "1"));
  const Position before = node->subscribe("a");
  node.reset();
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', '\"gone\"')");
  std::string failed = "55006";
  while (failed == "55006")  // until the process of the node has ended
    failed = session.fails("SELECT pg_drop_replication_slot(slot) FROM headroom.log_state()");
  ASSERT_EQ(failed, "");
  node = node_on(database, "two");
  expect_lost(*node, before);
  ASSERT_TRUE(reads_log(*node)) << node->broker().counts().problem;
  EXPECT_TRUE(node->publish("a", "3"));
  EXPECT_THAT(session.run("SELECT lost FROM headroom.log_state()"), ElementsAre("f"));
}

TEST(PostgresLog, ASlotThatKeptTooMuchIsALossAndTheLogStaysBounded) {
  testing::PostgresServer server(without_disk(
      {"wal_level = logical", "max_slot_wal_keep_size = 1MB", "min_wal_size = 32MB", "max_wal_size = 32MB"}));
  const PostgresDatabase database(server);
  auto node = node_on(database, "one");
  ASSERT_TRUE(reads_log(*node));
  ASSERT_TRUE(node->publish("a", "1"));
  const Position before = node->subscribe("a");
  node.reset();
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', '\"gone\"')");
  const auto lost = [&] {
    return session.run("SELECT slot_state FROM headroom.log_state()").front() == "lost";
  };
  for (int i = 0; i < 100 && !lost(); ++i) {
    session.run("SELECT pg_switch_wal()");
    session.run("CREATE TABLE IF NOT EXISTS large AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)");
    session.run("INSERT INTO large SELECT * FROM large LIMIT 1000");
    session.run("CHECKPOINT");
  }
  ASSERT_TRUE(lost());
  EXPECT_THAT(check_postgres_broker(database.url(), PostgresSource::kLog)[1].text,
              HasSubstr("lost what it kept"));
  node = node_on(database, "two");
  expect_lost(*node, before);
  ASSERT_TRUE(reads_log(*node)) << node->broker().counts().problem;
  EXPECT_TRUE(node->publish("a", "3"));
}

// What a database lacks
// ---------------------------------------------------------------------------------------------------------

TEST(PostgresLog, StaysWithTheOutboxWhereThereIsNoLogAndSaysWhy) {
  const PostgresDatabase database;
  const auto node = node_on(database, "one");
  EXPECT_TRUE(node->publish("a", "1"));
  ASSERT_TRUE(node->run_until([&] { return !node->broker().counts().problem.empty(); }));
  EXPECT_THAT(node->broker().counts().problem, HasSubstr("ALTER SYSTEM SET wal_level = logical"));
  EXPECT_TRUE(node->publish("a", "2"));
  const auto found = check_postgres_broker(database.url(), PostgresSource::kLog);
  ASSERT_THAT(found, SizeIs(3));
  EXPECT_THAT(found[1].text, HasSubstr("wal_level is replica"));
  EXPECT_THAT(found[2].text, HasSubstr("CREATE PUBLICATION headroom_bus"));
  EXPECT_THAT(check_postgres_broker(database.url(), PostgresSource::kOutbox), SizeIs(1));
}

TEST(PostgresLog, ANodeThatDoesNotReadTheLogCannotLeadUntilItIsLeft) {
  const PostgresDatabase database(PostgresSource::kLog);
  begin_log(database);
  PostgresNode node(database.url(), "old");
  node.start();
  ASSERT_TRUE(node.run_until([&] { return !node.broker().counts().problem.empty(); }));
  EXPECT_THAT(node.broker().counts().problem, HasSubstr("source = \"logical\""));
  EXPECT_EQ(node.broker().counts().term, 0);
  const auto found = check_postgres_broker(database.url(), PostgresSource::kOutbox);
  ASSERT_THAT(found, SizeIs(3));
  EXPECT_THAT(found[1].text, HasSubstr("leave_log()"));
  EXPECT_THAT(found[2].text, HasSubstr("pg_drop_replication_slot"));
  SqlSession(database.url()).run("SELECT headroom.leave_log()");
  const auto published = node.publish("a", "1");
  ASSERT_TRUE(published) << published.error().message();
}

TEST(PostgresLog, JudgesASlotByWhatItKeeps) {
  LogState state;
  state.slot = "headroom_bus_1";
  state.slot_state = "reserved";
  state.wal_level = "logical";
  state.publication = state.may_replicate = state.logged = true;
  const auto texts = [&](PostgresSource source) {
    std::vector<std::string> all;
    for (const PostgresFinding& one : judge_log(state, source)) all.push_back(one.text);
    return all;
  };
  EXPECT_THAT(texts(PostgresSource::kLog),
              ElementsAre(HasSubstr("read by nobody"), HasSubstr("ALTER SYSTEM SET max_slot_wal_keep_size")));
  state.bound_bytes = 100U << 20U;
  state.retained_bytes = 60U << 20U;
  state.process = 7;
  EXPECT_THAT(texts(PostgresSource::kLog),
              ElementsAre(HasSubstr("read by process 7, and keeps 60 MB"), HasSubstr("more than half")));
  state.may_replicate = false;
  EXPECT_THAT(texts(PostgresSource::kLog), ElementsAre(HasSubstr("ALTER ROLE")));
  state.logged = false;
  state.slot_state = "missing";
  EXPECT_THAT(texts(PostgresSource::kOutbox), IsEmpty());
}

}  // namespace
}  // namespace headroom::bus
