// What `headroom worklist watch` makes of events.

#include "headroom/worklist_screen.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr WorklistView::Time kStart{100s};

WorklistView view_of(std::string_view counts) {
  WorklistView view;
  view.user = "7";
  EXPECT_TRUE(view.take("state", R"({"state": "current", "text": "current"})", kStart));
  EXPECT_TRUE(view.take("counts", counts, kStart));
  return view;
}

std::vector<std::string> lines(const WorklistView& view, WorklistView::Time now = kStart,
                               ScreenSize size = {80, 24}, perf::Color color = perf::Color::kOff) {
  return worklist_lines(view, WorklistShown::kNotZero, size, color, now);
}

TEST(WorklistScreen, ShowsHowFreshTheCountsAreAndWhenTheyChanged) {
  WorklistView view = view_of(R"({"lsn": "0/AA", "counts": {"sale/late": 3, "sale/done": 0}})");
  EXPECT_THAT(lines(view)[0], HasSubstr("user 7   current   as of 0/AA"));
  EXPECT_THAT(lines(view)[1], HasSubstr("1 of 2 lists"));
  EXPECT_THAT(lines(view)[3], HasSubstr("sale/late"));
  EXPECT_THAT(lines(view)[3], Not(HasSubstr("ago")));
  ASSERT_TRUE(view.take("counts", R"({"lsn": "0/BB", "counts": {"sale/done": 1}})", kStart + 1s));
  const auto shown = lines(view, kStart + 5s);
  ASSERT_EQ(shown.size(), 5U);
  EXPECT_THAT(shown[0], HasSubstr("0/BB"));
  EXPECT_THAT(shown[3], HasSubstr("4 s ago"));
}

TEST(WorklistScreen, ForgetsAListThatAGuardRefuses) {
  WorklistView view = view_of(R"({"lsn": "0/AA", "counts": {"sale/late": 3}})");
  ASSERT_TRUE(view.take("counts", R"({"lsn": "0/BB", "counts": {"sale/late": null}})", kStart));
  EXPECT_THAT(lines(view)[1], HasSubstr("0 of 0 lists"));
}

TEST(WorklistScreen, IsNeverLargerThanTheTerminalAndSendsItNothingRaw) {
  std::string counts;
  for (int i = 0; i < 100; ++i) {
    if (i > 0) counts += ',';
    counts += "\"list/" + std::to_string(i) + "\": 1";
  }
  WorklistView view = view_of(R"({"lsn": "0/AA", "counts": {)" + counts + "}}");
  view.user = "\x1b[2J";
  view.problem = "\x1b]0;x";
  const auto shown = lines(view, kStart, {20, 10});
  EXPECT_EQ(shown.size(), 10U);
  for (const std::string& line : shown) {
    EXPECT_LE(perf::display_width(line), 20U) << line;
    EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  }
}

TEST(WorklistScreen, RefusesWhatIsNoEvent) {
  WorklistView view = view_of(R"({"lsn": "0/AA", "counts": {"sale/late": 3}})");
  EXPECT_FALSE(view.take("counts", "[1]", kStart));
  EXPECT_FALSE(view.take("counts", R"({"counts": {"sale/late": "x"}})", kStart));
  EXPECT_FALSE(view.take("state", "{}", kStart));
  EXPECT_TRUE(view.take("unknown", "{}", kStart));
  EXPECT_THAT(lines(view)[3], HasSubstr("3"));
}

}  // namespace
}  // namespace headroom::cli
