#include "sql/explain.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sql/postgres.hpp"
#include "sql/sqlite.hpp"
#include "sql/token.hpp"

namespace headroom::sql {

namespace {

using base::ErrorCode;
using base::fail;
using nlohmann::json;

constexpr std::size_t kMostNodes = 10'000;
/// What reading a thousand rows or so costs in the planner's units, with its usual settings.
constexpr double kCostOfManyRows = 25;

std::optional<double> number(const json& node, const char* key) {
  const auto found = node.find(key);
  if (found == node.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::string text(const json& node, const char* key) {
  const auto found = node.find(key);
  if (found == node.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return {};
  std::string list;
  for (const json& item : *found) {
    if (item.is_string()) list += (list.empty() ? "" : ", ") + item.get<std::string>();
  }
  return list;
}

void append(std::string& list, std::string_view what, const std::string& value) {
  if (value.empty()) return;
  list += fmt::format("{}{}{}{}", list.empty() ? "" : "; ", what, what.empty() ? "" : " ", value);
}

std::optional<double> times(const std::optional<double>& value, const std::optional<double>& factor) {
  if (!value) return std::nullopt;
  return *value * factor.value_or(1);
}

PlanNode read_node(const json& node, std::uint32_t parent) {
  PlanNode read;
  read.parent = parent;
  read.operation = text(node, "Node Type");
  if (const std::string join = text(node, "Join Type"); !join.empty() && join != "Inner")
    read.operation += fmt::format(" ({})", join);
  read.relation = text(node, "Relation Name");
  if (read.relation.empty()) read.relation = text(node, "CTE Name");
  if (read.relation.empty()) read.relation = text(node, "Function Name");
  read.index = text(node, "Index Name");
  for (const char* key : {"Filter", "Join Filter", "Hash Cond", "Merge Cond"})
    append(read.condition, "", text(node, key));
  append(read.detail, "index", text(node, "Index Cond"));
  append(read.detail, "recheck", text(node, "Recheck Cond"));
  append(read.detail, "sort", text(node, "Sort Key"));
  append(read.detail, "group", text(node, "Group Key"));
  append(read.detail, "sorted by", text(node, "Sort Method"));
  append(read.detail, "", text(node, "Subplan Name"));
  if (const auto removed = number(node, "Rows Removed by Filter"); removed && *removed > 0)
    append(read.detail, "removed by filter:", fmt::format("{:.0f} rows", *removed));
  read.rows = number(node, "Plan Rows");
  read.cost = number(node, "Total Cost");
  read.loops = number(node, "Actual Loops");
  read.actual_rows = times(number(node, "Actual Rows"), read.loops);
  read.actual_ms = times(number(node, "Actual Total Time"), read.loops);
  return read;
}

/// "SCAN t", "SEARCH t USING INDEX i (c=?)": SQLite's words, which are no fixed format.
PlanNode read_detail(const std::string& detail, std::uint32_t parent) {
  PlanNode node;
  node.parent = parent;
  node.operation = detail;
  for (const std::string_view verb : {"SCAN", "SEARCH"}) {
    if (!detail.starts_with(verb) || detail.size() <= verb.size() + 1) continue;
    node.operation = verb;
    const std::string rest = detail.substr(verb.size() + 1);
    const std::size_t end = rest.find(' ');
    node.relation = rest.substr(0, end);
    if (end == std::string::npos) break;
    node.detail = rest.substr(end + 1);
    for (const std::string_view with : {"COVERING INDEX ", "USING INDEX ", "AUTOMATIC INDEX "}) {
      const std::size_t at = node.detail.find(with);
      if (at == std::string::npos) continue;
      const std::string index = node.detail.substr(at + with.size());
      node.index = index.substr(0, index.find(' '));
      break;
    }
  }
  return node;
}

/// SQLite names what a query inside of the statement gives as it names tables: "(subquery-2)", "(join-1)",
/// or, where the statement gives it a name, that one, under which it tells how the rows are made.
bool is_made_by_query(const Plan& plan, const std::string& relation) {
  if (relation.starts_with('(') || relation == "SUBQUERY") return true;
  return std::ranges::any_of(plan.nodes, [&](const PlanNode& node) {
    return node.operation == "CO-ROUTINE " + relation || node.operation == "MATERIALIZE " + relation;
  });
}

/// "SCAN CONSTANT ROW", "SCAN 3 CONSTANT ROWS": what stands in the statement.
bool is_constant(const PlanNode& node) {
  return node.relation == "CONSTANT" || node.detail.starts_with("CONSTANT ROW");
}

bool is_scan(const Plan& plan, const PlanNode& node) {
  if (plan.dialect == "sqlite") {
    return node.operation == "SCAN" && node.index.empty() &&
           node.detail.find("VIRTUAL") == std::string::npos && !is_constant(node) &&
           !is_made_by_query(plan, node.relation);
  }
  return node.operation.find("Seq Scan") != std::string::npos;
}

/// How much a scan reads: PostgreSQL says what comes out of it, and only its cost grows with what goes in.
double weight(const PlanNode& node) {
  return node.cost.value_or(0);
}

std::string describe(const PlanNode& node) {
  std::string line = node.operation;
  if (!node.relation.empty()) line += fmt::format(" on {}", node.relation);
  if (!node.index.empty()) line += fmt::format(" using {}", node.index);
  if (node.rows) line += fmt::format("  rows {:.0f}", *node.rows);
  if (node.cost) line += fmt::format("  cost {:.1f}", *node.cost);
  if (node.actual_ms)
    line += fmt::format("  actual {:.0f} rows in {:.3f} ms", node.actual_rows.value_or(0), *node.actual_ms);
  if (!node.condition.empty()) line += fmt::format("  {}", node.condition);
  if (!node.detail.empty()) line += fmt::format("  [{}]", node.detail);
  return line;
}

}  // namespace

Result<Plan> parse_postgres_plan(std::string_view text_of_plan) {
  const json answer = json::parse(text_of_plan.begin(), text_of_plan.end(), nullptr, false);
  const bool known =
      answer.is_array() && !answer.empty() && answer[0].is_object() && answer[0].contains("Plan");
  if (!known) return fail(ErrorCode::kProtocol, "the database's answer is no plan");
  Plan plan;
  plan.dialect = "postgresql";
  plan.planning_ms = number(answer[0], "Planning Time");
  plan.execution_ms = number(answer[0], "Execution Time");
  std::vector<std::pair<const json*, std::uint32_t>> open{{&answer[0]["Plan"], 0}};
  while (!open.empty() && plan.nodes.size() < kMostNodes) {
    const auto [node, parent] = open.back();
    open.pop_back();
    if (!node->is_object()) return fail(ErrorCode::kProtocol, "the database's answer is no plan");
    const auto place = static_cast<std::uint32_t>(plan.nodes.size());
    plan.nodes.push_back(read_node(*node, parent));
    const auto below = node->find("Plans");
    if (below == node->end() || !below->is_array()) continue;
    for (auto child = below->rbegin(); child != below->rend(); ++child) open.emplace_back(&*child, place);
  }
  return plan;
}

std::vector<std::string> functions_of_plan(std::string_view text_of_plan) {
  const json answer = json::parse(text_of_plan.begin(), text_of_plan.end(), nullptr, false);
  std::set<std::string> functions;
  std::vector<const json*> open{&answer};
  while (!open.empty()) {
    const json& node = *open.back();
    open.pop_back();
    if (node.is_structured()) {
      for (const json& item : node) open.push_back(&item);
      if (node.is_object() && node.contains("Function Name")) functions.insert(text(node, "Function Name"));
    } else if (node.is_string()) {
      const auto expression = node.get<std::string>();
      const auto tokens = tokenize(expression);
      for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        const bool name = tokens[i].kind == TokenKind::kWord || tokens[i].kind == TokenKind::kIdentifier;
        if (name && tokens[i + 1].is('(')) functions.insert(catalog_name(tokens[i]));
      }
    }
  }
  return {functions.begin(), functions.end()};
}

Plan parse_sqlite_plan(const std::vector<SqlitePlanRow>& rows) {
  Plan plan;
  plan.dialect = "sqlite";
  PlanNode root;
  root.operation = "QUERY PLAN";
  plan.nodes.push_back(root);
  std::map<std::int64_t, std::uint32_t> places;
  for (const SqlitePlanRow& row : rows) {
    if (plan.nodes.size() == kMostNodes) break;
    const auto parent = places.find(row.parent);
    places[row.id] = static_cast<std::uint32_t>(plan.nodes.size());
    plan.nodes.push_back(read_detail(row.detail, parent == places.end() ? 0 : parent->second));
  }
  return plan;
}

const PlanNode* worst_scan(const Plan& plan) {
  const PlanNode* worst = nullptr;
  for (const PlanNode& node : plan.nodes) {
    if (!is_scan(plan, node)) continue;
    const bool many = plan.dialect == "sqlite" || weight(node) >= kCostOfManyRows;
    if (many && (worst == nullptr || weight(node) > weight(*worst))) worst = &node;
  }
  return worst;
}

std::string plan_text(const Plan& plan) {
  std::vector<std::size_t> depth(plan.nodes.size());
  std::string lines;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    if (i > 0) depth[i] = depth[plan.nodes[i].parent] + 1;
    lines += std::string(2 * std::min<std::size_t>(depth[i], 60), ' ') + describe(plan.nodes[i]) + "\n";
  }
  if (plan.planning_ms) lines += fmt::format("planning {:.3f} ms", *plan.planning_ms);
  if (plan.execution_ms) lines += fmt::format(", execution {:.3f} ms", *plan.execution_ms);
  if (plan.planning_ms) lines += "\n";
  return lines;
}

Result<Plan> explain(const std::string& url, const ExplainQuestion& question, const ExplainOptions& options) {
  constexpr std::string_view kSqlite = "sqlite://";
  if (url.starts_with(kSqlite)) return explain_in_sqlite(url.substr(kSqlite.size()), question, options);
  if (url.starts_with("postgresql://") || url.starts_with("postgres://"))
    return explain_in_postgres(url, question, options);
  return fail(ErrorCode::kInvalidArgument, "the database's URL must begin with postgresql:// or sqlite:///");
}

}  // namespace headroom::sql
