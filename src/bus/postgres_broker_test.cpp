// The PostgreSQL broker with a real server: what concurrent and long transactions, kills and other nodes do
// to it.

#include "bus/postgres_broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "bus/postgres_world.hpp"

namespace headroom::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<std::string> first(std::size_t count) {
  std::vector<std::string> numbers;
  for (std::size_t i = 1; i <= count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

TEST(PostgresBroker, BringsWhatATransactionPublishedWhenItCommits) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  EXPECT_EQ(node.subscribe("orders").offset, 0U);
  SqlSession session(database.url());
  session.run("BEGIN; SELECT headroom.publish('orders', '1'); SELECT headroom.publish('orders', '2')");
  SqlSession other(database.url());
  other.run("BEGIN; SELECT headroom.publish('orders', '\"never\"'); ROLLBACK");
  ASSERT_TRUE(node.publish("orders", "\"before\""));
  session.run("COMMIT");
  ASSERT_TRUE(node.run_until([&] { return node.count("orders") == 3; }));
  EXPECT_THAT(node.told("orders"), ElementsAre("\"before\"", "1", "2"));
}

TEST(PostgresBroker, DelaysNobodyForAnOpenTransactionAndStillBringsItsMessage) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  node.subscribe("orders");
  SqlSession open(database.url());
  open.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT headroom.publish('orders', '\"late\"')");
  SqlSession idle(database.url());
  idle.run("BEGIN; SELECT pg_current_xact_id()");
  SqlSession session(database.url());
  for (int i = 1; i <= 300; ++i) {
    session.run(fmt::format("SELECT headroom.publish('orders', '{}')", i));
    if (i % 100 == 0) {
      ASSERT_TRUE(node.run_until([&] { return node.count("orders") == static_cast<std::size_t>(i); }));
    }
  }
  EXPECT_EQ(node.told("orders"), first(300));
  open.run("COMMIT");
  ASSERT_TRUE(node.run_until([&] { return node.count("orders") == 301; }));
  EXPECT_EQ(node.told("orders").back(), "\"late\"");
  idle.run("SELECT headroom.publish('orders', '\"later\"'); COMMIT");
  ASSERT_TRUE(node.run_until([&] { return node.count("orders") == 302; }));
  EXPECT_FALSE(node.disordered());
}

/// trytond runs REPEATABLE READ: what two transactions both update makes one of them fail.
TEST(PostgresBroker, FiftyPublishersAtOnceInRepeatableReadNeverFailToSerialize) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  node.subscribe("orders");
  std::atomic<int> failures{0};
  std::vector<std::thread> publishers;
  for (int i = 0; i < 50; ++i) {
    publishers.emplace_back([&, i] {
      SqlSession session(database.url());
      for (int j = 0; j < 20; ++j) {
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1");
        const std::string state =
            session.fails(fmt::format("SELECT headroom.publish('orders', '[{},{}]')", i, j));
        if (!state.empty() || !session.fails("COMMIT").empty()) ++failures;
      }
    });
  }
  EXPECT_TRUE(node.run_until([&] { return node.count("orders") == 1'000; }));
  for (std::thread& publisher : publishers) publisher.join();
  EXPECT_EQ(failures, 0);
  EXPECT_FALSE(node.disordered());
}

TEST(PostgresBroker, RefusesWhatIsTooLargeOrNoMessageBeforeTheCommit) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  const auto publish = [&](const std::string& channel, const std::string& payload, const std::string& id) {
    return session.fails(fmt::format("SELECT headroom.publish({}, {}, {})", channel, payload, id));
  };
  EXPECT_EQ(publish("'a'", "'\"' || repeat('x', 32766) || '\"'", "NULL"), "");
  EXPECT_EQ(publish("'a'", "'\"' || repeat('x', 32767) || '\"'", "NULL"), "54000");
  EXPECT_EQ(publish("'a'", "'{'", "NULL"), "22P02") << "no JSON";
  EXPECT_EQ(publish("'a'", "NULL", "NULL"), "22004");
  EXPECT_EQ(publish("''", "'1'", "NULL"), "22023");
  EXPECT_EQ(publish("E'a\\nb'", "'1'", "NULL"), "22023");
  EXPECT_EQ(publish("'a\"b'", "'1'", "NULL"), "22023");
  EXPECT_EQ(publish("'a'", "'1'", "repeat('x', 65)"), "22023");
  EXPECT_EQ(publish("'a'", "'{\"a\": 1}'::jsonb", "NULL"), "");
}

TEST(PostgresBroker, BringsAMessageOfSeveralLinesInOne) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  node.subscribe("a");
  SqlSession session(database.url());
  session.run(
      "SELECT headroom.publish('a', E'[1,\\r\\n2]', 'one'), headroom.publish('a', E'[1,\\n2]'), "
      "headroom.publish('a', 'null')");
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 3; }));
  EXPECT_THAT(node.told("a"), ElementsAre("[1,  2]", "[1, 2]", "null"));
  EXPECT_EQ(session.fails("SELECT headroom.publish(NULL, '1')"), "22023");
  session.run("UPDATE headroom.about SET message_bytes = 40000");
  EXPECT_EQ(session.fails("SELECT headroom.publish('a', '\"' || repeat('x', 39998) || '\"')"), "");
  EXPECT_EQ(session.fails("SELECT headroom.publish('a', repeat('x', 39998))"), "22P02");
  EXPECT_EQ(session.fails("SELECT headroom.publish('a', '\"' || repeat('x', 39999) || '\"')"), "54000");
}

