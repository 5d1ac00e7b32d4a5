// Counters that follow a real PostgreSQL, compared with what plain SQL counts there.

#include "worklist/live_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "worklist/count.hpp"
#include "worklist/live_world.hpp"
#include "worklist/random_case.hpp"

namespace headroom::worklist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

/// A source, waited for.
class Followed {
 public:
  Followed(const Definitions& definitions, const std::string& url, base::UtcTime now = kNow,
           LiveSourceOptions options = {})
      : source_([&] {
          options.url = url;
          return LiveSource::make(definitions, std::move(options), now).value();
        }()) {}

  /// False after a minute.
  bool run_until(const std::function<bool()>& done) {
    const auto end = Clock::now() + 1min;
    const sql::Waker waker;
    while (true) {
      source_->advance(Clock::now());
      if (done()) return true;
      if (Clock::now() > end) return false;
      const auto waited = source_->waited();
      sql::wait(std::span<const sql::Waited>(waited), waker,
                std::min(source_->wake_at(), Clock::now() + 50ms));
    }
  }
  bool is_current() {
    return run_until([this] { return status().state == LiveState::kCurrent; });
  }
  /// Whether the position was reached.
  bool reach(sql::Lsn lsn) {
    std::optional<bool> reached;
    const auto asked = source_->wait_for(lsn, Clock::now(), Clock::now() + 50s,
                                         [&](bool is_reached) { reached = is_reached; });
    EXPECT_TRUE(asked);
    run_until([&] { return reached.has_value(); });
    return reached.value_or(false);
  }
  [[nodiscard]] LiveStatus status() const { return source_->status(Clock::now()); }
  LiveSource* operator->() { return source_.get(); }

 private:
  std::unique_ptr<LiveSource> source_;
};

// Random changes
// ---------------------------------------------------------------------------------------------------------

std::string literal(const Column& column, const Value& value) {
  if (is_null(value)) return "NULL";
  std::string text = "'";
  for (const char character : to_text(column.type, value)) text.append(character == '\'' ? 2 : 1, character);
  return text + "'";
}

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char character : name) text.append(character == '"' ? 2 : 1, character);
  return text + '"';
}

/// A case in a database, and changes of it.
class RandomTable {
 public:
  RandomTable(RandomCase random, const std::string& url)
      : random_(std::move(random)), changes_(random_, random_.seed + 1'000), session_(url) {
    session_.run("SET timezone = 'UTC'");
    for (const std::string& statement : random_.statements(sql::Dialect::kPostgres)) session_.run(statement);
    session_.run(fmt::format("ALTER TABLE document ADD PRIMARY KEY ({})", key()));
    next_ = static_cast<std::int64_t>(random_.rows.size()) + 1;
  }

  /// A transaction of a few changes, which may be rolled back.
  void change() {
    session_.run("BEGIN");
    const std::size_t changes = 1 + changes_.below(4);
    for (std::size_t i = 0; i < changes; ++i) session_.run(statement());
    session_.run(changes_.below(8) == 0 ? "ROLLBACK" : "COMMIT");
  }
  Session& session() { return session_; }
  [[nodiscard]] std::size_t truncated() const { return truncated_; }

 private:
  [[nodiscard]] std::string key() const {
    return quoted(random_.catalog.columns[random_.catalog.key].column);
  }
  [[nodiscard]] std::string some() { return fmt::format("{} % {} = 0", key(), 2 + changes_.below(6)); }

