// A process asks another one what a call executes: codes, hostile input, floods, ends.

#include "perf/stack_exchange.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "perf/recorder.hpp"

namespace headroom::perf {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CallStack some_stack() {
  return {CallStack::Origin::kThread, 0, {{"sale.sale:read", "sale.py", 12}, {"dispatch", "rpc.py", 7}}};
}

CallSummary some_call(std::string id) {
  CallSummary call;
  call.id = std::move(id);
  call.method = "model.sale.sale.read";
  call.start = base::utc_now();
  return call;
}

TEST(StackAnswer, IsReadAsItWasCoded) {
  const CallStack stack = some_stack();
  EXPECT_EQ(decode_answer(encode_answer(stack, 4096)).value(), stack);
  const StackAnswer none = base::fail(ErrorCode::kNotFound, "it has ended");
  const auto error = decode_answer(encode_answer(none, 4096)).error();
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_EQ(error.message(), "it has ended");
}

TEST(StackAnswer, LeavesOutermostFramesOutAndCutsTextsWhenThereIsNoRoom) {
  CallStack deep;
  for (std::uint32_t i = 0; i < 1000; ++i) deep.frames.push_back({std::string(2000, 'f'), "file.py", i});
  const std::string bytes = encode_answer(deep, 10'000);
  EXPECT_LE(bytes.size(), 10'000U);
  const CallStack read = decode_answer(bytes).value();
  EXPECT_EQ(read.frames.size() + read.left_out, 1000U);
  ASSERT_GT(read.frames.size(), 5U);
  EXPECT_EQ(read.frames[5].line, 5U) << "the innermost ones are there";
  EXPECT_EQ(read.frames[0].function.size(), 1024U);
}

TEST(StackAnswer, IsRefusedWhenItIsCutOrForeign) {
  const std::string bytes = encode_answer(some_stack(), 4096);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_answer(bytes.substr(0, size)).error().code(), ErrorCode::kProtocol) << size;
  }
  EXPECT_EQ(decode_answer(bytes + "x").error().code(), ErrorCode::kProtocol);
  EXPECT_EQ(decode_answer(std::string(100, '\xff')).error().code(), ErrorCode::kProtocol);
}

TEST(StackRequests, AreFoundAmongAnyBytesAndAcrossReads) {
  const StackRequest one{1, 100, "call-1"};
  const StackRequest other{2, 200, std::string(62, 'x')};
  const std::string whole = "garbage" + encode_request(one) + encode_request(one).substr(0, 50) +
                            encode_request(other) + "more garbage";
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    std::string bytes = whole.substr(0, cut);
    auto requests = take_requests(bytes);
    EXPECT_LT(bytes.size(), encode_request(one).size());
    bytes += whole.substr(cut);
    for (auto& request : take_requests(bytes)) requests.push_back(std::move(request));
    EXPECT_THAT(requests, testing::ElementsAre(one, other)) << cut;
  }
}

TEST(StackRequests, AreNotBelievedWhenABitIsWrong) {
  const std::string good = encode_request({1, 100, "call-1"});
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ 4);
    EXPECT_THAT(take_requests(bytes), IsEmpty()) << i;
  }
}

