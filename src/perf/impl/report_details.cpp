// The reports over what was kept of single calls: profiles, statements in order, bodies, slow statements.

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "base/glob.hpp"
#include "perf/impl/report_parts.hpp"
#include "perf/profile_text.hpp"

namespace headroom::perf::impl {

namespace {

using base::ErrorCode;
using base::fail;

/// Calls with details that one report looks at; a trace that keeps more is cut short, and the report says so.
constexpr std::uint64_t kMostCalls = 10'000;

Column call_column() {
  return {"call", Format::kCount};
}

bool by_rank(const CallSummary& left, const CallSummary& right) {
  return left.rank < right.rank;
}

void note_cut(Report& report, const CallPage& page) {
  if (page.total <= page.calls.size()) return;
  report.note = fmt::format("looked at {} of {} calls; --since, --until and --method narrow them",
                            page.calls.size(), page.total);
}

/// "method call": the calls of a session that have a detail, as the original lists them.
Result<Report> list_calls(Store& store, const ReportRequest& request, Has has) {
  auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  filter->has = has;
  auto page = gather_calls(store, *filter, 0, kMostCalls);
  if (!page) return fail(page.error());
  std::sort(page->calls.begin(), page->calls.end(), by_rank);
  Report report;
  report.table.columns = {
      {"method", Format::kText}, call_column(), {"dt", Format::kTime}, {"tm", Format::kSeconds}};
  for (const CallSummary& call : page->calls) {
    report.table.rows.push_back({call.method, count(call.rank), call.start, call.wall});
  }
  note_cut(report, *page);
  cut_to_page(report, request.page);
  return report;
}

base::Error without_detail(const ReportRequest& request, std::string_view detail) {
  return {ErrorCode::kNotFound,
          fmt::format("call {} was recorded without {}; 'headroom {} {}' lists the calls that have it",
                      request.argument, detail, request.report, request.session)};
}

Cell seconds(base::Nanoseconds duration) {
  return std::chrono::duration_cast<Microseconds>(duration);
}

void add_functions(Report& report, const Profile& profile) {
  const std::vector<FrameTotal> times = totals_by_frame(profile);
  std::vector<std::size_t> order(times.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
    return times[left].cumulative > times[right].cumulative;
  });
  const bool exact = profile.kind == Profile::Kind::kExact;
  for (const std::size_t i : order) {
    const Frame& frame = profile.frames[i];
    report.table.rows.push_back({std::string(exact ? "exact" : "sampled"), frame.function, frame.file,
                                 count(frame.line), count(times[i].calls), seconds(times[i].self),
                                 seconds(times[i].cumulative), exact ? Cell() : seconds(times[i].cpu)});
  }
  report.text += (report.text.empty() ? "" : "\n") + pstats_text(profile);
}

std::string parameters_or_nothing(const std::string& parameters) {
  return parameters == "[]" || parameters == "{}" || parameters == "null" ? std::string() : parameters;
}

/// A slow statement with its number in the session.
struct NumberedSlow {
  std::uint64_t number = 0;
  CallSummary call;
  SlowStatement slow;
  std::string action;
  std::string table;
};

/// Numbers the slow statements of a session in the order of their calls' arrival; `visit` returns false to
/// stop. The numbers do not depend on other filters, so that "query SESSION 7" means what a filtered list
/// showed as 7.
template <typename Visit>
Result<CallPage> number_slow(Store& store, const Filter& session, Visit visit) {
  Filter filter;
  filter.database = session.database;
  filter.session = session.session;
  filter.has = Has::kQuery;
  auto page = gather_calls(store, filter, 0, kMostCalls);
  if (!page) return fail(page.error());
  std::sort(page->calls.begin(), page->calls.end(), by_rank);
  std::uint64_t number = 0;
  const auto each = [&](const Records& records, const CallRecord& record) {
    for (const SlowStatement& slow : record.slow) {
      ++number;
      const NumberedSlow entry{number, record.summary, slow, records.action(slow.fingerprint),
                               records.table(slow.fingerprint)};
      if (!visit(entry)) return false;
    }
    return true;
  };
  if (const auto visited = visit_records(store, page->calls, each); !visited) return fail(visited.error());
  return page;
}

bool passes(const CallSummary& call, const Filter& filter) {
  return (filter.method.empty() || base::glob_match(filter.method, call.method)) &&
         is_user(filter.user, call.user, call.user_id) && (!filter.since || call.start >= *filter.since) &&
         (!filter.until || call.start < *filter.until);
}

std::string slow_text(const NumberedSlow& entry) {
  return fmt::format(
      "context: {} - {}\n\ndb context: {} - {} - {} rows in {} secs\n\nsql:\n{}\n\nbacktrace:\n{}\n",
      entry.call.method, entry.call.rank, entry.action, entry.table, entry.slow.rows,
      base::format_seconds(entry.slow.duration), entry.slow.sql, entry.slow.backtrace);
}

Result<Report> list_slow(Store& store, const ReportRequest& request, const Filter& filter) {
  Report report;
  report.table.columns = {{"#", Format::kCount},     {"method", Format::kText}, call_column(),
                          {"action", Format::kText}, {"table", Format::kText},  {"time", Format::kSeconds},
                          {"rows", Format::kCount},  {"sql", Format::kLongText}};
  const auto page = number_slow(store, filter, [&](const NumberedSlow& entry) {
    if (passes(entry.call, filter)) {
      report.table.rows.push_back({count(entry.number), entry.call.method, count(entry.call.rank),
                                   entry.action, entry.table, entry.slow.duration, count(entry.slow.rows),
                                   shown_text(entry.slow.sql)});
    }
    return true;
  });
  if (!page) return fail(page.error());
  note_cut(report, *page);
  cut_to_page(report, request.page);
  return report;
}

Result<Report> one_slow(Store& store, const ReportRequest& request, const Filter& filter) {
  const auto rank = parse_rank("rank", request.argument);
  if (!rank) return fail(rank.error());
  std::optional<NumberedSlow> found;
  const auto page = number_slow(store, filter, [&](const NumberedSlow& entry) {
    if (entry.number != *rank) return true;
    if (passes(entry.call, filter)) found = entry;
    return false;
  });
  if (!page) return fail(page.error());
  if (!found) {
    return fail(ErrorCode::kNotFound,
                fmt::format("session {}/{} has no slow statement {}{}; 'headroom query {}' lists them",
                            filter.database, filter.session, *rank, that_matches(filter), request.session));
  }
  Report report;
  report.table.columns = {{"method", Format::kText},  call_column(),
                          {"action", Format::kText},  {"table", Format::kText},
                          {"rows", Format::kCount},   {"time", Format::kSeconds},
                          {"sql", Format::kLongText}, {"backtrace", Format::kBacktrace}};
  report.table.rows.push_back({found->call.method, count(found->call.rank), found->action, found->table,
                               count(found->slow.rows), found->slow.duration, found->slow.sql,
                               found->slow.backtrace});
  report.text = slow_text(*found);
  report.total = 1;
  return report;
}

std::string body_text(const std::optional<Body>& body) {
  return body ? body->text : "-";
}

Cell body_cell(const std::optional<Body>& body) {
  return body ? Cell(body->text) : Cell();
}

Cell body_size(const std::optional<Body>& body) {
  return body ? count(body->size) : Cell();
}

/// What was sent is often more than what was kept.
std::string body_heading(std::string_view what, const std::optional<Body>& body) {
  if (!body || !body->cut) return fmt::format("{}:", what);
  return fmt::format("{}: (the first {} of {} bytes)", what, body->text.size(), body->size);
}

Result<Report> list_profiles(Store& store, const ReportRequest& request) {
  auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  std::map<std::uint64_t, std::pair<CallSummary, std::string>> calls;
  Report report;
  for (const Has has : {Has::kProfile, Has::kSample}) {
    filter->has = has;
    const auto page = gather_calls(store, *filter, 0, kMostCalls);
    if (!page) return fail(page.error());
    note_cut(report, *page);
    for (const CallSummary& call : page->calls) {
      auto& [summary, kinds] = calls[call.rank];
      summary = call;
      kinds += fmt::format("{}{}", kinds.empty() ? "" : ",", has == Has::kProfile ? "exact" : "sampled");
    }
  }
  report.table.columns = {
      {"method", Format::kText}, call_column(), {"kind", Format::kText}, {"tm", Format::kSeconds}};
  for (const auto& [rank, entry] : calls) {
    report.table.rows.push_back({entry.first.method, count(rank), entry.second, entry.first.wall});
  }
  cut_to_page(report, request.page);
  return report;
}

}  // namespace

