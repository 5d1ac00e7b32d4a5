#include "worklist/plan.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "worklist/impl/key.hpp"
#include "worklist/impl/merge.hpp"
#include "worklist/impl/statements.hpp"

namespace headroom::worklist {

namespace {

using base::fail;

constexpr std::array<std::string_view, 4> kWays{"each", "join", "cells", "merged"};
/// Of one grouping: more columns make more cells, and SQLite joins at most 64 tables.
constexpr std::size_t kMostKeys = 16;
/// Of one statement: SQLite unites at most 500 SELECTs.
constexpr std::size_t kMostShapes = 50;

const WorkList& definition(const Question& question, const PlannedList& list) {
  return question.definitions.lists[list.list];
}

const Catalog& catalog_of(const Question& question, const PlannedList& list) {
  return question.definitions.catalogs[definition(question, list).catalog];
}

void set_aside(PlannedList& list, Fate fate, std::string why) {
  list.fate = fate;
  list.why = std::move(why);
}

bool is_counted(const PlannedList& list) {
  return list.fate == Fate::kCounted;
}

// Passes of all ways
// ---------------------------------------------------------------------------------------------------------

Result<void> apply_guards(const Question& question, Plan& plan) {
  for (std::size_t i = 0; i < question.definitions.lists.size(); ++i) {
    PlannedList list;
    list.list = i;
    std::string why = refusal(question.definitions.lists[i].guard, question.user);
    if (!why.empty()) set_aside(list, Fate::kHidden, std::move(why));
    plan.lists.push_back(std::move(list));
  }
  return {};
}

Result<void> fix_dates(const Question& question, Plan& plan) {
  for (PlannedList& list : plan.lists) {
    if (!is_counted(list)) continue;
    const Catalog& catalog = catalog_of(question, list);
    for (const Criterion& criterion : definition(question, list).criteria)
      list.tests.push_back(resolve(catalog.columns[criterion.column].type, criterion, question.now));
  }
  return {};
}

Result<void> drop_impossible(const Question& question, Plan& plan) {
  for (PlannedList& list : plan.lists) {
    if (!is_counted(list)) continue;
    for (const ColumnTest& test : list.tests) {
      const Column& column = catalog_of(question, list).columns[test.column];
      if (!is_possible(column.type, test))
        set_aside(list, Fate::kZero, fmt::format("no value of {} can meet its criterion now", column.name));
    }
  }
  return {};
}

Result<void> find_scopes(const Question& question, Plan& plan) {
  std::map<std::pair<std::size_t, std::set<std::string>>, Scope> scopes;  // by catalog and roles
  for (PlannedList& list : plan.lists) {
    if (!is_counted(list)) continue;
    const WorkList& meant = definition(question, list);
    const auto [known, added] = scopes.try_emplace({meant.catalog, meant.roles});
    if (added) {
      auto scope = scope_of(catalog_of(question, list), meant.roles, question.user);
      if (!scope) return fail(scope.error());
      known->second = std::move(*scope);
    }
    list.scope = known->second;
    if (!list.scope.everything && list.scope.grants.empty())
      set_aside(list, Fate::kZero, "nothing lets the user see a document of it");
  }
  return {};
}

// Passes of each way
// ---------------------------------------------------------------------------------------------------------

Result<void> state_each(const Question& question, Plan& plan) {
  for (std::size_t i = 0; i < plan.lists.size(); ++i) {
    if (!is_counted(plan.lists[i])) continue;
    plan.statements.push_back(impl::count_statement(question, plan.lists[i]));
    plan.statements.back().list = i;
  }
  return {};
}

std::set<std::size_t> columns_of(const PlannedList& list) {
  std::set<std::size_t> columns;
  for (const ColumnTest& test : list.tests) columns.insert(test.column);
  return columns;
}

/// A group under way: the columns of its lists, and the sets of columns that they have.
struct Draft {
  std::set<std::size_t> columns;
  std::set<std::set<std::size_t>> shapes;