TEST(PostgresBroker, LetsEachRoleDoItsPartAndNoMore) {
  const PostgresDatabase database;
  make_logins(database);
  SqlSession stranger(database.url("stranger"));
  EXPECT_EQ(stranger.fails("SELECT headroom.publish('a', '1')"), "42501");
  SqlSession app(database.url("app"));
  EXPECT_EQ(app.fails("SELECT headroom.publish('a', '1')"), "");
  EXPECT_EQ(app.fails("INSERT INTO headroom.outbox (slot, channel, data) VALUES (0, 'a', '1')"), "42501");
  EXPECT_EQ(app.fails("SELECT * FROM headroom.stream"), "42501");
  EXPECT_EQ(app.fails("SELECT * FROM headroom.poll(0, 1)"), "42501");
  EXPECT_EQ(app.fails("SELECT headroom.campaign('x', 300)"), "42501");
  EXPECT_EQ(SqlSession(database.url("node")).fails("SELECT headroom.publish('a', '1')"), "42501");
  EXPECT_THAT(SqlSession(database.url())
                  .run("SELECT DISTINCT grantee FROM information_schema.role_routine_grants"
                       " WHERE routine_schema = 'headroom' AND routine_name = 'publish'"
                       " AND grantee <> 'headroom_owner'"),
              ElementsAre("headroom_publisher"))
      << "one role";
  PostgresNode node(database.url("node"), "one");
  node.start();
  node.subscribe("a");
  EXPECT_TRUE(node.publish("a", "2"));
  ASSERT_TRUE(node.run_until([&] { return node.count("a") > 0; }));
}

TEST(PostgresBroker, AnswersRepeatsOfAnIdWithTheFirstOffsetWhoeverPublishesThem) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  node.subscribe("a");
  SqlSession(database.url()).run("SELECT headroom.publish('a', '1', 'k'), headroom.publish('a', '1', 'k')");
  const auto second = node.publish("a", "1", "k");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->position.offset, 1U);
  EXPECT_TRUE(second->repeated);
  EXPECT_FALSE(node.publish("a", "2", "l")->repeated);
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 2; }));
  EXPECT_THAT(node.told("a"), ElementsAre("1", "2"));
}

/// Of the messages after an offset: how many there are, or nothing when they are lost.
std::optional<std::size_t> kept_after(PostgresNode& node, const std::string& channel, std::uint64_t offset) {
  const Position since{offset, node.subscribe(channel).epoch};
  HistoryQuery query;
  query.since = &since;
  query.limit = 1'000;
  const auto page = node.history(channel, query).value();
  if (page.lost) return std::nullopt;
  return page.messages.size();
}

