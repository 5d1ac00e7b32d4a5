#include "headroom/worklist_screen.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

namespace {

/// A list that changed so lately stands out.
constexpr std::chrono::seconds kLately{3};

void take_counts(WorklistView& view, const json& data, WorklistView::Time now) {
  const bool is_first = view.lists.empty();
  view.lsn = data.value("lsn", view.lsn);
  view.problem.clear();
  for (const auto& [key, number] : data.at("counts").items()) {
    if (number.is_null()) {
      view.lists.erase(key);
      continue;
    }
    WorklistView::List& list = view.lists[key];
    list.count = number.get<std::uint64_t>();
    list.changed.reset();
    if (!is_first) list.changed = now;
  }
}

std::string headline(const WorklistView& view) {
  std::string line = fmt::format("user {}   {}", perf::escape_line(view.user), perf::escape_line(view.state));
  if (!view.lsn.empty()) line += "   as of " + perf::escape_line(view.lsn);
  if (!view.problem.empty()) line += "   " + perf::escape_line(view.problem);
  return line;
}

perf::Table table_of(const WorklistView& view, WorklistShown shown, WorklistView::Time now,
                     std::vector<bool>& are_new) {
  perf::Table table;
  table.columns = {{"count", perf::Format::kCount}, {"list"}, {"changed", perf::Format::kText}};
  for (const auto& [key, list] : view.lists) {
    if (list.count == 0 && shown == WorklistShown::kNotZero) continue;
    std::string changed;
    if (list.changed) {
      const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - *list.changed);
      changed = fmt::format("{} s ago", age.count());
    }
    are_new.push_back(list.changed && now - *list.changed < kLately);
    table.rows.push_back({static_cast<std::int64_t>(list.count), key, changed});
  }
  return table;
}

std::string emphasized(const std::string& line, bool is_strong, perf::Color color) {
  return is_strong && color == perf::Color::kOn ? "\x1b[1m" + line + "\x1b[0m" : line;
}

}  // namespace

Result<void> WorklistView::take(std::string_view name, std::string_view data, Time now) {
  const json parsed = json::parse(data, nullptr, false);
  if (!parsed.is_object()) return fail(ErrorCode::kProtocol, "the service sends an event that is no object");
  try {
    if (name == "state") state = parsed.at("text").get<std::string>();
    if (name == "counts") take_counts(*this, parsed, now);
    if (name == "end") problem = parsed.at("message").get<std::string>();
  } catch (const json::exception& error) {
    return fail(ErrorCode::kProtocol, fmt::format("the service sends a strange event: {}", error.what()));
  }
  return {};
}

std::vector<std::string> worklist_lines(const WorklistView& view, WorklistShown shown, const ScreenSize& size,
                                        perf::Color color, WorklistView::Time now) {
  std::vector<std::string> lines{perf::cut_to_width(headline(view), size.width)};
  std::vector<bool> are_new;
  const perf::Table table = table_of(view, shown, now, are_new);
  lines.push_back(perf::cut_to_width(
      fmt::format("q quit   a {}   {} of {} lists", "all or not zero", table.rows.size(), view.lists.size()),
      size.width));
  if (!table.rows.empty()) {
    const std::string text = perf::to_aligned(table, size.width, perf::Color::kOff);
    std::size_t row = 0;
    for (std::size_t from = 0; from < text.size(); ++row) {
      const std::size_t end = std::min(text.find('\n', from), text.size());
      const bool is_strong = row == 0 || (row - 1 < are_new.size() && are_new[row - 1]);
      lines.push_back(
          emphasized(perf::cut_to_width(text.substr(from, end - from), size.width), is_strong, color));
      from = end + 1;
    }
  }
  if (size.height != 0 && lines.size() > size.height) lines.resize(size.height);
  return lines;
}

}  // namespace headroom::cli
