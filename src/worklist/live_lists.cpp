#include "worklist/live_lists.hpp"

#include <optional>
#include <utility>

namespace headroom::worklist {

namespace {

using base::fail;

/// The place of a catalog in the part, which gets it with its first list.
std::size_t catalog_in(ListPart& part, std::vector<std::optional<std::size_t>>& places,
                       const Definitions& definitions, std::size_t catalog) {
  if (!places[catalog]) {
    places[catalog] = part.definitions.catalogs.size();
    part.definitions.catalogs.push_back(definitions.catalogs[catalog]);
  }
  return *places[catalog];
}

}  // namespace

ListPart part_of(const Definitions& definitions, const std::vector<bool>& keep) {
  ListPart part;
  part.definitions.file = definitions.file;
  part.definitions.users = definitions.users;
  std::vector<std::optional<std::size_t>> places(definitions.catalogs.size());
  for (std::size_t i = 0; i < definitions.lists.size(); ++i) {
    if (!keep[i]) continue;
    WorkList list = definitions.lists[i];
    list.catalog = catalog_in(part, places, definitions, list.catalog);
    part.definitions.lists.push_back(std::move(list));
    part.lists.push_back(i);
  }
  return part;
}

LiveLists live_lists(const Definitions& definitions) {
  LiveLists split;
  std::vector<bool> live;
  for (const WorkList& list : definitions.lists) {
    const auto checked = check_live(definitions.catalogs[list.catalog]);
    split.why.push_back(checked ? std::string() : checked.error().message());
    live.push_back(checked.has_value());
  }
  split.live = part_of(definitions, live);
  return split;
}

LiveLists no_live_lists(const Definitions& definitions) {
  const std::size_t lists = definitions.lists.size();
  return {part_of(definitions, std::vector<bool>(lists, false)),
          std::vector<std::string>(lists, std::string(kPostgresAlone))};
}

Result<std::vector<Count>> count_live(const LiveSource& source, const Definitions& definitions,
                                      const User& user) {
  std::vector<std::vector<std::uint64_t>> counted;
  for (std::size_t i = 0; i < definitions.catalogs.size(); ++i) {
    const LiveCounters* counters = source.counters(i);
    if (counters == nullptr) return fail(ErrorCode::kUnavailable, "nothing is counted in memory yet");
    auto counts = counters->count(user);
    if (!counts) return fail(std::move(counts.error()));
    counted.push_back(std::move(*counts));
  }
  std::vector<std::size_t> next(definitions.catalogs.size());
  std::vector<Count> counts;
  for (const WorkList& list : definitions.lists) {
    const std::uint64_t number = counted[list.catalog][next[list.catalog]++];
    std::string why = refusal(list.guard, user);
    const bool is_hidden = !why.empty();
    counts.push_back({is_hidden ? 0 : number, is_hidden ? Fate::kHidden : Fate::kCounted, std::move(why)});
  }
  return counts;
}

}  // namespace headroom::worklist