  std::string statement() {
    const auto row = changes_.row(next_);
    const auto& columns = random_.catalog.columns;
    switch (changes_.below(12)) {
      case 0:
        return "DELETE FROM document WHERE " + some();
      case 1:
        return fmt::format("UPDATE document SET {0} = {0} + 1000 WHERE {0} < 1000 AND {1}", key(), some());
      case 2:
        if (changes_.below(4) == 0) {
          ++truncated_;
          return "TRUNCATE document";
        }
        [[fallthrough]];
      case 3:
      case 4:
      case 5: {
        std::string values;
        for (std::size_t i = 0; i < row.size(); ++i)
          values += (i == 0 ? "" : ", ") + literal(columns[i], row[i]);
        ++next_;
        return fmt::format("INSERT INTO document VALUES ({})", values);
      }
      default: {
        const std::size_t place = 1 + changes_.below(row.size() - 1);
        return fmt::format("UPDATE document SET {} = {} WHERE {}", quoted(columns[place].column),
                           literal(columns[place], row[place]), some());
      }
    }
  }

  RandomCase random_;
  CaseChanges changes_;
  Session session_;
  std::int64_t next_ = 1;
  std::size_t truncated_ = 0;
};

/// The first difference to a plain statement for each list.
std::optional<std::string> difference(Followed& followed, const Definitions& definitions,
                                      const std::vector<User>& users, base::UtcTime now,
                                      const std::string& url, CaseCounts& counts) {
  const auto reader = sql::open_reader(url, {}).value();
  for (const User& user : users) {
    const auto expected = count(*reader, {definitions, user, now, sql::Dialect::kPostgres, Way::kEach});
    if (!expected) return expected.error().message();
    const auto counted = followed->counters(0)->count(user);
    if (!counted) return counted.error().message();
    for (std::size_t i = 0; i < expected->size(); ++i) {
      ++counts.all;
      counts.not_zero += (*expected)[i].count == 0 ? 0 : 1;
      if ((*expected)[i].count == (*counted)[i]) continue;
      return fmt::format("user {}, {}: {} in place of {}", user.id, definitions.lists[i].key(), (*counted)[i],
                         (*expected)[i].count);
    }
  }
  return std::nullopt;
}

/// Whether those whose counts are others than before are said to be concerned.
class Concerned {
 public:
  /// The first user for whom it is not so.
  std::optional<std::string> missed(Followed& followed, const Definitions& definitions,
                                    const std::vector<User>& users) {
    const auto touched = followed->take_touched();
    std::optional<std::string> missed;
    for (const User& user : users) {
      auto counted = followed->counters(0)->count(user).value();
      const bool is_concerned = touched[0].concern(scope_of(definitions.catalogs[0], {}, user).value());
      passed_over_ += is_concerned ? 0 : 1;
      const auto before = before_.find(user.id);
      if (before != before_.end() && before->second != counted && !is_concerned) missed = user.id;
      before_[user.id] = std::move(counted);
    }
    return missed;
  }
  [[nodiscard]] std::size_t passed_over() const { return passed_over_; }

 private:
  std::map<std::string, std::vector<std::uint64_t>> before_;
  std::size_t passed_over_ = 0;
};

TEST(LiveSource, CountsAsPlainSqlDoesAfterRandomChanges) {
  constexpr int kCases = 6;
  CaseCounts counts;
  std::size_t passed_over = 0;
  std::uint64_t seed = 1;
  for (int made = 0; made < kCases; ++seed) {
    const RandomCase random = random_case(seed);
    if (!random.catalog.look_ups.empty()) continue;
    ++made;
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Database database;
    RandomTable table(random, database.url());
    const Definitions definitions = random.definitions().value();
    table.session().run(publication_statement(definitions, "headroom_worklist"));
    Followed followed(definitions, database.url(), random.now);
    ASSERT_TRUE(followed.is_current()) << followed.status().text();
    Concerned concerned;
    for (int round = 0; round < 15; ++round) {
      const auto missed = concerned.missed(followed, definitions, random.users);
      ASSERT_FALSE(missed) << "round " << round << ": user " << *missed;
      const auto told = difference(followed, definitions, random.users, random.now, database.url(), counts);
      ASSERT_FALSE(told) << "round " << round << ": " << *told;
      for (int i = 0; i < 3; ++i) table.change();
      ASSERT_TRUE(followed.reach(table.session().written()));
    }
    EXPECT_LE(followed.status().rebuilds, table.truncated()) << followed.status().problem;
    passed_over += concerned.passed_over();
  }
  EXPECT_GT(passed_over, 0U) << "somebody is not concerned by everything";
  EXPECT_GE(counts.not_zero * 10, counts.all * 2)
      << counts.not_zero << " of " << counts.all << " are not zero";
}

