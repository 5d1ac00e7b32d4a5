// Calls as traces. A call is the root of its trace, or a child where another call ran it; what is below it is
// placed by what the record knows: attempts follow one another, and statements that were kept in order, or
// were slow, have an offset. Statements that were only summed up are attributes: inventing times for them
// would draw a picture that nobody measured.
//
// Proto3's JSON, as OTLP has it: ids are hexadecimal, 64-bit numbers are strings, enumerations are numbers.

#include <algorithm>

#include <fmt/format.h>

#include "perf/call_order.hpp"
#include "perf/export.hpp"
#include "perf/impl/report_parts.hpp"
#include "sql/statement.hpp"

namespace headroom::perf {

namespace {

constexpr int kServer = 2;
constexpr int kClient = 3;
constexpr int kInternal = 1;
constexpr int kError = 2;
constexpr std::size_t kMostStatements = 1'000;

/// FNV-1a, then mixed: ids must not be 0, and need no secrecy.
std::uint64_t hash(std::string_view text, std::uint64_t salt) {
  std::uint64_t value = 0xCBF29CE484222325ULL ^ salt;
  for (const char character : text) {
    value ^= static_cast<unsigned char>(character);
    value *= 0x100000001B3ULL;
  }
  value ^= value >> 32U;
  value *= 0xD6E8FEB86659FD93ULL;
  value ^= value >> 32U;
  return value == 0 ? 1 : value;
}

std::string trace_id(const CallRecord& call) {
  const std::string& root = call.parent.empty() ? call.summary.id : call.parent;
  return fmt::format("{:016x}{:016x}", hash(root, 1), hash(root, 2));
}

std::string span_id(std::string_view id) {
  return fmt::format("{:016x}", hash(id, 3));
}

std::string nanoseconds(UtcTime time) {
  return fmt::format("\"{}\"", base::Nanoseconds(time.time_since_epoch()).count());
}

/// Key-value pairs, written one after the other.
class Attributes final {
 public:
  Attributes& text(std::string_view key, std::string_view value) {
    if (!value.empty()) add(key, fmt::format("\"stringValue\":{}", json_text(value)));
    return *this;
  }
  Attributes& integer(std::string_view key, std::int64_t value) {
    add(key, fmt::format("\"intValue\":\"{}\"", value));
    return *this;
  }
  Attributes& seconds(std::string_view key, Microseconds value) {
    if (value.count() != 0)
      add(key, fmt::format("\"doubleValue\":{:.6f}", static_cast<double>(value.count()) / 1e6));
    return *this;
  }
  [[nodiscard]] std::string json() const { return "[" + list_ + "]"; }

 private:
  void add(std::string_view key, const std::string& value) {
    list_ += fmt::format("{}{{\"key\":\"{}\",\"value\":{{{}}}}}", list_.empty() ? "" : ",", key, value);
  }