  [[nodiscard]] bool takes(const std::set<std::size_t>& more) const {
    std::set<std::size_t> all = columns;
    all.insert(more.begin(), more.end());
    return all.size() <= kMostKeys && (shapes.contains(more) || shapes.size() < kMostShapes);
  }
  void add(const std::set<std::size_t>& more) {
    columns.insert(more.begin(), more.end());
    shapes.insert(more);
  }
};

Result<void> make_groups(const Question& question, Plan& plan) {
  std::vector<Draft> drafts;
  for (std::size_t i = 0; i < plan.lists.size(); ++i) {
    const PlannedList& list = plan.lists[i];
    if (!is_counted(list)) continue;
    const std::size_t catalog = definition(question, list).catalog;
    const auto columns = columns_of(list);
    std::size_t place = 0;
    for (; place < plan.groups.size(); ++place) {
      const Group& group = plan.groups[place];
      if (group.catalog == catalog && group.scope == list.scope && drafts[place].takes(columns)) break;
    }
    if (place == plan.groups.size()) {
      plan.groups.push_back({catalog, list.scope, {}, {}, {}, {}, {}});
      drafts.emplace_back();
    }
    plan.groups[place].lists.push_back(i);
    drafts[place].add(columns);
  }
  return {};
}

const ColumnTest* test_of(const PlannedList& list, std::size_t column) {
  for (const ColumnTest& test : list.tests) {
    if (test.column == column) return &test;
  }
  return nullptr;
}

Key make_key(const Plan& plan, const Group& group, std::size_t column, const Column& meant) {
  std::vector<const ColumnTest*> tests;
  for (const std::size_t list : group.lists) {
    const ColumnTest* test = test_of(plan.lists[list], column);
    if (test != nullptr) tests.push_back(test);
  }
  return impl::key_of(column, meant, tests);
}

Result<void> make_keys(const Question& question, Plan& plan) {
  for (Group& group : plan.groups) {
    std::set<std::size_t> columns;
    for (const std::size_t list : group.lists) columns.merge(columns_of(plan.lists[list]));
    const Catalog& catalog = question.definitions.catalogs[group.catalog];
    for (const std::size_t column : columns)
      group.keys.push_back(make_key(plan, group, column, catalog.columns[column]));
  }
  return {};
}

/// What a key says of the lists of a shape.
std::vector<Member> members_of(const Plan& plan, const Shape& shape, const Key& key) {
  std::vector<Member> members;
  for (const std::size_t list : shape.lists) {
    const std::size_t test = key.tests.at(*test_of(plan.lists[list], key.column));
    for (const ClassId id : key.classes.accepted[test]) members.push_back({list, id});
  }
  return members;
}

Result<void> make_shapes(const Question& /*question*/, Plan& plan) {
  for (Group& group : plan.groups) {
    std::map<std::vector<std::size_t>, std::vector<std::size_t>> lists_of;
    for (const std::size_t list : group.lists) {
      std::vector<std::size_t> keys;
      for (std::size_t i = 0; i < group.keys.size(); ++i) {
        if (test_of(plan.lists[list], group.keys[i].column) != nullptr) keys.push_back(i);
      }
      lists_of[keys].push_back(list);
    }
    for (auto& [keys, lists] : lists_of) {
      Shape shape{keys, std::move(lists), {}};
      for (const std::size_t key : shape.keys)
        shape.members.push_back(members_of(plan, shape, group.keys[key]));
      group.shapes.push_back(std::move(shape));
    }
  }
  return {};
}

Result<void> state_joins(const Question& question, Plan& plan) {
  for (const Group& group : plan.groups) plan.statements.push_back(impl::join_statement(question, group));
  return {};
}

Result<void> state_cells(const Question& question, Plan& plan) {
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    plan.statements.push_back(impl::cells_statement(question, plan.groups[i]));
    plan.statements.back().group = i;
  }
  return {};
}

Result<void> state_merged(const Question& question, Plan& plan) {
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    plan.statements.push_back(impl::merged_statement(question, plan.groups[i]));
    plan.statements.back().group = i;
  }
  return {};
}

// What they did
// ---------------------------------------------------------------------------------------------------------

std::string show_fate(const Question& question, const Plan& plan, Fate fate) {
  std::string text;
  for (const PlannedList& list : plan.lists) {
    if (list.fate == fate) text += fmt::format("{}: {}\n", definition(question, list).key(), list.why);
  }
  return text;
}

std::string show_hidden(const Question& question, const Plan& plan) {
  return show_fate(question, plan, Fate::kHidden);
}

std::string show_zero(const Question& question, const Plan& plan) {
  return show_fate(question, plan, Fate::kZero);
}

std::string show_tests(const Question& question, const Plan& plan) {
  std::string text;
  for (const PlannedList& list : plan.lists) {
    if (!is_counted(list)) continue;
    std::string tests;
    for (const ColumnTest& test : list.tests) {
      const Column& column = catalog_of(question, list).columns[test.column];
      tests += (tests.empty() ? "" : " and ") + to_text(column.type, column.name, test);
    }
    text += fmt::format("{}: {}\n", definition(question, list).key(), tests);
  }
  return text;
}

std::string show_scope(const Catalog& catalog, const Scope& scope) {
  if (scope.everything) return "every document";
  std::string text;
  for (const Grant& grant : scope.grants) {
    const SecurityColumn& security = catalog.security[grant.security];
    const Column& column = catalog.columns[security.column];
    text += fmt::format("{}{} {}", text.empty() ? "" : ", else ", column.name,
                        security.role.empty() ? fmt::format("one of {} security uids", grant.values.size())
                                              : to_text(column.type, grant.values.front()));
    if (grant.held) {
      const Column& holder = catalog.columns[catalog.holders[grant.held->holder].column];
      text += fmt::format(" and {} {}", holder.name, to_text(holder.type, grant.held->user));
    }
  }
  return text;
}

std::string show_scopes(const Question& question, const Plan& plan) {
  std::string text;
  for (const PlannedList& list : plan.lists) {
    if (!is_counted(list)) continue;
    text += fmt::format("{}: {}\n", definition(question, list).key(),
                        show_scope(catalog_of(question, list), list.scope));
  }
  return text + show_zero(question, plan);
}

