#include "headroom/top_screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/clock.hpp"

namespace headroom::cli {
namespace {

using perf::Cell;
using perf::Format;
using perf::Shown;

constexpr std::string_view kKeys =
    "q quit   s stack  j k choose a call   sort methods by: t time  n number  a average  e errors   space "
    "pause";
constexpr std::string_view kStackKeys = "q quit   s back   space pause";

Cell count(std::size_t number) {
  return static_cast<std::int64_t>(number);
}

/// Only where somebody waits for another: it takes room from the statements.
void add_blockers(const LiveView& view, perf::Table& table) {
  std::vector<Cell> cells;
  bool any = false;
  for (const perf::RunningCall& call : view.running) {
    const std::string blocker = blocked_by(view.blocking, call);
    any = any || !blocker.empty();
    cells.push_back(blocker.empty() ? Cell() : Cell(blocker));
  }
  if (!any) return;
  constexpr std::ptrdiff_t kBehindMethod = 7;
  table.columns.insert(table.columns.begin() + kBehindMethod, {"blocked by", Format::kText, Shown::kAlways});
  for (std::size_t i = 0; i < cells.size(); ++i)
    table.rows[i].insert(table.rows[i].begin() + kBehindMethod, std::move(cells[i]));
}

perf::Table running_table(const LiveView& view, const std::string& chosen) {
  perf::Table table;
  table.columns = {{" ", Format::kText},
                   {"age", Format::kSeconds},
                   {"doing", Format::kText},
                   {"since", Format::kSeconds, Shown::kWhereItFits},
                   {"user", Format::kText},
                   {"database", Format::kText, Shown::kWhereItFits},
                   {"method", Format::kText},
                   {"process", Format::kCount, Shown::kWhereItFits},
                   {"call", Format::kText, Shown::kWhereItFits},
                   {"statement", Format::kLongText, Shown::kWhereItFits}};
  for (const perf::RunningCall& call : view.running) {
    const bool is_chosen = !chosen.empty() && call.summary.id == chosen;
    table.rows.push_back({std::string(is_chosen ? ">" : " "), call.summary.wall,
                          std::string(perf::name(call.activity)), call.activity_age, call.summary.user,
                          call.summary.database, call.summary.method,
                          count(static_cast<std::size_t>(call.process)), call.summary.id,
                          call.activity == perf::Activity::kCode ? Cell() : Cell(call.statement)});
  }
  add_blockers(view, table);
  return table;
}

/// One decimal is what a rate over some seconds is worth.
double rounded(double number) {
  return std::round(number * 10) / 10;
}

void sort_methods(std::vector<perf::MethodRate>& methods, TopOrder order) {
  const auto by = [&](auto member) { std::ranges::stable_sort(methods, std::greater{}, member); };
  if (order == TopOrder::kTime) by(&perf::MethodRate::busy);
  if (order == TopOrder::kNumber) by(&perf::MethodRate::per_second);
  if (order == TopOrder::kAverage) by(&perf::MethodRate::average);
  if (order == TopOrder::kErrors) by(&perf::MethodRate::errors);
}

perf::Table method_table(std::vector<perf::MethodRate> methods, TopOrder order) {
  sort_methods(methods, order);
  perf::Table table;
  table.columns = {{"calls/s", Format::kNumber},
                   {"at once", Format::kNumber},
                   {"avg", Format::kSeconds},
                   {"sql", Format::kSeconds, Shown::kWhereItFits},
                   {"errors", Format::kCount, Shown::kWhereItFits},
                   {"database", Format::kText, Shown::kWhereItFits},
                   {"method", Format::kText}};
  for (const perf::MethodRate& rate : methods) {
    table.rows.push_back({rounded(rate.per_second), rounded(rate.busy), rate.average, rate.sql_average,
                          count(rate.errors), rate.database, rate.method});
  }
  return table;
}

perf::Table call_table(const std::vector<perf::CallSummary>& calls) {
  perf::Table table;
  table.columns = {
      {"time", Format::kSeconds}, {"sql", Format::kSeconds, Shown::kWhereItFits},  {"number", Format::kCount},
      {"user", Format::kText},    {"session", Format::kText, Shown::kWhereItFits}, {"#", Format::kCount},
      {"method", Format::kText}};
  for (const perf::CallSummary& call : calls) {
    table.rows.push_back({call.wall, call.sql, count(call.statements), call.user, call.session.substr(0, 8),
                          count(call.rank), call.method});
  }
  return table;
}

std::string headline(const LiveView& view) {
  std::string line =
      fmt::format("headroom  {}  {} running", base::to_iso(view.at).substr(11, 8), view.running_total);
  if (!view.running.empty())
    line += fmt::format(", the oldest for {} s", base::format_seconds(view.running.front().summary.wall));
  line += fmt::format("   {:.1f} calls/s   {} records dropped", view.per_second, view.drops);
  if (!view.blocking.problems.empty())
    line += "   locks: " + perf::escape_line(view.blocking.problems.front());
  if (!view.problem.empty()) line += "   store: " + perf::escape_line(view.problem);
  return line;
}

class Screen {
 public:
  Screen(const ScreenSize& size, perf::Color color) : size_(size), color_(color) {}

