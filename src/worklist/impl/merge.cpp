#include "worklist/impl/merge.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "worklist/impl/key.hpp"

namespace headroom::worklist::impl {

namespace {

/// Comparisons of one statement; each binds up to four values, and SQLite takes 32,766 of them.
constexpr std::size_t kMostTests = 5'000;
/// Values that are told one by one.
constexpr std::size_t kMostShown = 8;

using TestPointer = std::shared_ptr<const ColumnTest>;
using Tests = std::map<std::size_t, TestPointer>;  ///< by column

const Catalog& catalog_of(const Question& question, const PlannedList& list) {
  return question.definitions.catalogs[question.definitions.lists[list.list].catalog];
}

std::string name_of(const Question& question, const PlannedList& list) {
  return question.definitions.lists[list.list].key();
}

// What is asked of a column twice
// ---------------------------------------------------------------------------------------------------------

bool takes_null(const ColumnTest& test) {
  return holds(test, Value{}) == Truth::kTrue;
}

using Values = std::vector<Value>;

Values united(const Values& left, const Values& right) {
  Values values;
  std::set_union(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(values));
  return values;
}

Values intersected(const Values& left, const Values& right) {
  Values values;
  std::set_intersection(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(values));
  return values;
}

Values without(const Values& left, const Values& right) {
  Values values;
  std::set_difference(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(values));
  return values;
}

/// Sets of values become one; other tests stay.
std::vector<Test> both_of(const std::vector<Test>& left, const std::vector<Test>& right) {
  std::vector<Test> tests;
  std::optional<Values> in;
  std::optional<Values> not_in;
  for (const auto* side : {&left, &right}) {
    for (const Test& test : *side) {
      if (test.operation == Operator::kIn) {
        in = in ? intersected(*in, test.values) : test.values;
      } else if (test.operation == Operator::kNotIn) {
        not_in = not_in ? united(*not_in, test.values) : test.values;
      } else if (std::find(tests.begin(), tests.end(), test) == tests.end()) {
        tests.push_back(test);
      }
    }
  }
  if (in) tests.push_back({Operator::kIn, not_in ? without(*in, *not_in) : *in});
  if (!in && not_in) tests.push_back({Operator::kNotIn, *not_in});
  return tests;
}

/// False when nothing can meet both.
bool ask(const Catalog& catalog, Tests& tests, const TestPointer& more) {
  const std::size_t column = more->column;
  const auto [known, added] = tests.emplace(column, more);
  if (added || *known->second == *more) return true;
  const bool null = takes_null(*known->second) && takes_null(*more);
  ColumnTest both{column, both_of(known->second->tests, more->tests), null};
  const auto never = [](const Test& test) {
    return test.operation == Operator::kNull || (test.operation == Operator::kIn && test.values.empty());
  };
  if (std::any_of(both.tests.begin(), both.tests.end(), never)) {
    if (!null) return false;
    both = {column, {{Operator::kNull, {}}}, false};
  }
  known->second = std::make_shared<const ColumnTest>(std::move(both));
  return is_possible(catalog.columns[column].type, *known->second);
}

// Parts
// ---------------------------------------------------------------------------------------------------------

TestPointer is_one_of(std::size_t column, const Values& values) {
  return std::make_shared<const ColumnTest>(ColumnTest{column, {{Operator::kIn, values}}, false});
}

TestPointer is_none_of(std::size_t column, const Values& values) {
  return std::make_shared<const ColumnTest>(ColumnTest{column, {{Operator::kNotIn, values}}, true});
}

TestPointer granted(const Catalog& catalog, const Grant& grant) {
  return is_one_of(catalog.security[grant.security].column, grant.values);
}

TestPointer not_granted(const Catalog& catalog, const Grant& grant) {
  return is_none_of(catalog.security[grant.security].column, grant.values);
}

TestPointer held(const Catalog& catalog, const HeldBy& by) {
  return is_one_of(catalog.holders[by.holder].column, {by.user});
}

TestPointer not_held(const Catalog& catalog, const HeldBy& by) {
  return is_none_of(catalog.holders[by.holder].column, {by.user});
}

/// Adds what can meet all of `asked` as well.
void add_if_possible(const Catalog& catalog, Tests tests, std::span<const TestPointer> asked,
                     std::vector<Tests>& kept) {
  const bool possible = std::all_of(asked.begin(), asked.end(),
                                    [&](const TestPointer& test) { return ask(catalog, tests, test); });
  if (possible) kept.push_back(std::move(tests));
}

/// What a grant that came before does not show: its column does not grant; or, where another column has to
/// hold the user, that one does not, or it does and the first one does not grant.
std::vector<Tests> not_shown_by(const Catalog& catalog, const std::vector<Tests>& alternatives,
                                const Grant& before) {
  std::vector<std::vector<TestPointer>> either{{not_granted(catalog, before)}};
  if (before.held) {
    either.front().push_back(held(catalog, *before.held));
    either.push_back({not_held(catalog, *before.held)});
  }
  std::vector<Tests> kept;
  for (const Tests& tests : alternatives) {
    for (const std::vector<TestPointer>& asked : either) add_if_possible(catalog, tests, asked, kept);
  }
  return kept;
}

/// What a scope shows: none of its documents meets two of them.
std::vector<Tests> disjoint(const Catalog& catalog, const Scope& scope) {
  if (scope.everything) return {Tests{}};
  std::vector<Tests> shown;
  for (std::size_t i = 0; i < scope.grants.size(); ++i) {
    const Grant& grant = scope.grants[i];
    std::vector<TestPointer> asked{granted(catalog, grant)};
    if (grant.held) asked.push_back(held(catalog, *grant.held));
    std::vector<Tests> alternatives;
    add_if_possible(catalog, {}, asked, alternatives);
    for (std::size_t before = 0; before < i; ++before)
      alternatives = not_shown_by(catalog, alternatives, scope.grants[before]);
    std::move(alternatives.begin(), alternatives.end(), std::back_inserter(shown));
  }
  return shown;
}

/// Lists of one scope share what it becomes.
class Scopes final {
 public:
  const std::vector<Tests>& disjoint_of(const Catalog& catalog, const Scope& scope) {
    for (const Known& known : known_) {
      if (known.catalog == &catalog && *known.scope == scope) return known.tests;
    }
    known_.push_back({&catalog, &scope, disjoint(catalog, scope)});
    return known_.back().tests;
  }

