// A replication connection to a real PostgreSQL.

#include "sql/replication.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "sql/postgres.hpp"
#include "tests/servers/postgresql.hpp"

namespace headroom::sql {
namespace {

using namespace std::chrono_literals;
using base::ErrorCode;
using base::Result;
using Clock = std::chrono::steady_clock;
using State = ReplicationConnection::State;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

testing::PostgresServer& logical_server() {
  static testing::PostgresServer server({"wal_level = logical", "fsync = off", "full_page_writes = off"});
  return server;
}

/// A client that waits for each answer.
class Session final {
 public:
  explicit Session(const std::string& url) : connection_(PostgresConnection::connect(url, soon()).value()) {}

  std::string run(const std::string& statement) {
    const auto rows = connection_.query(statement, {}, soon());
    if (!rows) throw std::runtime_error(rows.error().message());
    return rows->empty() ? "" : rows->front().front().value_or("");
  }

 private:
  static Clock::time_point soon() { return Clock::now() + 1min; }
  PostgresConnection connection_;
};

/// A database of its own with a published table; its slots go with it.
class Database final {
 public:
  explicit Database(testing::PostgresServer& server = logical_server()) : server_(server) {
    static int number = 0;
    name_ = fmt::format("logged{}", ++number);
    Session(server.url()).run("CREATE DATABASE " + name_ + " TEMPLATE template0");
    Session session(url());
    session.run("CREATE TABLE sale (id integer PRIMARY KEY, state text)");
    session.run("CREATE PUBLICATION sales FOR TABLE sale");
  }
  [[nodiscard]] std::string url(const std::string& user = "postgres") const {
    return server_.url(name_, user);
  }
  /// Slots are of the whole server.
  [[nodiscard]] std::string slot() const { return "slot_" + name_; }
  [[nodiscard]] testing::PostgresServer& server() const { return server_; }

 private:
  testing::PostgresServer& server_;
  std::string name_;
};

/// A connection, waited for.
class Follower final {
 public:
  explicit Follower(const std::string& url, ReplicationOptions options = {})
      : connection_([&] {
          options.url = url;
          return ReplicationConnection::open(std::move(options), Clock::now()).value();
        }()) {
    run_until([this] { return connection_.state() == State::kIdle; });
  }

  /// Until it is so or the connection has ended; false after a minute.
  bool run_until(const std::function<bool()>& done) {
    const auto end = Clock::now() + 1min;
    bool is_done = done();
    while (!is_done && connection_.state() != State::kEnded && Clock::now() < end) {
      pollfd descriptor{connection_.socket(),
                        static_cast<short>((connection_.wants_read() ? POLLIN : 0) |
                                           (connection_.wants_write() ? POLLOUT : 0)),
                        0};
      ::poll(&descriptor, 1, 20);
      connection_.advance(Clock::now());
      is_done = done();
    }
    return is_done;
  }

  Result<PostgresRows> answer() {
    std::optional<Result<PostgresRows>> given;
    run_until([&] {
      given = connection_.take_answer();
      return given.has_value();
    });
    return given ? std::move(*given) : base::fail(connection_.error());
  }

  Result<PostgresRows> make_slot(const SlotWish& wish) {
    connection_.make_slot(Clock::now(), wish);
    return answer();
  }

  Result<PostgresRows> stream(const std::string& slot, Lsn from = 0) {
    connection_.stream(Clock::now(), {slot, {"sales"}, from});
    return answer();
  }

  /// Takes what comes, as words, until `done`.
  std::vector<std::string> take_until(const std::function<bool(const std::vector<std::string>&)>& done) {
    std::vector<std::string> words;
    run_until([&] {
      while (const auto received = connection_.take()) words.push_back(word(*received));
      return done(words);
    });
    return words;
  }
  /// So many transactions.
  std::vector<std::string> take(std::ptrdiff_t transactions) {
    return take_until([transactions](const std::vector<std::string>& words) {
      return std::count(words.begin(), words.end(), "commit") >= transactions;
    });
  }
  [[nodiscard]] Lsn end() const { return end_; }

  ReplicationConnection& operator*() { return connection_; }
  ReplicationConnection* operator->() { return &connection_; }

