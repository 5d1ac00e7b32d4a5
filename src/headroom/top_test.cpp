// What `headroom top` shows of a look, and what the pages get of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "headroom/live.hpp"
#include "headroom/top_screen.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

perf::RunningCall running(std::string method, base::Microseconds age, perf::Activity activity) {
  perf::RunningCall call;
  call.summary.id = "3f9a0c5d1b2e" + method;
  call.summary.database = "shop";
  call.summary.user = "admin";
  call.summary.method = std::move(method);
  call.summary.wall = age;
  call.activity = activity;
  call.activity_age = age / 2;
  call.process = 4711;
  call.statement = "SELECT pg_sleep(%s)";
  return call;
}

perf::MethodRate rate(std::string method, double per_second, double busy, base::Microseconds average) {
  perf::MethodRate made;
  made.database = "shop";
  made.method = std::move(method);
  made.number = 5;
  made.per_second = per_second;
  made.busy = busy;
  made.average = average;
  return made;
}

LiveView sample() {
  LiveView view;
  view.at = base::parse_time("2026-11-21T08:00:00Z", {}).value();
  view.running = {running("model.sale.sale.read", seconds(12), perf::Activity::kSql),
                  running("model.sale.sale.quote", milliseconds(300), perf::Activity::kCode)};
  view.running_total = 2;
  view.methods = {rate("slow", 0.5, 2.5, seconds(5)), rate("many", 90, 0.2, milliseconds(2))};
  view.per_second = 90.5;
  perf::CallSummary call;
  call.session = "71aa000000000000";
  call.rank = 12;
  call.method = "model.party.party.search";
  view.calls = {call};
  view.drops = 3;
  return view;
}

std::string screen(const LiveView& view, ScreenSize size, TopOrder order = TopOrder::kTime) {
  std::string text;
  for (const std::string& line : top_lines(view, {order}, size, perf::Color::kOff)) text += line + "\n";
  return text;
}

TEST(TopLines, ShowWhatRunsWhatIsBusyAndWhatWasRecorded) {
  const std::string text = screen(sample(), {160, 40});
  EXPECT_THAT(text,
              HasSubstr("08:00:00  2 running, the oldest for 12.000 s   90.5 calls/s   3 records dropped"));
  EXPECT_THAT(text, HasSubstr("model.sale.sale.read"));
  EXPECT_THAT(text, HasSubstr("SELECT pg_sleep(%s)"));
  EXPECT_THAT(text, HasSubstr("71aa0000"));
  EXPECT_LT(text.find("slow"), text.find("many"));
  EXPECT_THAT(text, HasSubstr("q quit"));
  EXPECT_THAT(screen(sample(), {160, 0}), Not(HasSubstr("q quit"))) << "printed once, there are no keys";
}

TEST(TopLines, SortMethodsAsAsked) {
  const std::string text = screen(sample(), {160, 40}, TopOrder::kNumber);
  EXPECT_LT(text.find("many"), text.find("slow"));
  EXPECT_EQ(top_order('n'), TopOrder::kNumber);
  EXPECT_EQ(top_order('x'), std::nullopt);
}

TEST(TopLines, NeverLeaveTheScreen) {
  LiveView view = sample();
  for (int i = 0; i < 100; ++i) {
    view.running.push_back(running("model." + std::string(200, 'x'), seconds(1), perf::Activity::kLock));
    view.methods.push_back(rate(std::string(300, 'y'), 1, 1, seconds(1)));
  }
  for (const std::size_t height : {1U, 2U, 5U, 10U, 24U, 60U}) {
    for (const std::size_t width : {40U, 80U, 200U}) {
      const auto lines = top_lines(view, {TopOrder::kTime}, {width, height}, perf::Color::kOff);
      EXPECT_LE(lines.size(), height);
      for (const std::string& line : lines) EXPECT_LE(perf::display_width(line), width) << line;
    }
  }
}

TEST(TopLines, ShowControlCharactersAsText) {
  LiveView view = sample();
  view.running[0].summary.method = "\x1b]0;gotcha\x07";
  view.problem = "away\x1b[2J";
  EXPECT_THAT(screen(view, {160, 40}), Not(HasSubstr("\x1b")));
}

TEST(TopLines, SayThatNothingGoesOn) {
  const std::string text = screen({}, {100, 30});
  EXPECT_THAT(text, HasSubstr("nothing runs"));
  EXPECT_THAT(text, HasSubstr("no call was recorded"));
}

