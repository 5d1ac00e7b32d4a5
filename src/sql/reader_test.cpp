// One suite for every database that a reader reads.

#include "sql/reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include "sql/mariadb.hpp"
#include "sql/postgres.hpp"
#include "tests/servers/mariadb.hpp"
#include "tests/servers/postgresql.hpp"

namespace headroom::sql {
namespace {

using base::ErrorCode;
using ::testing::AnyOf;
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

class MariaDbWorld final : public World {
 public:
  MariaDbWorld() { run("DROP TABLE IF EXISTS item"); }

  void run(const std::string& statement) override {
    const auto done = connection_.query(statement, MariaDbConnection::Clock::now() + std::chrono::minutes{1});
    ASSERT_TRUE(done) << done.error().message();
  }
  [[nodiscard]] std::string url() const override { return server().url(); }
  [[nodiscard]] std::string place(int number) const override { return fmt::format("?{}", number); }
  [[nodiscard]] std::string endless() const override { return "SELECT sleep(600)"; }

  static testing::MariaDbServer& server() {
    static testing::MariaDbServer made;
    return made;
  }

 private:
  MariaDbConnection connection_ = std::move(
      MariaDbConnection::connect(server().url(), MariaDbConnection::Clock::now() + std::chrono::minutes{1})
          .value());
};

std::unique_ptr<World> world_of(const std::string& database) {
  if (database == "sqlite") return std::make_unique<SqliteWorld>();
  if (database == "mariadb") return std::make_unique<MariaDbWorld>();
  return std::make_unique<PostgresWorld>();
}

class ReaderConformance : public ::testing::TestWithParam<std::string> {
 protected:
  ReaderConformance() {
    world_ = world_of(GetParam());
    world_->run("CREATE TABLE item (id integer PRIMARY KEY, name varchar(20), weight double precision)");
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

INSTANTIATE_TEST_SUITE_P(Databases, ReaderConformance, ::testing::Values("sqlite", "postgres", "mariadb"),
                         [](const auto& info) { return info.param; });

std::string scalar(Reader& reader, const std::string& statement, const std::vector<Parameter>& values = {}) {
  const auto rows = reader.query(statement, values);
  if (!rows) return "refused: " + rows.error().message();
  return rows->empty() ? "no row" : rows->front().front().value_or("NULL");
}

/// What MariaDB does otherwise than the others.
class MariaDbReading : public ::testing::Test {
 protected:
  std::unique_ptr<Reader> open(const std::string& url) {
    auto reader = open_reader(url, {std::chrono::seconds{10}});
    EXPECT_TRUE(reader) << reader.error().message();
    return reader ? std::move(*reader) : nullptr;
  }

  testing::MariaDbServer& server_ = MariaDbWorld::server();
};

TEST_F(MariaDbReading, TakesAnyTextAsItIs) {
  const auto reader = open(server_.url());
  for (const std::string text : {"", "a'b", "a\\'b\\", "\"", "`", "\xF0\x9F\x90\x9F", "?1", "-- ", "\n"})
    EXPECT_EQ(scalar(*reader, "SELECT ?1", {text}), text);
  EXPECT_EQ(scalar(*reader, "SELECT length(?1)", {std::string("\xC3\xA4")}), "2");
  EXPECT_EQ(scalar(*reader, "SELECT ?1", {std::numeric_limits<std::int64_t>::min()}), "-9223372036854775808");
}

TEST_F(MariaDbReading, MeansByAStatementWhatTheOthersMean) {
  const auto reader = open(server_.url());
  EXPECT_EQ(scalar(*reader, "SELECT 'a' || 'b' AS \"x y\""), "ab");
  EXPECT_EQ(scalar(*reader, "SELECT '\\'"), "\\");
  EXPECT_EQ(scalar(*reader, "SELECT @@session.time_zone"), "+00:00");
  EXPECT_EQ(scalar(*reader, "SELECT @@character_set_connection"), "utf8mb4");
}

TEST_F(MariaDbReading, RefusesAComparisonThatMariaDbOnlyWarnsOf) {
  MariaDbWorld world;
  world.run("CREATE TABLE item (id integer PRIMARY KEY, name varchar(20))");
  world.run("INSERT INTO item VALUES (0, 'none'), (7, 'seven')");
  const auto reader = open(server_.url());
  const std::string statement = "SELECT name FROM item WHERE id = ?1";
  EXPECT_EQ(scalar(*reader, statement, {std::string("7")}), "seven");
  for (const char* id : {"7x", "x", ""})
    EXPECT_THAT(scalar(*reader, statement, {std::string(id)}), Not(AnyOf("seven", "none"))) << id;
}

TEST_F(MariaDbReading, GoesOverAUnixSocketToo) {
  const auto reader = open("mariadb://headroom:geheim@/test?socket=" + server_.socket());
  ASSERT_NE(reader, nullptr);
  EXPECT_EQ(scalar(*reader, "SELECT substring_index(user(), '@', 1)"), "headroom");
}

TEST_F(MariaDbReading, TellsWhyItIsNotLetIn) {
  const auto code_for = [](const std::string& url) {
    const auto reader = open_reader(url, {std::chrono::seconds{10}});
    EXPECT_FALSE(reader) << url;
    EXPECT_THAT(reader.error().message(), Not(HasSubstr("falsch")));
    return reader.error().code();
  };
  const std::string place = fmt::format("127.0.0.1:{}", server_.port());
  EXPECT_EQ(code_for("mariadb://headroom:falsch@" + place + "/test"), ErrorCode::kDenied);
  EXPECT_EQ(code_for(server_.url("none")), ErrorCode::kNotFound);
  EXPECT_EQ(code_for("mariadb://headroom:falsch@127.0.0.1:1/test"), ErrorCode::kUnavailable);
}

/// A server that takes connections and never speaks.
TEST_F(MariaDbReading, WaitsNoLongerThanItsDeadlineForAServerThatIsSilent) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto reader = open_reader(fmt::format("mariadb://u:geheim@127.0.0.1:{}/x", ntohs(address.sin_port)),
                                  {std::chrono::milliseconds{100}});
  ::close(listener);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), ErrorCode::kTimedOut);
}

TEST(OpenReader, RefusesWhatItCannotReadWithoutItsPassword) {
  for (const char* url :
       {"oracle://root:geheim@localhost/x", "mysql://root:geheim@127.0.0.1:1/x", "sqlite://relative",
        "sqlite:///none/such", "postgresql://nobody:geheim@127.0.0.1:1/none",
        "postgresql://nobody:geheim@[::1", ""}) {
    const auto reader = open_reader(url, {std::chrono::seconds{2}});
    ASSERT_FALSE(reader) << url;
    EXPECT_THAT(reader.error().message(), Not(HasSubstr("geheim"))) << url;
  }
}

}  // namespace
}  // namespace headroom::sql
