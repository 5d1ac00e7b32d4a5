#include "headroom/diff.hpp"

#include <CLI/CLI.hpp>

#include <memory>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/question_options.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

Result<perf::DiffOptions> options_of(const DiffRequest& request) {
  const auto by = perf::group_by(request.by);
  if (!by) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("by '{}': expected method, table or statement", request.by));
  }
  const auto measure = perf::measure(request.measure);
  if (!measure) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("measure '{}': expected time, sql or count", request.measure));
  }
  const auto threshold = perf::parse_threshold(request.threshold);
  if (!threshold) return fail(threshold.error());
  return perf::DiffOptions{*by, *measure, *threshold};
}

Result<Exit> run_diff(const DiffRequest& request, const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  const auto diff =
      make_diff(*store->store, request, invocation.configuration.perf.releases, base::utc_now());
  if (!diff) return fail(diff.error());
  const perf::Report report = perf::diff_report(*diff, request.page);
  const Exit printed =
      invocation.options.json
          ? print_text(fmt::format("{{\"summary\":{},\n\"rows\":{}}}\n", perf::diff_summary_json(*diff),
                                   perf::to_json(report.table)))
          : print_report(invocation.options, report);
  if (diff->is_worse()) return Exit::kFailed;
  // 1 says that it is worse, so a failure gets 2: here that of printing, in main.cpp every other.
  return printed == Exit::kFine ? Exit::kFine : Exit::kMisused;
}

}  // namespace

Result<perf::Diff> make_diff(perf::Store& store, const DiffRequest& request, const perf::Releases& releases,
                             base::UtcTime now) {
  const auto options = options_of(request);
  if (!options) return fail(options.error());
  const auto a = perf::parse_selection(store, request.a, request.filter, releases, now);
  if (!a) return fail(a.error());
  const auto b = perf::parse_selection(store, request.b, request.filter, releases, now);
  if (!b) return fail(b.error());
  return perf::diff(store, *a, *b, *options);
}

void add_diff_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("diff", "Compare two sessions, times or releases: what became slower");
  command->group("Questions");
  command->footer(
      "A side is a session, a range of time FROM..TO, or @RELEASE of [perf.releases].\n"
      "Status: 1 when something is worse by more than the threshold and that is no noise; 2 when it "
      "failed.\n\n"
      "Examples:\n  headroom diff 71 8c\n  headroom diff 2d..1d 1d.. --by statement\n"
      "  headroom diff 2026-11-20T08:00..2026-11-20T12:00 2026-11-21T08:00..2026-11-21T12:00 --database "
      "shop\n"
      "  headroom diff @1.4 @1.5 --measure count --threshold 5% --json");
  auto request = std::make_shared<DiffRequest>();
  command->add_option("a", request->a, "before: a session, FROM..TO or @RELEASE")->required();
  command->add_option("b", request->b, "after")->required();
  command->add_option("--by", request->by, "method, table or statement");
  command->add_option("--measure", request->measure, "what is judged: time, sql, or count of statements");
  command->add_option("--threshold", request->threshold, "a growth up to this is none (10%)");
  add_filter_options(*command, request->filter, request->page);
  command->callback([&invocation, request] {
    invocation.run = [request](Invocation& run) { return run_diff(*request, run); };
  });
}

}  // namespace headroom::cli
