#include <CLI/CLI.hpp>

#include <unistd.h>

#include <memory>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/export.hpp"
#include "headroom/output.hpp"
#include "headroom/question_options.hpp"
#include "headroom/version.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

Result<perf::ExportFormat> parse_export_format(std::string_view text) {
  if (const auto format = perf::export_format(text)) return *format;
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("format '{}': expected speedscope, pprof, collapsed, pstats, csv or otlp-json", text));
}

perf::OtlpResource otlp_resource(const Configuration& configuration) {
  return {configuration.otlp.service, std::string(kVersion)};
}

namespace {

bool is_binary(perf::ExportFormat format) {
  return format == perf::ExportFormat::kPprof || format == perf::ExportFormat::kPstats;
}

Result<Exit> run_export(perf::ExportRequest request, const std::string& format,
                        const Invocation& invocation) {
  const auto parsed = parse_export_format(format);
  if (!parsed) return fail(parsed.error());
  request.format = *parsed;
  request.resource = otlp_resource(invocation.configuration);
  if (is_binary(*parsed) && ::isatty(STDOUT_FILENO) == 1) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is no text for a terminal: redirect it into a file ('> file')", format));
  }
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  const auto made = perf::make_export(*store->store, request);
  if (!made) return fail(made.error());
  if (!made->note.empty()) print_note(made->note);
  return print_text(made->content);
}

}  // namespace

void add_export_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "export", "Profiles, calls and reports in the formats of other tools, on standard output");
  command->group("Questions");
  command->footer(
      "Formats: speedscope, pprof, collapsed and pstats hold the profile of a call, or of all calls added "
      "up;\n"
      "csv a report; otlp-json calls as OpenTelemetry traces.\n\n"
      "Examples:\n  headroom export 71 12 > call.speedscope.json\n"
      "  headroom export 71 --format collapsed | flamegraph.pl > session.svg\n"
      "  headroom export 71 --format csv --report method > methods.csv\n"
      "  headroom export 71 12 --format otlp-json > trace.json");
  auto request = std::make_shared<perf::ExportRequest>();
  auto range = std::make_shared<RangeOptions>();
  auto format = std::make_shared<std::string>("speedscope");
  command->add_option("session", request->session,
                      "any unique beginning of a session, or database/beginning");
  command->add_option("call", request->call, "number of a call; all that match without it");
  command->add_option("--format", *format, "speedscope, pprof, collapsed, pstats, csv or otlp-json");
  command->add_option("--report", request->report, "the report of a csv (call)");
  add_call_filter_options(*command, request->filter);
  add_range_options(*command, *range);
  command->callback([&invocation, request, range, format] {
    invocation.run = [request, range, format](Invocation& run) -> Result<Exit> {
      if (const auto read = read_range(*range, request->filter); !read) return fail(read.error());
      return run_export(*request, *format, run);
    };
  });
}

}  // namespace headroom::cli