// Named cases
// ---------------------------------------------------------------------------------------------------------

/// A table, and who sees rows with the uid 3 and his own ones: the counts of "draft" and "noted".
class Sales : public ::testing::Test {
 protected:
  void make(const std::string& columns_and_more = "PRIMARY KEY (id))", const std::string& more = "") {
    session_.run(
        "CREATE TABLE sale (id integer NOT NULL, state text, note text, owner integer, uid integer, " +
        columns_and_more);
    if (!more.empty()) session_.run(more);
    session_.run(publication_statement(definitions_, "headroom_worklist"));
  }
  std::unique_ptr<Followed> follow() {
    auto followed = std::make_unique<Followed>(definitions_, database_.url());
    EXPECT_TRUE(followed->is_current()) << followed->status().text();
    return followed;
  }
  std::vector<std::uint64_t> counts(Followed& followed) {
    EXPECT_TRUE(followed.reach(session_.written())) << followed.status().text();
    return counts_now(followed);
  }
  static std::vector<std::uint64_t> counts_now(Followed& followed) {
    User user;
    user.id = "7";
    user.security_uids = {{3, "", ""}};
    return followed->counters(0)->count(user).value();
  }
  /// Why it does not begin.
  std::string problem() {
    Followed followed(definitions_, database_.url());
    EXPECT_TRUE(followed.run_until([&] { return !followed.status().problem.empty(); }));
    EXPECT_EQ(followed.status().state, LiveState::kAway);
    return followed.status().problem;
  }

  const Definitions definitions_ = read_definitions(kYaml, "lists.yaml", kNow).value();
  Database database_;
  Session session_{database_.url()};
};

TEST_F(Sales, AreCountedFromTheFirstCopyOn) {
  make();
  session_.run(
      "INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1), (2, 'draft', 'xx', 8, 3), (3, 'done', 'xxx', 8, 3)");
  const auto followed = follow();
  EXPECT_THAT(counts(*followed), ElementsAre(2, 2));
  session_.run("UPDATE sale SET state = 'draft', owner = NULL, uid = NULL WHERE id = 3");
  EXPECT_THAT(counts(*followed), ElementsAre(2, 1));
  session_.run("DELETE FROM sale WHERE id = 2");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 0));
  EXPECT_EQ(followed->status().documents, 2U);
  EXPECT_EQ(followed->status().text(), "current");
}

TEST(LiveSource, CountsWhatIsDueAsTimeGoesBy) {
  const Definitions definitions = read_definitions(R"(
catalogs:
  task:
    table: task
    key: id
    columns: {id: integer, due: date}
    security: []
lists:
  - {id: late, workflow: task, title: Late, catalog: task, criteria: {due: {below: today}}}
)",
                                                   "lists.yaml", kNow)
                                      .value();
  const Database database;
  Session session(database.url());
  session.run("CREATE TABLE task (id integer PRIMARY KEY, due date)");
  session.run(publication_statement(definitions, "headroom_worklist"));
  session.run("INSERT INTO task VALUES (1, '2026-11-29'), (2, '2026-11-30'), (3, '2026-12-01'), (4, NULL)");
  Followed followed(definitions, database.url());
  ASSERT_TRUE(followed.is_current()) << followed.status().text();
  const auto late = [&] { return followed->counters(0)->count(User()).value().front(); };
  EXPECT_EQ(late(), 1U);
  const base::UtcTime midnight = base::parse_time("2026-12-01 00:00", {}).value();
  EXPECT_EQ(followed->counters(0)->next_change(), midnight);
  followed->set_moment(midnight);
  EXPECT_EQ(late(), 2U);
  session.run("INSERT INTO task VALUES (5, '2026-11-30'), (6, '2026-12-01')");
  ASSERT_TRUE(followed.reach(session.written()));
  EXPECT_EQ(late(), 3U) << "of the day that it is now";
  followed->rebuild(Clock::now());
  ASSERT_TRUE(followed.is_current());
  EXPECT_EQ(followed.status().rebuilds, 1U);
  EXPECT_EQ(late(), 3U) << "and after it was counted anew";
}

