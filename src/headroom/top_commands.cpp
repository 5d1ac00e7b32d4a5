// `headroom top`: what runs now, like top(1).

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/commands.hpp"
#include "headroom/live.hpp"
#include "headroom/output.hpp"
#include "headroom/stack.hpp"
#include "headroom/terminal.hpp"
#include "headroom/top_screen.hpp"

namespace headroom::cli {
namespace {

using base::fail;
using base::Result;

constexpr std::chrono::seconds kPeriod{1};

/// Looks through a store that is opened when it is needed, and again after an error.
LiveSource make_source(const Invocation& invocation, std::string url) {
  auto store = std::make_shared<std::optional<perf::OpenStore>>();
  const auto with_store = [store, url = std::move(url)](const LiveSource::UseStore& use) -> Result<void> {
    if (!*store) {
      auto opened = perf::open_store(url, perf::OpenMode::kRead);
      if (!opened) return fail(std::move(opened.error()));
      *store = std::move(*opened);
    }
    auto used = use(**store);
    if (!used) store->reset();
    return used;
  };
  return LiveSource(invocation.configuration.perf.state, with_store,
                    std::make_shared<BlockingWatch>(invocation.configuration.perf.databases));
}

LiveView look(LiveSource& source) {
  return source.look(base::utc_now(), base::monotonic_ns());
}

/// The second of two looks: rates need both.
LiveView look_twice(LiveSource& source) {
  (void)look(source);
  std::this_thread::sleep_for(kPeriod);
  return look(source);
}

perf::Color color_of(const CommonOptions& options) {
  const bool on = options.color == "always" || (options.color == "auto" && ::isatty(STDOUT_FILENO) != 0);
  return on ? perf::Color::kOn : perf::Color::kOff;
}

Exit print_once(const CommonOptions& options, LiveSource& source, TopOrder order) {
  const LiveView view = look_twice(source);
  if (options.json) return print_text(live_json(view) + "\n");
  constexpr std::size_t kUsualWidth = 160;
  const ScreenSize size{options.width == 0 ? kUsualWidth : options.width, 0};
  std::string text;
  for (const std::string& line : top_lines(view, {order}, size, color_of(options))) text += line + "\n";
  return print_text(text);
}

/// A line of JSON a second, until the reader goes away.
Exit print_for_ever(LiveSource& source) {
  while (true) {
    const Exit printed = print_text(live_json(look(source)) + "\n");
    if (printed != Exit::kFine || std::fflush(stdout) != 0) return printed;
    std::this_thread::sleep_for(kPeriod);
  }
}

/// What is looked at, and what the keys have chosen.
class Top {
 public:
  Top(const CommonOptions& options, LiveSource& source, TopOrder order)
      : color_(color_of(options)), source_(source), choice_{order}, view_(cli::look(source)) {}

  [[nodiscard]] bool ended() const { return choice_.ended; }

  [[nodiscard]] std::vector<std::string> lines(const ScreenSize& size) const {
    return choice_.stack ? stack_lines(shown_, size, color_) : top_lines(view_, choice_, size, color_);
  }

  void obey(const Terminal::Event& event) {
    if (event.kind == Terminal::Event::Kind::kEnd) choice_.ended = true;
    if (event.kind != Terminal::Event::Kind::kKey) return;
    const bool stack = choice_.stack;
    const std::string call = choice_.call;
    press(event.key, view_, choice_);
    if (choice_.stack && (!stack || call != choice_.call)) take_stack();
  }

  void look() {
    if (choice_.paused) return;
    view_ = cli::look(source_);
    if (choice_.stack) take_stack();
  }

 private:
  /// Of a call that has ended the last stack is kept.
  void take_stack() {
    const perf::RunningCall* call = chosen_call(view_, choice_);
    if (call == nullptr) return;
    shown_ = std::move(take_stacks({*call}).front());
  }

  perf::Color color_;
  LiveSource& source_;
  TopChoice choice_;
  LiveView view_;
  std::optional<ShownStack> shown_;
};

Exit show_until_quit(const CommonOptions& options, LiveSource& source, TopOrder order) {
  Terminal terminal;
  Top top(options, source, order);
  auto next = std::chrono::steady_clock::now() + kPeriod;
  while (!top.ended()) {
    terminal.show(top.lines(terminal.size()));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - std::chrono::steady_clock::now());
    top.obey(terminal.wait(std::max(left, std::chrono::milliseconds(0))));
    if (std::chrono::steady_clock::now() < next) continue;
    next = std::chrono::steady_clock::now() + kPeriod;
    top.look();
  }
  return Exit::kFine;
}

struct TopOptions {
  bool once = false;
  std::string sort = "t";
};

Result<Exit> top(const TopOptions& options, const Invocation& run) {
  auto choice = chosen_store(run);
  if (!choice) return fail(std::move(choice.error()));
  LiveSource source = make_source(run, std::move(choice->url));
  const TopOrder order = top_order(options.sort.front()).value_or(TopOrder::kTime);
  const bool on_terminal = ::isatty(STDOUT_FILENO) != 0 && ::isatty(STDIN_FILENO) != 0;
  if (options.once || (!on_terminal && !run.options.json)) return print_once(run.options, source, order);
  return run.options.json ? print_for_ever(source) : show_until_quit(run.options, source, order);
}

}  // namespace

void add_top_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("top", "Show what runs now, which methods are busy, and what was just recorded");
  command->group("Reports");
  command->footer(
      "Rates are those of the last five seconds; `at once` is how many calls of a method ran at the same "
      "time.\n"
      "With --json a line each second, as the pages get them (docs/api.md).\n\n"
      "Examples:\n  headroom top\n  headroom top --once\n  headroom top --json | jq .running");
  const auto options = std::make_shared<TopOptions>();
  command->add_flag("--once", options->once, "print it once and end");
  command->add_option("--sort", options->sort, "methods by t time, n number, a average, e errors")
      ->check(CLI::IsMember({"t", "n", "a", "e"}))
      ->capture_default_str();
  command->callback(
      [&invocation, options] { invocation.run = [options](Invocation& run) { return top(*options, run); }; });
}

}  // namespace headroom::cli