Result<Report> profile_report(Store& store, const ReportRequest& request) {
  if (request.argument.empty()) return list_profiles(store, request);
  const auto records = load_call(store, request);
  if (!records) return fail(records.error());
  const CallRecord& record = records->calls().front();
  if (!record.exact_profile && !record.sampled_profile) return fail(without_detail(request, "a profile"));
  Report report;
  report.table.columns = {{"kind", Format::kText},          {"function", Format::kText},
                          {"file", Format::kText},          {"line", Format::kCount},
                          {"calls", Format::kCount},        {"self", Format::kSeconds},
                          {"cumulative", Format::kSeconds}, {"cpu", Format::kSeconds}};
  if (record.exact_profile) add_functions(report, *record.exact_profile);
  if (record.sampled_profile) add_functions(report, *record.sampled_profile);
  report.total = report.table.rows.size();
  return report;
}

Result<Report> db_report(Store& store, const ReportRequest& request) {
  if (request.argument.empty()) return list_calls(store, request, Has::kDb);
  const auto records = load_call(store, request);
  if (!records) return fail(records.error());
  const CallRecord& record = records->calls().front();
  if (!includes(record.summary.has, Has::kDb)) return fail(without_detail(request, "its single statements"));
  Report report;
  report.table.columns = {{"action", Format::kText},
                          {"table", Format::kText},
                          {"time", Format::kSeconds},
                          {"offset", Format::kSeconds, Shown::kWhereItFits},
                          {"rows", Format::kCount, Shown::kWhereItFits},
                          {"statement", Format::kLongText},
                          {"parameters", Format::kLongText, Shown::kWhereItFits}};
  for (const StatementEvent& event : record.events) {
    report.table.rows.push_back({records->action(event.fingerprint), records->table(event.fingerprint),
                                 event.duration, event.offset, count(event.rows),
                                 shown_text(records->text(event.fingerprint)),
                                 parameters_or_nothing(event.parameters)});
  }
  if (record.dropped_details > 0) {
    report.note =
        fmt::format("{} details of this call were beyond the recorder's bounds", record.dropped_details);
  }
  cut_to_page(report, request.page);
  return report;
}

Result<Report> io_report(Store& store, const ReportRequest& request) {
  if (request.argument.empty()) return list_calls(store, request, Has::kIo);
  const auto records = load_call(store, request);
  if (!records) return fail(records.error());
  const CallRecord& record = records->calls().front();
  if (!record.request && !record.response) return fail(without_detail(request, "bodies"));
  Report report;
  report.table.columns = {{"request", Format::kLongText},
                          {"response", Format::kLongText},
                          {"req_size", Format::kBytes},
                          {"res_size", Format::kBytes}};
  report.table.rows.push_back({body_cell(record.request), body_cell(record.response),
                               body_size(record.request), body_size(record.response)});
  report.text =
      fmt::format("{}\n{}\n\n{}\n{}\n", body_heading("request", record.request), body_text(record.request),
                  body_heading("response", record.response), body_text(record.response));
  report.total = 1;
  return report;
}

Result<Report> query_report(Store& store, const ReportRequest& request) {
  const auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  return request.argument.empty() ? list_slow(store, request, *filter) : one_slow(store, request, *filter);
}

}  // namespace headroom::perf::impl
