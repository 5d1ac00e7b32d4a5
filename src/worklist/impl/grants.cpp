#include "worklist/impl/grants.hpp"

namespace headroom::worklist::impl {

namespace {

void add(const Grant& grant, const Level& level, const HeldColumn& column, GrantedCodes& plain,
         GrantedCodes& behind) {
  if (level.is_holder) {
    if (grant.held && grant.held->holder == level.number) plain.add(column.find(grant.held->user));
    return;
  }
  if (grant.security != level.number) return;
  GrantedCodes& granted = grant.held ? behind : plain;
  for (const Value& value : grant.values) granted.add(column.find(value));
}

}  // namespace

std::vector<Level> levels_of(const Catalog& catalog) {
  std::vector<Level> levels;
  for (const bool of_user : {false, true}) {
    for (std::size_t i = 0; i < catalog.security.size(); ++i) {
      if (catalog.security[i].role.empty() != of_user)
        levels.push_back({false, i, catalog.security[i].column});
    }
  }
  for (std::size_t i = 0; i < catalog.holders.size(); ++i)
    levels.push_back({true, i, catalog.holders[i].column});
  return levels;
}

Grants grants_of(const Scope& scope, const std::vector<Level>& levels,
                 const std::vector<HeldColumn>& columns) {
  Grants grants;
  for (const Level& level : levels) {
    const HeldColumn& column = columns[level.column];
    grants.plain.emplace_back(column.codes());
    grants.behind.emplace_back(column.codes());
    for (const Grant& grant : scope.grants)
      add(grant, level, column, grants.plain.back(), grants.behind.back());
  }
  return grants;
}

}  // namespace headroom::worklist::impl
