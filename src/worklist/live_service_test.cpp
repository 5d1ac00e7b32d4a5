// Counts on a thread of their own, from a real PostgreSQL: who asks, who watches, and what a reader wrote.

#include "worklist/live_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>

#include "worklist/live_world.hpp"

namespace headroom::worklist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint64_t> numbers(const LiveCounts& told) {
  std::vector<std::uint64_t> all;
  for (const Count& count : *told.counts) all.push_back(count.count);
  return all;
}

/// What a watcher is told, waited for.
class Told {
 public:
  LiveService::Answered callback() {
    return [this](Result<LiveCounts> told) {
      const std::lock_guard lock(mutex_);
      told_.push_back(std::move(told));
      changed_.notify_all();
    };
  }
  /// The next one with counts that are others than those before.
  std::optional<Result<LiveCounts>> next(std::chrono::milliseconds within = 30s) {
    const auto end = Clock::now() + within;
    std::unique_lock lock(mutex_);
    while (true) {
      if (!changed_.wait_until(lock, end, [this] { return !told_.empty(); })) return std::nullopt;
      auto told = std::move(told_.front());
      told_.pop_front();
      if (told && (told->counts == nullptr || told->counts == last_)) continue;
      if (told) last_ = told->counts;
      return told;
    }
  }
  std::vector<std::uint64_t> next_numbers() {
    const auto told = next();
    return told && *told ? numbers(**told) : std::vector<std::uint64_t>{};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Result<LiveCounts>> told_;
  std::shared_ptr<const std::vector<Count>> last_;
};

class Served : public ::testing::Test {
 protected:
  Served() {
    session_.run(
        "CREATE TABLE sale (id integer PRIMARY KEY, state text, note text, owner integer, uid integer)");
    session_.run(publication_statement(definitions_, "headroom_worklist"));
    session_.run("INSERT INTO sale VALUES (1, 'draft', 'x', 7, 1), (2, 'draft', 'xx', 8, 3)");
  }
  void start(std::size_t most_changes = 2'000) {
    LiveSourceOptions options;
    options.url = database_.url();
    options.most_changes = most_changes;
    service_ = LiveService::make(definitions_, std::move(options)).value();
    service_->start();
  }
  void start_and_load() {
    start();
    for (int i = 0; i < 3000 && service_->status().state != LiveState::kCurrent; ++i)
      std::this_thread::sleep_for(10ms);
    ASSERT_EQ(service_->status().text(), "current");
  }
  Result<LiveCounts> ask(std::optional<sql::Lsn> after = {}, std::chrono::milliseconds within = 20s) {
    auto answer = std::make_shared<std::promise<Result<LiveCounts>>>();
    auto answered = answer->get_future();
    service_->ask({user("7"), after, Clock::now() + within},
                  [answer](Result<LiveCounts> told) { answer->set_value(std::move(told)); });
    if (answered.wait_for(60s) != std::future_status::ready) throw std::runtime_error("nothing was answered");
    return answered.get();
  }
  static std::shared_ptr<const User> user(const std::string& id) {
    User made;
    made.id = id;
    made.security_uids = {{3, "", ""}};
    return std::make_shared<const User>(std::move(made));
  }

  const Definitions definitions_ =
      read_definitions(kYaml, "lists.yaml", base::parse_time("2026-11-30", {}).value()).value();
  Database database_;
  Session session_{database_.url()};
  std::unique_ptr<LiveService> service_;
};

TEST_F(Served, CountWhatAReaderWroteHimself) {
  start_and_load();
  EXPECT_THAT(numbers(ask().value()), ElementsAre(2, 1));
  for (int id = 10; id < 60; ++id) {
    session_.run("INSERT INTO sale VALUES (" + std::to_string(id) + ", 'draft', 'y', 7, 1)");
    const auto told = ask(session_.written());
    ASSERT_TRUE(told) << told.error().message();
    ASSERT_THAT(numbers(*told), ElementsAre(id - 7, 1));
    ASSERT_TRUE(told->status.behind);
  }
}

TEST_F(Served, SayThatAPositionWasNotReachedInTime) {
  start_and_load();
  const auto told = ask(sql::Lsn{1} << 60U, 20ms);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code(), ErrorCode::kTimedOut);
  EXPECT_THAT(told.error().message(), HasSubstr("did not reach 10000000/0 in time: current"));
}

