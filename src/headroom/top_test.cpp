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
  for (const std::string& line : top_lines(view, order, size, perf::Color::kOff)) text += line + "\n";
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
      const auto lines = top_lines(view, TopOrder::kTime, {width, height}, perf::Color::kOff);
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

TEST(LiveJson, IsOneLineWithEverything) {
  const std::string text = live_json(sample());
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const json view = json::parse(text);
  EXPECT_EQ(view["running"][0]["activity"], "sql");
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