std::string show_groups(const Question& question, const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    const Catalog& catalog = question.definitions.catalogs[group.catalog];
    text += fmt::format("group {}: {} lists of catalog {}, {}\n", i, group.lists.size(), catalog.name,
                        show_scope(catalog, group.scope));
  }
  return text;
}

std::string show_keys(const Question& question, const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Catalog& catalog = question.definitions.catalogs[plan.groups[i].catalog];
    for (const Key& key : plan.groups[i].keys) {
      text += fmt::format("group {}: {} in {} classes, {} named values, grouped by {}\n", i,
                          catalog.columns[key.column].name, key.classes.classes,
                          key.classes.cuts.size() + key.classes.prefixes.size(),
                          key.as_it_is ? "its values" : "these classes");
    }
  }
  return text;
}

std::string show_shapes(const Question& question, const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Catalog& catalog = question.definitions.catalogs[plan.groups[i].catalog];
    for (const Shape& shape : plan.groups[i].shapes) {
      std::string columns;
      std::size_t members = 0;
      for (std::size_t k = 0; k < shape.keys.size(); ++k) {
        columns += (k == 0 ? "" : ", ") + catalog.columns[plan.groups[i].keys[shape.keys[k]].column].name;
        members += shape.members[k].size();
      }
      text += fmt::format("group {}: {} lists by {}, {} pairs of list and class\n", i, shape.lists.size(),
                          columns, members);
    }
  }
  return text;
}

std::string show_statements(const Question& question, const Plan& plan) {
  std::string text;
  for (const Statement& statement : plan.statements) {
    if (statement.list) text += definition(question, plan.lists[*statement.list]).key() + ":\n";
    text += fmt::format("{}\n{} bound values\n", statement.text, statement.parameters.size());
  }
  return text;
}

/// Those of the note, by its steps.
std::vector<Pass> merging_passes() {
  const auto nothing = [](const Question&, Plan&) { return Result<void>{}; };
  return {
      {"extract", "what is asked of each column: by a list, and by each column that shows its documents",
       impl::extract_parts, impl::show_parts},
      {"criteria", "lists that ask about the same columns go together", impl::group_by_criteria,
       impl::show_criteria},
      {"nest", "the column with the most shared test is asked first", impl::nest_conditions,
       impl::show_nesting},
      {"dispatch", "by what rows are grouped, so that each finds its lists", impl::make_dispatch,
       impl::show_dispatch},
      {"merged", "a statement for each group, whose rows are added up here", state_merged, show_statements},
      {"actions", "lists with a count, by workflow and id", nothing, impl::show_actions}};
}

}  // namespace

std::string_view name(Way way) {
  return kWays[static_cast<std::size_t>(way)];
}

Result<Way> parse_way(std::string_view text) {
  for (std::size_t i = 0; i < kWays.size(); ++i) {
    if (kWays[i] == text) return static_cast<Way>(i);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("unknown way '{:.60}'; accepted: {}", text, fmt::join(kWays, ", ")));
}

std::vector<Pass> first_passes() {
  return {{"guard", "lists whose guard refuses the user are hidden", apply_guards, show_hidden},
          {"dates", "today and now become dates and times", fix_dates, show_tests},
          {"impossible", "what no value can meet now is 0", drop_impossible, show_zero},
          {"scope", "which documents of each list the user may see", find_scopes, show_scopes}};
}

std::vector<Pass> passes_of(Way way) {
  std::vector<Pass> passes = first_passes();
  if (way == Way::kEach) {
    passes.push_back({"each", "a statement for each list", state_each, show_statements});
    return passes;
  }
  if (way == Way::kMerged) {
    for (Pass& pass : merging_passes()) passes.push_back(std::move(pass));
    return passes;
  }
  passes.push_back({"group", "lists of one catalog and one scope go together", make_groups, show_groups});
  passes.push_back({"keys", "the columns to group by, and classes of their values", make_keys, show_keys});
  if (way == Way::kCells) {
    passes.push_back(
        {"cells", "a statement for each group, whose rows are added up here", state_cells, show_statements});
    return passes;
  }
  passes.push_back({"shapes", "which classes belong to which list", make_shapes, show_shapes});
  passes.push_back({"join", "a statement for each group", state_joins, show_statements});
  return passes;
}

Result<Plan> make_plan(const Question& question) {
  return make_plan(question, passes_of(question.way));
}

Result<Plan> make_plan(const Question& question, const std::vector<Pass>& passes) {
  Plan plan;
  for (const Pass& pass : passes) {
    if (auto done = pass.run(question, plan); !done)
      return fail(std::move(done.error()).within(fmt::format("pass {}", pass.name)));
  }
  return plan;
}

Result<ExplainedPlan> explain_plan(const Question& question) {
  ExplainedPlan explained;
  for (const Pass& pass : passes_of(question.way)) {
    if (auto done = pass.run(question, explained.plan); !done)
      return fail(std::move(done.error()).within(fmt::format("pass {}", pass.name)));
    explained.notes.push_back({pass.name, pass.purpose, pass.show(question, explained.plan)});
  }
  return explained;
}

}  // namespace headroom::worklist
