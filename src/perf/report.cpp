#include "perf/report.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"
#include "sql/token.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

struct Entry {
  std::string_view name;
  Result<Report> (*make)(Store&, const ReportRequest&);
  /// What it means that it has no rows.
  std::string_view empty;
  /// The filter that it knows nothing of.
  std::string_view refused = {};
};

constexpr std::array<Entry, 11> kReports{
    {{"session", impl::session_report,
      "no session was recorded; 'headroom trace add' chooses whose calls are recorded", "method"},
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
     {"overview", impl::overview_report, "no call was counted; 'headroom status' says what records",
      "user"}}};

/// A filter that is passed over would give an answer to another question.
Result<void> check_filters(const Entry& entry, const ReportRequest& request) {
  const Filter& filter = request.filter;
  if (entry.name == "call" && !request.contains.empty())
    return fail(ErrorCode::kInvalidArgument,
                "call cannot be filtered by words; --method takes a glob: '*sale*'");
  const bool refused = (entry.refused == "method" && !filter.method.empty()) ||
                       (entry.refused == "user" && !filter.user.empty());
  if (!refused) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} cannot be filtered by {}; accepted are since, until, database and {}",
                          entry.name, entry.refused, entry.refused == "user" ? "method" : "user"));
}

/// The databases that something is known of: recorded calls, or counts.
Result<std::set<std::string>> known_databases(Store& store) {
  std::set<std::string> names;
  const auto sessions = store.sessions({});
  if (!sessions) return fail(sessions.error());
  for (const SessionRow& row : *sessions) names.insert(row.database);
  const auto counts = store.counts({});
  if (!counts) return fail(counts.error());
  for (const MethodCount& hour : *counts) names.insert(hour.database);
  names.erase("");  // calls before a database was known
  return names;
}

