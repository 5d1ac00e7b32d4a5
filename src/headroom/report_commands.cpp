#include <CLI/CLI.hpp>

#include <limits>
#include <memory>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/question_options.hpp"
#include "perf/report.hpp"

namespace headroom::cli {

namespace {

using base::fail;
using base::Result;

/// A report's place on the command line.
struct ReportCommand {
  const char* name;
  const char* description;
  const char* argument;  ///< its name in the usage; nullptr when there is none
  const char* argument_help;
  const char* examples;
  enum class Session { kNone, kFirst, kOptional } session;
};

using Session = ReportCommand::Session;

constexpr const char* kOrderHelp = "order, largest first: t time, n number, a average";

const ReportCommand kCommands[] = {
    {"session", "List the sessions that were recorded", "user", "only this user's",
     "headroom session\nheadroom session admin --since 1h", Session::kNone},
    {"method", "Time, number and average of each method of a session", "order", kOrderHelp,
     "headroom method 71\nheadroom method 71 a --json", Session::kFirst},
    {"table", "Time, number and average of the statements on each table", "order", kOrderHelp,
     "headroom table 71\nheadroom table 71 n", Session::kFirst},
    {"call", "List the calls of a session in order, or print one with all that is known of it", "method",
     "only calls of this method; a number: this call whole",
     "headroom call 71\nheadroom call 71 12\nheadroom call 71 model.sale.sale.read\nheadroom call 71 "
     "--method 'model.sale.*' "
     "--limit 20",
     Session::kFirst},
    {"profile", "List the calls with a profile, or print the profile of one", "call", "number of the call",
     "headroom profile 71\nheadroom profile 71 12", Session::kFirst},
    {"db", "List the calls with their statements kept, or print those of one", "call", "number of the call",
     "headroom db 71\nheadroom db 71 12", Session::kFirst},
    {"io", "List the calls with their bodies kept, or print those of one", "call", "number of the call",
     "headroom io 71\nheadroom io 71 12", Session::kFirst},
    {"query", "List the slow statements of a session, or print one with its backtrace", "rank",
     "number of the statement", "headroom query 71\nheadroom query 71 3", Session::kFirst},
    {"repeat", "Statements repeated within one call (N+1), and what one in their place would save", nullptr,
     nullptr, "headroom repeat 71\nheadroom repeat 71 --at-least 10", Session::kFirst},
    {"conflict", "Retries and serialization failures by table and by method, with the probable partner",
     nullptr, nullptr, "headroom conflict --since 1d\nheadroom conflict 71", Session::kOptional},
    {"overview", "Every method of every database, traced or not: number, errors, p50, p95, p99, SQL time",
     nullptr, nullptr, "headroom overview\nheadroom overview --since 2h --database shop", Session::kNone},
};

/// What the command line says, as text: it is understood when the command runs.
struct ReportOptions {
  perf::ReportRequest request;
  RangeOptions range;
};

Result<Exit> run_report(ReportOptions options, const Invocation& invocation) {
  perf::ReportRequest& request = options.request;
  if (const auto read = read_range(options.range, request.filter); !read) return fail(read.error());
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  const auto report = perf::make_report(*store->store, request);
  if (!report) return fail(report.error());
  return print_report(invocation.options, *report);
}

std::string examples_footer(std::string_view examples) {
  std::string text = "Examples:\n  ";
  for (const char character : examples)
    text += character == '\n' ? std::string("\n  ") : std::string(1, character);
  return text;
}

void add_report_command(CLI::App& app, Invocation& invocation, const ReportCommand& entry) {
  CLI::App* command = app.add_subcommand(entry.name, entry.description);
  command->group("Reports");
  command->footer(examples_footer(entry.examples));
  auto options = std::make_shared<ReportOptions>();
  options->request.report = entry.name;
  if (entry.session != Session::kNone) {
    command
        ->add_option("session", options->request.session,
                     "any unique beginning of a session, or database/beginning")
        ->required(entry.session == Session::kFirst);
  }
  if (entry.argument != nullptr)
    command->add_option(entry.argument, options->request.argument, entry.argument_help);
  if (options->request.report == "repeat") {
    command
        ->add_option("--at-least", options->request.filter.most_repeated_at_least,
                     "repeated at least so often (2)")
        ->check(whole_number(2, std::numeric_limits<std::uint32_t>::max()));
  }
  add_range_options(*command, options->range);
  add_filter_options(*command, options->request.filter, options->request.page);
  command->add_option("--contains", options->request.contains,
                      "only rows whose texts hold all of these words");
  // What a report refuses is not offered; given all the same, the report says what it accepts.
  if (options->request.report == "overview") command->get_option("--user")->group("");
  if (options->request.report == "session") command->get_option("--method")->group("");
  if (options->request.report == "call") command->get_option("--contains")->group("");
  command->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return run_report(*options, run); };
  });
}

}  // namespace

void add_report_commands(CLI::App& app, Invocation& invocation) {
  for (const ReportCommand& entry : kCommands) add_report_command(app, invocation, entry);
}

}  // namespace headroom::cli
