// The calls of a session in order, and one of them whole: everything that its record holds but what has a
// report of its own (profiles, single statements, bodies, slow statements).

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "perf/call_order.hpp"
#include "perf/impl/report_parts.hpp"
#include "perf/report_text.hpp"

namespace headroom::perf::impl {

namespace {

using base::fail;

constexpr std::uint64_t kMostCalls = 10'000;
/// Errors are no part of a summary: their records have to be loaded, whose profiles may be large.
constexpr std::size_t kMostErrors = 1'000;
/// Calls of a session that began while another of its calls ran, looked at for those which that one ran.
constexpr std::uint64_t kMostDuring = 500;

Cell user_cell(const CallSummary& call) {
  if (call.user.empty() && !call.user_id) return {};
  return text_of(call, CallKey::kUser);
}

Cell http_status_cell(const CallSummary& call) {
  return call.http_status == 0 ? Cell() : count(call.http_status);
}

/// A column of the list, what it is sorted by, and its cell for a call.
struct CallColumn {
  Column column;
  CallKey key;
  Cell (*cell)(const CallSummary& call);
};

/// Where the first line of the error stands: no part of a summary.
constexpr std::size_t kErrorColumn = 9;

const std::vector<CallColumn> kCallColumns{
    {{"#", Format::kCount}, CallKey::kRank, [](const CallSummary& call) { return count(call.rank); }},
    {{"method", Format::kText}, CallKey::kMethod, [](const CallSummary& call) { return Cell(call.method); }},
    {{"dt", Format::kTime}, CallKey::kStart, [](const CallSummary& call) { return Cell(call.start); }},
    {{"tm", Format::kSeconds}, CallKey::kWall, [](const CallSummary& call) { return Cell(call.wall); }},
    {{"db_nb", Format::kCount},
     CallKey::kStatements,
     [](const CallSummary& call) { return count(call.statements); }},
    {{"db_tm", Format::kSeconds}, CallKey::kSql, [](const CallSummary& call) { return Cell(call.sql); }},
    {{"req_size", Format::kBytes, Shown::kWhereItFits},
     CallKey::kBytesIn,
     [](const CallSummary& call) { return count(call.bytes_in); }},
    {{"res_size", Format::kBytes, Shown::kWhereItFits},
     CallKey::kBytesOut,
     [](const CallSummary& call) { return count(call.bytes_out); }},
    {{"status", Format::kText},
     CallKey::kStatus,
     [](const CallSummary& call) { return Cell(std::string(name(call.status))); }},
    // Sorted, the calls with the same status stand together.
    {{"error", Format::kLongText, Shown::kWhereItFits},
     CallKey::kStatus,
     [](const CallSummary& call) { return Cell(std::string(name(call.status))); }},
    {{"cpu", Format::kSeconds, Shown::kWhereItFits},
     CallKey::kCpu,
     [](const CallSummary& call) { return call.cpu ? Cell(*call.cpu) : Cell(); }},
    {{"wait", Format::kSeconds, Shown::kWhereItFits},
     CallKey::kWait,
     [](const CallSummary& call) { return Cell(call.connection_wait + call.lock_wait); }},
    {{"commit", Format::kSeconds, Shown::kWhereItFits},
     CallKey::kCommit,
     [](const CallSummary& call) { return Cell(call.commit); }},
    {{"rows", Format::kCount, Shown::kWhereItFits},
     CallKey::kRows,
     [](const CallSummary& call) { return count(call.rows); }},
    {{"repeated", Format::kCount, Shown::kWhereItFits},
     CallKey::kRepeated,
     [](const CallSummary& call) { return count(call.most_repeated); }},
    {{"attempts", Format::kCount, Shown::kWhereItFits},
     CallKey::kAttempts,
     [](const CallSummary& call) { return count(call.attempts); }},
    {{"kind", Format::kText, Shown::kWhereItFits},
     CallKey::kKind,
     [](const CallSummary& call) { return Cell(std::string(name(call.kind))); }},
    {{"details", Format::kText, Shown::kWhereItFits},
     CallKey::kHas,
     [](const CallSummary& call) { return Cell(details_text(call.has)); }},
    {{"user", Format::kText, Shown::kWhereItFits}, CallKey::kUser, user_cell},
    {{"http_status", Format::kCount, Shown::kWhereItFits}, CallKey::kHttpStatus, http_status_cell}};

std::vector<Column> call_columns() {
  std::vector<Column> columns;
  for (const CallColumn& column : kCallColumns) columns.push_back(column.column);
  return columns;
}

std::vector<Cell> call_row(const CallSummary& call, const std::string& error) {
  std::vector<Cell> cells;
  for (const CallColumn& column : kCallColumns) cells.push_back(column.cell(call));
  cells[kErrorColumn] = error;
  return cells;
}

/// The first line of the error of each failed call, by id.
Result<std::map<std::string, std::string>> first_error_lines(Store& store,
                                                             const std::vector<CallSummary>& calls) {
  std::vector<CallSummary> failed;
  for (const CallSummary& call : calls) {
    if (call.status != CallStatus::kOk && failed.size() < kMostErrors) failed.push_back(call);
  }
  std::map<std::string, std::string> lines;
  const auto visited = visit_records(store, failed, [&](const Records&, const CallRecord& record) {
    lines.emplace(record.summary.id, record.error.substr(0, record.error.find('\n')));
    return true;
  });
  if (!visited) return fail(visited.error());
  return lines;
}

std::uint64_t most_rows(const ReportRequest& request) {
  return request.page.limit > 0 ? request.page.limit : kMostCalls;
}

Result<CallOrder> parse_order(std::string_view sort) {
  if (sort.empty()) return CallOrder{};
  const auto key = parse_sort(sort, call_columns());
  if (!key) return fail(key.error());
  return CallOrder{kCallColumns[key->column].key, key->descending};
}

Result<CallPage> page_of_calls(Store& store, const ReportRequest& request, const Filter& filter) {
  const auto order = parse_order(request.sort);
  if (!order) return fail(order.error());
  if (*order == CallOrder{}) return gather_calls(store, filter, request.page.offset, most_rows(request));
  return store.calls(filter, Page{request.page.offset, most_rows(request)}, *order);
}

void note_unsorted(Report& report, const ReportRequest& request) {
  if (request.sort.empty() || report.total <= kMostSorted) return;
  report.note = fmt::format("the first {} of {} calls were sorted; --since, --until and --method narrow them",
                            kMostSorted, report.total);
}

Result<Report> list_calls(Store& store, const ReportRequest& request, const Filter& filter) {
  const auto page = page_of_calls(store, request, filter);
  if (!page) return fail(page.error());
  auto errors = first_error_lines(store, page->calls);
  if (!errors) return fail(errors.error());
  Report report;
  report.table.columns = call_columns();
  for (const CallSummary& call : page->calls) report.table.rows.push_back(call_row(call, (*errors)[call.id]));
  report.total = page->total;
  if (request.page.limit == 0 && page->total > request.page.offset + page->calls.size()) {
    report.note =
        fmt::format("{} of {} calls; --limit and --offset show others", page->calls.size(), page->total);
  }
  note_unsorted(report, request);
  return report;
}

/// The call that ran this one inside itself, as reports name calls; its id when it was not recorded, or is
/// deleted.
Result<Cell> parent_cell(Store& store, const std::string& id) {
  if (id.empty()) return Cell();
  const auto parents = Records::load(store, {id});
  if (!parents) return fail(parents.error());
  if (parents->calls().empty()) return Cell(id);
  const CallSummary& parent = parents->calls().front().summary;
  return Cell(fmt::format("{}/{}/{}", parent.database, parent.session, parent.rank));
}

/// What the record holds beyond the row in the list.
void add_record_cells(Report& report, const CallRecord& record, const Cell& parent) {
  const CallSummary& call = record.summary;
  const std::vector<std::pair<Column, Cell>> cells{
      {{"database", Format::kText}, call.database},
      {{"session", Format::kText}, call.session},
      {{"user_id", Format::kCount}, call.user_id ? count(*call.user_id) : Cell()},
      {{"address", Format::kText}, record.address},
      {{"host", Format::kText}, record.host},
      {{"process", Format::kCount}, count(record.process)},
      {{"thread", Format::kCount}, count(record.thread)},
      {{"parent", Format::kText}, parent},
      {{"connection_wait", Format::kSeconds}, call.connection_wait},
      {{"lock_wait", Format::kSeconds}, call.lock_wait},
      {{"memory_growth", Format::kBytes}, record.memory_growth ? count(*record.memory_growth) : Cell()},
      {{"cache_hits", Format::kCount}, count(record.cache_hits)},
      {{"cache_misses", Format::kCount}, count(record.cache_misses)},
      {{"cache_clears", Format::kCount}, count(record.cache_clears)},
      {{"dropped_details", Format::kCount}, count(record.dropped_details)},
      {{"id", Format::kText}, call.id}};
  for (const auto& [column, cell] : cells) {
    report.table.columns.push_back(column);
    report.table.rows.front().push_back(cell);
  }
}

Part attempts_part(const CallRecord& record) {
  Part part{"attempt_list", {}};
  part.table.columns = {{"#", Format::kCount},
                        {"time", Format::kSeconds},
                        {"statements", Format::kCount},
                        {"error", Format::kLongText}};
  std::uint64_t number = 0;
  for (const Attempt& attempt : record.attempts) {
    part.table.rows.push_back({count(++number), attempt.duration, count(attempt.statements), attempt.error});
  }
  return part;
}

/// The calls that this one ran inside itself. They stand in its session (see ActiveCall::run_inside) and
/// began while it ran, so that few have to be asked for their parent.
Result<Part> children_part(Store& store, const CallSummary& call) {
  Filter during;
  during.database = call.database;
  during.session = call.session;
  during.since = call.start;
  during.until = call.start + call.wall + Microseconds{1};
  const auto page = gather_calls(store, during, 0, kMostDuring);
  if (!page) return fail(page.error());
  Part part{"children", {}};
  part.table.columns = {{"#", Format::kCount},     {"method", Format::kText},   {"kind", Format::kText},
                        {"tm", Format::kSeconds},  {"db_nb", Format::kCount},   {"db_tm", Format::kSeconds},
                        {"status", Format::kText}, {"repeated", Format::kCount}};
  const auto visited = visit_records(store, page->calls, [&](const Records&, const CallRecord& record) {
    const CallSummary& child = record.summary;
    if (record.parent == call.id) {
      part.table.rows.push_back({count(child.rank), child.method, std::string(name(child.kind)), child.wall,
                                 count(child.statements), child.sql, std::string(name(child.status)),
                                 count(child.most_repeated)});
    }
    return true;
  });
  if (!visited) return fail(visited.error());
  return part;
}

/// Longest together first.
std::vector<StatementTotal> by_time(std::vector<StatementTotal> statements) {
  std::stable_sort(
      statements.begin(), statements.end(),
      [](const StatementTotal& left, const StatementTotal& right) { return left.time > right.time; });
  return statements;
}

std::string tables_text(const Records& records, std::uint64_t fingerprint) {
  const StatementInfo* known = records.statement(fingerprint);
  return known == nullptr ? std::string() : fmt::format("{}", fmt::join(known->tables, ","));
}

Part statements_part(const Records& records, const std::vector<StatementTotal>& statements) {
  Part part{"statements", {}};
  part.table.columns = {{"#", Format::kCount},
                        {"time", Format::kSeconds},
                        {"number", Format::kCount},
                        {"longest", Format::kSeconds},
                        {"rows", Format::kCount},
                        {"action", Format::kText},
                        {"tables", Format::kText},
                        {"fingerprint", Format::kText},
                        {"statement", Format::kLongText},
                        {"backtrace", Format::kBacktrace}};
  std::uint64_t number = 0;
  for (const StatementTotal& total : statements) {
    part.table.rows.push_back(
        {count(++number), total.time, count(total.count), total.longest, count(total.rows),
         records.action(total.fingerprint), tables_text(records, total.fingerprint),
         fmt::format("{:016x}", total.fingerprint), records.text(total.fingerprint), total.backtrace});
  }
  return part;
}

/// The numbers as a table, then each text with the lines that sent it: those are too long for a column.
std::string statements_text(const Part& part) {
  constexpr std::size_t kNumbers = 7;  // the columns up to "tables"
  Table numbers;
  numbers.columns.assign(part.table.columns.begin(), part.table.columns.begin() + kNumbers);
  std::string texts;
  for (const auto& row : part.table.rows) {
    numbers.rows.emplace_back(row.begin(), row.begin() + kNumbers);
    texts += fmt::format("\nstatement {}:\n{}\n", std::get<std::int64_t>(row.front()),
                         std::get<std::string>(row[kNumbers + 1]));
    const auto& backtrace = std::get<std::string>(row[kNumbers + 2]);
    if (!backtrace.empty()) texts += fmt::format("backtrace:\n{}\n", backtrace);
  }
  return to_aligned(numbers, 0, Color::kOff) + texts;
}

std::string call_text(const Report& report) {
  std::string text = to_block(report.table);
  for (const Part& part : report.parts) {
    if (part.table.rows.empty()) continue;
    text += fmt::format(
        "\n{}:\n{}", part.name,
        part.name == "statements" ? statements_text(part) : to_aligned(part.table, 0, Color::kOff));
  }
  return text;
}

Result<Report> one_call(Store& store, const ReportRequest& request) {
  const auto records = load_call(store, request);
  if (!records) return fail(records.error());
  const CallRecord& record = records->calls().front();
  auto parent = parent_cell(store, record.parent);
  if (!parent) return fail(parent.error());
  auto children = children_part(store, record.summary);
  if (!children) return fail(children.error());
  Report report;
  report.table.columns = call_columns();
  report.table.rows.push_back(call_row(record.summary, record.error));
  add_record_cells(report, record, *parent);
  report.parts = {attempts_part(record), std::move(*children),
                  statements_part(*records, by_time(record.statements))};
  report.text = call_text(report);
  report.total = 1;
  return report;
}

/// No method is digits alone, so that a number in its place can only mean a call; one with a sign is a wrong
/// one.
bool is_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<Report> call_report(Store& store, const ReportRequest& request) {
  if (is_number(request.argument)) return one_call(store, request);
  auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  if (!request.argument.empty()) {
    if (!filter->method.empty()) return fail(given_twice("method", request.argument, filter->method));
    filter->method = request.argument;
  }
  return list_calls(store, request, *filter);
}

}  // namespace headroom::perf::impl