TEST_F(Served, SayWhatTheyWaitForBeforeTheyAreThere) {
  Session writer(database_.url());
  writer.run("BEGIN");
  writer.run("INSERT INTO sale VALUES (3, 'draft', 'x', 7, 1)");
  start();
  for (int i = 0; i < 3000 && service_->status().process == 0; ++i) std::this_thread::sleep_for(10ms);
  const auto refused = ask(sql::Lsn{0}, 20s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("waiting for transaction of process " + writer.run("SELECT pg_backend_pid()")));
  Told told;
  (void)service_->watch(user("7"), told.callback());
  writer.run("COMMIT");
  EXPECT_THAT(told.next_numbers(), ElementsAre(3, 1))
      << "who watched before is told as soon as they are there";
  service_->stop();
}

TEST_F(Served, TellEachWatcherHisOwnChangesAlone) {
  start_and_load();
  Told seven;
  Told eight;
  (void)service_->watch(user("7"), seven.callback());
  const auto watcher = service_->watch(user("8"), eight.callback());
  EXPECT_THAT(seven.next_numbers(), ElementsAre(2, 1));
  EXPECT_THAT(eight.next_numbers(), ElementsAre(1, 1));
  session_.run("INSERT INTO sale VALUES (3, 'draft', 'x', 8, 1)");
  EXPECT_THAT(eight.next_numbers(), ElementsAre(2, 1));
  EXPECT_FALSE(seven.next(100ms));
  service_->change(watcher, user("9"));
  EXPECT_THAT(eight.next_numbers(), ElementsAre(1, 1)) << "with other rights";
  service_->unwatch(watcher);
  session_.run("INSERT INTO sale VALUES (4, 'draft', 'xx', 7, 3)");
  EXPECT_THAT(seven.next_numbers(), ElementsAre(3, 2));
  EXPECT_FALSE(eight.next(100ms));
  EXPECT_EQ(service_->watching(), 1U);
  service_->stop();
}

/// One change an `advance`, so that every state between is one that could be seen.
TEST_F(Served, NeverShowAPartOfATransaction) {
  start(1);
  for (int i = 0; i < 3000 && service_->status().state != LiveState::kCurrent; ++i)
    std::this_thread::sleep_for(10ms);
  Told told;
  (void)service_->watch(user("7"), told.callback());
  ASSERT_THAT(told.next_numbers(), ElementsAre(2, 1));
  for (int round = 1; round <= 5; ++round) {
    session_.run("INSERT INTO sale SELECT " + std::to_string(round) +
                 " * 1000 + i, 'draft', 'y', 7, 1 FROM generate_series(1, 500) i");
    const auto counted = ask();
    ASSERT_TRUE(counted) << counted.error().message();
    EXPECT_EQ((numbers(*counted)[0] - 2) % 500, 0U) << numbers(*counted)[0];
    EXPECT_THAT(told.next_numbers(), ElementsAre(2 + 500 * round, 1));
  }
  service_->stop();
}

TEST_F(Served, TellTheStateOfALossAndWhatChangedMeanwhile) {
  start_and_load();
  Told told;
  (void)service_->watch(user("7"), told.callback());
  ASSERT_THAT(told.next_numbers(), ElementsAre(2, 1));
  Session writer(database_.url());
  writer.run("BEGIN");
  writer.run("INSERT INTO sale VALUES (3, 'draft', 'xx', 7, 1)");
  session_.run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headroom worklist "
      "log' "
      "AND datname = current_database()");
  for (int i = 0; i < 3000 && service_->status().process == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(service_->status().state, LiveState::kRebuilding);
  EXPECT_THAT(numbers(ask().value()), ElementsAre(2, 1)) << "those of before";
  writer.run("COMMIT");
  EXPECT_THAT(told.next_numbers(), ElementsAre(3, 2));
  service_->stop();
}

TEST_F(Served, AnswerEverybodyWhenTheyStop) {
  start_and_load();
  auto answer = std::make_shared<std::promise<Result<LiveCounts>>>();
  auto answered = answer->get_future();
  service_->ask({user("7"), sql::Lsn{1} << 60U, Clock::now() + 10min},
                [answer](Result<LiveCounts> told) { answer->set_value(std::move(told)); });
  service_->stop();
  ASSERT_EQ(answered.wait_for(0s), std::future_status::ready);
  EXPECT_FALSE(answered.get());
  EXPECT_EQ(ask().error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace headroom::worklist
