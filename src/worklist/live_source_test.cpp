// Counters that follow a real PostgreSQL, compared with what plain SQL counts there.

#include "worklist/live_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "worklist/count.hpp"
#include "worklist/live_check.hpp"
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

std::string literals(const std::vector<Column>& columns, const std::vector<Value>& row) {
  std::string values;
  for (std::size_t i = 0; i < row.size(); ++i) values += (i == 0 ? "" : ", ") + literal(columns[i], row[i]);
  return values;
}

/// A case in a database, and changes of it.
class RandomTable {
 public:
  RandomTable(RandomCase random, const std::string& url)
      : random_(std::move(random)), changes_(random_, random_.seed + 1'000), session_(url) {
    session_.run("SET timezone = 'UTC'");
    for (const std::string& statement : random_.statements(sql::Dialect::kPostgres)) session_.run(statement);
    session_.run(fmt::format("ALTER TABLE document ADD PRIMARY KEY ({})", key()));
    if (looks_up()) session_.run("ALTER TABLE place ADD PRIMARY KEY (id)");
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
  [[nodiscard]] bool looks_up() const { return !random_.catalog.look_ups.empty(); }
  [[nodiscard]] std::string some() { return fmt::format("{} % {} = 0", key(), 2 + changes_.below(6)); }

  std::string statement() {
    const auto& columns = random_.catalog.columns;
    const std::size_t kind = changes_.below(looks_up() ? 19 : 12);
    if (kind >= 12) return statement_of_place();
    const auto row = changes_.row(next_);
    switch (kind) {
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
        ++next_;
        return fmt::format("INSERT INTO document VALUES ({})", literals(columns, row));
      }
      default: {
        const std::size_t place = 1 + changes_.below(row.size() - 1);
        return fmt::format("UPDATE document SET {} = {} WHERE {}", quoted(columns[place].column),
                           literal(columns[place], row[place]), some());
      }
    }
  }

