#include "perf/profile_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace headroom::perf {

namespace {

using base::Nanoseconds;

double seconds(Nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

/// Time of each node with everything below it. Parents come first, so one backward pass adds it up.
std::vector<Nanoseconds> inclusive_times(const Profile& profile) {
  std::vector<Nanoseconds> times(profile.nodes.size());
  for (std::size_t i = profile.nodes.size(); i-- > 0;) {
    times[i] += profile.nodes[i].wall;
    if (i != 0) times[profile.nodes[i].parent] += times[i];
  }
  return times;
}

/// Calls, in a sampled profile samples, of each node with everything below it.
std::vector<std::uint64_t> inclusive_calls(const Profile& profile) {
  std::vector<std::uint64_t> calls(profile.nodes.size());
  for (std::size_t i = profile.nodes.size(); i-- > 0;) {
    calls[i] += profile.nodes[i].calls;
    if (i != 0) calls[profile.nodes[i].parent] += calls[i];
  }
  return calls;
}

/// For each node: another call of the same frame encloses it. One walk over the tree with a count per frame
/// of how often it is open, so that deep trees cost no more than flat ones.
std::vector<bool> recursive_nodes(const Profile& profile) {
  const std::size_t size = profile.nodes.size();
  std::vector<std::vector<std::uint32_t>> children(size);
  for (std::size_t i = 1; i < size; ++i) {
    children[profile.nodes[i].parent].push_back(static_cast<std::uint32_t>(i));
  }
  std::vector<bool> result(size);
  std::vector<std::uint32_t> open(profile.frames.size());
  std::vector<std::uint32_t> path{0};
  while (size != 0 && !path.empty()) {
    std::vector<std::uint32_t>& rest = children[path.back()];
    if (rest.empty()) {
      if (path.back() != 0) --open[profile.nodes[path.back()].frame];
      path.pop_back();
      continue;
    }
    const std::uint32_t node = rest.back();
    rest.pop_back();
    result[node] = open[profile.nodes[node].frame]++ != 0;
    path.push_back(node);
  }
  return result;
}

std::vector<std::size_t> by_cumulative_time(const Profile& profile, const std::vector<FrameTotal>& rows) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < rows.size(); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (rows[a].cumulative != rows[b].cumulative) return rows[a].cumulative > rows[b].cumulative;
    return profile.frames[a].function < profile.frames[b].function;
  });
  return order;
}

Nanoseconds total_time(const Profile& profile) {
  Nanoseconds total{0};
  for (const ProfileNode& node : profile.nodes) total += node.wall;
  return total;
}

/// "file:line(function)", and "{built-in ...}" for what has no source: pstats' func_std_string.
std::string place(const Frame& frame) {
  if (frame.file == "~" && frame.line == 0) {
    const std::string& name = frame.function;
    if (name.size() > 2 && name.front() == '<' && name.back() == '>') {
      return "{" + name.substr(1, name.size() - 2) + "}";
    }
    return name;
  }
  return fmt::format("{}:{}({})", frame.file, frame.line, frame.function);
}

double per_call(Nanoseconds time, std::uint64_t calls) {
  return calls == 0 ? 0.0 : seconds(time) / static_cast<double>(calls);
}

std::string exact_text(const Profile& profile) {
  const std::vector<FrameTotal> rows = totals_by_frame(profile);
  std::uint64_t calls = 0;
  std::uint64_t primitive = 0;
  for (const FrameTotal& row : rows) {
    calls += row.calls;
    primitive += row.primitive_calls;
  }
  std::string out = fmt::format("         {} function calls", calls);
  if (calls != primitive) out += fmt::format(" ({} primitive calls)", primitive);
  out +=
      fmt::format(" in {:.3f} seconds\n\n   Ordered by: cumulative time\n\n", seconds(total_time(profile)));
  out += "   ncalls  tottime  percall  cumtime  percall filename:lineno(function)\n";
  for (const std::size_t i : by_cumulative_time(profile, rows)) {
    const FrameTotal& row = rows[i];
    if (row.calls == 0) continue;
    const std::string number = row.calls == row.primitive_calls
                                   ? fmt::format("{}", row.calls)
                                   : fmt::format("{}/{}", row.calls, row.primitive_calls);
    fmt::format_to(std::back_inserter(out), "{:>9} {:8.3f} {:8.3f} {:8.3f} {:8.3f} {}\n", number,
                   seconds(row.self), per_call(row.self, row.calls), seconds(row.cumulative),
                   per_call(row.cumulative, row.primitive_calls), place(profile.frames[i]));
  }
  return out;
}

