#include "headroom/worklist_plan.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "sql/utf8.hpp"
#include "worklist/cost.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;
using worklist::Choice;
using worklist::Definitions;
using worklist::Fate;

namespace {

/// Lists of the definitions, and what is known of counting them.
struct Planned {
  std::vector<std::size_t> lists;  ///< of the definitions
  std::vector<worklist::CatalogSize> sizes;
  Choice choice;  ///< for all of them
  worklist::Way way = worklist::Way::kJoin;
  worklist::ExplainedPlan explained;  ///< in that way
  /// By list: what it costs by itself. Without costs where it is not counted.
  std::vector<Choice> alone;
};

/// The list that is asked for, or all.
Result<std::vector<std::size_t>> lists_of(const Definitions& definitions, const WorklistPlanWish& wish) {
  std::vector<std::size_t> lists(definitions.lists.size());
  for (std::size_t i = 0; i < lists.size(); ++i) lists[i] = i;
  if (wish.list.empty()) return lists;
  const auto found = definitions.find_list(wish.list);
  if (!found) return fail(found.error());
  return std::vector<std::size_t>{*found};
}

/// With all catalogs, so that what is known of these has the same places.
Definitions only(const Definitions& definitions, const std::vector<std::size_t>& lists) {
  Definitions part{definitions.file, definitions.catalogs, {}, definitions.users};
  for (const std::size_t list : lists) part.lists.push_back(definitions.lists[list]);
  return part;
}

/// Each list by itself.
Result<std::vector<Choice>> choose_alone(const worklist::Question& all, const worklist::Plan& plan,
                                         const std::vector<worklist::CatalogSize>& sizes,
                                         const std::set<worklist::Way>& allowed) {
  Definitions one = only(all.definitions, {});
  std::vector<Choice> choices(plan.lists.size());
  for (std::size_t i = 0; i < plan.lists.size(); ++i) {
    if (plan.lists[i].fate != Fate::kCounted) continue;
    one.lists.assign(1, all.definitions.lists[plan.lists[i].list]);
    auto choice = worklist::choose_way({one, all.user, all.now, all.dialect}, sizes, allowed);
    if (!choice) return fail(std::move(choice.error()).within(one.lists.front().key()));
    choices[i] = std::move(*choice);
  }
  return choices;
}

std::string_view name_of(Fate fate) {
  if (fate == Fate::kCounted) return "counted";
  return fate == Fate::kHidden ? "hidden" : "zero";
}

json ways_json(const Choice& choice) {
  json ways = json::array();
  for (const worklist::WayCost& cost : choice.costs) {
    ways.push_back({{"way", name(cost.way)},
                    {"allowed", cost.allowed},
                    {"statements", cost.statements},
                    {"documents", cost.documents},
                    {"ms", cost.milliseconds}});
  }
  return ways;
}

std::string cut(const std::string& text) {
  const std::string_view shown = sql::cut_utf8(text, kMostPlanText);
  if (shown.size() == text.size()) return text;
  return fmt::format("{}\n... {} bytes more", shown, text.size() - shown.size());
}

json list_json(const Definitions& definitions, const Planned& plan, std::size_t place,
               const std::string& not_live) {
  const worklist::WorkList& list = definitions.lists[plan.lists[place]];
  const worklist::PlannedList& planned = plan.explained.plan.lists[place];
  const Choice& choice = plan.alone[place];
  json body{{"list", list.key()},
            {"catalog", definitions.catalogs[list.catalog].name},
            {"fate", name_of(planned.fate)},
            {"why", planned.why},
            {"live", not_live.empty()},
            {"not_live", not_live},
            {"way", nullptr},
            {"ways", ways_json(choice)}};
  if (planned.fate == Fate::kCounted) body["way"] = name(choice.way);
  return body;
}

json statements_json(const worklist::Plan& plan) {
  json statements = json::array();
  const std::size_t most = std::min(plan.statements.size(), kMostPlanStatements);
  for (std::size_t i = 0; i < most; ++i) {
    const worklist::Statement& one = plan.statements[i];
    statements.push_back({{"text", cut(one.text)}, {"values", one.parameters.size()}});
  }
  return statements;
}

json to_json(const Definitions& definitions, const Planned& plan, const std::vector<std::string>& not_live) {
  json catalogs = json::array();
  for (std::size_t i = 0; i < plan.sizes.size(); ++i) {
    json documents = nullptr;
    if (plan.sizes[i].documents) documents = *plan.sizes[i].documents;
    catalogs.push_back({{"catalog", definitions.catalogs[i].name}, {"documents", std::move(documents)}});
  }
  json lists = json::array();
  for (std::size_t i = 0; i < plan.lists.size(); ++i)
    lists.push_back(list_json(definitions, plan, i, not_live[plan.lists[i]]));
  json passes = json::array();
  for (const worklist::PassNote& note : plan.explained.notes)
    passes.push_back({{"pass", note.name}, {"purpose", note.purpose}, {"text", cut(note.text)}});
  return {{"chosen", name(plan.choice.way)},
          {"why", plan.choice.why},
          {"ways", ways_json(plan.choice)},
          {"catalogs", std::move(catalogs)},
          {"lists", std::move(lists)},
          {"way", name(plan.way)},
          {"passes", std::move(passes)},
          {"statements", statements_json(plan.explained.plan)},
          {"statements_total", plan.explained.plan.statements.size()}};
}

}  // namespace

Result<json> plan_worklists(sql::Reader& reader, const Definitions& definitions,
                            const std::vector<std::string>& not_live, const worklist::User& user,
                            const std::set<worklist::Way>& allowed, const WorklistPlanWish& wish) {
  if (wish.way && !allowed.contains(*wish.way))
    return fail(ErrorCode::kDenied, fmt::format("the site does not allow the way {}", name(*wish.way)));
  Planned plan;
  auto lists = lists_of(definitions, wish);
  if (!lists) return fail(std::move(lists.error()));
  plan.lists = std::move(*lists);
  auto sizes = worklist::read_sizes(reader, definitions);
  if (!sizes) return fail(std::move(sizes.error()));
  plan.sizes = std::move(*sizes);
  const Definitions part = only(definitions, plan.lists);
  worklist::Question question{part, user, base::utc_now(), reader.dialect()};
  auto choice = worklist::choose_way(question, plan.sizes, allowed);
  if (!choice) return fail(std::move(choice.error()));
  plan.choice = std::move(*choice);
  plan.way = question.way = wish.way.value_or(plan.choice.way);
  auto explained = worklist::explain_plan(question);
  if (!explained) return fail(std::move(explained.error()));
  plan.explained = std::move(*explained);
  auto alone = choose_alone(question, plan.explained.plan, plan.sizes, allowed);
  if (!alone) return fail(std::move(alone.error()));
  plan.alone = std::move(*alone);
  return to_json(definitions, plan, not_live);
}

}  // namespace headroom::cli