TEST_F(Sales, ThatAreWrittenWhileTheyAreCopiedAreCountedOnce) {
  make();
  session_.run("INSERT INTO sale SELECT i, 'draft', 'n', 7, 3 FROM generate_series(1, 20000) i");
  std::atomic<bool> ending{false};
  std::thread writer([&] {
    Session session(database_.url());
    for (int i = 20'001; !ending; ++i) {
      session.run(fmt::format("INSERT INTO sale VALUES ({}, 'draft', 'xx', 7, 3)", i));
      session.run(fmt::format("UPDATE sale SET state = 'done' WHERE id = {}", i - 20'000));
    }
  });
  const auto followed = follow();
  ending = true;
  writer.join();
  const auto counted = counts(*followed);
  EXPECT_EQ(counted[0], std::stoull(session_.run("SELECT count(*) FROM sale WHERE state = 'draft'")));
  EXPECT_EQ(counted[1], std::stoull(session_.run("SELECT count(*) FROM sale WHERE note LIKE 'xx%'")));
}

TEST_F(Sales, WaitForATransactionThatIsOpenAndSayForWhich) {
  make();
  Session writer(database_.url());
  writer.run("BEGIN");
  writer.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1)");
  Followed followed(definitions_, database_.url());
  ASSERT_TRUE(followed.run_until([&] { return followed.status().process != 0; }));
  EXPECT_EQ(followed.status().state, LiveState::kWaiting);
  EXPECT_EQ(std::to_string(followed.status().process), writer.run("SELECT pg_backend_pid()"));
  EXPECT_THAT(followed.status().text(), HasSubstr("waiting for transaction of process"));
  EXPECT_EQ(followed->counters(0), nullptr);
  writer.run("COMMIT");
  ASSERT_TRUE(followed.is_current());
  EXPECT_EQ(followed.status().process, 0);
  EXPECT_THAT(counts(followed), ElementsAre(1, 0));
}

TEST_F(Sales, KeepAValueThatWasNotSentBecauseItDidNotChange) {
  make("PRIMARY KEY (id))", "ALTER TABLE sale ALTER COLUMN note SET STORAGE EXTERNAL");
  const auto followed = follow();
  session_.run("INSERT INTO sale VALUES (1, 'draft', repeat('x', 20000), 7, 1)");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 1));
  session_.run("UPDATE sale SET state = 'done'");
  EXPECT_THAT(counts(*followed), ElementsAre(0, 1));
  session_.run("UPDATE sale SET id = 2, state = 'draft'");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 1)) << "with another key";
  session_.run("UPDATE sale SET note = repeat('y', 20000)");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 0));
  EXPECT_EQ(followed->status().rebuilds, 0U);
}

TEST_F(Sales, FollowKeysThatChange) {
  make();
  session_.run("INSERT INTO sale SELECT i, 'draft', 'x', 7, 1 FROM generate_series(1, 5) i");
  const auto followed = follow();
  session_.run("UPDATE sale SET id = id + 100");
  EXPECT_THAT(counts(*followed), ElementsAre(5, 0));
  session_.run("DELETE FROM sale WHERE id IN (101, 102)");
  EXPECT_THAT(counts(*followed), ElementsAre(3, 0));
  EXPECT_EQ(followed->status().documents, 3U);
}