/// Asked when nothing was found: a misspelt database looks like one in which nothing happens.
Result<void> check_database(Store& store, const Filter& filter) {
  constexpr std::size_t kShown = 10;
  if (filter.database.empty() && filter.databases.empty()) return {};
  const auto names = known_databases(store);
  if (!names) return fail(names.error());
  const bool found = std::any_of(names->begin(), names->end(),
                                 [&](const std::string& name) { return includes_database(filter, name); });
  if (names->empty() || found) return {};
  std::vector<std::string> shown(names->begin(), names->end());
  if (shown.size() > kShown) shown.resize(kShown);
  std::ranges::transform(shown, shown.begin(), shown_name);
  const std::string more =
      names->size() > kShown ? fmt::format(" and {} more", names->size() - kShown) : std::string();
  return fail(
      ErrorCode::kNotFound,
      fmt::format("{}; there are {}{}",
                  filter.databases.empty() ? fmt::format("unknown database '{}'", filter.database)
                                           : fmt::format("no database is or matches '{}'", filter.databases),
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
    names += fmt::format("{}{}/{}", i > 0 ? ", " : "", shown_name(candidates[i].database),
                         shown_name(candidates[i].session));
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

void bound_texts(Table& table, std::size_t most) {
  for (auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      auto* const text = std::get_if<std::string>(&row[i]);
      if (text == nullptr || text->size() <= kLongestShownName) continue;
      *text = table.columns[i].format == Format::kText ? shown_name(*text) : impl::shown_text(*text, most);
    }
  }
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::istringstream lower(sql::lower_case(text));
  for (std::string word; lower >> word;) words.push_back(std::move(word));
  return words;
}

bool holds_all(const std::vector<Cell>& row, const std::vector<std::string>& words) {
  std::string texts;
  for (const Cell& cell : row) {
    if (const auto* text = std::get_if<std::string>(&cell)) texts += sql::lower_case(*text) + '\n';
  }
  return std::ranges::all_of(
      words, [&texts](const std::string& word) { return texts.find(word) != std::string::npos; });
}

void keep_rows_with(Report& report, const std::vector<std::string>& words) {
  if (words.empty()) return;
  std::erase_if(report.table.rows, [&words](const std::vector<Cell>& row) { return !holds_all(row, words); });
}

Result<void> sort_rows(Report& report, std::string_view sort) {
  const auto key = impl::parse_sort(sort, report.table.columns);
  if (!key) return fail(key.error());
  std::ranges::stable_sort(report.table.rows,
                           [&key](const std::vector<Cell>& left, const std::vector<Cell>& right) {
                             return key->comes_before(left[key->column], right[key->column]);
                           });
  return {};
}

/// In the order, and with the words, that were asked for. Calls sort by themselves: there may be too many of
/// them for a table.
Result<Report> make_sorted(const Entry& entry, Store& store, const ReportRequest& request) {
  const bool is_as_made = request.sort.empty() && request.contains.empty();
  if (is_as_made || entry.name == "call") return entry.make(store, request);
  ReportRequest all = request;
  all.page = {};
  auto report = entry.make(store, all);
  if (!report) return report;
  keep_rows_with(*report, words_of(request.contains));
  if (!request.sort.empty()) {
    if (const auto sorted = sort_rows(*report, request.sort); !sorted) return fail(sorted.error());
  }
  cut_to_page(*report, request.page);
  return report;
}

/// What restricts the answer, as the user gave it.
std::vector<std::string> restrictions(const ReportRequest& request) {
  auto texts = impl::describe_filters(request.filter);
  if (request.filter.most_repeated_at_least > 0)
    texts.push_back(fmt::format("at least {} times", request.filter.most_repeated_at_least));
  if (!request.contains.empty()) texts.push_back(fmt::format("'{}'", request.contains));
  if (request.report == "session" && !request.argument.empty())
    texts.push_back(fmt::format("user '{}'", request.argument));
  if (request.report == "call" && !request.argument.empty())
    texts.push_back(fmt::format("method '{}'", request.argument));
  return texts;
}

/// Says why there is nothing: because of the filters, when there is something without them.
Result<std::string> note_of_nothing(const Entry& entry, Store& store, const ReportRequest& request) {
  const auto texts = restrictions(request);
  if (texts.empty()) return std::string(entry.empty);
  ReportRequest wider = request;
  wider.filter = {};
  wider.filter.database = request.filter.database;
  wider.filter.databases = request.filter.databases;
  wider.page = {0, 1};
  if (entry.name == "session" || entry.name == "call") wider.argument.clear();
  const auto all = entry.make(store, wider);
  if (!all) return fail(all.error());
  if (all->total == 0) return std::string(entry.empty);
  return fmt::format("nothing matches {}; without that the report has {} row{}", fmt::join(texts, ", "),
                     all->total, all->total == 1 ? "" : "s");
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
    case Format::kNumber:
      return "number";
    case Format::kRatio:
      return "ratio";
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

void bound_texts(Report& report) {
  if (report.text.empty()) bound_texts(report.table, kLongestShownText);
  for (Part& part : report.parts) bound_texts(part.table, kLongestPartText);
}

void cut_to_page(Report& report, const Page& page) {
  auto& rows = report.table.rows;
  report.total = rows.size();
  const auto skipped = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(page.offset, rows.size()));
  rows.erase(rows.begin(), rows.begin() + skipped);
  if (page.limit > 0 && rows.size() > page.limit) rows.resize(page.limit);
}

Result<SessionRow> find_session(Store& store, std::string_view prefix, const Filter& filter) {
  Filter all;
  all.database = filter.database;
  all.databases = filter.databases;
  std::string_view wanted = prefix;
  if (const std::size_t slash = prefix.rfind('/'); slash != std::string_view::npos) {
    all.database = std::string(prefix.substr(0, slash));
    all.databases.clear();
    wanted.remove_prefix(slash + 1);
  }
  auto sessions = store.sessions(all);
  if (!sessions) return fail(sessions.error());
  std::erase_if(*sessions, [wanted](const SessionRow& row) { return !row.session.starts_with(wanted); });
  prefer_whole_name(*sessions, wanted);
  if (sessions->empty()) {
    if (const auto known = check_database(store, all); !known) return fail(known.error());
    return fail(unknown_session(prefix, all.database, wanted));
  }
  if (sessions->size() > 1) return fail(many_candidates(prefix, *sessions));
  return std::move(sessions->front());
}

Result<Report> make_report(Store& store, const ReportRequest& asked) {
  ReportRequest request = asked;
  if (request.filter.database.find_first_of("*?[") != std::string::npos)
    request.filter.databases = std::exchange(request.filter.database, {});
  for (const Entry& entry : kReports) {
    if (entry.name != request.report) continue;
    if (const auto known = check_filters(entry, request); !known) return fail(known.error());
    auto report = make_sorted(entry, store, request);
    if (report) bound_texts(*report);
    if (!report || report->total > 0) return report;
    if (const auto known = check_database(store, request.filter); !known) return fail(known.error());
    if (!report->note.empty()) return report;
    auto note = note_of_nothing(entry, store, request);
    if (!note) return fail(note.error());
    report->note = *std::move(note);
    return report;
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("unknown report '{}'; known: {}", request.report, fmt::join(report_names(), ", ")));
}

}  // namespace headroom::perf