std::string stack_screen(const std::optional<ShownStack>& shown, ScreenSize size) {
  std::string text;
  for (const std::string& line : stack_lines(shown, size, perf::Color::kOff)) text += line + "\n";
  return text;
}

perf::CallStack deep_stack(std::size_t depth) {
  perf::CallStack stack;
  for (std::size_t i = 0; i < depth; ++i)
    stack.frames.push_back(
        {"function_" + std::to_string(i), "/usr/lib/sale.py", static_cast<std::uint32_t>(i)});
  return stack;
}

TEST(TopKeys, ChooseARunningCallAndShowItsStack) {
  const LiveView view = sample();
  TopChoice choice;
  EXPECT_EQ(chosen_call(view, choice), view.running.data()) << "the oldest";
  press('s', view, choice);
  EXPECT_TRUE(choice.stack);
  EXPECT_EQ(choice.call, view.running[0].summary.id) << "pinned";
  press('j', view, choice);
  EXPECT_EQ(chosen_call(view, choice), &view.running[1]);
  press('j', view, choice);
  EXPECT_EQ(chosen_call(view, choice), &view.running[1]) << "the last one stays";
  press('k', view, choice);
  EXPECT_EQ(chosen_call(view, choice), view.running.data());
  press('s', view, choice);
  EXPECT_FALSE(choice.stack);
  press('n', view, choice);
  press(' ', view, choice);
  press('q', view, choice);
  EXPECT_EQ(choice.order, TopOrder::kNumber);
  EXPECT_TRUE(choice.paused && choice.ended);
}

TEST(TopKeys, KeepTheChoiceWhenTheCallHasEnded) {
  LiveView view = sample();
  TopChoice choice;
  press('s', view, choice);
  view.running.erase(view.running.begin());
  EXPECT_EQ(chosen_call(view, choice), nullptr) << "another one does not take its place";
  press('j', view, choice);
  EXPECT_EQ(chosen_call(view, choice), view.running.data());
  LiveView nothing;
  for (const char key : {'j', 'k', 's'}) press(key, nothing, choice);
}

TEST(TopLines, MarkTheChosenCall) {
  const LiveView view = sample();
  TopChoice choice;
  press('j', view, choice);
  press('j', view, choice);
  std::size_t marked = 0;
  for (const std::string& line : top_lines(view, choice, {160, 40}, perf::Color::kOff)) {
    if (!line.starts_with('>')) continue;
    ++marked;
    EXPECT_THAT(line, HasSubstr("model.sale.sale.quote"));
  }
  EXPECT_EQ(marked, 1U);
}

TEST(StackLines, ShowTheCallAndItsFramesInnermostFirst) {
  ShownStack shown{sample().running[0], deep_stack(3)};
  const std::string text = stack_screen(shown, {120, 30});
  EXPECT_THAT(text, HasSubstr("model.sale.sale.read"));
  EXPECT_THAT(text, HasSubstr("SELECT pg_sleep(%s)"));
  EXPECT_LT(text.find("function_0"), text.find("function_2"));
  shown.stack->origin = perf::CallStack::Origin::kGreenlet;
  EXPECT_THAT(stack_screen(shown, {120, 30}), HasSubstr("its greenlet waits"));
  shown.stack = base::fail(base::ErrorCode::kTimedOut, "it did not answer\x1b[2J");
  EXPECT_THAT(stack_screen(shown, {120, 30}), HasSubstr("no stack: it did not answer\\x1b[2J"));
  EXPECT_THAT(stack_screen(std::nullopt, {120, 30}), HasSubstr("no call runs"));
}

TEST(StackLines, NeverLeaveTheScreen) {
  ShownStack shown{running("\x1b" + std::string(300, 'm'), seconds(1), perf::Activity::kSql),
                   deep_stack(500)};
  shown.stack->frames[0].file = "\x1b]0;gotcha" + std::string(500, 'f');
  for (const std::size_t height : {1U, 2U, 5U, 24U}) {
    const auto lines = stack_lines(shown, {60, height}, perf::Color::kOff);
    EXPECT_LE(lines.size(), height);
    for (const std::string& line : lines) {
      EXPECT_LE(perf::display_width(line), 60U);
      EXPECT_EQ(line.find('\x1b'), std::string::npos);
    }
  }
}

