#include "headroom/advice.hpp"

#include <CLI/CLI.hpp>

#include <limits>
#include <memory>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/question_options.hpp"
#include "sql/statement.hpp"

namespace headroom::cli {

using base::fail;
using base::Result;

namespace {

constexpr std::size_t kMostPlans = 5;
constexpr std::chrono::seconds kPlanTimeout{2};

/// What a plan reads from one end to the other. SQLite calls it as the statement does.
perf::TableScan table_scan(const sql::Plan& plan, const sql::PlanNode& scan) {
  // Without the values: an index serves any, and not everybody who reads advice may see them.
  perf::TableScan read{scan.relation, sql::analyze(scan.condition).normalized};
  if (plan.dialect != "sqlite") return read;
  const auto table = sql::table_behind(plan.statement, scan.relation);
  read.is_alias = !table;
  if (table) read.table = *table;
  return read;
}

/// Asks for the plan of a statement, and what it reads from one end to the other.
perf::PlanAnswer look_at_plan(perf::AdviceMaterial& material, const perf::SlowStatement& statement,
                              const std::string& url) {
  const auto plan = sql::explain(url, question_of(statement.sql), {false, kPlanTimeout});
  if (!plan) return perf::PlanAnswer::kNone;
  const sql::PlanNode* scan = sql::worst_scan(*plan);
  if (scan == nullptr) return perf::PlanAnswer::kSeen;
  material.scans[statement.fingerprint] = table_scan(*plan, *scan);
  return perf::PlanAnswer::kSeen;
}

/// The plans of the dearest slow statements, and of each why there is none.
void look_at_plans(perf::AdviceMaterial& material, const Databases& databases) {
  std::size_t asked = 0;
  for (const perf::SlowOfDatabase& statement :
       perf::dearest_slow_statements(material, std::numeric_limits<std::size_t>::max())) {
    perf::PlanAnswer& answer = material.plans[statement.slow.fingerprint];
    const auto url = databases.find(statement.database);
    if (url == databases.end()) {
      answer = perf::PlanAnswer::kNoDatabase;
    } else if (asked == kMostPlans) {
      answer = perf::PlanAnswer::kNotAsked;
    } else {
      ++asked;
      answer = look_at_plan(material, statement.slow, url->second);
    }
  }
}

}  // namespace

Result<perf::Report> make_advice(perf::Store& store, const AdviceRequest& request,
                                 const Databases& databases) {
  perf::Filter filter = request.filter;
  if (!request.session.empty()) {
    const auto session = perf::find_session(store, request.session, filter);
    if (!session) return fail(session.error());
    filter.database = session->database;
    filter.session = session->session;
  }
  auto material = perf::gather_advice(store, filter);
  if (!material) return fail(material.error());
  look_at_plans(*material, databases);
  return perf::advice_report(*material, perf::advise(*material), request.page);
}

void add_advice_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("advice", "What is worth changing: findings in plain words, most saving first");
  command->group("Questions");
  command->footer(
      "Examples:\n  headroom advice 71\n  headroom advice --since 2h --database shop\n"
      "  headroom advice 71 --limit 3 --json");
  auto request = std::make_shared<AdviceRequest>();
  auto range = std::make_shared<RangeOptions>();
  command->add_option("session", request->session, "any unique beginning of a session; all calls without it");
  add_filter_options(*command, request->filter, request->page);
  add_range_options(*command, *range);
  command->callback([&invocation, request, range] {
    invocation.run = [request, range](Invocation& run) -> Result<Exit> {
      if (const auto read = read_range(*range, request->filter); !read) return fail(read.error());
      const auto store = open_chosen_store(run, perf::OpenMode::kRead);
      if (!store) return fail(store.error());
      const auto report = make_advice(*store->store, *request, run.configuration.perf.databases);
      if (!report) return fail(report.error());
      return print_report(run.options, *report);
    };
  });
}

}  // namespace headroom::cli