  void add(std::string_view line) {
    if (left() > 0) lines_.push_back(perf::cut_to_width(line, size_.width));
  }

  /// A title, the header and as many rows as `share` of what is left allows; nothing when that is no row.
  void add_table(std::string_view title, perf::Table table, double share) {
    const auto allowed = static_cast<std::size_t>(static_cast<double>(left()) * share);
    if (allowed < 4) return;
    if (table.rows.size() > allowed - 3) table.rows.resize(allowed - 3);
    add("");
    add(title);
    if (table.rows.empty()) return;
    const std::string text = perf::to_aligned(table, size_.width, perf::Color::kOff);
    for (std::size_t from = 0; from < text.size() && left() > 0;) {
      const std::size_t end = std::min(text.find('\n', from), text.size());
      std::string line = perf::cut_to_width(text.substr(from, end - from), size_.width);
      lines_.push_back(from == 0 ? emphasized(line) : line);
      from = end + 1;
    }
  }

  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  [[nodiscard]] std::string emphasized(const std::string& line) const {
    return color_ == perf::Color::kOn ? "\x1b[1m" + line + "\x1b[0m" : line;
  }
  [[nodiscard]] std::size_t left() const {
    constexpr std::size_t kNoEnd = 10'000;
    const std::size_t height = size_.height == 0 ? kNoEnd : size_.height;
    return height - std::min(height, lines_.size());
  }

  ScreenSize size_;
  perf::Color color_;
  std::vector<std::string> lines_;
};

/// Pinned to the call that is shown, so that another one does not take its place.
void show_or_leave_stack(const LiveView& view, TopChoice& choice) {
  const perf::RunningCall* call = chosen_call(view, choice);
  if (!choice.stack && call != nullptr) choice.call = call->summary.id;
  choice.stack = !choice.stack;
}

/// From the oldest when none is chosen, or it runs no more.
void choose_beside(const LiveView& view, int step, TopChoice& choice) {
  if (view.running.empty()) return;
  const auto found = std::ranges::find_if(
      view.running, [&](const perf::RunningCall& call) { return call.summary.id == choice.call; });
  const bool known = !choice.call.empty() && found != view.running.end();
  const auto last = static_cast<std::ptrdiff_t>(view.running.size()) - 1;
  const std::ptrdiff_t at =
      known ? std::clamp<std::ptrdiff_t>(found - view.running.begin() + step, 0, last) : 0;
  choice.call = view.running[static_cast<std::size_t>(at)].summary.id;
}

}  // namespace

std::optional<TopOrder> top_order(char key) {
  if (key == 't') return TopOrder::kTime;
  if (key == 'n') return TopOrder::kNumber;
  if (key == 'a') return TopOrder::kAverage;
  if (key == 'e') return TopOrder::kErrors;
  return std::nullopt;
}

const perf::RunningCall* chosen_call(const LiveView& view, const TopChoice& choice) {
  if (choice.call.empty()) return view.running.empty() ? nullptr : &view.running.front();
  const auto found = std::ranges::find_if(
      view.running, [&](const perf::RunningCall& call) { return call.summary.id == choice.call; });
  return found == view.running.end() ? nullptr : &*found;
}

void press(char key, const LiveView& view, TopChoice& choice) {
  if (key == 'q') choice.ended = true;
  if (key == ' ') choice.paused = !choice.paused;
  if (key == 's') show_or_leave_stack(view, choice);
  if (key == 'j') choose_beside(view, 1, choice);
  if (key == 'k') choose_beside(view, -1, choice);
  if (const auto order = top_order(key)) choice.order = *order;
}

std::vector<std::string> stack_lines(const std::optional<ShownStack>& shown, const ScreenSize& size,
                                     perf::Color color) {
  Screen screen(size, color);
  screen.add(shown ? call_line(shown->call) : "no call runs at this moment");
  if (size.height != 0) screen.add(kStackKeys);
  if (!shown) return screen.take();
  if (!shown->call.statement.empty()) screen.add(perf::escape_line("statement  " + shown->call.statement));
  screen.add("");
  if (!shown->stack) {
    screen.add("no stack: " + perf::escape_line(shown->stack.error().message()));
    return screen.take();
  }
  if (shown->stack->origin == perf::CallStack::Origin::kGreenlet) screen.add("its greenlet waits here");
  for (const perf::StackFrame& frame : shown->stack->frames) screen.add(frame_line(frame));
  if (shown->stack->left_out > 0)
    screen.add(fmt::format("({} outer frames left out)", shown->stack->left_out));
  return screen.take();
}

std::vector<std::string> top_lines(const LiveView& view, const TopChoice& choice, const ScreenSize& size,
                                   perf::Color color) {
  Screen screen(size, color);
  screen.add(headline(view));
  if (size.height != 0) screen.add(kKeys);
  screen.add_table(view.running.empty() ? "nothing runs" : "running", running_table(view, choice.call), 0.4);
  screen.add_table(view.methods.empty() ? "no method was called in the last seconds" : "busiest methods",
                   method_table(view.methods, choice.order), 0.6);
  screen.add_table(view.calls.empty() ? "no call was recorded in the last minute" : "recorded",
                   call_table(view.calls), 1);
  return screen.take();
}

}  // namespace headroom::cli