TEST(PostgresBroker, KeepsOfAChannelWhatItsRuleSays) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  for (const std::string channel : {"small:a", "tight:a", "none:a", "other"}) {
    SqlSession(database.url())
        .run(fmt::format("SELECT headroom.publish('{}', '\"' || repeat('x', 198) || '\"') FROM"
                         " generate_series(1, 9)",
                         channel));
    ASSERT_TRUE(node.publish(channel, "10"));
  }
  EXPECT_EQ(kept_after(node, "other", 0), 10U);
  EXPECT_EQ(kept_after(node, "small:a", 5), 5U);
  EXPECT_EQ(kept_after(node, "small:a", 4), std::nullopt);
  EXPECT_EQ(kept_after(node, "tight:a", 4), 6U) << "5 of 200 bytes and a small one";
  EXPECT_EQ(kept_after(node, "tight:a", 3), std::nullopt);
  EXPECT_EQ(kept_after(node, "none:a", 10), 0U);
  EXPECT_EQ(kept_after(node, "none:a", 9), std::nullopt);
  EXPECT_EQ(kept_after(node, "never used", 0), 0U);
  HistoryQuery newest;
  newest.limit = 3;
  const auto page = node.history("other", newest).value();
  ASSERT_THAT(page.messages, SizeIs(3));
  EXPECT_EQ(page.messages.front().offset, 8U);
  EXPECT_EQ(*page.messages.back().data, "10");
  newest.limit = 0;
  EXPECT_EQ(node.history("other", newest)->position.offset, 10U);
  EXPECT_EQ(node.publish("small:a", std::string(40'000, '1')).error().code(), base::ErrorCode::kTooLarge);
}

TEST(PostgresBroker, SaysThatTheDatabaseIsAwayAndComesUpWithIt) {
  testing::PostgresServer server(without_disk());
  const PostgresDatabase database(server);
  server.kill();
  PostgresNode node(database.url(), "one");
  node.broker().start(node, read_clocks());
  ASSERT_TRUE(node.run_until([&] { return !node.available(); }));
  server.start();
  EXPECT_EQ(node.subscribe("a").offset, 0U);
  ASSERT_TRUE(node.run_until([&] { return node.available(); }));
  EXPECT_TRUE(node.publish("a", "1"));
}

TEST(PostgresBroker, LosesNothingAcknowledgedWhenTheServerIsKilled) {
  testing::PostgresServer server(without_disk());
  const PostgresDatabase database(server);
  PostgresNode node(database.url(), "one");
  node.start();
  node.subscribe("a");
  std::size_t acknowledged = 0;
  std::size_t unknown = 0;
  std::size_t sent = 0;
  const auto publish_some = [&] {
    for (int i = 0; i < 50; ++i) {
      const std::string id = fmt::format("id{}", ++sent);
      node.broker().publish(
          {"a", std::to_string(sent), id}, read_clocks(),
          [&](const Result<Published>& published) { ++(published ? acknowledged : unknown); });
    }
  };
  for (int round = 0; round < 3; ++round) {
    publish_some();
    ASSERT_TRUE(node.run_until([&] { return acknowledged + unknown >= sent - 25; }));
    const int losses = node.losses();
    server.kill();
    ASSERT_TRUE(node.run_until([&] { return node.losses() > losses; }));
    server.start();
    ASSERT_TRUE(node.run_until([&] { return node.available(); }));
  }
  publish_some();
  ASSERT_TRUE(node.run_until([&] { return acknowledged + unknown == sent; }));
  const Position before{0, node.subscribe("a").epoch};
  HistoryQuery query;
  query.since = &before;
  query.limit = 1'000;
  const auto page = node.history("a", query);
  ASSERT_TRUE(page);
  EXPECT_FALSE(page->lost) << "the same history goes on";
  EXPECT_GE(page->position.offset, acknowledged);
  EXPECT_LE(page->position.offset, sent);
  EXPECT_GE(acknowledged, 50U);
}

TEST(PostgresBroker, AnotherNodeTakesOverWithAHigherTermAndTheOldOneIsFenced) {
  const PostgresDatabase database;
  auto one = std::make_unique<PostgresNode>(database.url(), "one");
  one->start();
  ASSERT_TRUE(one->run_until([&] { return one->broker().counts().term > 0; }));
  PostgresNode two(database.url(), "two");
  two.start();
  two.subscribe("a");
  ASSERT_TRUE(one->publish("a", "1"));
  ASSERT_TRUE(two.publish("a", "2"));
  EXPECT_EQ(two.broker().counts().term, 0);
  const std::int64_t before = one->broker().counts().term;
  one.reset();
  ASSERT_TRUE(two.publish("a", "3"));
  EXPECT_TRUE(two.run_until([&] { return two.broker().counts().term > before; }));
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', '4')");
  // What the old one would still try.
  SqlSession old(database.url());
  std::string state;
  // Until it is not the other one that happens to write the same batch.
  for (int i = 0; i < 1'000 && state != "55000"; ++i)
    state = old.fails(fmt::format("SELECT seq FROM headroom.sequence({}, 10, true)", before));
  EXPECT_EQ(state, "55000");
  ASSERT_TRUE(two.run_until([&] { return two.count("a") == 4; }));
  EXPECT_THAT(two.told("a"), ElementsAre("1", "2", "3", "4"));
  EXPECT_FALSE(two.disordered());
}

TEST(PostgresBroker, ASequencerThatHangsLosesItsLock) {
  const PostgresDatabase database;
  SqlSession hanging(database.url());
  hanging.run("SELECT headroom.campaign('hanging', 300)");
  PostgresNode node(database.url(), "one");
  node.start();
  node.subscribe("a");
  ASSERT_TRUE(node.publish("a", "1"));
  EXPECT_TRUE(node.run_until([&] { return node.broker().counts().term == 2; }));
  EXPECT_THROW(hanging.run("SELECT 1"), std::runtime_error) << "the server ended its session";
}

TEST(PostgresBroker, WakesTheSequencerWhereNotifyIsOn) {
  const PostgresDatabase database;
  SqlSession listening(database.url());
  listening.run("LISTEN headroom_outbox");
  SqlSession session(database.url());
  session.run("SELECT headroom.publish('a', '1')");
  EXPECT_EQ(listening.notifications(), 0);
  session.run("SET headroom.notify = on; SELECT headroom.publish('a', '2')");
  EXPECT_EQ(listening.notifications(), 1);
}

TEST(PostgresBroker, AProvenLossBeginsAnotherHistory) {
  const PostgresDatabase database;
  PostgresNode node(database.url(), "one");
  node.start();
  const Position before = node.subscribe("a");
  ASSERT_TRUE(node.publish("a", "1"));
  ASSERT_TRUE(node.run_until([&] { return node.count("a") == 1; }));
  const int losses = node.losses();
  // As after the copy of an older state: the row that the node saw last is another.
  SqlSession session(database.url());
  session.run(
      "UPDATE headroom.stream SET source = source + 1000;"
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'headroom reader' AND datname = current_database()");
  ASSERT_TRUE(node.run_until([&] { return node.losses() > losses && node.available(); }));
  HistoryQuery query;
  query.since = &before;
  const auto page = node.history("a", query);
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->lost);
  EXPECT_NE(page->position.epoch, before.epoch);
}

TEST(PostgresBroker, EmptiesSlotsOfTheOutboxAndSparesWhatIsStillOpen) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  session.run("SELECT headroom.campaign('test', 300); SET idle_session_timeout = 0");
  session.run(
      "CREATE OR REPLACE FUNCTION headroom.outbox_slot() RETURNS smallint LANGUAGE sql"
      " AS 'SELECT 0::smallint'");  // else the quarter of the minute may end within the test
  // Rows as they were published in other quarters of the minute.
  SqlSession open(database.url());
  open.run(
      "BEGIN; INSERT INTO headroom.outbox (slot, channel, data) SELECT s, 'open', '0' FROM"
      " (SELECT (headroom.outbox_slot() + 2) % 4) t (s)");
  session.run(
      "INSERT INTO headroom.outbox (slot, channel, data)"
      " SELECT (headroom.outbox_slot() + 1 + i % 2) % 4, 'a', repeat('7', 500)"
      " FROM generate_series(1, 20000) i");
  const auto size = [&] {
    return std::stoll(session
                          .run("SELECT sum(pg_total_relation_size(('headroom.outbox_' || i)::regclass))"
                               " FROM generate_series(0, 3) i")
                          .front());
  };
  EXPECT_THAT(session.run("SELECT headroom.clean_outbox(1)"), ElementsAre("0")) << "nothing was read yet";
  while (session.run("SELECT seq FROM headroom.sequence(1, 1000, true)").front() != "0") continue;
  const auto before = size();
  EXPECT_THAT(session.run("SELECT headroom.clean_outbox(1)"), ElementsAre("1"));
  EXPECT_THAT(session.run("SELECT headroom.clean_outbox(1)"), ElementsAre("0"))
      << "a transaction is open there";
  EXPECT_LT(size(), before * 6 / 10);
  open.run("COMMIT");
  EXPECT_THAT(session.run("SELECT headroom.clean_outbox(1)"), ElementsAre("0")) << "its row was not read yet";
  EXPECT_EQ(session.run("SELECT seq FROM headroom.sequence(1, 1000, false)").front(), "1");
  EXPECT_THAT(session.run("SELECT headroom.clean_outbox(1)"), ElementsAre("1"));
  EXPECT_LT(size(), 200'000);
  EXPECT_THAT(session.run("SELECT headroom.newest('open')"), ElementsAre("1"));
}

/// What PostgreSQL counts of the outbox' indexes, in this session.
std::int64_t of_outbox_indexes(SqlSession& session, const std::string& count, const std::string& view) {
  session.run("SELECT pg_stat_force_next_flush()");
  return std::stoll(
      session
          .run(fmt::format("SELECT sum({}) FROM {} WHERE schemaname = 'headroom' AND relname LIKE 'outbox%'",
                           count, view))
          .front());
}

TEST(PostgresBroker, AStepReadsNothingOfWhatWasReadBefore) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  session.run("SELECT headroom.campaign('test', 300); SET idle_session_timeout = 0");
  session.run("SELECT headroom.publish('a', '1') FROM generate_series(1, 20000)");
  while (session.run("SELECT seq FROM headroom.sequence(1, 1000, true)").front() != "0") continue;
  const auto pages_of_index = [&] {
    return of_outbox_indexes(session, "idx_blks_read + idx_blks_hit", "pg_statio_all_indexes");
  };
  constexpr int kSteps = 10;
  const auto before = pages_of_index();
  for (int i = 0; i < kSteps; ++i) {
    session.run("SELECT headroom.publish('a', '1')");
    EXPECT_EQ(session.run("SELECT seq FROM headroom.sequence(1, 1000, false)").front(), "1");
  }
  EXPECT_LT(pages_of_index() - before, kSteps * 30) << "the index has 80 pages and more";
}

/// Also in a window that is read in parts, and with a transaction that stays open.
TEST(PostgresBroker, AStepReadsNoMoreOfALongBacklogThanItStores) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  session.run("SELECT headroom.campaign('test', 300); SET idle_session_timeout = 0");
  SqlSession open(database.url());
  open.run("BEGIN; SELECT headroom.publish('a', '0')");
  for (int i = 0; i < 40; ++i) session.run("SELECT headroom.publish('a', '1') FROM generate_series(1, 500)");
  constexpr int kSteps = 5;
  constexpr int kStored = 1'000;
  const auto before = of_outbox_indexes(session, "idx_tup_read", "pg_stat_all_indexes");
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_EQ(session.run("SELECT seq FROM headroom.sequence(1, 1000, false)").front(),
              std::to_string(kStored));
  }
  const auto read = of_outbox_indexes(session, "idx_tup_read", "pg_stat_all_indexes") - before;
  EXPECT_GE(read, kSteps * kStored);
  EXPECT_LT(read, kSteps * (kStored + 100)) << "20,000 wait";
  open.run("COMMIT");
  while (session.run("SELECT seq FROM headroom.sequence(1, 1000, true)").front() != "0") continue;
  EXPECT_THAT(session.run("SELECT headroom.newest('a')"), ElementsAre("20001"));
}

