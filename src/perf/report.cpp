#include "perf/report.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

struct Entry {
  std::string_view name;
  Result<Report> (*make)(Store&, const ReportRequest&);
  /// What it means that it has no rows.
  std::string_view empty;
};

constexpr std::array<Entry, 11> kReports{
    {{"session", impl::session_report,
      "no session was recorded; 'headroom trace add' chooses whose calls are recorded"},
     {"method", impl::method_report, "no call of this session matches"},
     {"table", impl::table_report, "no statement of this session matches"},
     {"call", impl::call_report, "no call of this session matches"},
     {"profile", impl::profile_report,
      "no call has a profile; 'headroom trace add --profile' and '--sample-profile' ask for them"},
     {"db", impl::db_report, "no single statements were kept; 'headroom trace add --db' asks for them"},
     {"io", impl::io_report, "no bodies were kept; 'headroom trace add --io' asks for them"},
     {"query", impl::query_report,
      "no slow statement was kept; 'headroom trace add --query 0.2' keeps those that take longer"},
     {"repeat", impl::repeat_report, "no statement was repeated so often within one call"},
     {"conflict", impl::conflict_report, "no recorded call was retried or failed over a concurrent write"},
     {"overview", impl::overview_report, "no call was counted; 'headroom status' says what records"}}};

/// The databases that something is known of: recorded calls, or counts.
Result<std::set<std::string>> known_databases(Store& store) {
  std::set<std::string> names;
  const auto sessions = store.sessions({});
  if (!sessions) return fail(sessions.error());
  for (const SessionRow& row : *sessions) names.insert(row.database);
  const auto counts = store.counts({});
  if (!counts) return fail(counts.error());
  for (const MethodCount& hour : *counts) names.insert(hour.database);
  return names;
}

/// Asked when nothing was found: a misspelt database looks like one in which nothing happens.
Result<void> check_database(Store& store, const std::string& database) {
  constexpr std::size_t kShown = 10;
  if (database.empty()) return {};
  const auto names = known_databases(store);
  if (!names) return fail(names.error());
  if (names->empty() || names->contains(database)) return {};
  std::vector<std::string> shown(names->begin(), names->end());
  if (shown.size() > kShown) shown.resize(kShown);
  const std::string more =
      names->size() > kShown ? fmt::format(" and {} more", names->size() - kShown) : std::string();
  return fail(ErrorCode::kNotFound,
              fmt::format("unknown database '{}' (a whole name, no glob); there are {}{}", database,
                          fmt::join(shown, ", "), more));
}

base::Error unknown_session(std::string_view prefix, const std::string& database, std::string_view begin) {
  const std::string where = database.empty() ? std::string() : fmt::format(" of database '{}'", database);
  return {ErrorCode::kNotFound,
          fmt::format("invalid session '{}': no session{} begins with '{}'; 'headroom session' lists the "
                      "sessions",
                      prefix, where, begin)};
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
  if (sessions->empty()) {
    if (const auto known = check_database(store, all.database); !known) return fail(known.error());
    return fail(unknown_session(prefix, all.database, wanted));
  }
  if (sessions->size() > 1) return fail(many_candidates(prefix, *sessions));
  return std::move(sessions->front());
}

Result<Report> make_report(Store& store, const ReportRequest& request) {
  for (const Entry& entry : kReports) {
    if (entry.name != request.report) continue;
    auto report = entry.make(store, request);
    if (!report || report->total > 0) return report;
    if (const auto known = check_database(store, request.filter.database); !known) return fail(known.error());
    if (report->note.empty()) report->note = entry.empty;
    return report;
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("unknown report '{}'; known: {}", request.report, fmt::join(report_names(), ", ")));
}

}  // namespace headroom::perf
