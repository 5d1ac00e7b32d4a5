#include "perf/recorder.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <filesystem>
#include <thread>

#include "perf/resolver.hpp"

namespace headroom::perf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class ARecorder : public ::testing::Test {
 protected:
  ARecorder() {
    std::string pattern = std::filesystem::temp_directory_path() / "recorder_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~ARecorder() override { std::filesystem::remove_all(folder_); }

  RecorderSettings settings() const {
    RecorderSettings settings;
    settings.broker = url();
    settings.state = folder_;
    settings.host = "host";
    settings.role = "test";
    settings.flush_interval = milliseconds{20};
    settings.rules = {Rule{}};
    return settings;
  }
  std::string url() const { return "sqlite://" + folder_ + "/perf.sqlite"; }

  /// A call of the given method, complete as the adapter makes it, with one statement that runs `repeat`
  /// times.
  static void make_call(Recorder& recorder, const std::string& method, int repeat = 1) {
    static int number = 0;
    ActiveCall::Begin begin;
    begin.method = method;
    begin.database = "demo";
    begin.id = std::to_string(getpid()) + "-" + std::to_string(++number);
    begin.utc = base::utc_now();
    begin.now_ns = base::monotonic_ns();
    ActiveCall call(std::move(begin), CallLimits{});
    const auto rules = recorder.rules();
    call.claim(*rules, 1, "admin", "the-secret-token", base::utc_now());
    call.verify(*rules, 1, "admin", base::utc_now());
    StatementRun run;
    for (int i = 0; i < repeat; ++i) {
      // The same statement with another number of values: one fingerprint, two texts.
      const std::string text =
          std::string("SELECT \"a\".\"id\" FROM \"sale_sale\" AS \"a\" WHERE \"a\".\"id\" IN (%s") +
          (i % 2 == 0 ? ")" : ", %s)");
      const auto now = base::monotonic_ns();
      (void)call.executed(run, recorder.texts().intern(text), now, now + 1'000'000, 1);
    }
    ActiveCall::End end;
    end.now_ns = base::monotonic_ns();
    auto finished = call.end(end);
    recorder.count(call.summary(), call.verified());
    if (finished) recorder.submit(std::move(*finished));
  }

  CallPage stored() const {
    auto opened = open_store(url(), OpenMode::kRead);
    if (!opened) return {};
    return opened->store->calls({}, {}).value_or(CallPage{});
  }

  std::string folder_;
};

TEST_F(ARecorder, StoresWhatEndedWhenItIsFlushed) {
  Recorder recorder(settings());
  EXPECT_EQ(recorder.start(seconds{2}), "");
  make_call(recorder, "model.sale.sale.read", 4);
  ASSERT_TRUE(recorder.flush(seconds{5}));
  auto opened = open_store(url(), OpenMode::kRead);
  ASSERT_TRUE(opened) << opened.error().message();
  const auto page = opened->store->calls({}, {}).value();
  ASSERT_EQ(page.calls.size(), 1U);
  EXPECT_EQ(page.calls[0].method, "model.sale.sale.read");
  EXPECT_EQ(page.calls[0].statements, 4U);
  EXPECT_EQ(page.calls[0].most_repeated, 4U) << "two texts of one fingerprint are one statement";
  EXPECT_EQ(page.calls[0].session, session_hash("demo", "the-secret-token"));
  const auto whole = opened->store->load({page.calls[0].id}).value();
  ASSERT_EQ(whole.calls.size(), 1U);
  ASSERT_EQ(whole.statements.size(), 1U);
  EXPECT_EQ(whole.statements[0].tables, std::vector<std::string>{"sale_sale"});
  EXPECT_EQ(whole.calls[0].process, getpid());
  const auto counts = opened->store->counts({}).value();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].count, 1U);
}

TEST_F(ARecorder, LosesNothingWhenItIsStopped) {
  Recorder recorder(settings());
  recorder.start(seconds{2});
  for (int i = 0; i < 700; ++i) make_call(recorder, "model.party.party.read");
  ASSERT_TRUE(recorder.stop(seconds{10}));
  EXPECT_EQ(stored().total, 700U);
}