TEST_F(Sales, AreGoneAfterTruncate) {
  make();
  session_.run("INSERT INTO sale SELECT i, 'draft', 'x', 7, 1 FROM generate_series(1, 5) i");
  const auto followed = follow();
  session_.run("BEGIN");
  session_.run("TRUNCATE sale");
  session_.run("INSERT INTO sale VALUES (9, 'draft', 'xx', 7, 1)");
  session_.run("COMMIT");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 1));
  session_.run("TRUNCATE sale");
  EXPECT_THAT(counts(*followed), ElementsAre(0, 0));
}

TEST_F(Sales, OfAWholeReplicaIdentityAreFollowed) {
  make("total integer)", "ALTER TABLE sale REPLICA IDENTITY FULL");
  const auto followed = follow();
  session_.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1), (2, 'draft', 'x', 7, 1)");
  session_.run("UPDATE sale SET id = 3 WHERE id = 1");
  session_.run("DELETE FROM sale WHERE id = 2");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 0));
  EXPECT_EQ(followed->status().documents, 1U);
}

TEST_F(Sales, InPartitionsAreOneTable) {
  make("PRIMARY KEY (id, owner)) PARTITION BY LIST (owner)",
       "CREATE TABLE sale_7 PARTITION OF sale FOR VALUES IN (7)");
  session_.run("CREATE TABLE sale_8 PARTITION OF sale FOR VALUES IN (8)");
  session_.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1), (2, 'draft', 'x', 8, 1)");
  const auto followed = follow();
  EXPECT_THAT(counts(*followed), ElementsAre(1, 0));
  session_.run("UPDATE sale SET owner = 7 WHERE id = 2");
  EXPECT_THAT(counts(*followed), ElementsAre(2, 0)) << "it moved to another partition";
  session_.run("INSERT INTO sale_7 VALUES (3, 'draft', 'xx', 7, 1)");
  EXPECT_THAT(counts(*followed), ElementsAre(3, 1));
  session_.run("DELETE FROM sale WHERE id < 3");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 1));
  EXPECT_EQ(followed->status().rebuilds, 0U) << followed->status().problem;
  session_.run("TRUNCATE sale");
  EXPECT_THAT(counts(*followed), ElementsAre(0, 0));
}

// What the log does not tell
// ---------------------------------------------------------------------------------------------------------

TEST_F(Sales, AreCountedAnewWhenAPartitionIsTruncatedAttachedOrDetached) {
  make("PRIMARY KEY (id, owner)) PARTITION BY LIST (owner)",
       "CREATE TABLE sale_7 PARTITION OF sale FOR VALUES IN (7)");
  session_.run("CREATE TABLE sale_8 PARTITION OF sale FOR VALUES IN (8)");
  session_.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 3), (2, 'draft', 'x', 8, 3)");
  const auto followed = follow();
  EXPECT_THAT(counts(*followed), ElementsAre(2, 0));
  const auto becomes = [&](std::uint64_t drafts) {
    return followed->run_until([&] { return counts_now(*followed).front() == drafts; });
  };
  session_.run("TRUNCATE sale_8");
  EXPECT_TRUE(becomes(1)) << "the log tells nothing of it";
  session_.run(
      "CREATE TABLE sale_9 (id integer NOT NULL, state text, note text, owner integer NOT NULL, uid "
      "integer)");
  session_.run("INSERT INTO sale_9 VALUES (3, 'draft', 'x', 9, 3), (4, 'draft', 'x', 9, 3)");
  session_.run("ALTER TABLE sale ATTACH PARTITION sale_9 FOR VALUES IN (9)");
  EXPECT_TRUE(becomes(3));
  session_.run("INSERT INTO sale VALUES (5, 'draft', 'x', 9, 3)");
  EXPECT_THAT(counts(*followed), ElementsAre(4, 0));
  session_.run("ALTER TABLE sale DETACH PARTITION sale_9");
  EXPECT_TRUE(becomes(1));
  EXPECT_EQ(followed->status().rebuilds, 3U);
}

