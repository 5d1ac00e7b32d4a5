// One suite for every database that a reader reads.

#include "sql/reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "sql/postgres.hpp"
#include "tests/servers/postgresql.hpp"

namespace headroom::sql {
namespace {

using base::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;
using ::testing::SizeIs;

/// A database that is written here.
class World {
 public:
  virtual ~World() = default;
  virtual void run(const std::string& statement) = 0;
  [[nodiscard]] virtual std::string url() const = 0;
  [[nodiscard]] virtual std::string place(int number) const = 0;
  [[nodiscard]] virtual std::string endless() const = 0;
};

class SqliteWorld final : public World {
 public:
  SqliteWorld()
      : path_(std::filesystem::temp_directory_path() / fmt::format("headroom-reader-{}.sqlite", ::getpid())) {
    std::filesystem::remove(path_);
    EXPECT_EQ(sqlite3_open(path_.c_str(), &database_), SQLITE_OK);
    run("PRAGMA journal_mode = WAL");
  }
  ~SqliteWorld() override {
    sqlite3_close(database_);
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_.string() + suffix);
  }
  SqliteWorld(const SqliteWorld&) = delete;
  SqliteWorld& operator=(const SqliteWorld&) = delete;

  void run(const std::string& statement) override {
    ASSERT_EQ(sqlite3_exec(database_, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << statement;
  }
  [[nodiscard]] std::string url() const override { return "sqlite://" + path_.string(); }
  [[nodiscard]] std::string place(int number) const override { return fmt::format("?{}", number); }
  [[nodiscard]] std::string endless() const override {
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  }

 private:
  std::filesystem::path path_;
  sqlite3* database_ = nullptr;
};

class PostgresWorld final : public World {
 public:
  PostgresWorld() { run("DROP TABLE IF EXISTS item"); }

  void run(const std::string& statement) override {
    const auto done =
        connection_.query(statement, {}, PostgresConnection::Clock::now() + std::chrono::minutes{1});
    ASSERT_TRUE(done) << done.error().message();
  }
  [[nodiscard]] std::string url() const override { return server().url(); }
  [[nodiscard]] std::string place(int number) const override { return fmt::format("${}", number); }
  [[nodiscard]] std::string endless() const override { return "SELECT pg_sleep(600)"; }

 private:
  static testing::PostgresServer& server() {
    static testing::PostgresServer made({"fsync = off"});
    return made;
  }

  PostgresConnection connection_ = std::move(
      PostgresConnection::connect(server().url(), PostgresConnection::Clock::now() + std::chrono::minutes{1})
          .value());
};

class ReaderConformance : public ::testing::TestWithParam<std::string> {
 protected:
  ReaderConformance() {
    if (GetParam() == "sqlite") {
      world_ = std::make_unique<SqliteWorld>();
    } else {
      world_ = std::make_unique<PostgresWorld>();
    }
    world_->run("CREATE TABLE item (id integer PRIMARY KEY, name varchar, weight double precision)");
    world_->run("INSERT INTO item VALUES (1, 'a', 0.5), (2, NULL, 1.5), (3, 'it''s', NULL)");
  }

  [[nodiscard]] std::unique_ptr<Reader> open(std::chrono::milliseconds timeout = std::chrono::seconds{
                                                 10}) const {
    return std::move(open_reader(world_->url(), {timeout}).value());
  }

  std::unique_ptr<World> world_;
};

TEST_P(ReaderConformance, BindsValuesOfEveryKind) {
  const auto reader = open();
  const std::string statement =
      fmt::format("SELECT name, weight FROM item WHERE id = {} OR weight = {} OR name = {} ORDER BY id",
                  world_->place(1), world_->place(2), world_->place(3));
  const auto rows = reader->query(statement, {std::int64_t{1}, 1.5, std::string("it's")});
  ASSERT_TRUE(rows) << rows.error().message();
  ASSERT_THAT(*rows, SizeIs(3));
  EXPECT_THAT((*rows)[0], ElementsAre(Optional(std::string("a")), Optional(std::string("0.5"))));
  EXPECT_EQ((*rows)[1][0], std::nullopt);
  EXPECT_THAT((*rows)[2], ElementsAre(Optional(std::string("it's")), std::nullopt));
}

TEST_P(ReaderConformance, RunsAStatementAgainWithOtherValues) {
  const auto reader = open();
  const std::string statement = fmt::format("SELECT name FROM item WHERE id = {}", world_->place(1));
  EXPECT_THAT(reader->query(statement, {std::int64_t{1}}).value()[0],
              ElementsAre(Optional(std::string("a"))));
  EXPECT_THAT(reader->query(statement, {std::int64_t{3}}).value()[0],
              ElementsAre(Optional(std::string("it's"))));
  EXPECT_THAT(reader->query(statement, {std::int64_t{9}}).value(), SizeIs(0));
  for (int i = 0; i < 500; ++i)
    EXPECT_THAT(reader->query(fmt::format("SELECT {} FROM item", i), {}).value(), SizeIs(3));
  EXPECT_THAT(reader->query(statement, {std::int64_t{1}}).value()[0],
              ElementsAre(Optional(std::string("a"))));
}

TEST_P(ReaderConformance, SeesOneSnapshot) {
  const auto reader = open();
  ASSERT_TRUE(reader->query("SELECT count(*) FROM item", {}));
  world_->run("INSERT INTO item VALUES (4, 'new', 4)");
  EXPECT_THAT(reader->query("SELECT count(*) FROM item", {}).value()[0],
              ElementsAre(Optional(std::string("3"))));
  EXPECT_THAT(open()->query("SELECT count(*) FROM item", {}).value()[0],
              ElementsAre(Optional(std::string("4"))));
}

TEST_P(ReaderConformance, ChangesNothing) {
  EXPECT_FALSE(open()->query("DELETE FROM item", {}));
  EXPECT_FALSE(open()->query("SELECT 1; SELECT 2", {}));
  EXPECT_THAT(open()->query("SELECT count(*) FROM item", {}).value()[0],
              ElementsAre(Optional(std::string("3"))));
}

TEST_P(ReaderConformance, EndsAStatementAtItsDeadline) {
  const auto rows = open(std::chrono::milliseconds{100})->query(world_->endless(), {});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kTimedOut);
}

TEST_P(ReaderConformance, TellsWhatTheDatabaseRefusesAndGoesOnBehindASavepoint) {
  const auto reader = open();
  ASSERT_TRUE(reader->query("SAVEPOINT one", {}));
  const auto rows = reader->query("SELECT nothing FROM item", {});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(rows.error().message(), HasSubstr("nothing"));
  ASSERT_TRUE(reader->query("ROLLBACK TO SAVEPOINT one", {}));
  EXPECT_TRUE(reader->query("SELECT id FROM item", {}));
}

INSTANTIATE_TEST_SUITE_P(Databases, ReaderConformance, ::testing::Values("sqlite", "postgres"),
                         [](const auto& info) { return info.param; });

TEST(OpenReader, RefusesWhatItCannotReadWithoutItsPassword) {
  for (const char* url :
       {"mysql://root:geheim@localhost/x", "sqlite://relative", "sqlite:///none/such",
        "postgresql://nobody:geheim@127.0.0.1:1/none", "postgresql://nobody:geheim@[::1", ""}) {
    const auto reader = open_reader(url, {std::chrono::seconds{2}});
    ASSERT_FALSE(reader) << url;
    EXPECT_THAT(reader.error().message(), Not(HasSubstr("geheim"))) << url;
  }
}

}  // namespace
}  // namespace headroom::sql