TEST(PostgresBroker, EmptiesOldSlotsOfTheStreamAndKeepsOffsetsGrowing) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  session.run("SELECT headroom.campaign('test', 4); SET idle_session_timeout = 0");
  const auto publish = [&](int count) {
    session.run(fmt::format("SELECT headroom.publish('a', '1') FROM generate_series(1, {})", count));
    session.run("SELECT seq FROM headroom.sequence(1, 1000, true)");
  };
  publish(100);
  const auto emptied = [&] { return session.run("SELECT headroom.clean_stream(1, 1)").front() == "1"; };
  bool done = false;
  for (int i = 0; i < 200 && !done; ++i) {
    session.run("SELECT seq FROM headroom.sequence(1, 1000, true)");
    done = emptied();
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  ASSERT_TRUE(done);
  EXPECT_THAT(session.run("SELECT count(*) FROM headroom.stream"), ElementsAre("0"));
  publish(1);
  EXPECT_THAT(session.run("SELECT channel_offset FROM headroom.stream"), ElementsAre("101"));
  PostgresNode node(database.url(), "one");
  node.start();
  const Position newest = node.subscribe("a");
  EXPECT_EQ(newest.offset, 101U);
  const Position old{50, newest.epoch};
  HistoryQuery query;
  query.since = &old;
  EXPECT_TRUE(node.history("a", query)->lost) << "the messages after it are gone";
}