TEST_F(Sales, AreCountedAnewWhenTheirTableIsWrittenAnewWithoutAChange) {
  make();
  session_.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1)");
  const auto followed = follow();
  EXPECT_THAT(counts(*followed), ElementsAre(1, 0));
  session_.run("ALTER TABLE sale ALTER COLUMN state TYPE text USING 'done'");
  EXPECT_TRUE(followed->run_until([&] { return counts_now(*followed).front() == 0; }));
  session_.run("ALTER TABLE sale RENAME COLUMN state TO old_state");
  session_.run("ALTER TABLE sale ADD COLUMN state text DEFAULT 'draft'");
  EXPECT_TRUE(followed->run_until([&] { return counts_now(*followed).front() == 1; }));
  session_.run("ALTER PUBLICATION headroom_worklist DROP TABLE sale");
  EXPECT_TRUE(followed->run_until([&] { return !followed->status().problem.empty(); }));
  EXPECT_EQ(followed->status().state, LiveState::kRebuilding) << "of what is not published nothing is heard";
  EXPECT_TRUE(
      followed->run_until([&] { return followed->status().problem.find("ADD TABLE") != std::string::npos; }));
  session_.run("UPDATE sale SET state = 'done'");
  session_.run("ALTER PUBLICATION headroom_worklist ADD TABLE sale");
  EXPECT_THAT(counts(*followed), ElementsAre(0, 0));
}

// Losses
// ---------------------------------------------------------------------------------------------------------

TEST_F(Sales, AreCountedAnewWhenTheirTableIsAltered) {
  make();
  session_.run("INSERT INTO sale VALUES (1, 'draft', '1', 7, 1)");
  const auto followed = follow();
  session_.run("ALTER TABLE sale ADD COLUMN more text DEFAULT 'm'");
  session_.run("INSERT INTO sale VALUES (2, 'draft', 'xx', 7, 1)");
  EXPECT_THAT(counts(*followed), ElementsAre(2, 1));
  EXPECT_EQ(followed->status().rebuilds, 0U) << "a column that nobody asks for";
  session_.run("ALTER TABLE sale ALTER COLUMN state TYPE varchar USING 'done'");
  session_.run("INSERT INTO sale VALUES (3, 'draft', 'xx', 7, 1)");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 2));
  EXPECT_EQ(followed->status().rebuilds, 1U);
  session_.run("DROP TABLE sale");
  session_.run(
      "CREATE TABLE sale (id integer PRIMARY KEY, state text, note text, owner integer, uid integer)");
  session_.run("ALTER PUBLICATION headroom_worklist ADD TABLE sale");
  session_.run("INSERT INTO sale VALUES (1, 'draft', '1', 7, 1)");
  EXPECT_THAT(counts(*followed), ElementsAre(1, 0));
}

TEST_F(Sales, ServeTheCountsOfBeforeWhileTheConnectionIsAway) {
  make();
  session_.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1)");
  const auto followed = follow();
  Session writer(database_.url());
  writer.run("BEGIN");
  writer.run("INSERT INTO sale VALUES (2, 'draft', 'x', 7, 1)");
  session_.run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name LIKE 'headroom "
      "worklist%'"
      " AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())");
  ASSERT_TRUE(followed->run_until([&] { return followed->status().process != 0; }));
  EXPECT_EQ(followed->status().state, LiveState::kRebuilding) << "the open transaction is waited for";
  EXPECT_THAT(counts_now(*followed), ElementsAre(1, 0));
  writer.run("COMMIT");
  EXPECT_THAT(counts(*followed), ElementsAre(2, 0));
  EXPECT_TRUE(followed->is_current());
  (*followed)->rebuild(Clock::now());
  EXPECT_THAT(counts(*followed), ElementsAre(2, 0));
  EXPECT_GE(followed->status().rebuilds, 2U);
}

