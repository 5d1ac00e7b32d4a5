// Transactions that collided: how often, where, and with whom.
//
// A database says that a transaction could not be serialized, not which other one was in its way. So the pair
// is inferred: of the calls of the same database that ran at the same time and write a table that the loser
// writes too, the one that overlaps it longest is shown as the probable partner. Only traced calls can be
// partners, and an overlap is no proof: the column's name says "probable".
//
// Nor does it say which table it was about; those that the loser writes are candidates. Every attempt came as
// far as the statement that failed it, so a statement that ran fewer times than there were attempts is not
// the one: what a call writes before its first attempt, such as trytond's touch of `ir_session`, drops out.
// A call that failed at its only attempt shows all that it writes.

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"

namespace headroom::perf::impl {

namespace {

using base::fail;

/// Collisions that are looked at, the latest ones first; partners are sought for the first of them, since
/// each costs two questions to the store.
constexpr std::uint64_t kMostCollisions = 10'000;
constexpr std::size_t kMostSought = 200;
/// Longest call that is found as a partner, and the most candidates of one collision.
constexpr Microseconds kLongestPartner = std::chrono::seconds{120};
constexpr std::uint64_t kMostCandidates = 1'000;
constexpr std::size_t kMostLoaded = 50;

std::set<std::string> tables_written_by(const Records& records, const CallRecord& record, std::size_t times) {
  std::set<std::string> tables;
  for (const StatementTotal& total : record.statements) {
    if (total.count < times) continue;
    const StatementInfo* statement = records.statement(total.fingerprint);
    if (statement == nullptr || statement->tables.empty()) continue;
    const bool writes = statement->kind == sql::StatementKind::kInsert ||
                        statement->kind == sql::StatementKind::kUpdate ||
                        statement->kind == sql::StatementKind::kDelete;
    if (writes) tables.insert(statement->tables.front());
  }
  return tables;
}

/// Where each attempt failed at another statement, all that the call writes.
std::set<std::string> written_tables(const Records& records, const CallRecord& record) {
  auto tables = tables_written_by(records, record, record.attempts.size());
  return tables.empty() ? tables_written_by(records, record, 1) : tables;
}

struct Partner {
  CallSummary call;
  std::string table;
};

/// One call that lost against another, at least for an attempt.
struct Collision {
  CallSummary call;
  std::set<std::string> tables;
  std::uint32_t retries = 0;
  bool failed = false;
  Microseconds lost{0};  ///< time of the attempts that ended in an error
  std::string error;
  std::optional<Partner> partner;
};

Collision describe(const Records& records, const CallRecord& record) {
  Collision collision{
      record.summary, written_tables(records, record), 0, false, Microseconds{0}, record.error, {}};
  for (const Attempt& attempt : record.attempts) {
    if (attempt.error.empty()) continue;
    collision.lost += attempt.duration;
    collision.error = attempt.error;
  }
  collision.retries = record.summary.attempts > 0 ? record.summary.attempts - 1 : 0;
  collision.failed = record.summary.status != CallStatus::kOk;
  return collision;
}

Microseconds overlap(const CallSummary& left, const CallSummary& right) {
  const UtcTime start = std::max(left.start, right.start);
  const UtcTime end = std::min(left.start + left.wall, right.start + right.wall);
  return std::chrono::duration_cast<Microseconds>(end - start);
}

/// Calls of the same database that ran while `call` did, longest overlap first.
Result<std::vector<CallSummary>> concurrent_calls(Store& store, const CallSummary& call) {
  Filter filter;
  filter.database = call.database;
  filter.since = call.start - kLongestPartner;
  filter.until = call.start + call.wall;
  auto page = gather_calls(store, filter, 0, kMostCandidates);
  if (!page) return fail(page.error());
  std::erase_if(page->calls, [&](const CallSummary& other) {
    return other.id == call.id || overlap(call, other) <= Microseconds{0} || other.statements == 0;
  });
  std::stable_sort(page->calls.begin(), page->calls.end(),
                   [&](const CallSummary& left, const CallSummary& right) {
                     return overlap(call, left) > overlap(call, right);
                   });
  if (page->calls.size() > kMostLoaded) page->calls.resize(kMostLoaded);
  return std::move(page->calls);
}

Result<std::optional<Partner>> find_partner(Store& store, const Collision& collision) {
  std::optional<Partner> partner;
  if (collision.tables.empty()) return partner;
  const auto others = concurrent_calls(store, collision.call);
  if (!others) return fail(others.error());
  const auto visited = visit_records(store, *others, [&](const Records& records, const CallRecord& record) {
    for (const std::string& table : written_tables(records, record)) {
      if (!collision.tables.contains(table)) continue;
      partner = Partner{record.summary, table};
      return false;
    }
    return true;
  });
  if (!visited) return fail(visited.error());
  return partner;
}

/// The collisions of one method or one table, added up.
struct ConflictSum {
  std::uint64_t calls = 0;
  std::uint64_t retries = 0;
  std::uint64_t failures = 0;
  Microseconds lost{0};
  std::string error;
  const Collision* shown = nullptr;  ///< the latest one with a partner, else the latest