/// A channel whose messages were cleaned away, and that nobody has used since.
void remember_old(SqlSession& session, const std::string& channel, int newest) {
  session.run(fmt::format(
      "INSERT INTO headroom.channel (channel, newest, at) VALUES ('{}', {}, now() - interval '1 day')",
      channel, newest));
}

TEST(PostgresBroker, ForgetsChannelsThatNobodyUsesAndNeverGivesAnOffsetAgain) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  session.run("SELECT headroom.campaign('test', 300); SET idle_session_timeout = 0");
  const auto forget = [&](int object_s) {
    return session.run(fmt::format("SELECT headroom.forget_channels(1, 3600, {})", object_s)).front();
  };
  const auto newest = [&](const std::string& channel) {
    return session.run(fmt::format("SELECT headroom.newest('{}')", channel)).front();
  };
  const auto publish = [&](const std::string& channel) {
    session.run(fmt::format("SELECT headroom.publish('{}', '1')", channel));
    session.run("SELECT seq FROM headroom.sequence(1, 1000, true)");
  };
  remember_old(session, "old", 100);
  remember_old(session, "kept", 70);
  remember_old(session, "busy", 30);
  session.run("INSERT INTO headroom.channel (channel, newest, at) VALUES ('young', 5000, now())");
  EXPECT_EQ(forget(60), "0") << "now they are doomed";
  EXPECT_THAT(session.run("SELECT * FROM headroom.doomed_channels() ORDER BY 1"),
              ElementsAre("busy", "kept", "old"));
  EXPECT_EQ(forget(60), "0") << "whoever uses one may still say so";
  session.run("SELECT headroom.keep_channels('{kept,another}')");
  publish("busy");
  EXPECT_EQ(forget(0), "1");
  EXPECT_THAT(session.run("SELECT channel FROM headroom.channel ORDER BY 1"),
              ElementsAre("busy", "kept", "young"));
  EXPECT_EQ(newest("busy"), "31");
  EXPECT_EQ(newest("old"), "1024") << "beyond every offset that it ever gave";
  EXPECT_EQ(newest("never used"), "1024");
  publish("old");
  publish("old");
  EXPECT_EQ(newest("old"), "1026");
  EXPECT_THAT(session.run("SELECT headroom.forget_channels(7, 0, 0)"), ElementsAre("0")) << "of another term";

  PostgresNode node(database.url(), "one");
  node.start();
  EXPECT_EQ(kept_after(node, "old", 1024), 2U);
  EXPECT_EQ(kept_after(node, "old", 100), std::nullopt) << "told, though nothing was missed";
  EXPECT_EQ(kept_after(node, "old", 99), std::nullopt);
  EXPECT_EQ(kept_after(node, "kept", 70), 0U);
}

