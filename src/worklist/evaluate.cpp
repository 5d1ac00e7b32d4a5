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

/// The documents that meet a list's criteria, whoever may see them.
std::vector<const std::vector<Value>*> documents_of(const Catalog& catalog, const WorkList& list,
                                                    const Documents& documents, base::UtcTime now) {
  const auto tests = resolve_all(catalog, list, now);
  std::vector<const std::vector<Value>*> met;
  for (const auto& row : documents) {
    if (is_met(tests, row)) met.push_back(&row);
  }
  return met;
}

Result<std::uint64_t> count_visible(const Catalog& catalog, const WorkList& list,
                                    const std::vector<const std::vector<Value>*>& rows, const User& user) {
  const auto scope = scope_of(catalog, list.roles, user);
  if (!scope) return base::fail(scope.error());
  if (!refusal(list.guard, user).empty()) return std::uint64_t{0};
  return static_cast<std::uint64_t>(std::count_if(
      rows.begin(), rows.end(), [&](const auto* row) { return is_visible(catalog, *scope, *row); }));
}

}  // namespace

Result<std::vector<std::vector<std::uint64_t>>> count_in_memory(const Definitions& definitions,
                                                                const std::vector<Documents>& documents,
                                                                std::span<const User> users,
                                                                base::UtcTime now) {
  std::vector<std::vector<std::uint64_t>> counts(users.size());
  for (const WorkList& list : definitions.lists) {
    const Catalog& catalog = definitions.catalogs[list.catalog];
    const auto met = documents_of(catalog, list, documents[list.catalog], now);
    for (std::size_t i = 0; i < users.size(); ++i) {
      const auto count = count_visible(catalog, list, met, users[i]);
      if (!count) return base::fail(count.error());
      counts[i].push_back(*count);
    }
  }
  return counts;
}

Result<std::vector<std::uint64_t>> count_in_memory(const Definitions& definitions,
                                                   const std::vector<Documents>& documents, const User& user,
                                                   base::UtcTime now) {
  auto counts = count_in_memory(definitions, documents, std::span(&user, 1), now);
  if (!counts) return base::fail(counts.error());
  return std::move(counts->front());
}

}  // namespace headroom::worklist
