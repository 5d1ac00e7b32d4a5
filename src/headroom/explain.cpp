#include "headroom/explain.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <memory>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "perf/redact.hpp"
#include "perf/report_text.hpp"
#include "sql/statement.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

Result<std::string> slow_statement(perf::Store& store, const perf::SessionRow& session,
                                   const std::string& rank) {
  perf::ReportRequest request;
  request.report = "query";
  request.session = fmt::format("{}/{}", session.database, session.session);
  request.argument = rank;
  const auto report = perf::make_report(store, request);
  if (!report) return fail(report.error());
  const auto& columns = report->table.columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name != "sql") continue;
    if (const auto* sql = std::get_if<std::string>(&report->table.rows.at(0).at(i))) return *sql;
  }
  return fail(ErrorCode::kNotFound, fmt::format("slow statement {} has no text", rank));
}

Result<std::string> statement_of(perf::Store& store, const perf::SessionRow& session,
                                 const std::string& text) {
  std::uint64_t fingerprint = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fingerprint, 16);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("fingerprint '{}': expected hexadecimal digits, as 'headroom repeat' shows them", text));
  }
  perf::Filter filter;
  filter.database = session.database;
  filter.session = session.session;
  const auto totals = store.totals(filter, perf::GroupBy::kFingerprint);
  if (!totals) return fail(totals.error());
  for (const perf::TotalRow& row : *totals) {
    if (row.fingerprint == fingerprint && !row.name.empty()) return row.name;
  }
  return fail(ErrorCode::kNotFound, fmt::format("session {}/{} has no statement with fingerprint '{}'",
                                                session.database, session.session, text));
}

Result<std::string> url_of(const ExplainRequest& request, const std::string& database,
                           const Databases& databases) {
  if (!request.url.empty()) return request.url;
  const auto found = databases.find(database);
  if (found != databases.end()) return found->second;
  return fail(
      ErrorCode::kNotFound,
      fmt::format("no URL of database '{}' is known: [perf.databases] of headroom.toml names it, or --url",
                  database));
}

std::string optional_number(const std::optional<double>& number) {
  return number ? perf::json_number(*number) : "null";
}

std::string optional_text(const std::string& text) {
  return text.empty() ? "null" : perf::json_text(text);
}

std::string node_json(const sql::PlanNode& node, bool root) {
  return fmt::format(
      R"({{"parent":{},"operation":{},"relation":{},"index":{},"condition":{},"detail":{},"rows":{},"cost":{},)"
      R"("actual_rows":{},"actual_ms":{},"loops":{}}})",
      root ? std::string("null") : fmt::format("{}", node.parent), perf::json_text(node.operation),
      optional_text(node.relation), optional_text(node.index), optional_text(node.condition),
      optional_text(node.detail), optional_number(node.rows), optional_number(node.cost),
      optional_number(node.actual_rows), optional_number(node.actual_ms), optional_number(node.loops));
}

std::string nodes_json(const sql::Plan& plan) {
  std::string list;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i)
    list += (i > 0 ? ",\n" : "") + node_json(plan.nodes[i], i == 0);
  return "[" + list + "]";
}

Result<Exit> run_explain(const ExplainRequest& request, const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  const auto explained = make_explanation(*store->store, request, invocation.configuration.perf.databases);
  if (!explained) return fail(explained.error());
  if (!explained->note.empty()) print_note(explained->note);
  if (invocation.options.json) return print_text(explained_json(*explained) + "\n");
  return print_text(perf::escape_block(
      fmt::format("{}\n\n{}", explained->plan.statement, sql::plan_text(explained->plan))));
}

}  // namespace

sql::ExplainQuestion question_of(const std::string& stored) {
  if (stored.find(perf::kRedacted) == std::string::npos) return {stored, false};
  return {sql::analyze(stored).normalized, true};
}

Result<Explained> make_explanation(perf::Store& store, const ExplainRequest& request,
                                   const Databases& databases) {
  if (request.rank.empty() == request.fingerprint.empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "expected either the rank of a slow statement ('headroom query' lists them) or a fingerprint");
  }
  const auto session = perf::find_session(store, request.session, {});
  if (!session) return fail(session.error());
  const auto url = url_of(request, session->database, databases);
  if (!url) return fail(url.error());
  const bool ranked = !request.rank.empty();
  const auto stored = ranked ? slow_statement(store, *session, request.rank)
                             : statement_of(store, *session, request.fingerprint);
  if (!stored) return fail(stored.error());
  const sql::ExplainQuestion question = ranked ? question_of(*stored) : sql::ExplainQuestion{*stored, true};
  auto plan = sql::explain(*url, question, request.options);
  if (!plan) return fail(std::move(plan.error()).within(fmt::format("database '{}'", session->database)));
  Explained explained{session->database, std::move(*plan), {}};
  if (explained.plan.generic)
    explained.note =
        "values of the statement were removed: this is the plan for any values, not the one that ran";
  return explained;
}

std::string explained_json(const Explained& explained) {
  const sql::Plan& plan = explained.plan;
  const sql::PlanNode* worst = sql::worst_scan(plan);
  return fmt::format(
      R"({{"database":{},"note":{},"plan":{{"dialect":"{}","generic":{},"analyzed":{},"statement":{},)"
      R"("planning_ms":{},"execution_ms":{},"nodes":{}}},"worst_scan":{},"text":{}}})",
      perf::json_text(explained.database), optional_text(explained.note), plan.dialect, plan.generic,
      plan.analyzed, perf::json_text(plan.statement), optional_number(plan.planning_ms),
      optional_number(plan.execution_ms), nodes_json(plan),
      worst == nullptr ? std::string("null") : fmt::format("{}", worst - plan.nodes.data()),
      perf::json_text(sql::plan_text(plan)));
}

void add_explain_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("explain", "The plan of a stored statement, asked of its database");
  command->group("Questions");
  command->footer(
      "[perf.databases] of headroom.toml names the databases. Nothing is run without --analyze, which takes "
      "a\n"
      "SELECT that changes nothing, in a read-only transaction that is rolled back.\n\n"
      "Examples:\n  headroom explain 71 3\n  headroom explain 71 3 --analyze --timeout 20s\n"
      "  headroom explain 71 --fingerprint 2ab1f00c --url sqlite:///var/lib/tryton/shop.sqlite");
  auto request = std::make_shared<ExplainRequest>();
  auto timeout = std::make_shared<std::string>("5s");
  command->add_option("session", request->session, "any unique beginning of a session, or database/beginning")
      ->required();
  command->add_option("rank", request->rank, "number of the slow statement, as 'headroom query' lists them");
  command->add_option("--fingerprint", request->fingerprint,
                      "in place of a rank: of any statement of the session");
  command->add_flag("--analyze", request->options.analyze, "run the statement and measure (PostgreSQL)");
  command->add_option("--timeout", *timeout, "the database's time (5s, at most 5m)");
  command->add_option("--url", request->url,
                      "postgresql://... or sqlite:///path, in place of the configuration's");
  command->callback([&invocation, request, timeout] {
    invocation.run = [request, timeout](Invocation& run) -> Result<Exit> {
      const auto span = base::parse_duration(*timeout);
      const bool accepted = span && *span >= std::chrono::milliseconds{1} && *span <= std::chrono::minutes{5};
      if (!accepted) {
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("--timeout '{}': expected a span from 1ms to 5m", *timeout));
      }
      request->options.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(*span);
      return run_explain(*request, run);
    };
  });
}

}  // namespace headroom::cli
