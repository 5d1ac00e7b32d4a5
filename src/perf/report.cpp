#include "perf/report.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

struct Entry {
  std::string_view name;
  Result<Report> (*make)(Store&, const ReportRequest&);
};

constexpr std::array<Entry, 11> kReports{{{"session", impl::session_report},
                                          {"method", impl::method_report},
                                          {"table", impl::table_report},
                                          {"call", impl::call_report},
                                          {"profile", impl::profile_report},
                                          {"db", impl::db_report},
                                          {"io", impl::io_report},
                                          {"query", impl::query_report},
                                          {"repeat", impl::repeat_report},
                                          {"conflict", impl::conflict_report},
                                          {"overview", impl::overview_report}}};

base::Error unknown_session(std::string_view prefix) {
  return {
      ErrorCode::kNotFound,
      fmt::format("invalid session '{}': no session begins with it; 'headroom session' lists the sessions",
                  prefix)};
}

base::Error many_candidates(std::string_view prefix, const std::vector<SessionRow>& candidates) {
  constexpr std::size_t kShown = 10;
  std::string names;
  for (std::size_t i = 0; i < candidates.size() && i < kShown; ++i) {
    names += fmt::format("{}{}/{}", i > 0 ? ", " : "", candidates[i].database, candidates[i].session);
  }
  if (candidates.size() > kShown) names += fmt::format(" and {} more", candidates.size() - kShown);
  return {ErrorCode::kConflict, fmt::format("many candidates for session '{}': {}", prefix, names)};
}

/// A whole name beats the longer ones that begin with it.
void prefer_whole_name(std::vector<SessionRow>& candidates, std::string_view name) {
  const auto is_whole = [name](const SessionRow& row) { return row.session == name; };
  if (std::none_of(candidates.begin(), candidates.end(), is_whole)) return;
  std::erase_if(candidates, [&](const SessionRow& row) { return !is_whole(row); });
}

}  // namespace

std::string_view name(Format format) {
  switch (format) {
    case Format::kText:
    case Format::kLongText:
    case Format::kBacktrace:
      return "text";
    case Format::kCount:
      return "count";
    case Format::kSeconds:
      return "seconds";
    case Format::kTime:
      return "time";
    case Format::kBytes:
      return "bytes";
  }
  return "text";
}

const std::vector<std::string>& report_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Entry& entry : kReports) names.emplace_back(entry.name);
    return names;
  }();
  return kNames;
}

Result<SessionRow> find_session(Store& store, std::string_view prefix, const Filter& filter) {
  Filter all;
  all.database = filter.database;
  std::string_view wanted = prefix;
  if (const std::size_t slash = prefix.rfind('/'); slash != std::string_view::npos) {
    all.database = std::string(prefix.substr(0, slash));
    wanted.remove_prefix(slash + 1);
  }
  auto sessions = store.sessions(all);
  if (!sessions) return fail(sessions.error());
  std::erase_if(*sessions, [wanted](const SessionRow& row) { return !row.session.starts_with(wanted); });
  prefer_whole_name(*sessions, wanted);
  if (sessions->empty()) return fail(unknown_session(prefix));
  if (sessions->size() > 1) return fail(many_candidates(prefix, *sessions));
  return std::move(sessions->front());
}

Result<Report> make_report(Store& store, const ReportRequest& request) {
  for (const Entry& entry : kReports) {
    if (entry.name == request.report) return entry.make(store, request);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("unknown report '{}'; known: {}", request.report, fmt::join(report_names(), ", ")));
}

}  // namespace headroom::perf
