// `headroom worklist watch` and `refresh`: clients of a running service.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/terminal.hpp"
#include "headroom/worklist_client.hpp"
#include "headroom/worklist_screen.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookEvery{100};
constexpr std::chrono::seconds kComeBackAfter{1};
constexpr std::chrono::seconds kSilence{60};
constexpr std::uint64_t kMostEvents = 1'000'000'000;

struct WatchOptions {
  std::string user;
  std::string count;
  bool all = false;
};

perf::Color color_of(const CommonOptions& options) {
  const bool on = options.color == "always" || (options.color == "auto" && ::isatty(STDOUT_FILENO) != 0);
  return on ? perf::Color::kOn : perf::Color::kOff;
}

/// On a terminal: comes back by itself when the service has been away.
class Watch {
 public:
  Watch(BusAccess access, const WatchOptions& options)
      : access_(std::move(access)),
        shown_(options.all ? WorklistShown::kAll : WorklistShown::kNotZero),
        user_(options.user) {
    view_.user = user_;
  }

  Result<Exit> show(perf::Color color) {
    auto opened = WorklistEvents::open(access_, user_);
    if (!opened) return fail(std::move(opened.error()));
    events_.emplace(std::move(*opened));
    Terminal terminal;
    while (!is_over_) {
      take_events();
      terminal.show(worklist_lines(view_, shown_, terminal.size(), color, Clock::now()));
      obey(terminal.wait(kLookEvery));
    }
    return Exit::kFine;
  }

 private:
  void obey(const Terminal::Event& event) {
    if (event.kind == Terminal::Event::Kind::kEnd) is_over_ = true;
    if (event.kind != Terminal::Event::Kind::kKey) return;
    if (event.key == 'q') is_over_ = true;
    if (event.key == 'a')
      shown_ = shown_ == WorklistShown::kAll ? WorklistShown::kNotZero : WorklistShown::kAll;
  }

  void take_events() {
    if (!events_) return come_back();
    while (true) {
      auto event = events_->next(std::chrono::milliseconds{0});
      if (!event) return lose(event.error());
      if (!*event) return;
      if (auto taken = view_.take((*event)->name, (*event)->data, Clock::now()); !taken)
        return lose(taken.error());
    }
  }
  void lose(const base::Error& error) {
    if (view_.problem.empty()) view_.problem = error.message();
    view_.state = "away";
    events_.reset();
    come_back_at_ = Clock::now() + kComeBackAfter;
  }
  void come_back() {
    if (Clock::now() < come_back_at_) return;
    auto opened = WorklistEvents::open(access_, user_);
    if (!opened) {
      view_.problem.clear();
      return lose(opened.error());
    }
    view_ = {};
    view_.user = user_;
    events_.emplace(std::move(*opened));
  }

  BusAccess access_;
  WorklistShown shown_;
  std::string user_;
  WorklistView view_;
  std::optional<WorklistEvents> events_;
  Clock::time_point come_back_at_{};
  bool is_over_ = false;
};

/// A line for each number that changed: list, count. The state goes to stderr.
Exit print_event(const WorklistEvents::Event& event, const nlohmann::json& data) {
  if (event.name == "state") print_note(data.value("text", ""));
  if (event.name == "end") print_error(data.value("message", ""));
  if (event.name != "counts") return Exit::kFine;
  std::string text;
  for (const auto& [key, number] : data["counts"].items())
    text += fmt::format("{}\t{}\n", key, number.dump());
  return print_text(text);
}

Exit print_json(const WorklistEvents::Event& event, nlohmann::json data) {
  data["event"] = event.name;
  return print_text(data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

/// For a program: events as they come, until it goes away, the stream ends, or there were enough.
Result<Exit> print_events(const Invocation& run, const BusAccess& access, const WatchOptions& options) {
  auto events = WorklistEvents::open(access, options.user);
  if (!events) return fail(std::move(events.error()));
  std::uint64_t left = options.count.empty() ? kMostEvents : std::stoull(options.count);
  while (left > 0) {
    auto event = events->next(kSilence);
    if (!event) return fail(std::move(event.error()));
    if (!*event) return fail(ErrorCode::kTimedOut, "the service has said nothing for 60 s");
    const auto data = nlohmann::json::parse((*event)->data, nullptr, false);
    if (!data.is_object()) return fail(ErrorCode::kProtocol, "the service sends an event that is no object");
    const Exit printed = run.options.json ? print_json(**event, data) : print_event(**event, data);
    if (printed != Exit::kFine || std::fflush(stdout) != 0) return printed;
    left -= (*event)->name == "counts" ? 1 : 0;
  }
  return Exit::kFine;
}

Result<Exit> watch(const Invocation& run, const WatchOptions& options) {
  auto access = service_access(run.configuration, ServiceUse::kReads);
  if (!access) return fail(std::move(access.error()));
  const bool on_terminal = ::isatty(STDOUT_FILENO) != 0 && ::isatty(STDIN_FILENO) != 0;
  if (!on_terminal || run.options.json || !options.count.empty()) return print_events(run, *access, options);
  return Watch(std::move(*access), options).show(color_of(run.options));
}

Result<Exit> refresh(const Invocation& run) {
  auto access = service_access(run.configuration, ServiceUse::kChanges);
  if (!access) return fail(std::move(access.error()));
  const auto reply = ask_bus(*access, "POST", "/api/worklist/refresh");
  if (!reply) return fail(reply.error());
  print_note("all is counted anew; the numbers of before are told until then");
  return Exit::kFine;
}

}  // namespace

void add_worklist_service_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.get_subcommand("worklist");
  const auto options = std::make_shared<WatchOptions>();
  CLI::App* watching =
      group->add_subcommand("watch", "Show a user's counts as they change, from the service");
  watching->footer(
      "On a terminal a table: q ends, a shows lists with nothing in them too. Else a line for each number "
      "that "
      "changes.\n\nExamples:\n  headroom worklist watch --user 7\n"
      "  headroom worklist watch --user 7 --json | jq .counts");
  watching->add_option("--user", options->user, "the user's id")->required();
  watching->add_option("--count", options->count, "print so many changes and end")
      ->check(whole_number(1, kMostEvents));
  watching->add_flag("--all", options->all, "lists with nothing in them too");
  watching->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return watch(run, *options); };
  });
  CLI::App* refreshing =
      group->add_subcommand("refresh", "Have the service count everything anew from the database");
  refreshing->footer("Needs the token of [serve] token_file.\n\nExamples:\n  headroom worklist refresh");
  refreshing->callback([&invocation] { invocation.run = [](Invocation& run) { return refresh(run); }; });
}

}  // namespace headroom::cli