TEST(ChooseCalls, TakesAProcessACallOrTheOldest) {
  std::vector<perf::RunningCall> calls;
  for (const char* id : {"aa0000000001", "aa0000000002", "bb0000000002"}) {
    calls.push_back(running(id, seconds(1), perf::Activity::kCode));
    calls.back().summary.id = id;
  }
  calls[2].process = 12;
  const auto ids = [&](std::string_view which, std::size_t most = 5) {
    std::string text;
    const auto chosen = choose_calls(calls, which, most);
    if (!chosen) return std::string(base::name(chosen.error().code()));
    for (const perf::RunningCall& call : *chosen)
      text += call.summary.id.substr(0, 2) + call.summary.id.back();
    return text;
  };
  EXPECT_EQ(ids(""), "aa1aa2bb2");
  EXPECT_EQ(ids("", 2), "aa1aa2");
  EXPECT_EQ(ids("4711"), "aa1aa2");
  EXPECT_EQ(ids("12"), "bb2");
  EXPECT_EQ(ids("aa0000000001"), "aa1");
  EXPECT_EQ(ids("bb"), "bb2");
  EXPECT_EQ(ids("01"), "aa1");
  EXPECT_EQ(ids("02"), "conflict");
  EXPECT_EQ(ids("99"), "not_found");
  EXPECT_EQ(ids("a b"), "invalid_argument");
  EXPECT_EQ(ids("../x"), "invalid_argument");
}

TEST(StacksJson, IsOneLineWithFramesInnermostLast) {
  const perf::RunningCall call = sample().running[0];
  perf::CallStack hostile = deep_stack(2);
  hostile.frames[1].function = "\xff\n";
  const std::string text =
      stacks_json({{call, hostile}, {call, base::fail(base::ErrorCode::kNotFound, "ended")}});
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const json stacks = json::parse(text)["stacks"];
  EXPECT_EQ(stacks[0]["call"]["id"], call.summary.id);
  EXPECT_EQ(stacks[0]["frames"][1]["function"], "function_0");
  EXPECT_EQ(stacks[0]["origin"], "thread");
  EXPECT_TRUE(stacks[0]["error"].is_null());
  EXPECT_EQ(stacks[1]["error"]["code"], "not_found");
  EXPECT_TRUE(stacks[1]["frames"].empty());
}

TEST(StacksText, PrintsFramesAsABacktraceAndErrorsInTheirPlace) {
  const perf::RunningCall call = sample().running[0];
  perf::CallStack stack = deep_stack(2);
  stack.left_out = 7;
  const std::string text =
      stacks_text({{call, stack}, {call, base::fail(base::ErrorCode::kNotFound, "ended")}});
  EXPECT_THAT(
      text,
      HasSubstr(
          "  (7 outer frames left out)\n  /usr/lib/sale.py:1 function_1\n  /usr/lib/sale.py:0 function_0\n"));
  EXPECT_THAT(text, HasSubstr("no stack: ended"));
  EXPECT_EQ(stacks_text({}), "no call runs at this moment\n");
}

TEST(LiveJson, IsOneLineWithEverything) {
  const std::string text = live_json(sample());
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const json view = json::parse(text);
  EXPECT_EQ(view["running"][0]["activity"], "sql");
  EXPECT_EQ(view["running"][0]["id"], sample().running[0].summary.id);
  EXPECT_EQ(view["running_total"], 2);
  EXPECT_EQ(view["methods"][1]["per_second"], 90);
  EXPECT_EQ(view["methods"][0]["avg"], 5);
  EXPECT_EQ(view["calls"][0]["#"], 12);
  EXPECT_TRUE(view["problem"].is_null());
  LiveView hostile = sample();
  hostile.calls[0].method = "\xff\n";
  EXPECT_FALSE(json::parse(live_json(hostile)).is_discarded());
}

TEST(LiveSourceTest, TellsWhyTheStoreToldNothing) {
  LiveSource source("/nowhere", [](const LiveSource::UseStore&) -> base::Result<void> {
    return base::fail(base::ErrorCode::kUnavailable, "it is away");
  });
  const LiveView view = source.look(base::utc_now(), 1);
  EXPECT_EQ(view.problem, "it is away");
  EXPECT_TRUE(view.methods.empty());
}

}  // namespace
}  // namespace headroom::cli
