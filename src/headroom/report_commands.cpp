#include <CLI/CLI.hpp>

#include <memory>

#include "base/clock.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"
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
  std::string since;
  std::string until;
};

Result<void> read_time(const std::string& text, const char* option, std::optional<base::UtcTime>& target) {
  if (text.empty()) return {};
  const auto time = base::parse_time(text, base::utc_now());
  if (!time) return fail(base::Error(time.error()).within(option));
  target = *time;
  return {};
}

Result<Exit> run_report(ReportOptions options, const Invocation& invocation) {
  perf::ReportRequest& request = options.request;
  if (const auto read = read_time(options.since, "--since", request.filter.since); !read)
    return fail(read.error());
  if (const auto read = read_time(options.until, "--until", request.filter.until); !read)
    return fail(read.error());
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  const auto report = perf::make_report(*store->store, request);
  if (!report) return fail(report.error());
  return print_report(invocation.options, *report);
}

void add_filters(CLI::App& command, ReportOptions& options) {
  perf::Filter& filter = options.request.filter;
  command.add_option("--since", options.since,
                     "from this time on: 2026-11-21T07:30, or a span before now such as 10m, 2h, 7d");
  command.add_option("--until", options.until, "before this time");
  command.add_option("--user", filter.user, "only this user: a login, or digits for an id");
  command.add_option("--database", filter.database, "only this database, by its whole name");
  command.add_option("--method", filter.method, "only methods that match, for example 'model.sale.*'");
  command.add_option("--limit", options.request.page.limit, "at most so many rows")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--offset", options.request.page.offset, "leave out so many rows first")
      ->check(CLI::NonNegativeNumber);
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
    command->add_option("session", options->request.session,
                        "any unique beginning of a session, or database/beginning");
  }
  if (entry.argument != nullptr)
    command->add_option(entry.argument, options->request.argument, entry.argument_help);
  if (options->request.report == "repeat") {
    command->add_option("--at-least", options->request.filter.most_repeated_at_least,
                        "repeated at least so often (2)");
  }
  add_filters(*command, *options);
  command->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return run_report(*options, run); };
  });
}

}  // namespace

void add_report_commands(CLI::App& app, Invocation& invocation) {
  for (const ReportCommand& entry : kCommands) add_report_command(app, invocation, entry);
}

}  // namespace headroom::cli
