#include <CLI/CLI.hpp>
#include <memory>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/text_file.hpp"
#include "headroom/trytond_check.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

std::string indented(const std::string& remedy) {
  std::string text = "    ";
  for (const char character : remedy)
    text += character == '\n' ? std::string("\n    ") : std::string(1, character);
  return text;
}

/// "FILE:LINE: error: what is wrong", and below it the line to write.
std::string finding_text(const std::string& file, const Finding& finding) {
  const std::string place = finding.line == 0 ? file : fmt::format("{}:{}", file, finding.line);
  std::string text = fmt::format("{}: {}: {}\n", perf::escape_line(place),
                                 finding.severity == Severity::kError ? "error" : "warning",
                                 perf::escape_line(finding.text));
  if (!finding.remedy.empty()) text += fmt::format("  write:\n{}\n", indented(finding.remedy));
  return text;
}

perf::Report findings_report(const std::string& file, const std::vector<Finding>& findings) {
  perf::Report report;
  report.table.columns = {{"file", perf::Format::kText},
                          {"line", perf::Format::kCount},
                          {"severity", perf::Format::kText},
                          {"text", perf::Format::kLongText},
                          {"remedy", perf::Format::kLongText}};
  for (const Finding& finding : findings) {
    report.table.rows.push_back(
        {file, finding.line == 0 ? perf::Cell() : perf::Cell(static_cast<std::int64_t>(finding.line)),
         std::string(finding.severity == Severity::kError ? "error" : "warning"), finding.text,
         finding.remedy});
  }
  return report;
}

Result<Exit> check(const std::string& file, const Invocation& invocation) {
  const auto text = read_text_file(file);
  if (!text) return fail(text.error());
  const std::vector<Finding> findings = check_trytond_configuration(*text);
  bool failed = false;
  std::string shown;
  for (const Finding& finding : findings) {
    failed = failed || finding.severity == Severity::kError;
    shown += finding_text(file, finding);
  }
  if (findings.empty()) shown = fmt::format("{}: fine: trytond loads Headroom\n", perf::escape_line(file));
  const Exit printed = invocation.options.json
                           ? print_report(invocation.options, findings_report(file, findings))
                           : print_text(shown);
  return failed ? Exit::kFailed : printed;
}

}  // namespace

void add_trytond_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* trytond = app.add_subcommand("trytond", "Check how trytond is set up");
  trytond->group("Recording");
  trytond->require_subcommand(1);
  CLI::App* command =
      trytond->add_subcommand("check", "Say what is missing or wrong in trytond's configuration file");
  command->footer(
      "Status 1 when there is an error.\n\nExamples:\n  headroom trytond check /etc/tryton/trytond.conf");
  auto file = std::make_shared<std::string>();
  command->add_option("file", *file, "trytond's configuration file")->required();
  command->callback(
      [&invocation, file] { invocation.run = [file](Invocation& run) { return check(*file, run); }; });
}

}  // namespace headroom::cli