  std::string statement_of_place() {
    const auto columns = random_.place_columns();
    const auto id = static_cast<std::int64_t>(changes_.below(5)) + 1;
    const auto place = changes_.place(id);
    switch (changes_.below(8)) {
      case 0:
        return fmt::format("DELETE FROM place WHERE id = {}", id);
      case 1:
        return fmt::format(
            "UPDATE place SET id = {0} WHERE id = {1} AND NOT EXISTS (SELECT FROM place WHERE id = {0})",
            1 + changes_.below(5), id);
      case 2:
        if (changes_.below(4) != 0) return fmt::format("UPDATE place SET id = id WHERE id < {}", id);
        ++truncated_;
        return "TRUNCATE place";
      case 3:
      case 4:
        return fmt::format("INSERT INTO place VALUES ({}) ON CONFLICT DO NOTHING", literals(columns, place));
      default: {
        const std::size_t column = 1 + changes_.below(2);
        return fmt::format("UPDATE place SET {} = {} WHERE id {} {}", quoted(columns[column].column),
                           literal(columns[column], place[column]), id == 1 ? ">" : "=", id);
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
  constexpr std::uint64_t kCases = 8;
  CaseCounts counts;
  std::size_t passed_over = 0;
  std::size_t looked_up_twice = 0;
  for (std::uint64_t seed = 1; seed <= kCases; ++seed) {
    const RandomCase random = random_case(seed);
    looked_up_twice += random.catalog.look_ups.size() == 2 ? 1 : 0;
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
  EXPECT_GT(looked_up_twice, 0U);
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

// Look-ups
// ---------------------------------------------------------------------------------------------------------

constexpr std::string_view kOrders = R"(
catalogs:
  order:
    table: order
    columns:
      id: integer
      buyer: integer
      payer: text
      country: {type: text, look_up: buyer}
      keeper: {type: integer, look_up: buyer}
      rating: {type: text, look_up: payer}
    look_ups:
      buyer: {table: party, by: buyer}
      payer: {table: party, key: code, by: payer}
    security:
      - {column: keeper, role: Owner}
lists:
  - {id: home, workflow: order, title: Home, catalog: order, criteria: {country: AT}}
  - {id: poor, workflow: order, title: Poor, catalog: order, criteria: {rating: {in: [C, D], or_null: true}}}
)";

/// Orders, whose country and whose keeper (the user 7 asks) are those of a party, found by its id; and whose
/// rating is that of a party too, found by its code.
class Orders : public ::testing::Test {
 protected:
  Orders() {
    session_.run(
        "CREATE TABLE party (id integer PRIMARY KEY, code text NOT NULL UNIQUE, country text, keeper integer,"
        " rating text, note text)");
    session_.run(R"(CREATE TABLE "order" (id integer PRIMARY KEY, buyer integer, payer text))");
  }
  void follow(LiveSourceOptions options = {}) {
    session_.run("ALTER TABLE party REPLICA IDENTITY FULL");
    session_.run(publication_statement(definitions_, "headroom_worklist"));
    followed_ = std::make_unique<Followed>(definitions_, database_.url(), kNow, std::move(options));
    ASSERT_TRUE(followed_->is_current()) << followed_->status().text();
  }
  void run(const std::string& statement) { session_.run(statement); }
  std::vector<std::uint64_t> counts() {
    EXPECT_TRUE(followed_->reach(session_.written())) << followed_->status().text();
    return counts_now();
  }
  std::vector<std::uint64_t> counts_now() {
    User user;
    user.id = "7";
    return (*followed_)->counters(0)->count(user).value();
  }
  /// Why it does not begin.
  std::string problem() {
    Followed followed(definitions_, database_.url());
    EXPECT_TRUE(followed.run_until([&] { return !followed.status().problem.empty(); }));
    EXPECT_THAT(checked(), ::testing::Each(followed.status().problem));
    return followed.status().problem;
  }
  /// Why its lists can't be counted live, before it is tried.
  std::vector<std::string> checked() {
    const auto reader = sql::open_reader(database_.url(), {}).value();
    return check_live_database(*reader, definitions_, "headroom_worklist").value().why;
  }

  const Definitions definitions_ = read_definitions(kOrders, "orders.yaml", kNow).value();
  Database database_;
  Session session_{database_.url()};
  std::unique_ptr<Followed> followed_;
};

TEST_F(Orders, FollowTheRowsThatTheyLookUp) {
  run("INSERT INTO party VALUES (1, 'one', 'AT', 7, 'A'), (2, 'two', 'DE', 7, 'C')");
  run("INSERT INTO \"order\" VALUES (1, 1, 'one'), (2, 2, 'one'), (3, 3, 'three'), (4, NULL, NULL)");
  follow();
  EXPECT_THAT(counts(), ElementsAre(1, 0));
  run("UPDATE party SET country = 'AT'");
  EXPECT_THAT(counts(), ElementsAre(2, 0));
  run("INSERT INTO party VALUES (3, 'three', 'AT', 7, 'D')");
  EXPECT_THAT(counts(), ElementsAre(3, 1)) << "a row that comes behind its document";
  run("UPDATE party SET keeper = 8 WHERE id = 3");
  EXPECT_THAT(counts(), ElementsAre(2, 0)) << "who sees a document is looked up too";
  run("UPDATE party SET code = 'four' WHERE code = 'one'");
  EXPECT_THAT(counts(), ElementsAre(2, 2)) << "the key of one of the look-ups";
  run("UPDATE party SET id = 5 WHERE id = 1");
  EXPECT_THAT(counts(), ElementsAre(1, 1)) << "the key of the other one";
  run("UPDATE \"order\" SET buyer = 5 WHERE id IN (1, 3)");
  EXPECT_THAT(counts(), ElementsAre(3, 3));
  run("DELETE FROM party WHERE id = 2");
  EXPECT_THAT(counts(), ElementsAre(2, 2));
  EXPECT_EQ(followed_->status().rebuilds, 0U);
  EXPECT_EQ(followed_->status().documents, 4U);
}

TEST_F(Orders, AreCountedAnewWhereWhatTheyLookUpIsTruncated) {
  run("INSERT INTO party VALUES (1, 'one', 'AT', 7, 'A')");
  run("INSERT INTO \"order\" VALUES (1, 1, 'one')");
  follow();
  EXPECT_THAT(counts(), ElementsAre(1, 0));
  run("BEGIN");
  run("TRUNCATE party");
  run("INSERT INTO party VALUES (1, 'two', 'AT', 7, 'A')");
  run("COMMIT");
  EXPECT_THAT(counts(), ElementsAre(1, 1));
}

/// Orders change with their parties at once: at no moment is one counted without the other.
TEST_F(Orders, ChangeWithTheRowsOfTheSameTransaction) {
  run("INSERT INTO party VALUES (1, 'one', 'AT', 7, 'A'), (2, 'two', 'DE', 7, 'A')");
  run("INSERT INTO \"order\" SELECT i, 1 + i % 2, 'one' FROM generate_series(1, 300) i");
  LiveSourceOptions options;
  options.most_changes = 50;
  follow(std::move(options));
  EXPECT_THAT(counts(), ElementsAre(150, 0));
  std::atomic<bool> ending{false};
  std::thread writer([&] {
    Session session(database_.url());
    for (int i = 0; !ending; ++i) {
      session.run("BEGIN");
      session.run(
          fmt::format("UPDATE party SET country = CASE id % 2 WHEN {} THEN 'AT' ELSE 'DE' END", i % 2));
      session.run("UPDATE \"order\" SET buyer = 3 - buyer");
      session.run(fmt::format("UPDATE party SET rating = CASE {} WHEN 0 THEN 'C' ELSE 'A' END", i % 2));
      session.run(i % 3 == 0 ? "ROLLBACK" : "COMMIT");
    }
  });
  std::set<std::vector<std::uint64_t>> seen;
  std::size_t torn = 0;
  std::size_t whole = 0;
  const bool saw_enough = followed_->run_until([&] {
    if (!(*followed_)->is_whole()) {
      ++torn;
      return false;
    }
    seen.insert(counts_now());
    return ++whole > 20 && seen.size() > 1 && torn > 0;
  });
  ending = true;
  writer.join();
  EXPECT_TRUE(saw_enough);
  for (const auto& one : seen) EXPECT_THAT(one, ::testing::AnyOf(ElementsAre(150, 0), ElementsAre(150, 300)));
}

TEST_F(Orders, KeepAValueThatWasNotSentBecauseItDidNotChange) {
  run("ALTER TABLE party ALTER COLUMN rating SET STORAGE EXTERNAL");
  run("INSERT INTO party VALUES (1, 'one', 'DE', 7, repeat('x', 20000))");
  run("INSERT INTO \"order\" VALUES (1, 1, 'one')");
  follow();
  run("UPDATE party SET country = 'AT'");
  EXPECT_THAT(counts(), ElementsAre(1, 0));
  run("UPDATE party SET rating = 'C'");
  EXPECT_THAT(counts(), ElementsAre(1, 1));
  EXPECT_EQ(followed_->status().rebuilds, 0U);
}

TEST_F(Orders, SayWhatTheDatabaseLacks) {
  run("CREATE PUBLICATION headroom_worklist FOR TABLE \"order\"");
  EXPECT_THAT(problem(), HasSubstr("catalog 'order': look-up 'buyer': table \"party\" is not published"));
  run("ALTER PUBLICATION headroom_worklist ADD TABLE party");
  EXPECT_THAT(problem(), HasSubstr("look-up 'payer': a DELETE in \"party\" would not tell its 'code'"));
  run("ALTER TABLE party REPLICA IDENTITY FULL");
  run("ALTER TABLE party DROP CONSTRAINT party_code_key");
  EXPECT_THAT(problem(), HasSubstr("run: CREATE UNIQUE INDEX ON \"party\" (\"code\")"));
  run("ALTER TABLE party ADD UNIQUE (code) DEFERRABLE");
  EXPECT_THAT(problem(), HasSubstr("run: CREATE UNIQUE INDEX ON \"party\" (\"code\")"));
  run("CREATE UNIQUE INDEX ON party (code)");
  EXPECT_THAT(checked(), ::testing::Each(std::string()));
  followed_ = std::make_unique<Followed>(definitions_, database_.url());
  ASSERT_TRUE(followed_->is_current()) << followed_->status().text();
  run("ALTER TABLE party DROP CONSTRAINT party_code_key");
  run("DROP INDEX party_code_idx");
  EXPECT_TRUE(followed_->run_until(
      [&] { return followed_->status().problem.find("CREATE UNIQUE") != std::string::npos; }));
  EXPECT_EQ(followed_->status().state, LiveState::kRebuilding)
      << "what is not unique any more is not counted on";
}

TEST(LiveSource, LooksUpByThePrimaryKeyAlone) {
  const Definitions definitions = read_definitions(R"(
catalogs:
  task:
    table: task
    columns: {id: integer, parent: integer, state: text, parent_state: {type: text, column: state, look_up: parent}}
    look_ups: {parent: {table: task, by: parent}}
    security: []
lists:
  - {id: open, workflow: task, title: Open, catalog: task, criteria: {parent_state: open}}
)",
                                                   "tasks.yaml", kNow)
                                      .value();
  const Database database;
  Session session(database.url());
  session.run("CREATE TABLE task (id integer PRIMARY KEY, parent integer, state text)");
  session.run(publication_statement(definitions, "headroom_worklist"));
  session.run("INSERT INTO task VALUES (1, NULL, 'open'), (2, 1, 'done'), (3, 2, 'open'), (4, 4, 'open')");
  Followed followed(definitions, database.url());
  ASSERT_TRUE(followed.is_current()) << followed.status().text();
  const auto open = [&] {
    EXPECT_TRUE(followed.reach(session.written()));
    return followed->counters(0)->count(User()).value().front();
  };
  EXPECT_EQ(open(), 2U) << "a table that looks itself up";
  session.run("UPDATE task SET state = 'open'");
  EXPECT_EQ(open(), 3U);
  session.run("UPDATE task SET id = 5 WHERE id = 1");
  EXPECT_EQ(open(), 2U);
  session.run("DELETE FROM task WHERE id = 4");
  EXPECT_EQ(open(), 1U);
  session.run("INSERT INTO task VALUES (1, 3, 'open')");
  EXPECT_EQ(open(), 3U);
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