TEST(AnAllowance, GivesItsBurstThenItsRate) {
  Allowance allowance(10);
  const std::int64_t second = 1'000'000'000;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(allowance.take(second), 0) << i;
  EXPECT_EQ(allowance.take(second), second / 10);
  EXPECT_EQ(allowance.take(second + second / 10), 0);
  EXPECT_GT(allowance.take(second + second / 10), 0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(allowance.take(100 * second), 0) << "no more than a burst is saved";
  EXPECT_GT(allowance.take(100 * second), 0);
}

/// A process that shows one call; here its own.
class AnAnsweringProcess : public ::testing::Test {
 protected:
  AnAnsweringProcess() {
    std::signal(SIGPIPE, SIG_IGN);
    std::string pattern = std::filesystem::temp_directory_path() / "stack_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    board_ = Scoreboard::create(folder_, "host").value();
    slot_ = board_->open();
    publish(*slot_, some_call("call-1"), 77);
  }
  ~AnAnsweringProcess() override {
    answers_.reset();
    board_.reset();
    std::filesystem::remove_all(folder_);
  }

  void answer_with(TakeStack take) { answers_ = StackAnswers::start(*board_, std::move(take)).value(); }
  void answer() {
    answer_with([](const StackTarget&) { return some_stack(); });
  }
  [[nodiscard]] RunningCall call() const { return running_calls(folder_).at(0); }
  [[nodiscard]] std::string file(const std::string& suffix) const {
    const std::string& path = board_->path();
    return path.substr(0, path.rfind(".scoreboard")) + suffix;
  }

  std::string folder_;
  std::unique_ptr<Scoreboard> board_;
  Scoreboard::Slot* slot_ = nullptr;
  std::unique_ptr<StackAnswers> answers_;
};

TEST_F(AnAnsweringProcess, TellsTheStackOfItsCallWhereTheSlotSaysThatItRuns) {
  StackTarget asked;
  answer_with([&](const StackTarget& target) {
    asked = target;
    return some_stack();
  });
  EXPECT_EQ(ask_for_stack(call()).value(), some_stack());
  EXPECT_EQ(asked.thread, 77U);
  EXPECT_EQ(asked.slot, board_->index_of(*slot_));
}

TEST_F(AnAnsweringProcess, GivesOnlyTheGroupItsFilesAndTakesThemAway) {
  answer();
  for (const char* suffix : {".stack-requests", ".stack-answers"}) {
    struct stat status {};
    ASSERT_EQ(stat(file(suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 07777, 0660U) << suffix;
  }
  answers_.reset();
  EXPECT_FALSE(std::filesystem::exists(file(".stack-requests")));
  EXPECT_FALSE(std::filesystem::exists(file(".stack-answers")));
}

TEST_F(AnAnsweringProcess, PassesOnWhyThereIsNone) {
  answer_with(
      [](const StackTarget&) -> StackAnswer { return base::fail(ErrorCode::kUnsupported, "no frames"); });
  const auto error = ask_for_stack(call()).error();
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_EQ(error.message(), "no frames");
  answers_.reset();
  answer_with([](const StackTarget&) -> StackAnswer { throw std::runtime_error("broken"); });
  EXPECT_EQ(ask_for_stack(call()).error().message(), "broken");
}

TEST_F(AnAnsweringProcess, SaysThatACallHasEnded) {
  answer();
  RunningCall gone = call();
  gone.summary.id = "another";
  EXPECT_EQ(ask_for_stack(gone).error().code(), ErrorCode::kNotFound);
}

TEST_F(AnAnsweringProcess, TellsNoStackOfACallThatEndedWhileItWasRead) {
  answer_with([&](const StackTarget&) {
    publish(*slot_, some_call("call-2"), 78);
    return some_stack();
  });
  EXPECT_EQ(ask_for_stack(call()).error().code(), ErrorCode::kNotFound);
}

TEST_F(AnAnsweringProcess, IsToldFromOneThatTellsNoStacks) {
  const auto error = ask_for_stack(call()).error();
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("tells no stacks"));
}

TEST_F(AnAnsweringProcess, AnswersManyWhoAskAtOnceEachHisOwn) {
  answer_with([](const StackTarget& target) {
    CallStack stack;
    stack.frames = {{"thread", "x", static_cast<std::uint32_t>(target.thread)}};
    return stack;
  });
  std::vector<std::future<bool>> askers;
  for (std::uint32_t i = 0; i < 6; ++i) {
    auto* const slot = board_->open();
    publish(*slot, some_call("many-" + std::to_string(i)), 1000 + i);
  }
  const RunningCall one = call();
  for (std::uint32_t i = 0; i < 6; ++i) {
    RunningCall asked = one;
    asked.summary.id = "many-" + std::to_string(i);
    askers.push_back(std::async(std::launch::async, [asked, i] {
      for (int turn = 0; turn < 2; ++turn) {
        const auto stack = ask_for_stack(asked, seconds{10});
        if (!stack || stack->frames.at(0).line != 1000 + i) return false;
      }
      return true;
    }));
  }
  for (auto& asker : askers) EXPECT_TRUE(asker.get());
}

TEST_F(AnAnsweringProcess, IsNotMadeToWorkByAFlood) {
  std::atomic<int> taken{0};
  answer_with([&](const StackTarget&) {
    ++taken;
    return some_stack();
  });
  const RunningCall one = call();
  const auto began = base::monotonic_ns();
  const int pipe = open(file(".stack-requests").c_str(), O_WRONLY | O_NONBLOCK);
  ASSERT_GE(pipe, 0);
  const std::string request = encode_request({1, began + 5'000'000'000, "call-1"});
  while (base::monotonic_ns() - began < 1'500'000'000) {
    if (write(pipe, request.data(), request.size()) < 0) std::this_thread::sleep_for(milliseconds{1});
  }
  EXPECT_EQ(ask_for_stack(one, milliseconds{1}).error().retryable(), true);
  close(pipe);
  const auto lasted_s = static_cast<double>(base::monotonic_ns() - began) / 1e9;
  EXPECT_LE(taken, StackAnswers::kPerSecond * (lasted_s + 1));
  answers_->stop();
}

TEST_F(AnAnsweringProcess, LivesThroughGarbageAndAnswersAfterIt) {
  answer();
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  const int pipe = open(file(".stack-requests").c_str(), O_WRONLY | O_NONBLOCK);
  ASSERT_GE(pipe, 0);
  for (int i = 0; i < 20; ++i) {
    std::string garbage(1 + random() % 300, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random());
    if (i % 3 == 0)
      garbage +=
          encode_request({random(), base::monotonic_ns() + 1'000'000'000, "call-1"}).substr(0, random() % 96);
    [[maybe_unused]] const auto written = write(pipe, garbage.data(), garbage.size());
  }
  close(pipe);
  EXPECT_TRUE(ask_for_stack(call(), seconds{10})) << "seed " << seed;
}

TEST_F(AnAnsweringProcess, LivesWhenItsFilesAreCutAndOverwritten) {
  answer();
  ASSERT_TRUE(ask_for_stack(call()));
  std::filesystem::resize_file(file(".stack-answers"), 0);
  EXPECT_TRUE(ask_for_stack(call()));
  std::ofstream(file(".stack-answers")) << std::string(600'000, '\xff');
  EXPECT_TRUE(ask_for_stack(call()));
  std::filesystem::remove(file(".stack-answers"));
  EXPECT_EQ(ask_for_stack(call()).error().code(), ErrorCode::kUnsupported);
}

TEST_F(AnAnsweringProcess, IsNotAskedThroughForeignFiles) {
  answer();
  const RunningCall one = call();
  std::filesystem::remove(file(".stack-requests"));
  std::ofstream(file(".stack-requests")) << "a file";
  EXPECT_EQ(ask_for_stack(one).error().code(), ErrorCode::kProtocol);
  std::ifstream untouched(file(".stack-requests"));
  std::string content;
  std::getline(untouched, content);
  EXPECT_EQ(content, "a file");
  std::filesystem::remove(file(".stack-requests"));
  std::filesystem::create_symlink("/dev/null", file(".stack-requests"));
  EXPECT_EQ(ask_for_stack(one).error().code(), ErrorCode::kProtocol);
}

TEST_F(AnAnsweringProcess, PassesOverRequestsThatAreTooOld) {
  std::atomic<int> taken{0};
  answer_with([&](const StackTarget&) {
    ++taken;
    return some_stack();
  });
  const int pipe = open(file(".stack-requests").c_str(), O_WRONLY | O_NONBLOCK);
  ASSERT_GE(pipe, 0);
  for (const std::int64_t deadline :
       {std::int64_t{0}, base::monotonic_ns() - 1, std::numeric_limits<std::int64_t>::max()}) {
    const std::string request = encode_request({1, deadline, "call-1"});
    ASSERT_GT(write(pipe, request.data(), request.size()), 0);
  }
  close(pipe);
  EXPECT_TRUE(ask_for_stack(call(), seconds{10}));
  EXPECT_EQ(taken, 1);
}

/// What the child of a fork does here until it is killed.
[[noreturn]] void serve_and_tell(const std::string& folder, int ready) {
  auto board = Scoreboard::create(folder, "host").value();
  publish(*board->open(), some_call("child"), 1);
  auto answers = StackAnswers::start(*board, [](const StackTarget&) { return some_stack(); }).value();
  [[maybe_unused]] const auto told = write(ready, "x", 1);
  while (true) pause();
}

TEST(ADeadProcess, IsNamedAtOnce) {
  std::signal(SIGPIPE, SIG_IGN);
  std::string pattern = std::filesystem::temp_directory_path() / "stack_XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) serve_and_tell(folder, ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const RunningCall call = running_calls(folder).at(0);
  EXPECT_TRUE(ask_for_stack(call));
  kill(child, SIGSTOP);
  ASSERT_EQ(waitpid(child, nullptr, WUNTRACED), child);
  const auto stopped = ask_for_stack(call, milliseconds{100});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::kTimedOut);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const auto error = ask_for_stack(call).error();
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr(std::to_string(child)));
  std::filesystem::remove_all(folder);
}

class ARecordersStacks : public ::testing::Test {
 protected:
  ARecordersStacks() {
    std::signal(SIGPIPE, SIG_IGN);
    std::string pattern = std::filesystem::temp_directory_path() / "stack_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    settings_.broker = "sqlite://" + folder_ + "/perf.sqlite";
    settings_.state = folder_;
    settings_.host = "host";
    settings_.take_stack = [](const StackTarget&) { return some_stack(); };
  }
  ~ARecordersStacks() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  RecorderSettings settings_;
};

TEST_F(ARecordersStacks, AreToldByAForkedChildToo) {
  auto* const recorder = new Recorder(settings_);  // leaked in the child
  recorder->start(seconds{2});
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  recorder->before_fork();
  const pid_t child = fork();
  recorder->after_fork();
  if (child == 0) {
    recorder->abandon();
    auto* const own = new Recorder(recorder->settings_of_child(), recorder->rules());
    own->start(base::Microseconds{0});
    publish(*own->scoreboard()->open(), some_call("child"), 1);
    [[maybe_unused]] const auto told = write(ready[1], "x", 1);
    while (true) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  publish(*recorder->scoreboard()->open(), some_call("parent"), 1);
  const auto calls = running_calls(folder_);
  ASSERT_EQ(calls.size(), 2U);
  for (const RunningCall& call : calls) EXPECT_EQ(ask_for_stack(call).value(), some_stack()) << call.process;
  const RunningCall& of_parent = calls[0].process == child ? calls[1] : calls[0];
  recorder->stop(seconds{5});
  delete recorder;
  EXPECT_FALSE(ask_for_stack(of_parent)) << "the child holds nothing of its parent open";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  auto store = open_store(settings_.broker, OpenMode::kWrite).value();
  EXPECT_GE(sweep_scoreboards(folder_, *store.store).value(), 1U);
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/scoreboards")) {
    EXPECT_EQ(entry.path().string().find(".stack-"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace headroom::perf
