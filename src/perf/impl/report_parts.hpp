#pragma once

// The reports one by one, and what they share. `report.cpp` chooses among them.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "perf/report.hpp"

namespace headroom::perf::impl {

Result<Report> session_report(Store& store, const ReportRequest& request);
Result<Report> method_report(Store& store, const ReportRequest& request);
Result<Report> table_report(Store& store, const ReportRequest& request);
Result<Report> call_report(Store& store, const ReportRequest& request);
Result<Report> profile_report(Store& store, const ReportRequest& request);
Result<Report> db_report(Store& store, const ReportRequest& request);
Result<Report> io_report(Store& store, const ReportRequest& request);
Result<Report> query_report(Store& store, const ReportRequest& request);
Result<Report> repeat_report(Store& store, const ReportRequest& request);
Result<Report> conflict_report(Store& store, const ReportRequest& request);
Result<Report> overview_report(Store& store, const ReportRequest& request);

/// The request's filter with the database and session that `request.session` means.
Result<Filter> session_filter(Store& store, const ReportRequest& request);

/// "user 'bob'", "method 'model.*'", "since ...", "until ...": those that restrict within a database and
/// session.
std::vector<std::string> describe_filters(const Filter& filter);
/// " that matches user 'bob', ..."; empty when nothing restricts.
std::string that_matches(const Filter& filter);

/// The error for a filter that is also given as the report's argument.
base::Error given_twice(std::string_view what, std::string_view argument, std::string_view filter);

/// The one call that `text` (a rank) names, if it matches the filter. Errors: invalid_argument (no number),
/// not_found.
Result<CallSummary> find_call(Store& store, const Filter& session, std::string_view text);

/// A positive decimal number, as calls and slow statements are named. Errors: invalid_argument ("call 'x':
/// ...").
Result<std::uint64_t> parse_rank(std::string_view what, std::string_view text);

/// Up to `most` of the calls that match, by start; `total` counts all.
Result<CallPage> gather_calls(Store& store, const Filter& filter, std::uint64_t offset, std::uint64_t most);

/// The text, or its beginning with a mark that tells how long it is.
std::string shown_text(std::string_view text, std::size_t most = kLongestShownText);

/// Whole records with the statements that they name.
class Records {
 public:
  static Result<Records> load(Store& store, const std::vector<std::string>& ids);

  /// Cuts names as `shown_name` does, and texts that are longer than a recorder keeps them. A store holds a
  /// name, a statement and a backtrace once; what is made of a thousand calls would hold them a thousand
  /// times.
  void cut_texts();

  [[nodiscard]] const std::vector<CallRecord>& calls() const { return calls_; }
  /// Null when the store does not know the text.
  [[nodiscard]] const StatementInfo* statement(std::uint64_t fingerprint) const;
  /// "select" and so on; "-" when unknown.
  [[nodiscard]] std::string action(std::uint64_t fingerprint) const;
  /// The table that it writes or first reads; "-" when there is none.
  [[nodiscard]] std::string table(std::uint64_t fingerprint) const;
  [[nodiscard]] std::string text(std::uint64_t fingerprint) const;

 private:
  std::vector<CallRecord> calls_;
  std::map<std::uint64_t, StatementInfo> statements_;
};

/// The record of the call that the request names. Errors: not_found, also when it was pruned meanwhile.
Result<Records> load_call(Store& store, const ReportRequest& request);

/// Calls `visit(const CallSummary&, const Records&, const CallRecord&)` for each of the calls, in their
/// order; records are loaded a few at a time, since one may hold megabytes. `visit` returns false to stop.
template <typename Visit>
Result<void> visit_records(Store& store, const std::vector<CallSummary>& calls, Visit visit) {
  constexpr std::size_t kAtOnce = 20;
  for (std::size_t start = 0; start < calls.size(); start += kAtOnce) {
    std::vector<std::string> ids;
    for (std::size_t i = start; i < calls.size() && i < start + kAtOnce; ++i) ids.push_back(calls[i].id);
    auto records = Records::load(store, ids);
    if (!records) return base::fail(records.error());
    records->cut_texts();
    for (const CallRecord& record : records->calls()) {
      if (!visit(*records, record)) return {};
    }
  }
  return {};
}

/// What a list is ordered by.
struct SortKey {
  std::size_t column = 0;
  bool descending = false;

  [[nodiscard]] bool comes_before(const Cell& left, const Cell& right) const {
    return descending ? right < left : left < right;
  }
};

/// Reads "time" or "-time". Errors: invalid_argument (the message lists the columns).
Result<SortKey> parse_sort(std::string_view text, const std::vector<Column>& columns);

/// A count as a cell.
template <typename Integer>
Cell count(Integer value) {
  return static_cast<std::int64_t>(value);
}

}  // namespace headroom::perf::impl