TEST_F(Sales, LeaveNoSlotBehind) {
  make();
  { const auto followed = follow(); }
  const auto left = [&] {
    return session_.run("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()");
  };
  for (int i = 0; i < 500 && left() != "0"; ++i) std::this_thread::sleep_for(20ms);
  EXPECT_EQ(left(), "0");
}

TEST(LiveSource, ComesBackAfterTheServerWasKilled) {
  testing::PostgresServer server({"wal_level = logical"});
  const Database database(server);
  const Definitions definitions = read_definitions(kYaml, "lists.yaml", kNow).value();
  User user;
  user.id = "7";
  {
    Session session(database.url());
    session.run(
        "CREATE TABLE sale (id integer PRIMARY KEY, state text, note text, owner integer, uid integer)");
    session.run(publication_statement(definitions, "headroom_worklist"));
    session.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1)");
  }
  Followed followed(definitions, database.url());
  ASSERT_TRUE(followed.is_current());
  server.kill();
  ASSERT_TRUE(followed.run_until([&] { return followed.status().state == LiveState::kRebuilding; }));
  EXPECT_THAT(followed->counters(0)->count(user).value(), ElementsAre(1, 0));
  EXPECT_FALSE(followed.status().problem.empty());
  server.start();
  Session session(database.url());
  session.run("INSERT INTO sale VALUES (2, 'draft', 'x', 7, 1)");
  ASSERT_TRUE(followed.reach(session.written()));
  EXPECT_THAT(followed->counters(0)->count(user).value(), ElementsAre(2, 0));
}

// Readers and refusals
// ---------------------------------------------------------------------------------------------------------

TEST_F(Sales, TellReadersWhoWaitTooLong) {
  make();
  LiveSourceOptions options;
  options.most_waiting = 2;
  Followed followed(definitions_, database_.url(), kNow, options);
  std::vector<bool> told;
  const auto wait = [&](sql::Lsn lsn, std::chrono::milliseconds within) {
    return followed->wait_for(lsn, Clock::now(), Clock::now() + within,
                              [&](bool reached) { told.push_back(reached); });
  };
  constexpr sql::Lsn kNever = sql::Lsn{1} << 60U;
  ASSERT_TRUE(wait(kNever, 10ms));
  ASSERT_TRUE(wait(0, 50s));
  const auto third = wait(0, 50s);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), ErrorCode::kOverloaded);
  ASSERT_TRUE(followed.run_until([&] { return told.size() == 2; }));
  EXPECT_THAT(told, ::testing::UnorderedElementsAre(false, true));
  ASSERT_TRUE(wait(0, 50s));
  EXPECT_EQ(told.size(), 3U) << "it is so already";
}

TEST_F(Sales, SayWhatTheDatabaseLacks) {
  EXPECT_THAT(problem(), HasSubstr("there is no table \"sale\""));
  session_.run(
      "CREATE TABLE sale (id integer NOT NULL, number integer PRIMARY KEY, state text, note text, owner"
      " integer, uid integer)");
  EXPECT_THAT(problem(), HasSubstr("ALTER PUBLICATION \"headroom_worklist\" ADD TABLE \"sale\""));
  session_.run("CREATE PUBLICATION headroom_worklist FOR TABLE sale WHERE (number > 1)");
  EXPECT_THAT(problem(), HasSubstr("with all its rows"));
  session_.run("DROP PUBLICATION headroom_worklist");
  session_.run(publication_statement(definitions_, "headroom_worklist"));
  EXPECT_THAT(problem(), HasSubstr("a DELETE in \"sale\" would not tell its 'id'"));
  session_.run("CREATE ROLE reader LOGIN");
  Followed refused(definitions_, database_.url("reader"));
  ASSERT_TRUE(refused.run_until([&] { return !refused.status().problem.empty(); }));
  EXPECT_THAT(refused.status().problem, HasSubstr("REPLICATION"));
}

}  // namespace
}  // namespace headroom::worklist