  void add(const Collision& collision) {
    ++calls;
    retries += collision.retries;
    failures += collision.failed ? 1 : 0;
    lost += collision.lost;
    if (error.empty()) error = collision.error;
    if (shown == nullptr || (!shown->partner && collision.partner)) shown = &collision;
  }
};

std::string call_name(const CallSummary& call) {
  return fmt::format("{}/{}/{}", call.database, call.session, call.rank);
}

std::vector<Cell> conflict_row(std::string_view by, const std::string& name, const ConflictSum& sum) {
  const Collision& shown = *sum.shown;
  return {std::string(by),
          name,
          count(sum.retries),
          count(sum.failures),
          count(sum.calls),
          sum.lost,
          call_name(shown.call),
          shown.partner ? Cell(call_name(shown.partner->call)) : Cell(),
          shown.partner ? Cell(shown.partner->call.method) : Cell(),
          shown.partner ? Cell(shown.partner->table) : Cell(),
          sum.error};
}

void add_rows(Report& report, std::string_view by, const std::map<std::string, ConflictSum>& sums) {
  std::vector<const std::pair<const std::string, ConflictSum>*> order;
  for (const auto& entry : sums) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const auto* left, const auto* right) {
    return left->second.retries + left->second.failures > right->second.retries + right->second.failures;
  });
  for (const auto* entry : order) report.table.rows.push_back(conflict_row(by, entry->first, entry->second));
}

/// The latest calls that collided, latest first.
Result<CallPage> collided_calls(Store& store, const ReportRequest& request) {
  Filter filter = request.filter;
  if (!request.session.empty()) {
    const auto session = session_filter(store, request);
    if (!session) return fail(session.error());
    filter = *session;
  }
  filter.has = Has::kConflict;
  const auto first = store.calls(filter, Page{0, 1});
  if (!first) return fail(first.error());
  const std::uint64_t skipped = first->total > kMostCollisions ? first->total - kMostCollisions : 0;
  auto page = gather_calls(store, filter, skipped, kMostCollisions);
  if (page) std::reverse(page->calls.begin(), page->calls.end());
  return page;
}

}  // namespace

Result<Report> conflict_report(Store& store, const ReportRequest& request) {
  const auto page = collided_calls(store, request);
  if (!page) return fail(page.error());
  std::vector<Collision> collisions;
  const auto visited =
      visit_records(store, page->calls, [&](const Records& records, const CallRecord& record) {
        collisions.push_back(describe(records, record));
        return true;
      });
  if (!visited) return fail(visited.error());
  for (std::size_t i = 0; i < collisions.size() && i < kMostSought; ++i) {
    auto partner = find_partner(store, collisions[i]);
    if (!partner) return fail(partner.error());
    collisions[i].partner = std::move(*partner);
  }

  std::map<std::string, ConflictSum> tables;
  std::map<std::string, ConflictSum> methods;
  for (const Collision& collision : collisions) {
    methods[collision.call.method].add(collision);
    for (const std::string& table : collision.tables) tables[table].add(collision);
  }
  Report report;
  report.table.columns = {{"by", Format::kText},
                          {"name", Format::kText},
                          {"retries", Format::kCount},
                          {"failures", Format::kCount},
                          {"calls", Format::kCount, Shown::kWhereItFits},
                          {"lost", Format::kSeconds, Shown::kWhereItFits},
                          {"call", Format::kText},
                          {"probable_partner", Format::kText},
                          {"partner_method", Format::kText},
                          {"common_table", Format::kText, Shown::kWhereItFits},
                          {"error", Format::kLongText, Shown::kWhereItFits}};
  add_rows(report, "table", tables);
  add_rows(report, "method", methods);
  if (page->total > page->calls.size()) {
    report.note =
        fmt::format("looked at the latest {} of {} calls that collided", page->calls.size(), page->total);
  }
  cut_to_page(report, request.page);
  return report;
}

}  // namespace headroom::perf::impl
