#include "headroom/worklist_changes.hpp"

#include <nlohmann/json.hpp>

namespace headroom::cli {

std::optional<nlohmann::json> WorklistChanges::take(const worklist::Definitions& definitions,
                                                    const std::vector<worklist::Count>& counts) {
  nlohmann::json changed = nlohmann::json::object();
  told_.resize(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::optional<std::uint64_t> number;
    if (counts[i].fate != worklist::Fate::kHidden) number = counts[i].count;
    if (std::exchange(told_[i], number) == number) continue;
    changed[definitions.lists[i].key()] = number ? nlohmann::json(*number) : nlohmann::json(nullptr);
  }
  if (!std::exchange(is_first_, false) && changed.empty()) return std::nullopt;
  return changed;
}

}  // namespace headroom::cli
