// Statements that one call sends again and again (N+1): what they cost, and what one statement in their place
// would save.
//
// The saving is an estimate: `time - longest`. One statement for all is taken to cost as much as the slowest
// of those that it replaces. It leaves out that the one statement brings more rows, and that planning and the
// way to the database and back are paid once; the two errors pull in opposite directions. BEGIN, COMMIT, SET
// and SAVEPOINT are not counted.

#include <algorithm>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"

namespace headroom::perf::impl {

namespace {

using base::fail;

/// Summaries that are looked at, and of these the calls whose statements are.
constexpr std::uint64_t kMostSummaries = 100'000;
constexpr std::size_t kMostCalls = 1'000;
constexpr std::uint32_t kLeast = 2;

struct Repeat {
  std::uint64_t rank = 0;
  std::string method;
  StatementTotal total;
  std::string action;
  std::string table;
  std::string text;

  [[nodiscard]] Microseconds saving() const { return total.time - total.longest; }
};

bool can_be_joined(const StatementInfo* statement) {
  return statement == nullptr ||
         (statement->kind != sql::StatementKind::kTransaction && statement->kind != sql::StatementKind::kSet);
}

/// The calls with the most SQL time, since a saving cannot be larger than that.
void keep_most_expensive(std::vector<CallSummary>& calls) {
  if (calls.size() <= kMostCalls) return;
  const auto middle = calls.begin() + static_cast<std::ptrdiff_t>(kMostCalls);
  std::nth_element(calls.begin(), middle, calls.end(),
                   [](const CallSummary& left, const CallSummary& right) { return left.sql > right.sql; });
  calls.erase(middle, calls.end());
}

Result<std::vector<Repeat>> find_repeats(Store& store, const std::vector<CallSummary>& calls,
                                         std::uint32_t least) {
  std::vector<Repeat> repeats;
  const auto visited = visit_records(store, calls, [&](const Records& records, const CallRecord& record) {
    for (const StatementTotal& total : record.statements) {
      if (total.count < least || !can_be_joined(records.statement(total.fingerprint))) continue;
      repeats.push_back({record.summary.rank, record.summary.method, total, records.action(total.fingerprint),
                         records.table(total.fingerprint), shown_text(records.text(total.fingerprint))});
      repeats.back().total.backtrace = shown_text(total.backtrace);
    }
    return true;
  });
  if (!visited) return fail(visited.error());
  return repeats;
}

bool saves_more(const Repeat& left, const Repeat& right) {
  if (left.saving() != right.saving()) return left.saving() > right.saving();
  return left.rank != right.rank ? left.rank < right.rank : left.total.fingerprint < right.total.fingerprint;
}

}  // namespace

Result<Report> repeat_report(Store& store, const ReportRequest& request) {
  auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  const std::uint32_t least = std::max(kLeast, filter->most_repeated_at_least);
  filter->most_repeated_at_least = least;
  auto page = gather_calls(store, *filter, 0, kMostSummaries);
  if (!page) return fail(page.error());
  keep_most_expensive(page->calls);
  auto repeats = find_repeats(store, page->calls, least);
  if (!repeats) return fail(repeats.error());
  std::sort(repeats->begin(), repeats->end(), saves_more);

  Report report;
  report.table.columns = {{"call", Format::kCount},
                          {"method", Format::kText},
                          {"fingerprint", Format::kText, Shown::kWhereItFits},
                          {"count", Format::kCount},
                          {"time", Format::kSeconds},
                          {"saving", Format::kSeconds},
                          {"action", Format::kText, Shown::kWhereItFits},
                          {"table", Format::kText},
                          {"backtrace", Format::kBacktrace},
                          {"statement", Format::kLongText, Shown::kWhereItFits}};
  for (const Repeat& repeat : *repeats) {
    report.table.rows.push_back({count(repeat.rank), repeat.method,
                                 fmt::format("{:016x}", repeat.total.fingerprint), count(repeat.total.count),
                                 repeat.total.time, repeat.saving(), repeat.action, repeat.table,
                                 repeat.total.backtrace, repeat.text});
  }
  if (page->total > page->calls.size()) {
    report.note = fmt::format(
        "looked at the {} of {} calls with the most SQL time; --since, --until and --method narrow them",
        page->calls.size(), page->total);
  }
  cut_to_page(report, request.page);
  return report;
}

}  // namespace headroom::perf::impl
