// The reports over many calls: sessions, totals by method and table, the always-on counts.

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"

namespace headroom::perf::impl {

namespace {

using base::ErrorCode;
using base::fail;

Cell user_cell(const SessionRow& row) {
  if (!row.user.empty()) return row.user;
  if (row.user_id) return fmt::format("{}", *row.user_id);
  return {};
}

Result<Order> parse_order(std::string_view text) {
  if (text.empty() || text == "t") return Order::kTime;
  if (text == "n") return Order::kNumber;
  if (text == "a") return Order::kAverage;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("order '{}': expected t (time), n (number) or a (average)", text));
}

Microseconds average(Microseconds time, std::uint64_t number) {
  return number == 0 ? Microseconds{0} : Microseconds{time.count() / static_cast<std::int64_t>(number)};
}

/// Largest first; equal ones by name, so that the same store always prints the same.
bool comes_before(const TotalRow& left, const TotalRow& right, Order order) {
  const auto key = [order](const TotalRow& row) {
    if (order == Order::kNumber) return static_cast<double>(row.number);
    const auto time = static_cast<double>(row.time.count());
    return order == Order::kTime || row.number == 0 ? time : time / static_cast<double>(row.number);
  };
  return key(left) != key(right) ? key(left) > key(right) : left.name < right.name;
}

/// The column that the report is ordered by stands first, as in the original.
std::vector<Column> total_columns(std::string_view what, Order order) {
  const Column time{"time", Format::kSeconds};
  const Column number{"number", Format::kCount};
  const Column avg{"avg", Format::kSeconds};
  const Column first{std::string(what), Format::kText};
  switch (order) {
    case Order::kNumber:
      return {first, number, time, avg};
    case Order::kAverage:
      return {first, avg, time, number};
    case Order::kTime:
      break;
  }
  return {first, time, number, avg};
}

std::vector<Cell> total_row(const TotalRow& row, Order order) {
  const Cell avg = average(row.time, row.number);
  switch (order) {
    case Order::kNumber:
      return {row.name, count(row.number), row.time, avg};
    case Order::kAverage:
      return {row.name, avg, row.time, count(row.number)};
    case Order::kTime:
      break;
  }
  return {row.name, row.time, count(row.number), avg};
}

Result<Report> totals_report(Store& store, const ReportRequest& request, GroupBy group,
                             std::string_view what) {
  const auto order = parse_order(request.argument);
  if (!order) return fail(order.error());
  const auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  auto totals = store.totals(*filter, group);
  if (!totals) return fail(totals.error());
  std::sort(totals->begin(), totals->end(), [order = *order](const TotalRow& left, const TotalRow& right) {
    return comes_before(left, right, order);
  });
  Report report;
  report.table.columns = total_columns(what, *order);
  for (const TotalRow& row : *totals) report.table.rows.push_back(total_row(row, *order));
  cut_to_page(report, request.page);
  return report;
}

/// The hours of one method of one database and kind, added up.
struct MethodSum {
  MethodCount sum;

  void add(const MethodCount& hour) {
    sum.count += hour.count;
    sum.errors += hour.errors;
    sum.time += hour.time;
    sum.sql += hour.sql;
    sum.statements += hour.statements;
    sum.histogram.merge(hour.histogram);
  }
};

/// Long polls and static files say nothing about the server's work: they come last.
bool is_aside(CallKind kind) {
  return kind == CallKind::kBus || kind == CallKind::kStatic;
}

std::vector<MethodCount> add_up(const std::vector<MethodCount>& hours) {
  std::map<std::tuple<std::string, std::string, CallKind>, MethodSum> sums;
  for (const MethodCount& hour : hours) sums[{hour.database, hour.method, hour.kind}].add(hour);
  std::vector<MethodCount> result;
  for (auto& [key, entry] : sums) {
    std::tie(entry.sum.database, entry.sum.method, entry.sum.kind) = key;
    result.push_back(std::move(entry.sum));
  }
  const auto before = [](const MethodCount& left, const MethodCount& right) {
    if (is_aside(left.kind) != is_aside(right.kind)) return is_aside(right.kind);
    return left.time > right.time;
  };
  std::stable_sort(result.begin(), result.end(), before);
  return result;
}

/// Whether a task ran inside a call is known of recorded calls, not of counts.
void note_tasks(Report& report, const std::vector<MethodCount>& hours) {
  const auto is_task = [](const MethodCount& hour) { return hour.kind == CallKind::kTask; };
  if (std::none_of(hours.begin(), hours.end(), is_task)) return;
  report.note = "a task that ran inside a call, as without a queue worker, is in that call's time too";
}

std::vector<Cell> overview_row(const MethodCount& method) {
  const auto longest = method.histogram.longest();
  return {method.method,
          method.time,
          count(method.count),
          average(method.time, method.count),
          count(method.errors),
          method.histogram.quantile(0.5),
          method.histogram.quantile(0.95),
          method.histogram.quantile(0.99),
          longest ? Cell(*longest) : Cell(),
          count(method.statements),
          method.sql,
          std::string(name(method.kind)),
          method.database};
}

}  // namespace

Result<Report> session_report(Store& store, const ReportRequest& request) {
  Filter filter = request.filter;
  if (!request.argument.empty()) {
    if (!filter.user.empty()) return fail(given_twice("user", request.argument, filter.user));
    filter.user = request.argument;
  }
  const auto sessions = store.sessions(filter);
  if (!sessions) return fail(sessions.error());
  Report report;
  report.table.columns = {{"session", Format::kText}, {"user", Format::kText}, {"first", Format::kTime},
                          {"last", Format::kTime},    {"nb", Format::kCount},  {"tm", Format::kSeconds},
                          {"database", Format::kText}};
  for (const SessionRow& row : *sessions) {
    report.table.rows.push_back(
        {row.session, user_cell(row), row.first, row.last, count(row.calls), row.time, row.database});
  }
  cut_to_page(report, request.page);
  return report;
}

Result<Report> method_report(Store& store, const ReportRequest& request) {
  return totals_report(store, request, GroupBy::kMethod, "method");
}

Result<Report> table_report(Store& store, const ReportRequest& request) {
  return totals_report(store, request, GroupBy::kTable, "table");
}

Result<Report> overview_report(Store& store, const ReportRequest& request) {
  const auto hours = store.counts(request.filter);
  if (!hours) return fail(hours.error());
  Report report;
  report.table.columns = {{"method", Format::kText},
                          {"time", Format::kSeconds},
                          {"number", Format::kCount},
                          {"avg", Format::kSeconds},
                          {"errors", Format::kCount},
                          {"p50", Format::kSeconds, Shown::kWhereItFits},
                          {"p95", Format::kSeconds},
                          {"p99", Format::kSeconds},
                          {"max", Format::kSeconds, Shown::kWhereItFits},
                          {"db_nb", Format::kCount, Shown::kWhereItFits},
                          {"db_tm", Format::kSeconds, Shown::kWhereItFits},
                          {"kind", Format::kText, Shown::kWhereItFits},
                          {"database", Format::kText, Shown::kWhereItFits}};
  for (const MethodCount& method : add_up(*hours)) report.table.rows.push_back(overview_row(method));
  note_tasks(report, *hours);
  cut_to_page(report, request.page);
  return report;
}

}  // namespace headroom::perf::impl
