#include "perf/export.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "perf/impl/report_parts.hpp"
#include "perf/profile_text.hpp"
#include "sql/utf8.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

constexpr std::uint64_t kMostCalls = 1'000;

struct FormatEntry {
  std::string_view name;
  std::string_view content_type;
  std::string_view suffix;
};

constexpr std::array<FormatEntry, 6> kFormats{{{"speedscope", "application/json", "speedscope.json"},
                                               {"pprof", "application/octet-stream", "pb.gz"},
                                               {"collapsed", "text/plain; charset=utf-8", "collapsed.txt"},
                                               {"pstats", "application/octet-stream", "pstats"},
                                               {"csv", "text/csv; charset=utf-8", "csv"},
                                               {"otlp-json", "application/json", "otlp.json"}}};

const FormatEntry& entry_of(ExportFormat format) {
  return kFormats[static_cast<std::size_t>(format)];
}

/// For Content-Disposition and file systems: nothing in it needs quoting.
std::string file_name(const Filter& session, const ExportRequest& request) {
  std::string name = fmt::format("{}-{}", session.database, session.session.substr(0, 8));
  if (!request.call.empty()) name += "-call" + request.call;
  if (request.format == ExportFormat::kCsv) name += "-" + request.report;
  for (char& character : name) {
    if (std::isalnum(static_cast<unsigned char>(character)) == 0 && character != '-') character = '_';
  }
  return fmt::format("{}.{}", name, entry_of(request.format).suffix);
}

/// The records that are asked for: one call, or the first of the session that have what is wanted.
Result<CallPage> choose_calls(Store& store, const ExportRequest& request, const Filter& session, Has has) {
  if (!request.call.empty()) {
    auto call = impl::find_call(store, session, request.call);
    if (!call) return fail(call.error());
    return CallPage{{std::move(*call)}, 1};
  }
  Filter filter = session;
  filter.has = has;
  return impl::gather_calls(store, filter, 0, kMostCalls);
}

std::string left_out(const CallPage& page) {
  if (page.total <= page.calls.size()) return {};
  return fmt::format("the first {} of {} calls; --since, --until and --method choose others",
                     page.calls.size(), page.total);
}

/// A profile with the time that it covers.
struct ChosenProfile {
  Profile profile;
  UtcTime start{};
  Microseconds duration{0};
  std::string note;
};

Result<ChosenProfile> gather_profile(Store& store, const ExportRequest& request, const Filter& session,
                                     Profile::Kind kind) {
  const bool exact = kind == Profile::Kind::kExact;
  const auto page = choose_calls(store, request, session, exact ? Has::kProfile : Has::kSample);
  if (!page) return fail(page.error());
  ChosenProfile chosen;
  chosen.note = left_out(*page);
  std::vector<Profile> profiles;
  const auto visited =
      impl::visit_records(store, page->calls, [&](const impl::Records&, const CallRecord& record) {
        const auto& profile = exact ? record.exact_profile : record.sampled_profile;
        if (!profile) return true;
        if (profiles.empty()) chosen.start = record.summary.start;
        chosen.duration += record.summary.wall;
        profiles.push_back(*profile);
        // What is added up is small; what waits to be added need not be.
        if (profiles.size() == 1) return true;
        auto merged = merge(profiles);
        profiles.clear();
        if (merged) profiles.push_back(std::move(*merged));
        return merged.has_value();
      });
  if (!visited) return fail(visited.error());
  if (!profiles.empty()) chosen.profile = std::move(profiles.front());
  return chosen;
}

Result<ChosenProfile> find_profile(Store& store, const ExportRequest& request, const Filter& session) {
  for (const Profile::Kind kind : {Profile::Kind::kExact, Profile::Kind::kSampled}) {
    auto chosen = gather_profile(store, request, session, kind);
    if (!chosen || !chosen->profile.nodes.empty()) return chosen;
  }
  return fail(
      ErrorCode::kNotFound,
      fmt::format("{} was recorded without a profile; 'headroom profile {}' lists the calls that have one",
                  request.call.empty() ? "the session" : "call " + request.call, request.session));
}

Result<Export> export_profile(Store& store, const ExportRequest& request, const Filter& session) {
  const auto chosen = find_profile(store, request, session);
  if (!chosen) return fail(chosen.error());
  Export made;
  made.note = chosen->note;
  switch (request.format) {
    case ExportFormat::kPprof:
      made.content = to_pprof(chosen->profile, chosen->start, chosen->duration);
      break;
    case ExportFormat::kCollapsed:
      made.content = collapsed(chosen->profile);
      break;
    case ExportFormat::kPstats:
      made.content = to_pstats(chosen->profile);
      break;
    default:
      made.content = to_speedscope(chosen->profile,
                                   fmt::format("{}/{} {}", session.database, session.session, request.call));
  }
  return made;
}