TEST_F(ARecorder, IsForgottenByTheStoreWhenItStops) {
  Recorder recorder(settings());
  recorder.start(seconds{2});
  make_call(recorder, "model.party.party.read");
  ASSERT_TRUE(recorder.flush(seconds{5}));
  auto opened = open_store(url(), OpenMode::kRead).value();
  EXPECT_EQ(opened.store->info().value().processes.size(), 1U);
  ASSERT_TRUE(recorder.stop(seconds{10}));
  EXPECT_TRUE(opened.store->info().value().processes.empty());
}

TEST_F(ARecorder, DoesNotWaitForAStoreThatIsAwayToSayThatItStops) {
  auto own = settings();
  own.broker = "redis://127.0.0.1:1/0";
  Recorder recorder(own);
  EXPECT_NE(recorder.start(seconds{2}), "");
  EXPECT_TRUE(recorder.stop(seconds{60}));
}

TEST_F(ARecorder, GoesOnWithoutItsStoreAndCatchesUpWhenItComes) {
  auto own = settings();
  own.broker = "sqlite://" + folder_ + "/later/perf.sqlite";
  Recorder recorder(own);
  std::filesystem::permissions(folder_, std::filesystem::perms::none);
  std::filesystem::create_directory_symlink("/proc/nowhere", folder_ + "/later");
  EXPECT_NE(recorder.start(seconds{2}), "");
  make_call(recorder, "model.sale.sale.read");
  EXPECT_FALSE(recorder.flush(milliseconds{200}));
  EXPECT_NE(recorder.status().store_error, "");
  std::filesystem::remove(folder_ + "/later");
  std::filesystem::create_directory(folder_ + "/later");
  EXPECT_TRUE(recorder.flush(seconds{10}));
  EXPECT_EQ(recorder.status().store_error, "");
  EXPECT_EQ(recorder.status().process.dropped_records, 0U);
}