 private:
  struct Known {
    const Catalog* catalog;
    const Scope* scope;
    std::vector<Tests> tests;
  };
  std::vector<Known> known_;
};

/// True when there is one.
bool add_parts(const Question& question, Plan& plan, std::size_t list, Scopes& scopes) {
  const PlannedList& planned = plan.lists[list];
  const Catalog& catalog = catalog_of(question, planned);
  std::vector<TestPointer> asked;
  for (const ColumnTest& test : planned.tests) asked.push_back(std::make_shared<const ColumnTest>(test));
  std::vector<Tests> possible;
  for (const Tests& shown : scopes.disjoint_of(catalog, planned.scope))
    add_if_possible(catalog, shown, asked, possible);
  for (const Tests& tests : possible) {
    Part part{list, {}};
    for (const auto& [column, test] : tests) part.tests.push_back(test);
    plan.parts.push_back(std::move(part));
  }
  return !possible.empty();
}

// Conditions
// ---------------------------------------------------------------------------------------------------------

/// Shared tests are the same at a glance.
struct Before {
  bool operator()(const ColumnTest* left, const ColumnTest* right) const {
    return left != right && *left < *right;
  }
};

/// Places of Plan::parts, by what they ask.
using Askers = std::map<const ColumnTest*, std::vector<std::size_t>, Before>;

/// Every part of a group asks about the same columns, in the same order: `place` is one of them.
Askers askers_of(const Plan& plan, const std::vector<std::size_t>& parts, std::size_t place) {
  Askers askers;
  for (const std::size_t part : parts) askers[plan.parts[part].tests[place].get()].push_back(part);
  return askers;
}

std::size_t most_alike(const Askers& askers) {
  std::size_t most = 0;
  for (const auto& [test, parts] : askers) most = std::max(most, parts.size());
  return most;
}

/// A test that takes what any of them takes, and those that have to be asked beside it. Values that are left
/// out stay so when every test that leaves any out does, and no other names them.
std::vector<ColumnTest> any_test(const Askers& askers) {
  if (askers.size() == 1) return {*askers.begin()->first};
  ColumnTest all{askers.begin()->first->column, {}, false};
  Values named;
  std::optional<Values> left_out;
  std::vector<ColumnTest> beside;
  for (const auto& [test, parts] : askers) {
    all.or_null = all.or_null || test->or_null;
    const Test& first = test->tests.front();
    const bool is_alone = test->tests.size() == 1;
    if (is_alone && first.operation == Operator::kIn) {
      named.insert(named.end(), first.values.begin(), first.values.end());
    } else if (is_alone && first.operation == Operator::kNotIn) {
      left_out = left_out ? intersected(*left_out, first.values) : first.values;
    } else if (is_alone && first.operation == Operator::kNull) {
      all.or_null = true;
    } else {
      beside.push_back(*test);
    }
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  if (left_out) {
    left_out = without(*left_out, named);
    all.tests.push_back(left_out->empty() ? Test{Operator::kNotNull, {}} : Test{Operator::kNotIn, *left_out});
  } else if (!named.empty()) {
    all.tests.push_back({Operator::kIn, named});
  } else if (all.or_null) {
    all = {all.column, {{Operator::kNull, {}}}, false};
  }
  if (!all.tests.empty()) beside.insert(beside.begin(), all);
  return beside;
}

/// `places` are those that were not asked yet.
std::vector<Branch> nest(const Plan& plan, const std::vector<std::size_t>& parts,
                         std::span<const std::size_t> places) {
  const Askers askers = askers_of(plan, parts, places.front());
  if (places.size() == 1) return {{any_test(askers), {}}};
  std::vector<const Askers::value_type*> sorted;
  for (const auto& one : askers) sorted.push_back(&one);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* left, const auto* right) {
    return left->second.size() > right->second.size();
  });
  std::vector<Branch> branches;
  for (const auto* one : sorted)
    branches.push_back({{*one->first}, nest(plan, one->second, places.subspan(1))});
  return branches;
}

/// The places of a group's columns, the one with the most shared test first; of several the one with the
/// fewest tests.
std::vector<std::size_t> places_by_sharing(const Plan& plan, const Group& group) {
  struct Sharing {
    std::size_t place;
    std::size_t alike;
    std::size_t different;
  };
  std::vector<Sharing> sharing;
  for (std::size_t place = 0; place < plan.parts[group.parts.front()].tests.size(); ++place) {
    const Askers askers = askers_of(plan, group.parts, place);
    sharing.push_back({place, most_alike(askers), askers.size()});
  }
  std::stable_sort(sharing.begin(), sharing.end(), [](const Sharing& left, const Sharing& right) {
    return std::pair(right.alike, left.different) < std::pair(left.alike, right.different);
  });
  std::vector<std::size_t> places;
  for (const Sharing& one : sharing) places.push_back(one.place);
  return places;
}

std::size_t place_of(const Part& part, std::size_t column) {
  const auto found = std::find_if(part.tests.begin(), part.tests.end(),
                                  [column](const TestPointer& test) { return test->column == column; });
  return static_cast<std::size_t>(found - part.tests.begin());
}

bool is_set(const ColumnTest& test) {
  return std::all_of(test.tests.begin(), test.tests.end(), [](const Test& one) {
    return one.operation != Operator::kFrom && one.operation != Operator::kAbove &&
           one.operation != Operator::kTo && one.operation != Operator::kBelow;
  });
}

std::size_t values_of(const ColumnTest& test) {
  std::size_t values = 0;
  for (const Test& one : test.tests) values += one.values.size();
  return values;
}

std::string short_text(const Catalog& catalog, const ColumnTest& test) {
  const Column& column = catalog.columns[test.column];
  if (values_of(test) <= kMostShown) return to_text(column.type, column.name, test);
  return fmt::format("{} {} {} values{}", column.name, name(test.tests.front().operation), values_of(test),
                     test.or_null ? " or null" : "");
}

std::string names_of(const Catalog& catalog, const std::vector<TestPointer>& tests) {
  std::string names;
  for (const TestPointer& test : tests)
    names += (names.empty() ? "" : ", ") + catalog.columns[test->column].name;
  return names;
}

std::string told(const Askers& askers) {
  if (askers.size() == 1) return "all ask the same";
  return fmt::format("{} tests, one of them asked by {}", askers.size(), most_alike(askers));
}

const Catalog& catalog_of(const Question& question, const Group& group) {
  return question.definitions.catalogs[group.catalog];
}

}  // namespace

