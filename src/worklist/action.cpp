#include "worklist/action.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "worklist/template_text.hpp"

namespace headroom::worklist {

namespace {

/// The values that a list names for a column, in the order of the file.
std::vector<std::string> values_of(const Catalog& catalog, const WorkList& list, std::string_view column,
                                   base::UtcTime now) {
  std::vector<std::string> values;
  for (const Criterion& criterion : list.criteria) {
    const Column& meant = catalog.columns[criterion.column];
    if (meant.name != column) continue;
    for (const Operand& operand : criterion.conditions.front().operands)
      values.push_back(to_text(meant.type, resolve(meant.type, operand, now)));
  }
  return values;
}

/// The parameter that stands at the end of the URL until now: "state:list=".
std::string parameter_of(std::string_view url) {
  const std::size_t start = url.find_last_of("?&");
  return std::string(start == std::string_view::npos ? url : url.substr(start + 1));
}

std::string fill_url(const Catalog& catalog, const WorkList& list, std::uint64_t count, base::UtcTime now) {
  return fill(list.url, [&](std::string_view place, std::string_view before) {
    if (place == "count") return std::to_string(count);
    const std::string parameter = parameter_of(before);
    std::string text;
    for (const std::string& value : values_of(catalog, list, place, now))
      text += (text.empty() ? "" : "&" + parameter) + percent_encoded(value);
    return text;
  });
}

}  // namespace

Action action_of(const Definitions& definitions, std::size_t place, std::uint64_t count, base::UtcTime now) {
  const WorkList& list = definitions.lists[place];
  const Catalog& catalog = definitions.catalogs[list.catalog];
  Action action{list.key(), list.workflow, {}, {}, list.category, count};
  action.name = fill(list.title, [&](std::string_view name, std::string_view /*before*/) {
    if (name == "count") return std::to_string(count);
    return fmt::format("{}", fmt::join(values_of(catalog, list, name, now), ", "));
  });
  action.url = fill_url(catalog, list, count, now);
  return action;
}

}  // namespace headroom::worklist