TEST(PostgresBroker, NeverForgetsAChannelThatANodeUses) {
  const PostgresDatabase database;
  SqlSession session(database.url());
  remember_old(session, "used", 100);
  remember_old(session, "unused", 200);
  PostgresBrokerOptions options;
  options.forget_after = std::chrono::seconds{3600};
  options.object_within = std::chrono::seconds{5};
  PostgresNode leader(database.url(), "one", options);
  leader.start();
  PostgresNode node(database.url(), "two", options);
  node.start();
  EXPECT_EQ(node.subscribe("used").offset, 100U);
  ASSERT_TRUE(node.run_until([&] {
    return leader.broker().counts().forgotten_channels + node.broker().counts().forgotten_channels == 1;
  }));
  EXPECT_THAT(session.run("SELECT channel FROM headroom.channel"), ElementsAre("used"));
  EXPECT_EQ(node.subscribe("unused").offset, 1024U);
  session.run("SELECT headroom.publish('used', '1'), headroom.publish('unused', '2')");
  ASSERT_TRUE(node.run_until([&] { return node.count("used") + node.count("unused") == 2; }));
  EXPECT_EQ(node.subscribe("used").offset, 101U) << "it goes on";
  EXPECT_EQ(node.subscribe("unused").offset, 1025U);
}

}  // namespace
}  // namespace headroom::bus