Result<void> extract_parts(const Question& question, Plan& plan) {
  Scopes scopes;
  for (std::size_t i = 0; i < plan.lists.size(); ++i) {
    PlannedList& list = plan.lists[i];
    if (list.fate != Fate::kCounted || add_parts(question, plan, i, scopes)) continue;
    list.fate = Fate::kZero;
    list.why = "its criteria leave out everything that the user may see";
  }
  return {};
}

std::string show_parts(const Question& question, const Plan& plan) {
  std::string text;
  for (const Part& part : plan.parts) {
    const PlannedList& list = plan.lists[part.list];
    std::string tests;
    for (const TestPointer& test : part.tests)
      tests += (tests.empty() ? "" : " and ") + short_text(catalog_of(question, list), *test);
    text += fmt::format("{}: {}\n", name_of(question, list), tests);
  }
  return text;
}

Result<void> group_by_criteria(const Question& question, Plan& plan) {
  struct Open {
    std::size_t group = 0;
    std::size_t tests = kMostTests;
  };
  std::map<std::pair<std::size_t, std::vector<std::size_t>>, Open> open;
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    const Part& part = plan.parts[i];
    std::vector<std::size_t> columns;
    std::size_t tests = 0;
    for (const TestPointer& test : part.tests) {
      columns.push_back(test->column);
      tests += test->tests.size();
    }
    const std::size_t catalog = question.definitions.lists[plan.lists[part.list].list].catalog;
    Open& last = open[{catalog, std::move(columns)}];
    if (last.tests + tests > kMostTests) {
      last = {plan.groups.size(), 0};
      plan.groups.emplace_back().catalog = catalog;
    }
    last.tests += tests;
    Group& group = plan.groups[last.group];
    group.parts.push_back(i);
    if (group.lists.empty() || group.lists.back() != part.list) group.lists.push_back(part.list);
  }
  return {};
}

