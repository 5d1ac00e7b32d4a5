#include "worklist/evaluate.hpp"

#include <algorithm>

namespace headroom::worklist {

namespace {

std::vector<ColumnTest> resolve_all(const Catalog& catalog, const WorkList& list, base::UtcTime now) {
  std::vector<ColumnTest> tests;
  for (const Criterion& criterion : list.criteria)
    tests.push_back(resolve(catalog.columns[criterion.column].type, criterion, now));
  return tests;
}

/// WHERE keeps what is TRUE: neither FALSE nor unknown.
bool is_met(const std::vector<ColumnTest>& tests, const std::vector<Value>& row) {
  return std::all_of(tests.begin(), tests.end(), [&row](const ColumnTest& test) {
    return holds(test, row[test.column]) == Truth::kTrue;
  });
}

}  // namespace

Result<std::vector<std::uint64_t>> count_in_memory(const Definitions& definitions,
                                                   const std::vector<Documents>& documents, const User& user,
                                                   base::UtcTime now) {
  std::vector<std::uint64_t> counts;
  for (const WorkList& list : definitions.lists) {
    const Catalog& catalog = definitions.catalogs[list.catalog];
    const auto scope = scope_of(catalog, list.roles, user);
    if (!scope) return base::fail(scope.error());
    std::uint64_t count = 0;
    const auto tests = resolve_all(catalog, list, now);
    const bool shown = refusal(list.guard, user).empty();
    for (const auto& row : documents[list.catalog])
      count += shown && is_visible(catalog, *scope, row) && is_met(tests, row) ? 1U : 0U;
    counts.push_back(count);
  }
  return counts;
}

}  // namespace headroom::worklist
