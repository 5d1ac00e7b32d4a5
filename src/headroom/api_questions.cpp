#include "headroom/api_questions.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "headroom/advice.hpp"
#include "headroom/api_parameters.hpp"
#include "headroom/diff.hpp"
#include "headroom/explain.hpp"
#include "headroom/export.hpp"
#include "headroom/few_at_once.hpp"

namespace headroom::cli {
namespace {

using base::fail;
using base::Result;

constexpr std::chrono::seconds kDeadline{30};

net::Response answer(const Result<std::string>& body) {
  return body ? net::make_response(200, "application/json", *body + "\n") : net::error_response(body.error());
}

std::string columns_json(const perf::Table& table) {
  std::string list;
  for (const perf::Column& column : table.columns) {
    list += fmt::format(R"({}{{"name":{},"format":"{}"}})", list.empty() ? "" : ",",
                        perf::json_text(column.name), perf::name(column.format));
  }
  return "[" + list + "]";
}

/// A report with what is said about the whole of it.
std::string report_json(std::string_view name, const perf::Report& report, const perf::Page& page,
                        const std::string& summary) {
  const std::string note =
      report.note.empty() ? std::string() : fmt::format("\"note\":{},", perf::json_text(report.note));
  return fmt::format(
      R"({{"report":"{}","summary":{},"columns":{},"total":{},"offset":{},"limit":{},{}"rows":{}}})", name,
      summary, columns_json(report.table), report.total, page.offset, page.limit, note,
      perf::to_json(report.table));
}

Result<DiffRequest> parse_diff(const net::Parameters& query, base::UtcTime now) {
  DiffRequest request;
  ParameterReader reader(query, now);
  reader.read("a", request.a);
  reader.read("b", request.b);
  reader.read("by", request.by);
  reader.read("measure", request.measure);
  reader.read("threshold", request.threshold);
  reader.read_filter(request.filter);
  reader.read_page(request.page);
  if (const auto finished = reader.finish("diff"); !finished) return fail(finished.error());
  return request;
}

net::Response get_diff(const QuestionContext& context, const net::Request& request) {
  const auto wanted = parse_diff(request.query, base::utc_now());
  if (!wanted) return net::error_response(wanted.error());
  return answer(context.read.with([&](perf::OpenStore& open) -> Result<std::string> {
    const auto diff = make_diff(*open.store, *wanted, context.configuration.perf.releases, base::utc_now());
    if (!diff) return fail(diff.error());
    const perf::Report report = perf::diff_report(*diff, wanted->page);
    return report_json("diff", report, wanted->page, perf::diff_summary_json(*diff));
  }));
}

Result<AdviceRequest> parse_advice(const net::Parameters& query, base::UtcTime now) {
  AdviceRequest request;
  ParameterReader reader(query, now);
  reader.read("session", request.session);
  reader.read("since", request.filter.since);
  reader.read("until", request.filter.until);
  reader.read_filter(request.filter);
  reader.read_page(request.page);
  if (const auto finished = reader.finish("advice"); !finished) return fail(finished.error());
  return request;
}

net::Response get_advice(const QuestionContext& context, const net::Request& request) {
  const auto wanted = parse_advice(request.query, base::utc_now());
  if (!wanted) return net::error_response(wanted.error());
  return answer(context.read.with([&](perf::OpenStore& open) -> Result<std::string> {
    const auto report = make_advice(*open.store, *wanted, context.configuration.perf.databases);
    if (!report) return fail(report.error());
    return report_json("advice", *report, wanted->page, "null");
  }));
}

Result<perf::ExportRequest> parse_export(const net::Parameters& query, base::UtcTime now) {
  perf::ExportRequest request;
  std::string format = "speedscope";
  ParameterReader reader(query, now);
  reader.read("session", request.session);
  reader.read("call", request.call);
  reader.read("format", format);
  reader.read("report", request.report);
  reader.read("since", request.filter.since);
  reader.read("until", request.filter.until);
  reader.read_filter(request.filter);
  if (const auto finished = reader.finish("export"); !finished) return fail(finished.error());
  const auto parsed = parse_export_format(format);
  if (!parsed) return fail(parsed.error());
  request.format = *parsed;
  return request;
}

/// A file to save: its name holds nothing that needs quoting.
net::Response get_export(const QuestionContext& context, const net::Request& request) {
  auto wanted = parse_export(request.query, base::utc_now());
  if (!wanted) return net::error_response(wanted.error());
  wanted->resource = otlp_resource(context.configuration);
  auto made =
      context.read.with([&](perf::OpenStore& open) { return perf::make_export(*open.store, *wanted); });
  if (!made) return net::error_response(made.error());
  net::Response response = net::make_response(200, made->content_type, std::move(made->content));
  response.headers.add("Content-Disposition", fmt::format("attachment; filename=\"{}\"", made->file_name));
  return response;
}

Result<ExplainRequest> parse_explain(const net::Parameters& query) {
  ExplainRequest request;
  ParameterReader reader(query, {});
  reader.read("session", request.session);
  reader.read("rank", request.rank);
  reader.read("fingerprint", request.fingerprint);
  if (const auto finished = reader.finish("explain"); !finished) return fail(finished.error());
  return request;
}

/// Plans ask another server, so only a few at once: the others are told to come again.
struct Plans;

net::Response explain(const QuestionContext& context, const net::Request& request, bool analyze) {
  auto wanted = parse_explain(request.query);
  if (!wanted) return net::error_response(wanted.error());
  wanted->options.analyze = analyze;
  const FewAtOnce<Plans> slot;
  if (!slot.taken())
    return net::error_response({base::ErrorCode::kOverloaded, "other plans are being asked for; try again"});
  return answer(context.read.with([&](perf::OpenStore& open) -> Result<std::string> {
    const auto explained = make_explanation(*open.store, *wanted, context.configuration.perf.databases);
    if (!explained) return fail(explained.error());
    return explained_json(*explained);
  }));
}

net::Response get_plan(const QuestionContext& context, const net::Request& request) {
  return explain(context, request, false);
}

net::Response post_plan(const QuestionContext& context, const net::Request& request) {
  return explain(context, request, true);
}

net::Response get_blocking(const QuestionContext& context, const net::Request& request) {
  ParameterReader reader(request.query, base::utc_now());
  if (const auto finished = reader.finish("blocking"); !finished)
    return net::error_response(finished.error());
  const auto running = perf::running_calls(context.configuration.perf.state);
  const BlockingView view = context.blocking.look(running, Asked::kAll, base::monotonic_ns());
  return net::make_response(
      200, "application/json",
      blocking_json(view).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

using Answer = net::Response (*)(const QuestionContext&, const net::Request&);

net::Route route(std::string method, std::string pattern, net::Access access, const QuestionContext& context,
                 Answer get) {
  net::Route made;
  made.access = access;
  made.method = std::move(method);
  made.pattern = std::move(pattern);
  made.deadline = kDeadline;
  made.handler = [context, get](const net::Request& request) { return get(context, request); };
  return made;
}

}  // namespace

void add_question_api(net::Router& router, const QuestionContext& context) {
  router.add(route("GET", "/api/perf/diff", net::Access::kRead, context, get_diff));
  router.add(route("GET", "/api/perf/advice", net::Access::kRead, context, get_advice));
  router.add(route("GET", "/api/perf/blocking", net::Access::kRead, context, get_blocking));
  router.add(route("GET", "/api/perf/export", net::Access::kPrivate, context, get_export));
  router.add(route("GET", "/api/perf/explain", net::Access::kPrivate, context, get_plan));
  router.add(route("POST", "/api/perf/explain", net::Access::kWrite, context, post_plan));
}

}  // namespace headroom::cli