 private:
  std::string word(const ReceivedMessage& received) {
    const auto message = parse_replication_message(received.bytes());
    if (!message) return message.error().message();
    if (std::holds_alternative<TransactionBegin>(*message)) return "begin";
    if (std::holds_alternative<ReplicatedRelation>(*message)) return "relation";
    if (const auto* inserted = std::get_if<RowInserted>(&*message))
      return fmt::format("+{}:{}", inserted->row[0].data, inserted->row[1].data);
    if (const auto* deleted = std::get_if<RowDeleted>(&*message))
      return fmt::format("-{}", deleted->old_row[0].data);
    if (const auto* said = std::get_if<LogicalMessage>(&*message))
      return fmt::format("{}={}", said->prefix, said->content);
    const auto* commit = std::get_if<TransactionCommit>(&*message);
    if (commit == nullptr) return "other";
    end_ = commit->end;
    return "commit";
  }

  ReplicationConnection connection_;
  Lsn end_ = 0;
};

TEST(Replication, SaysWhichServerItIs) {
  const Database database;
  Follower follower(database.url());
  follower->identify(Clock::now());
  const auto rows = follower.answer();
  ASSERT_TRUE(rows) << rows.error().message();
  const auto identity = system_identity(*rows);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->system,
            Session(database.url()).run("SELECT system_identifier FROM pg_control_system()"));
  EXPECT_EQ(identity->timeline, 1U);
  EXPECT_GT(identity->flushed, 0U);
  EXPECT_THAT(database.url(), HasSubstr("/" + identity->database));
  EXPECT_FALSE(system_identity({}));
  EXPECT_FALSE(made_slot({{"a", "no position", std::nullopt, "pgoutput"}}));
}

TEST(Replication, BringsRowsAndMessagesByTransactionInTheOrderOfTheirCommits) {
  const Database database;
  Follower follower(database.url());
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  ASSERT_TRUE(follower.stream(database.slot()));
  Session first(database.url());
  Session second(database.url());
  first.run("BEGIN");
  first.run("INSERT INTO sale VALUES (1, 'draft')");
  first.run("SELECT pg_logical_emit_message(true, 'app', 'first')");
  second.run("INSERT INTO sale VALUES (2, NULL)");
  second.run("SELECT pg_logical_emit_message(true, 'app', 'second')");
  first.run("DELETE FROM sale WHERE id = 1");
  first.run("COMMIT");
  first.run("BEGIN");
  first.run("SELECT pg_logical_emit_message(true, 'app', 'never')");
  first.run("ROLLBACK");
  EXPECT_THAT(follower.take(3), ElementsAre("begin", "relation", "+2:", "commit", "begin", "app=second",
                                            "commit", "begin", "+1:draft", "app=first", "-1", "commit"));
}

TEST(Replication, SendsAgainWhatWasNotConfirmedAndNothingElse) {
  const Database database;
  Session session(database.url());
  Lsn confirmed = 0;
  {
    Follower follower(database.url());
    ASSERT_TRUE(follower.make_slot({database.slot()}));
    ASSERT_TRUE(follower.stream(database.slot()));
    session.run("INSERT INTO sale VALUES (1, 'a')");
    EXPECT_THAT(follower.take(1), SizeIs(4));
    confirmed = follower.end();
    follower->confirm(confirmed);
    session.run("INSERT INTO sale VALUES (2, 'b')");
    EXPECT_THAT(follower.take(1), ElementsAre("begin", "+2:b", "commit"));
    const auto told = [&] {
      return parse_lsn(
                 session.run("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" +
                             database.slot() + "'"))
          .value();
    };
    ASSERT_TRUE(follower.run_until([&] { return told() == confirmed; }));
  }
  Follower again(database.url());
  Result<PostgresRows> streamed = again.stream(database.slot());
  // The process of the connection before may need a moment to end.
  while (!streamed && streamed.error().code() == ErrorCode::kConflict)
    streamed = again.stream(database.slot());
  ASSERT_TRUE(streamed) << streamed.error().message();
  EXPECT_THAT(again.take(1), ElementsAre("begin", "relation", "+2:b", "commit"));
  EXPECT_GT(again.end(), confirmed);
}

TEST(Replication, JoinsASnapshotToTheBeginningOfASlot) {
  const Database database;
  Session session(database.url());
  session.run("INSERT INTO sale VALUES (1, 'before')");
  Follower follower(database.url());
  const auto rows =
      follower.make_slot({database.slot(), SlotWish::Life::kTemporary, SlotWish::Snapshot::kExported});
  ASSERT_TRUE(rows) << rows.error().message();
  const auto slot = made_slot(*rows);
  ASSERT_TRUE(slot);
  session.run("INSERT INTO sale VALUES (2, 'behind')");
  Session reader(database.url());
  reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  reader.run("SET TRANSACTION SNAPSHOT '" + slot->snapshot + "'");
  EXPECT_EQ(reader.run("SELECT string_agg(state, ' ') FROM sale"), "before");
  ASSERT_TRUE(follower.stream(database.slot(), slot->consistent));
  EXPECT_THAT(follower.take(1), ElementsAre("begin", "relation", "+2:behind", "commit"));
}

TEST(Replication, CopiesTablesInTheTransactionOfItsSlot) {
  const Database database;
  Session session(database.url());
  session.run(
      "INSERT INTO sale SELECT i, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN E'a\\tb\\n\\\\c' ELSE repeat('x', "
      "90) END"
      " FROM generate_series(1, 30000) i");
  Follower follower(database.url());
  follower->query(Clock::now(), "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ", 5s);
  ASSERT_TRUE(follower.answer());
  ASSERT_TRUE(follower.make_slot({database.slot(), SlotWish::Life::kTemporary, SlotWish::Snapshot::kOwn}));
  session.run("INSERT INTO sale VALUES (30001, 'behind')");
  follower->copy(Clock::now(), "COPY sale TO STDOUT", 5s);
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::optional<Result<PostgresRows>> whole;
  CopiedColumns copied;
  follower.run_until([&] {
    while (const auto line = follower->take_line()) {
      EXPECT_TRUE(copied.read(line->text()));
      rows.emplace_back(copied.columns().begin(), copied.columns().end());
    }
    whole = follower->take_answer();
    return whole.has_value();
  });
  ASSERT_TRUE(whole);
  ASSERT_TRUE(*whole) << whole->error().message();
  ASSERT_THAT(rows, SizeIs(30'000));
  EXPECT_EQ(rows[0][1], "a\tb\n\\c");
  EXPECT_EQ(rows[2][1], std::nullopt);
  follower->query(Clock::now(), "COMMIT", 5s);
  ASSERT_TRUE(follower.answer());
  ASSERT_TRUE(follower.stream(database.slot()));
  EXPECT_THAT(follower.take(1), ElementsAre("begin", "relation", "+30001:behind", "commit"));
}

TEST(CopiedColumns, StandInTheLineOrApart) {
  CopiedColumns copied;
  ASSERT_TRUE(copied.read("1\\t\tN\t\\N\t\ta\\\\b\\nc\t\\Z\n"));
  EXPECT_THAT(copied.columns(), ElementsAre("1\t", "N", std::nullopt, "", "a\\b\nc", "Z"));
  ASSERT_TRUE(copied.read("2\n"));
  EXPECT_THAT(copied.columns(), ElementsAre("2"));
  ASSERT_TRUE(copied.read("\n"));
  EXPECT_THAT(copied.columns(), ElementsAre(""));
}

TEST(Replication, SaysWhyACopyIsNotWhole) {
  const Database database;
  Follower follower(database.url());
  follower->copy(Clock::now(), "COPY (SELECT 1 / (50000 - i) FROM generate_series(1, 60000) i) TO STDOUT",
                 5s);
  std::optional<Result<PostgresRows>> answer;
  follower.run_until([&] {
    while (follower->take_line()) continue;
    answer = follower->take_answer();
    return answer.has_value();
  });
  ASSERT_TRUE(answer);
  ASSERT_FALSE(*answer);
  EXPECT_THAT(answer->error().message(), HasSubstr("division by zero"));
  EXPECT_EQ(follower->state(), State::kIdle);
  EXPECT_FALSE(CopiedColumns().read("a\\"));
}

TEST(Replication, GivesASlotUpThatWaitsTooLongForAWriter) {
  const Database database;
  Session writer(database.url());
  writer.run("BEGIN");
  writer.run("INSERT INTO sale VALUES (1, 'open')");
  ReplicationOptions options;
  options.create_within = 300ms;
  Follower follower(database.url(), options);
  EXPECT_GT(follower->backend(), 0);
  const auto rows = follower.make_slot({database.slot(), SlotWish::Life::kTemporary});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kTimedOut);
  writer.run("COMMIT");
}

TEST(Replication, ReadsNoFurtherThanItsOwnerTakes) {
  const Database database;
  Follower follower(database.url());
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  ASSERT_TRUE(follower.stream(database.slot()));
  Session session(database.url());
  constexpr int kMessages = 2'000;
  session.run(
      fmt::format("SELECT pg_logical_emit_message(true, 'app', repeat('x', 20000)) FROM"
                  " generate_series(1, {})",
                  kMessages));
  // Something is there, and is left there.
  follower.run_until([&] { return !follower->wants_read(); });
  for (int i = 0; i < 20; ++i) follower->advance(Clock::now());
  EXPECT_FALSE(follower->wants_read());
  int taken = 0;
  while (follower->take()) ++taken;
  EXPECT_LT(taken, kMessages / 2) << "40 MB wait in the server";
  EXPECT_TRUE(follower->wants_read());
  const auto words = follower.take(1);
  EXPECT_EQ(taken + static_cast<int>(words.size()), kMessages + 2);
}

TEST(Replication, PassesWhatConcernsNobodyAndTellsHowFar) {
  const Database database;
  Follower follower(database.url());
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  ASSERT_TRUE(follower.stream(database.slot()));
  Session session(database.url());
  session.run("CREATE TABLE other (id integer)");
  session.run("INSERT INTO other SELECT generate_series(1, 1000)");
  const Lsn written = parse_lsn(session.run("SELECT pg_current_wal_flush_lsn()")).value();
  EXPECT_THAT(follower.take_until([&](const auto&) {
    follower->ask_position(Clock::now());
    return follower->passed() >= written;
  }),
              IsEmpty());
  EXPECT_GE(follower->passed(), written);
}

TEST(Replication, StaysWhileNothingHappens) {
  const Database database;
  ReplicationOptions options;
  options.silence = 1s;
  options.status_every = 100ms;
  Follower follower(database.url(), options);
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  ASSERT_TRUE(follower.stream(database.slot()));
  const auto end = Clock::now() + 3s;
  follower.take_until([&](const auto&) { return Clock::now() > end; });
  EXPECT_EQ(follower->state(), State::kStreaming);
  Session(database.url()).run("INSERT INTO sale VALUES (1, 'a')");
  EXPECT_THAT(follower.take(1), SizeIs(4));
}

TEST(Replication, EndsWhenTheServerFallsSilent) {
  const Database database;
  ReplicationOptions options;
  options.silence = 1s;
  Follower follower(database.url(), options);
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  ASSERT_TRUE(follower.stream(database.slot()));
  const int process = follower->backend();
  ASSERT_EQ(::kill(process, SIGSTOP), 0);
  follower.take_until([](const auto&) { return false; });
  ::kill(process, SIGCONT);
  ASSERT_EQ(follower->state(), State::kEnded);
  EXPECT_EQ(follower->error().code(), ErrorCode::kTimedOut);
}

TEST(Replication, GoesOnAfterTheServerWasKilled) {
  testing::PostgresServer server({"wal_level = logical"});
  const Database database(server);
  {
    Follower follower(database.url());
    ASSERT_TRUE(follower.make_slot({database.slot()}));
    ASSERT_TRUE(follower.stream(database.slot()));
    Session(database.url()).run("INSERT INTO sale VALUES (1, 'a')");
    EXPECT_THAT(follower.take(1), SizeIs(4));
    follower->confirm(follower.end());
    server.kill();
    follower.take_until([](const auto&) { return false; });
    ASSERT_EQ(follower->state(), State::kEnded);
    EXPECT_EQ(follower->error().code(), ErrorCode::kUnavailable);
  }
  server.start();
  Session(database.url()).run("INSERT INTO sale VALUES (2, 'b')");
  Follower again(database.url());
  ASSERT_TRUE(again.stream(database.slot()));
  const auto words = again.take_until(
      [](const auto& all) { return std::find(all.begin(), all.end(), "+2:b") != all.end(); });
  EXPECT_THAT(words, ::testing::Contains("+2:b"));
}

// What is refused
// ---------------------------------------------------------------------------------------------------------

TEST(Replication, SaysWhatIsWrongWithASlot) {
  const Database database;
  Follower follower(database.url());
  auto answer = follower.stream("headroom_none");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(answer.error().message(), HasSubstr("headroom_none"));
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  answer = follower.make_slot({database.slot()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kConflict) << "it is there";
  ASSERT_TRUE(follower.stream(database.slot()));
  Follower other(database.url());
  answer = other.stream(database.slot());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(answer.error().message(), HasSubstr(fmt::format("active for PID {}", follower->backend())));
  EXPECT_EQ(other->state(), State::kIdle) << "it may be asked again";
  answer = other.make_slot({"Not A Name"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kInvalidArgument);
}

TEST(Replication, DropsASlot) {
  const Database database;
  Follower follower(database.url());
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  follower->drop_slot(Clock::now(), database.slot());
  ASSERT_TRUE(follower.answer());
  EXPECT_EQ(follower.stream(database.slot()).error().code(), ErrorCode::kNotFound);
}

TEST(Replication, SaysThatASlotLostWhatItKept) {
  testing::PostgresServer server({"wal_level = logical", "fsync = off", "max_slot_wal_keep_size = 1MB",
                                  "min_wal_size = 32MB", "max_wal_size = 32MB"});
  const Database database(server);
  Session session(database.url());
  {
    Follower follower(database.url());
    ASSERT_TRUE(follower.make_slot({database.slot()}));
  }
  session.run("CREATE TABLE large AS SELECT repeat(md5(i::text), 100) t FROM generate_series(1, 1000) i");
  const auto lost = [&] { return session.run("SELECT wal_status FROM pg_replication_slots") == "lost"; };
  for (int i = 0; i < 100 && !lost(); ++i) {
    session.run("SELECT pg_switch_wal()");
    session.run("INSERT INTO large SELECT t FROM large LIMIT 1000");
    session.run("CHECKPOINT");
  }
  ASSERT_TRUE(lost());
  Follower follower(database.url());
  const auto answer = follower.stream(database.slot());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kNotFound) << answer.error().message();
  EXPECT_THAT(answer.error().message(), HasSubstr("lost"));
}

TEST(Replication, SaysWhatIsMissingOnTheServer) {
  testing::PostgresServer server({"fsync = off"});
  const Database database(server);
  Session session(database.url());
  session.run("CREATE ROLE plain LOGIN");
  Follower follower(database.url());
  const auto answer = follower.make_slot({database.slot()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(answer.error().message(), HasSubstr("ALTER SYSTEM SET wal_level = logical"));
  Follower refused(database.url("plain"));
  ASSERT_EQ(refused->state(), State::kEnded);
  EXPECT_EQ(refused->error().code(), ErrorCode::kDenied);
  EXPECT_THAT(refused->error().message(), HasSubstr("ALTER ROLE"));
}

TEST(Replication, SaysThatNoSlotIsFreeAndThatAPublicationIsMissing) {
  testing::PostgresServer server({"wal_level = logical", "fsync = off", "max_replication_slots = 1"});
  const Database database(server);
  Follower follower(database.url());
  ASSERT_TRUE(follower.make_slot({database.slot()}));
  const auto second = follower.make_slot({"second"});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kOverloaded);
  EXPECT_THAT(second.error().message(), HasSubstr("max_replication_slots"));
  Session session(database.url());
  session.run("DROP PUBLICATION sales");
  ASSERT_TRUE(follower.stream(database.slot())) << "it is looked for with the first change";
  session.run("INSERT INTO sale VALUES (1, 'a')");
  follower.take_until([](const auto&) { return false; });
  ASSERT_EQ(follower->state(), State::kEnded);
  EXPECT_EQ(follower->error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(follower->error().message(), HasSubstr("publication \"sales\""));
}

TEST(Replication, RefusesAUrlWithoutRepeatingItAndSaysThatNobodyIsThere) {
  ReplicationOptions options;
  options.url = "postgresql://someone:secret@[";
  const auto made = ReplicationConnection::open(options, Clock::now());
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), Not(HasSubstr("secret")));
  Follower nobody("postgresql://someone:secret@127.0.0.1:1/none");
  ASSERT_EQ(nobody->state(), State::kEnded);
  EXPECT_EQ(nobody->error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(nobody->error().message(), AllOf(HasSubstr("refused"), Not(HasSubstr("secret"))));
}

}  // namespace
}  // namespace headroom::sql