  std::string list_;
};

struct Span {
  std::string trace;
  std::string id;
  std::string parent;
  std::string name;
  int kind = kInternal;
  UtcTime start{};
  Microseconds duration{0};
  Attributes attributes;
  std::string error;  ///< not empty: its status is error
};

std::string span_json(const Span& span) {
  const std::string parent =
      span.parent.empty() ? std::string() : fmt::format("\"parentSpanId\":\"{}\",", span.parent);
  const std::string status =
      span.error.empty() ? std::string("{}")
                         : fmt::format("{{\"code\":{},\"message\":{}}}", kError, json_text(span.error));
  return fmt::format(
      R"({{"traceId":"{}","spanId":"{}",{}"name":{},"kind":{},"startTimeUnixNano":{},"endTimeUnixNano":{},)"
      R"("attributes":{},"status":{}}})",
      span.trace, span.id, parent, json_text(span.name), span.kind, nanoseconds(span.start),
      nanoseconds(span.start + std::max(span.duration, Microseconds{0})), span.attributes.json(), status);
}

std::string_view error_of(const CallRecord& call) {
  if (call.summary.status == CallStatus::kOk) return {};
  return call.error.empty() ? name(call.summary.status) : std::string_view(call.error);
}

Span call_span(const CallRecord& call) {
  CallSummary summary = call.summary;
  cut_names(summary);
  Span span;
  span.trace = trace_id(call);
  span.id = span_id(summary.id);
  if (!call.parent.empty()) span.parent = span_id(call.parent);
  span.name = summary.method.empty() ? "(unnamed)" : summary.method;
  span.kind = call.parent.empty() ? kServer : kInternal;
  span.start = summary.start;
  span.duration = summary.wall;
  span.error = impl::shown_text(error_of(call));
  span.attributes.text("rpc.method", summary.method)
      .text("db.namespace", summary.database)
      .text("enduser.id", summary.user)
      .text("client.address", call.address)
      .text("host.name", call.host)
      .text("headroom.call", summary.id)
      .text("headroom.session", summary.session)
      .text("headroom.kind", name(summary.kind))
      .text("headroom.status", name(summary.status))
      .integer("process.pid", call.process)
      .integer("headroom.attempts", summary.attempts)
      .integer("headroom.statements", summary.statements)
      .integer("headroom.rows", summary.rows)
      .seconds("headroom.sql_seconds", summary.sql)
      .seconds("headroom.commit_seconds", summary.commit)
      .seconds("headroom.connection_wait_seconds", summary.connection_wait)
      .seconds("headroom.lock_wait_seconds", summary.lock_wait);
  if (summary.http_status != 0) span.attributes.integer("http.response.status_code", summary.http_status);
  return span;
}

/// Where the attempts of a retried call lie; empty when there was one.
std::vector<Span> attempt_spans(const CallRecord& call, const Span& root) {
  std::vector<Span> spans;
  if (call.attempts.size() < 2) return spans;
  UtcTime at = root.start;
  for (std::size_t i = 0; i < call.attempts.size(); ++i) {
    const Attempt& attempt = call.attempts[i];
    Span span;
    span.trace = root.trace;
    span.id = span_id(fmt::format("{} attempt {}", call.summary.id, i));
    span.parent = root.id;
    span.name = fmt::format("attempt {}", i + 1);
    span.start = at;
    span.duration = attempt.duration;
    span.error = impl::shown_text(attempt.error);
    span.attributes.integer("headroom.statements", attempt.statements);
    at += attempt.duration;
    spans.push_back(std::move(span));
  }
  return spans;
}

/// One execution whose time is known.
struct Execution {
  std::uint64_t fingerprint = 0;
  Microseconds offset{0};
  Microseconds duration{0};
  std::int64_t rows = 0;
  std::string_view sql;  ///< empty: the normalised text
};

/// Those kept in order; else the slow ones.
std::vector<Execution> executions(const CallRecord& call) {
  std::vector<Execution> list;
  for (const StatementEvent& event : call.events)
    list.push_back({event.fingerprint, event.offset, event.duration, event.rows, {}});
  if (list.empty()) {
    for (const SlowStatement& slow : call.slow)
      list.push_back({slow.fingerprint, slow.offset, slow.duration, slow.rows, slow.sql});
  }
  if (list.size() > kMostStatements) list.resize(kMostStatements);
  return list;
}

/// The attempt in which an execution began, or the call.
const Span& parent_at(const Span& root, const std::vector<Span>& attempts, UtcTime time) {
  for (const Span& attempt : attempts) {
    if (time >= attempt.start && time < attempt.start + attempt.duration) return attempt;
  }
  return root;
}

Span statement_span(const Execution& execution, const StatementInfo* info, const Span& parent) {
  Span span;
  span.trace = parent.trace;
  span.parent = parent.id;
  span.kind = kClient;
  span.duration = execution.duration;
  span.name = info == nullptr ? "statement" : std::string(sql::name(info->kind));
  span.attributes.text("db.system", "other_sql").integer("db.response.returned_rows", execution.rows);
  if (info != nullptr) {
    const std::string table = info->tables.empty() ? std::string() : shown_name(info->tables.front());
    if (!table.empty()) span.name += " " + table;
    span.attributes.text("db.operation.name", sql::name(info->kind))
        .text("db.query.text",
              impl::shown_text(execution.sql.empty() ? std::string_view(info->normalized) : execution.sql))
        .text("db.collection.name", table);
  }
  return span;
}

void add_spans(const CallRecord& call, const std::map<std::uint64_t, StatementInfo>& statements,
               std::vector<std::string>& spans) {
  const Span root = call_span(call);
  const auto attempts = attempt_spans(call, root);
  spans.push_back(span_json(root));
  for (const Span& attempt : attempts) spans.push_back(span_json(attempt));
  std::size_t number = 0;
  for (const Execution& execution : executions(call)) {
    const UtcTime start = root.start + execution.offset;
    const auto info = statements.find(execution.fingerprint);
    Span span = statement_span(execution, info == statements.end() ? nullptr : &info->second,
                               parent_at(root, attempts, start));
    span.start = start;
    span.id = span_id(fmt::format("{} statement {}", call.summary.id, number++));
    spans.push_back(span_json(span));
  }
}

}  // namespace

std::string to_otlp_json(std::span<const CallRecord> calls,
                         const std::map<std::uint64_t, StatementInfo>& statements,
                         const OtlpResource& resource) {
  std::vector<std::string> spans;
  for (const CallRecord& call : calls) add_spans(call, statements, spans);
  Attributes about;
  about.text("service.name", resource.service)
      .text("telemetry.sdk.name", "headroom")
      .text("telemetry.sdk.language", "cpp");
  return fmt::format(
      R"({{"resourceSpans":[{{"resource":{{"attributes":{}}},"scopeSpans":[{{"scope":{{"name":"headroom",)"
      R"("version":{}}},"spans":[{}]}}]}}]}})",
      about.json(), json_text(resource.version), fmt::join(spans, ",\n"));
}

}  // namespace headroom::perf
