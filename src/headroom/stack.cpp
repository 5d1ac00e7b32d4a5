#include "headroom/stack.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/status.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;
using perf::RunningCall;

constexpr std::size_t kLongestProcess = 7;  // digits: the kernel gives no more
constexpr std::size_t kLongestId = 62;

bool is_name_of_call(std::string_view text) {
  const auto good = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  return text.size() <= kLongestId && std::ranges::all_of(text, good);
}

bool is_of_process(const RunningCall& call, std::string_view which) {
  return which.size() <= kLongestProcess && fmt::to_string(call.process) == which;
}

bool is_named(const RunningCall& call, std::string_view which) {
  const std::string& id = call.summary.id;
  return id.starts_with(which) || id.ends_with(which);
}

template <typename Wanted>
std::vector<RunningCall> those(const std::vector<RunningCall>& running, const Wanted& wanted) {
  std::vector<RunningCall> found;
  std::ranges::copy_if(running, std::back_inserter(found), wanted);
  return found;
}

tl::unexpected<base::Error> several(std::string_view which, const std::vector<RunningCall>& found) {
  constexpr std::size_t kNamed = 3;
  std::string names;
  for (std::size_t i = 0; i < std::min(kNamed, found.size()); ++i)
    names += fmt::format("{}{}", i == 0 ? "" : ", ", perf::escape_line(found[i].summary.id));
  return fail(ErrorCode::kConflict, fmt::format("'{}' names {} running calls: {}{}", which, found.size(),
                                                names, found.size() > kNamed ? ", ..." : ""));
}

Result<std::vector<RunningCall>> choose(const std::vector<RunningCall>& running, std::string_view which) {
  if (!is_name_of_call(which)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is neither the number of a process nor the id of a call, as `headroom top` "
                            "shows them",
                            perf::escape_line(which.substr(0, kLongestId))));
  }
  auto found = those(running, [&](const RunningCall& call) { return is_of_process(call, which); });
  if (!found.empty()) return found;
  found = those(running, [&](const RunningCall& call) { return is_named(call, which); });
  if (found.size() == 1) return found;
  if (!found.empty()) return several(which, found);
  return fail(
      ErrorCode::kNotFound,
      fmt::format("no call with the id '{0}' and no process {0} runs a call now; `headroom top` shows "
                  "those that run",
                  which));
}

json frames_json(const perf::CallStack& stack) {
  json frames = json::array();
  for (auto frame = stack.frames.rbegin(); frame != stack.frames.rend(); ++frame)
    frames.push_back({{"function", frame->function}, {"file", frame->file}, {"line", frame->line}});
  return frames;
}

json error_json(const base::Error& error) {
  return {{"code", base::name(error.code())}, {"message", error.message()}};
}

json stack_json(const ShownStack& shown) {
  const bool told = shown.stack.has_value();
  return {{"call", running_json(shown.call)},
          {"origin", told ? json(perf::name(shown.stack->origin)) : json()},
          {"left_out", told ? shown.stack->left_out : 0},
          {"frames", told ? frames_json(*shown.stack) : json::array()},
          {"error", told ? json() : error_json(shown.stack.error())}};
}

void add_stack(const perf::CallStack& stack, std::string& text) {
  if (stack.left_out > 0) text += fmt::format("  ({} outer frames left out)\n", stack.left_out);
  for (auto frame = stack.frames.rbegin(); frame != stack.frames.rend(); ++frame)
    text += fmt::format("  {}\n", frame_line(*frame));
  if (stack.origin == perf::CallStack::Origin::kGreenlet) text += "  (its greenlet waits here)\n";
}

}  // namespace

Result<std::vector<RunningCall>> choose_calls(std::vector<RunningCall> running, std::string_view which,
                                              std::size_t most) {
  Result<std::vector<RunningCall>> chosen = std::move(running);
  if (!which.empty()) chosen = choose(*chosen, which);
  if (chosen && chosen->size() > most) chosen->resize(most);
  return chosen;
}

std::vector<ShownStack> take_stacks(std::vector<RunningCall> calls) {
  std::vector<ShownStack> stacks;
  for (RunningCall& call : calls) {
    perf::StackAnswer stack = perf::ask_for_stack(call);
    stacks.push_back({std::move(call), std::move(stack)});
  }
  return stacks;
}

std::string stacks_json(const std::vector<ShownStack>& stacks) {
  json list = json::array();
  for (const ShownStack& shown : stacks) list.push_back(stack_json(shown));
  const json whole{{"stacks", std::move(list)}};
  return whole.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string call_line(const RunningCall& call) {
  const std::string line = fmt::format(
      "call {}  {}  {}@{}  process {}  runs for {} s, {} for {} s", call.summary.id, call.summary.method,
      call.summary.user, call.summary.database, call.process, base::format_seconds(call.summary.wall),
      perf::name(call.activity), base::format_seconds(call.activity_age));
  return perf::escape_line(line);
}

std::string frame_line(const perf::StackFrame& frame) {
  return perf::escape_line(fmt::format("{}:{} {}", frame.file, frame.line, frame.function));
}

std::string stacks_text(const std::vector<ShownStack>& stacks) {
  if (stacks.empty()) return "no call runs at this moment\n";
  std::string text;
  for (const ShownStack& shown : stacks) {
    if (!text.empty()) text += "\n";
    text += call_line(shown.call) + "\n";
    if (shown.stack) {
      add_stack(*shown.stack, text);
    } else {
      text += fmt::format("  no stack: {}\n", perf::escape_line(shown.stack.error().message()));
    }
  }
  return text;
}

}  // namespace headroom::cli