std::string show_criteria(const Question& question, const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    const Catalog& catalog = catalog_of(question, group);
    text += fmt::format("group {}: {} lists of catalog {} by {}\n", i, group.lists.size(), catalog.name,
                        names_of(catalog, plan.parts[group.parts.front()].tests));
  }
  return text;
}

Result<void> nest_conditions(const Question& /*question*/, Plan& plan) {
  for (Group& group : plan.groups) {
    const std::vector<std::size_t> places = places_by_sharing(plan, group);
    for (const std::size_t place : places)
      group.order.push_back(plan.parts[group.parts.front()].tests[place]->column);
    group.condition = nest(plan, group.parts, places);
  }
  return {};
}

std::string show_nesting(const Question& question, const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    std::string columns;
    for (const std::size_t column : group.order) {
      const Askers askers = askers_of(plan, group.parts, place_of(plan.parts[group.parts.front()], column));
      columns += fmt::format("{}{} ({})", columns.empty() ? "" : ", then ",
                             catalog_of(question, group).columns[column].name, told(askers));
    }
    text += fmt::format("group {}: {}\n", i, columns);
  }
  return text;
}

Result<void> make_dispatch(const Question& question, Plan& plan) {
  for (Group& group : plan.groups) {
    const Part& first = plan.parts[group.parts.front()];
    for (const std::size_t column : group.order) {
      const std::size_t place = place_of(first, column);
      std::vector<const ColumnTest*> tests;
      for (const std::size_t part : group.parts) tests.push_back(plan.parts[part].tests[place].get());
      const auto differs = [&](const ColumnTest* test) {
        return test != tests.front() && *test != *tests.front();
      };
      if (std::none_of(tests.begin(), tests.end(), differs)) continue;
      group.keys.push_back(key_of(column, catalog_of(question, group).columns[column], tests));
      group.keys.back().by_sets =
          std::all_of(tests.begin(), tests.end(), [](const ColumnTest* test) { return is_set(*test); });
    }
  }
  return {};
}

std::string show_dispatch(const Question& question, const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    std::string keys;
    for (const Key& key : group.keys) {
      keys += fmt::format("{}{} in {} classes{}", keys.empty() ? "" : ", ",
                          catalog_of(question, group).columns[key.column].name, key.classes.classes,
                          key.as_it_is ? " by its values" : "");
    }
    text += fmt::format("group {}: {}\n", i, keys.empty() ? "one row, which all lists take" : keys);
  }
  return text;
}

std::string show_actions(const Question& question, const Plan& plan) {
  std::string text;
  for (const PlannedList& list : plan.lists) {
    const WorkList& meant = question.definitions.lists[list.list];
    if (list.fate == Fate::kCounted)
      text += fmt::format("{}: {}{}{}\n", meant.key(), meant.title, meant.url.empty() ? "" : ", ", meant.url);
  }
  return text;
}

}  // namespace headroom::worklist::impl