Result<Export> export_report(Store& store, const ExportRequest& request, const Filter& session) {
  ReportRequest asked;
  asked.report = request.report;
  asked.session = fmt::format("{}/{}", session.database, session.session);
  asked.argument = request.call;
  asked.filter = request.filter;
  const auto report = make_report(store, asked);
  if (!report) return fail(report.error());
  Export made;
  made.content = to_csv(report->table);
  made.note = report->note;
  return made;
}

/// Profiles and bodies, which may be large, are no part of a trace.
CallRecord without_details(CallRecord record) {
  record.exact_profile.reset();
  record.sampled_profile.reset();
  record.request.reset();
  record.response.reset();
  return record;
}

/// The texts of the statements that a trace shows one by one.
void add_statements(const impl::Records& records, const CallRecord& record,
                    std::map<std::uint64_t, StatementInfo>& statements) {
  const auto add = [&](std::uint64_t fingerprint) {
    const StatementInfo* known = records.statement(fingerprint);
    if (known != nullptr) statements.try_emplace(fingerprint, *known);
  };
  for (const StatementEvent& event : record.events) add(event.fingerprint);
  for (const SlowStatement& slow : record.slow) add(slow.fingerprint);
}

Result<Export> export_traces(Store& store, const ExportRequest& request, const Filter& session) {
  const auto page = choose_calls(store, request, session, Has::kNothing);
  if (!page) return fail(page.error());
  std::vector<CallRecord> calls;
  std::map<std::uint64_t, StatementInfo> statements;
  const auto visited =
      impl::visit_records(store, page->calls, [&](const impl::Records& records, const CallRecord& record) {
        calls.push_back(without_details(record));
        add_statements(records, record, statements);
        return true;
      });
  if (!visited) return fail(visited.error());
  Export made;
  made.content = to_otlp_json(calls, statements, request.resource);
  made.note = left_out(*page);
  return made;
}

// CSV
// -----------------------------------------------------------------------------------------------------------

std::string csv_text(std::string_view text) {
  constexpr std::string_view kFormula = "=+-@\t\r";
  std::string value;
  if (!text.empty() && kFormula.find(text.front()) != std::string_view::npos) value = "'";
  value += sql::clean_utf8(text);
  if (value.find_first_of(",\"\r\n") == std::string::npos) return value;
  std::string quoted = "\"";
  for (const char character : value)
    quoted += character == '"' ? std::string("\"\"") : std::string(1, character);
  return quoted + "\"";
}

std::string csv_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return csv_text(*text);
  if (const auto* time = std::get_if<UtcTime>(&cell)) return base::to_iso(*time);
  if (const auto* number = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *number);
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{:.6g}", *number);
  if (const auto* duration = std::get_if<Microseconds>(&cell))
    return fmt::format("{:.6f}", static_cast<double>(duration->count()) / 1e6);
  return {};
}

}  // namespace

std::string_view name(ExportFormat format) {
  return entry_of(format).name;
}

std::optional<ExportFormat> export_format(std::string_view name) {
  for (std::size_t i = 0; i < kFormats.size(); ++i) {
    if (kFormats[i].name == name) return static_cast<ExportFormat>(i);
  }
  return std::nullopt;
}

std::string to_csv(const Table& table) {
  std::string csv;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    csv += (i > 0 ? "," : "") + csv_text(table.columns[i].name);
  csv += "\r\n";
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) csv += (i > 0 ? "," : "") + csv_cell(row[i]);
    csv += "\r\n";
  }
  return csv;
}

Result<Export> make_export(Store& store, const ExportRequest& request) {
  if (request.session.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "missing session argument: export SESSION [CALL]; 'headroom session' lists the sessions");
  }
  const auto session = find_session(store, request.session, request.filter);
  if (!session) return fail(session.error());
  Filter filter = request.filter;
  filter.database = session->database;
  filter.session = session->session;
  const auto make = request.format == ExportFormat::kCsv        ? export_report
                    : request.format == ExportFormat::kOtlpJson ? export_traces
                                                                : export_profile;
  auto made = make(store, request, filter);
  if (!made) return fail(made.error());
  made->content_type = entry_of(request.format).content_type;
  made->file_name = file_name(filter, request);
  return made;
}

}  // namespace headroom::perf