TEST_F(ARecorder, DropsTheOldestAndSaysSoWhenItsBufferIsFull) {
  auto own = settings();
  own.broker = "redis://127.0.0.1:1/0";
  own.buffer_limit = 100'000;
  Recorder recorder(own);
  recorder.start(milliseconds{100});
  for (int i = 0; i < 3'000; ++i) make_call(recorder, "model.sale.sale.read");
  const auto status = recorder.status();
  EXPECT_GT(status.process.dropped_records, 1'000U);
  EXPECT_LT(status.queued, 1'000U);
  EXPECT_EQ(status.process.calls, 3'000U);
}

TEST_F(ARecorder, WritesAtOnceWhatFillsHalfOfItsBuffer) {
  auto own = settings();
  own.flush_interval = milliseconds{500};
  own.buffer_limit = 100'000;
  Recorder recorder(own);
  recorder.start(seconds{2});
  // One interval after the other would take 30 s.
  const auto deadline = base::monotonic_ns() + 15'000'000'000;
  int written = 0;
  for (; written < 60 && base::monotonic_ns() < deadline; ++written) {
    for (int i = 0; i < 60; ++i) make_call(recorder, "model.sale.sale.read");
    while (recorder.status().queued > 0 && base::monotonic_ns() < deadline)
      std::this_thread::sleep_for(milliseconds{1});
  }
  EXPECT_EQ(written, 60);
  EXPECT_EQ(recorder.status().process.dropped_records, 0U);
}

TEST_F(ARecorder, ObeysARuleThatIsAddedWhileItRuns) {
  auto own = settings();
  own.rules.clear();
  Recorder recorder(own);
  recorder.start(seconds{2});
  make_call(recorder, "model.sale.sale.read");
  auto opened = open_store(url(), OpenMode::kWrite).value();
  ASSERT_TRUE(opened.control->add_rule(Rule{}));
  const auto deadline = base::monotonic_ns() + 2'000'000'000;
  while (recorder.rules()->empty() && base::monotonic_ns() < deadline)
    std::this_thread::sleep_for(milliseconds{10});
  EXPECT_EQ(recorder.rules()->size(), 1U);
  make_call(recorder, "model.sale.line.read");
  ASSERT_TRUE(recorder.flush(seconds{5}));
  ASSERT_EQ(stored().total, 1U);
  EXPECT_EQ(stored().calls[0].method, "model.sale.line.read");
}

TEST_F(ARecorder, CountsNamesThatNobodyAuthenticatedUnderOneName) {
  Recorder recorder(settings());
  recorder.start(seconds{2});
  CallSummary call;
  call.database = "demo";
  for (int i = 0; i < 100; ++i) {
    call.method = "model.made.up" + std::to_string(i);
    recorder.count(call, false);
  }
  ASSERT_TRUE(recorder.flush(seconds{5}));
  const auto counts = open_store(url(), OpenMode::kRead)->store->counts({}).value();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].method, "(unauthenticated)");
  EXPECT_EQ(counts[0].database, "") << "nobody was authenticated in it";
  EXPECT_EQ(counts[0].count, 100U);
}

TEST_F(ARecorder, CountsUnderOneNameWhatIsBeyondItsBound) {
  auto own = settings();
  own.broker = "redis://127.0.0.1:1/0";
  Recorder recorder(own);
  CallSummary call;
  for (int i = 0; i < 5'000; ++i) {
    call.database = "made_up_" + std::to_string(i);
    call.method = "model.made.up" + std::to_string(i);
    recorder.count(call, i % 2 == 0);
  }
  EXPECT_EQ(recorder.status().process.calls, 5'000U);
  EXPECT_LE(recorder.status().counted, 1'001U);
}

TEST_F(ARecorder, LeavesItsSlotsValidWhenItStopsDuringACall) {
  Recorder recorder(settings());
  recorder.start(seconds{2});
  auto* const slot = recorder.scoreboard()->open();
  CallSummary call;
  call.id = "running-at-exit";
  call.start = base::utc_now();
  publish(*slot, call, 1);
  EXPECT_TRUE(recorder.stop(seconds{5}));
  publish_statement(*slot, "SELECT 1", base::monotonic_ns());
  EXPECT_FALSE(std::filesystem::is_empty(folder_ + "/scoreboards"))
      << "a sweep finds the call when the process is gone";
  recorder.scoreboard()->close(slot);
}

TEST_F(ARecorder, WritesItsErrorWhenStderrTakesItAndHoldsUpNobodyUntilThen) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
  const std::string block(4096, 'x');
  while (write(ends[1], block.data(), block.size()) > 0) {
  }
  ASSERT_EQ(fcntl(ends[1], F_SETFL, 0), 0);
  const int before = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  Recorder recorder(settings());
  recorder.start(seconds{2});
  std::atomic<bool> ended = false;
  std::thread caller([&] {
    recorder.error("the disk is on fire");
    make_call(recorder, "model.sale.sale.read");
    ended = recorder.flush(seconds{10});
  });
  for (int i = 0; i < 1'000 && !ended; ++i) std::this_thread::sleep_for(milliseconds{10});
  EXPECT_TRUE(ended);
  std::string told;
  std::string part(1U << 16, '\0');
  ASSERT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  for (int i = 0; i < 1'000 && told.find("on fire\n") == std::string::npos; ++i) {
    const ssize_t size = read(ends[0], part.data(), part.size());
    if (size > 0) told.append(part, 0, static_cast<std::size_t>(size));
    std::this_thread::sleep_for(milliseconds{10});
  }
  caller.join();
  dup2(before, STDERR_FILENO);
  for (const int descriptor : {before, ends[0], ends[1]}) close(descriptor);
  EXPECT_TRUE(told.ends_with("headroom: the disk is on fire\n"));
}

TEST_F(ARecorder, LetsAtMostTenFailedLoginsASecondBeRecorded) {
  Recorder recorder(settings());
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += recorder.allow_failed_login(5'000'000'000) ? 1 : 0;
  EXPECT_EQ(allowed, 10);
  EXPECT_TRUE(recorder.allow_failed_login(6'000'000'000));
}

TEST_F(ARecorder, KnowsADatabaseOnceItWasOpenedOrUsedAlsoInAChild) {
  Recorder recorder(settings());
  EXPECT_FALSE(recorder.knows_database("demo"));
  recorder.know_database("demo");
  CallSummary call;
  call.database = "shop";
  recorder.count(call, true);
  call.database = "made up";
  recorder.count(call, false);
  const Recorder child(recorder.settings_of_child());
  EXPECT_TRUE(child.knows_database("demo") && child.knows_database("shop"));
  EXPECT_FALSE(child.knows_database("made up"));
  for (int i = 0; i < 500; ++i) recorder.know_database(std::to_string(i));
  EXPECT_FALSE(recorder.knows_database("499")) << "names are bounded";
}

TEST_F(ARecorder, MayBeForkedWhileItWorks) {
  constexpr int kRounds = 40;
  constexpr int kCalls = 50;
  auto quick = settings();
  quick.flush_interval = milliseconds{10};
  Recorder recorder(quick);
  recorder.start(seconds{2});
  // Parent and children write at the same time: SQLite in a child must not believe in the parent's locks.
  std::deque<pid_t> children;
  const auto wait_for_one = [&] {
    int status = 0;
    waitpid(children.front(), &status, 0);
    EXPECT_EQ(status, 0);
    children.pop_front();
  };
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kCalls; ++i) make_call(recorder, "model.parent.read");
    recorder.before_fork();
    const pid_t child = fork();
    recorder.after_fork();
    if (child == 0) {
      auto* const own = new Recorder(recorder.settings_of_child(), recorder.rules());
      own->start(base::Microseconds{0});
      for (int i = 0; i < kCalls; ++i) {
        make_call(*own, "model.child.read");
        std::this_thread::sleep_for(milliseconds{2});
      }
      _exit(own->stop(seconds{10}) && own->status().process.errors == 0 ? 0 : 1);
    }
    children.push_back(child);
    std::this_thread::sleep_for(milliseconds{15});
    if (children.size() > 4) wait_for_one();
  }
  while (!children.empty()) wait_for_one();
  ASSERT_TRUE(recorder.flush(seconds{10}));
  EXPECT_EQ(recorder.status().process.errors, 0U);
  EXPECT_EQ(stored().total, std::uint64_t{2 * kRounds * kCalls});
}

TEST_F(ARecorder, LeavesTheStoreAloneInAChildThatWasForkedInTheMiddleOfAWrite) {
  auto child = settings();
  child.store_refused = "forked in the middle of a write";
  Recorder recorder(child);
  EXPECT_THAT(recorder.start(seconds{2}), HasSubstr("forked in the middle of a write"));
  make_call(recorder, "model.child.read");
  EXPECT_FALSE(recorder.stop(milliseconds{100}));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/perf.sqlite"));
}

TEST_F(ARecorder, ReportsTheCallsOfAProcessThatWasKilled) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto board = Scoreboard::create(folder_, "host").value();
    CallSummary call;
    call.id = "killed-1";
    call.database = "demo";
    call.method = "model.sale.sale.process";
    call.start = base::utc_now();
    publish(*board->open(), call, 1);
    board->close(board->open());
    [[maybe_unused]] const auto told = write(ready[1], "x", 1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto running = running_calls(folder_);
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].summary.method, "model.sale.sale.process");
  EXPECT_EQ(running[0].process, child);
  kill(child, SIGKILL);
  siginfo_t ended{};
  // Its parent may take its time: a process that died but was not waited for runs nothing either.
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(running_calls(folder_).empty());
  auto opened = open_store(url(), OpenMode::kWrite).value();
  Batch batch;
  batch.process.emplace();
  batch.process->host = "host";
  batch.process->process = child;
  batch.process->seen = base::utc_now();
  ASSERT_TRUE(opened.store->append(batch));
  EXPECT_EQ(sweep_scoreboards(folder_, *opened.store).value(), 1U);
  EXPECT_TRUE(opened.store->info().value().processes.empty()) << "who is dead does not look alive";
  EXPECT_EQ(sweep_scoreboards(folder_, *opened.store).value(), 0U);
  ASSERT_EQ(stored().total, 1U);
  EXPECT_EQ(stored().calls[0].status, CallStatus::kKilled);
  EXPECT_EQ(stored().calls[0].method, "model.sale.sale.process");
  waitpid(child, nullptr, 0);
}

TEST(Scoreboard, KnowsTheLastFourSessionsOfTheDatabaseThatACallUsed) {
  std::string pattern = std::filesystem::temp_directory_path() / "scoreboard_XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  {
    const auto board = Scoreboard::create(folder, "host").value();
    CallSummary call;
    call.start = base::utc_now();
    auto* const slot = board->open();
    publish(*slot, call, 1);
    const auto now = base::monotonic_ns() - 1'000'000;
    for (const int process : {11, 12, 11, 13, 14, 15})
      publish_statement(*slot, "SELECT 1", now + process, process);
    std::vector<std::int32_t> used;
    const auto running = running_calls(folder);
    for (const Backend& backend : running.at(0).backends) used.push_back(backend.process);
    EXPECT_THAT(used, testing::UnorderedElementsAre(12, 13, 14, 15));
    board->close(slot);
    auto* const next = board->open();
    EXPECT_NE(next, nullptr);
    publish(*next, call, 1);
    EXPECT_TRUE(running_calls(folder).at(0).backends.empty()) << "a slot begins anew";
    board->close(next);
  }
  std::filesystem::remove_all(folder);
}

TEST(Scoreboard, ShowsWhatACallIsDoingAndFreesItsSlot) {
  std::string pattern = std::filesystem::temp_directory_path() / "scoreboard_XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  {
    const auto board = Scoreboard::create(folder, "host").value();
    CallSummary call;
    call.id = "1";
    call.start = base::utc_now();
    call.user_id = 4;
    auto* const slot = board->open();
    publish(*slot, call, 1);
    publish_statement(*slot, "SELECT 1", base::monotonic_ns());
    auto running = running_calls(folder);
    ASSERT_EQ(running.size(), 1U);
    EXPECT_EQ(running[0].activity, Activity::kSql);
    EXPECT_EQ(running[0].statement, "SELECT 1");
    EXPECT_EQ(running[0].summary.user_id, 4);
    publish_activity(*slot, Activity::kCommit, base::monotonic_ns());
    EXPECT_EQ(running_calls(folder)[0].activity, Activity::kCommit);
    EXPECT_TRUE(running_calls(folder)[0].backends.empty()) << "no statement named one";
    board->close(slot);
    EXPECT_TRUE(running_calls(folder).empty());
    std::vector<Scoreboard::Slot*> all;
    for (std::size_t i = 0; i < Scoreboard::kSlots; ++i) all.push_back(board->open());
    EXPECT_EQ(std::ranges::count(all, nullptr), 0);
    EXPECT_EQ(board->open(), nullptr) << "one call too many runs unseen";
    for (auto* const taken : all) board->close(taken);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder + "/scoreboards")) << "a normal end removes the file";
  std::filesystem::remove_all(folder);
}

