#pragma once

// Records in the formats of other tools. Profiles come from the stored call trees, tables from the reports,
// traces from the records of calls.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perf/profile.hpp"
#include "perf/report.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

enum class ExportFormat : std::uint8_t { kSpeedscope, kPprof, kCollapsed, kPstats, kCsv, kOtlpJson };

/// "speedscope", "pprof", "collapsed", "pstats", "csv", "otlp-json"; the inverse gives nullopt for an unknown
/// name.
[[nodiscard]] std::string_view name(ExportFormat format);
[[nodiscard]] std::optional<ExportFormat> export_format(std::string_view name);

/// The file format of speedscope.app: an evented profile, in which a node's own time comes before its
/// children. Cost: O(nodes).
/// Source: https://www.speedscope.app/file-format-schema.json
[[nodiscard]] std::string to_speedscope(const Profile& profile, std::string_view title);

/// gzip'ed perftools.profiles.Profile with calls (or samples), wall and CPU nanoseconds.
/// Source: github.com/google/pprof/proto/profile.proto
[[nodiscard]] std::string to_pprof(const Profile& profile, UtcTime start, Microseconds duration);

/// What Python's pstats.Stats loads: a marshalled dictionary of (file, line, function) with callers. The
/// lines of a function in a sampled profile stay apart; its samples stand for calls. Source: CPython
/// Lib/cProfile.py (snapshot_stats), Python/marshal.c
[[nodiscard]] std::string to_pstats(const Profile& profile);

/// RFC 4180 with a header. Seconds with six digits, times in ISO 8601. A text that a spreadsheet would take
/// for a formula (it begins with = + - @) gets an apostrophe in front: names of methods are chosen by
/// clients.
[[nodiscard]] std::string to_csv(const Table& table);

/// What spans are said to come from.
struct OtlpResource {
  std::string service = "trytond";
  std::string version;  ///< of Headroom, which is the instrumentation
};

/// An ExportTraceServiceRequest in OTLP's JSON encoding: a span for each call, and below it its attempts
/// where it was retried, and the statements whose place in time is known. Ids are derived from the call's id,
/// so that a call sent twice is the same span. Errors and statements are given as they were stored: redacted.
/// Source: opentelemetry-proto 1.x, trace/v1/trace.proto; OTLP specification, "JSON Protobuf Encoding"
[[nodiscard]] std::string to_otlp_json(std::span<const CallRecord> calls,
                                       const std::map<std::uint64_t, StatementInfo>& statements,
                                       const OtlpResource& resource);

struct ExportRequest {
  std::string session;
  std::string call;  ///< its number; empty for the whole session
  ExportFormat format = ExportFormat::kSpeedscope;
  std::string report = "call";  ///< of csv
  Filter filter;
  OtlpResource resource;
};

/// A file as it is handed out.
struct Export {
  std::string content;
  std::string content_type;
  std::string file_name;  ///< of letters, digits, '.', '-' and '_' only
  std::string note;       ///< what was left out; may be empty
};

/// Makes a file. Profiles: of the call, exact before sampled; without a call those of the first 1,000 calls
/// that have one, added up. otlp-json: the call, or the first 1,000.
/// Errors: as make_report; not_found when there is no profile.
[[nodiscard]] Result<Export> make_export(Store& store, const ExportRequest& request);

}  // namespace headroom::perf
