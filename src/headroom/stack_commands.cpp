// `headroom stack`: what a running call executes at this moment.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/stack.hpp"

namespace headroom::cli {
namespace {

using base::fail;
using base::Result;

struct StackOptions {
  std::string which;
  std::size_t limit = kUsualStacks;
};

/// One call that was named and can't be shown is an error; among several it is told in its place.
Result<Exit> stack(const StackOptions& options, const Invocation& run) {
  auto calls = choose_calls(perf::running_calls(run.configuration.perf.state), options.which, options.limit);
  if (!calls) return fail(std::move(calls.error()));
  const std::vector<ShownStack> stacks = take_stacks(std::move(*calls));
  const bool failed = std::ranges::any_of(stacks, [](const ShownStack& shown) { return !shown.stack; });
  if (failed && stacks.size() == 1 && !run.options.json) return fail(stacks.front().stack.error());
  const Exit printed = print_text(run.options.json ? stacks_json(stacks) + "\n" : stacks_text(stacks));
  return failed && printed == Exit::kFine ? Exit::kFailed : printed;
}

}  // namespace

void add_stack_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("stack", "Show the Python stack of running calls");
  command->group("Reports");
  command->footer(
      "Without an argument those that run longest. The process answers by itself, also while the call holds "
      "the\ninterpreter's lock; it is not stopped. Innermost frame last.\n\n"
      "Examples:\n  headroom stack\n  headroom stack 4711\n  headroom stack 3f9a0c5d1b2e00000012 --json");
  const auto options = std::make_shared<StackOptions>();
  command->add_option("which", options->which,
                      "number of a process, or id of a call (a unique beginning or end will do)");
  command->add_option("--limit", options->limit, "so many calls at most")
      ->check(whole_number(1, kMostStacks))
      ->capture_default_str();
  command->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return stack(*options, run); };
  });
}

}  // namespace headroom::cli