TEST(Scoreboard, TakesNoForeignOrCutFileForOne) {
  std::string pattern = std::filesystem::temp_directory_path() / "scoreboard_XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  std::filesystem::create_directories(folder + "/scoreboards");
  for (const char* content : {"", "short", "something that is long enough to hold a magic number"}) {
    std::FILE* const file = std::fopen((folder + "/scoreboards/x-1-1.scoreboard").c_str(), "w");
    std::fputs(content, file);
    std::fclose(file);
    EXPECT_TRUE(running_calls(folder).empty());
  }
  std::filesystem::remove_all(folder);
}

TEST(BindParameters, PutsLiteralsOutsideOfQuotesAndComments) {
  EXPECT_EQ(bind_parameters("SELECT '?' , ? -- ?\n, ?", {"1", "'x'"}), "SELECT '?' , 1 -- ?\n, 'x'");
  EXPECT_EQ(bind_parameters("SELECT \"a?\" = %s AND b ? 'k' AND %(n)s", {"1", "2"}),
            "SELECT \"a?\" = 1 AND b ? 'k' AND 2");
  EXPECT_EQ(bind_parameters("SELECT ?, ?", {"1"}), "SELECT 1, ?");
  EXPECT_EQ(bind_parameters("SELECT $$?$$, E'\\'?', :name, a::text", {"1"}),
            "SELECT $$?$$, E'\\'?', 1, a::text");
  EXPECT_EQ(bind_parameters("SELECT 'open", {"1"}), "SELECT 'open");
}

}  // namespace
}  // namespace headroom::perf