/// A sampled profile with one frame for each function: a frame is a line there, and a function that was
/// found in many of its lines shall stand in one row. Its line is the one where it spent most.
Profile by_function(Profile profile) {
  const std::vector<FrameTotal> lines = totals_by_frame(profile);
  std::map<std::pair<std::string, std::string>, std::uint32_t> functions;
  std::vector<std::uint32_t> function_of(profile.frames.size());
  std::vector<std::size_t> longest;
  for (std::size_t i = 0; i < profile.frames.size(); ++i) {
    const Frame& frame = profile.frames[i];
    const auto next = static_cast<std::uint32_t>(longest.size());
    const auto [found, added] = functions.try_emplace({frame.file, frame.function}, next);
    if (added) longest.push_back(i);
    std::size_t& most = longest[found->second];
    if (lines[i].cumulative > lines[most].cumulative) most = i;
    function_of[i] = found->second;
  }
  std::vector<Frame> frames;
  for (const std::size_t line : longest) frames.push_back(profile.frames[line]);
  profile.frames = std::move(frames);
  for (std::size_t i = 1; i < profile.nodes.size(); ++i)
    profile.nodes[i].frame = function_of[profile.nodes[i].frame];
  return profile;
}

std::string sampled_text(const Profile& lines) {
  const Profile profile = by_function(lines);
  const std::vector<FrameTotal> rows = totals_by_frame(profile);
  std::string out =
      fmt::format("         {} samples ({} missed) in {:.3f} seconds\n\n   Ordered by: cumulative time\n\n",
                  profile.samples - std::min(profile.samples, profile.missed), profile.missed,
                  seconds(total_time(profile)));
  out += "  samples     self  tottime  cputime  cumtime filename:lineno(function)\n";
  if (!profile.nodes.empty()) {
    const ProfileNode& root = profile.nodes.front();
    fmt::format_to(std::back_inserter(out), "{:>9} {:>8} {:8.3f} {:8.3f} {:8.3f} (call)\n",
                   inclusive_calls(profile).front(), root.calls, seconds(root.wall), seconds(root.cpu),
                   seconds(total_time(profile)));
  }
  for (const std::size_t i : by_cumulative_time(profile, rows)) {
    const FrameTotal& row = rows[i];
    fmt::format_to(std::back_inserter(out), "{:>9} {:>8} {:8.3f} {:8.3f} {:8.3f} {}\n", row.cumulative_calls,
                   row.calls, seconds(row.self), seconds(row.cpu), seconds(row.cumulative),
                   place(profile.frames[i]));
  }
  return out;
}

std::string folded_name(const Frame& frame) {
  std::string name =
      frame.file == "~" ? frame.function : fmt::format("{} ({}:{})", frame.function, frame.file, frame.line);
  for (char& c : name) {
    if (c == ';') c = ':';
    if (c == '\n' || c == '\r') c = ' ';
  }
  return name;
}

std::string folded_path(const Profile& profile, const std::vector<std::string>& names, std::size_t node) {
  if (node == 0) return "(call)";
  std::vector<std::string_view> path;
  for (std::size_t i = node; i != 0; i = profile.nodes[i].parent)
    path.push_back(names[profile.nodes[i].frame]);
  std::reverse(path.begin(), path.end());
  return fmt::format("{}", fmt::join(path, ";"));
}

}  // namespace

std::vector<FrameTotal> totals_by_frame(const Profile& profile) {
  const std::vector<Nanoseconds> inclusive = inclusive_times(profile);
  const std::vector<std::uint64_t> calls = inclusive_calls(profile);
  const std::vector<bool> recursive = recursive_nodes(profile);
  std::vector<FrameTotal> rows(profile.frames.size());
  for (std::size_t i = 1; i < profile.nodes.size(); ++i) {
    const ProfileNode& node = profile.nodes[i];
    FrameTotal& row = rows[node.frame];
    row.calls += node.calls;
    row.self += node.wall;
    row.cpu += node.cpu;
    if (recursive[i]) continue;
    row.primitive_calls += node.calls;
    row.cumulative += inclusive[i];
    row.cumulative_calls += calls[i];
  }
  return rows;
}

std::string pstats_text(const Profile& profile) {
  std::string out = profile.kind == Profile::Kind::kExact ? exact_text(profile) : sampled_text(profile);
  if (profile.dropped_nodes != 0) {
    out += fmt::format("\n   {} entries beyond the bound of nodes are counted in their callers\n",
                       profile.dropped_nodes);
  }
  return out;
}

std::string collapsed(const Profile& profile) {
  std::vector<std::string> names;
  names.reserve(profile.frames.size());
  for (const Frame& frame : profile.frames) names.push_back(folded_name(frame));
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < profile.nodes.size(); ++i) {
    const auto self = std::chrono::duration_cast<base::Microseconds>(profile.nodes[i].wall).count();
    if (self > 0) lines.push_back(fmt::format("{} {}\n", folded_path(profile, names, i), self));
  }
  std::sort(lines.begin(), lines.end());
  return fmt::format("{}", fmt::join(lines, ""));
}

}  // namespace headroom::perf
