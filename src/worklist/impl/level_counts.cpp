#include "worklist/impl/level_counts.hpp"

namespace headroom::worklist::impl {

void LevelCounts::add(const Standing& standing, std::size_t classes) {
  if (const Code code = standing[1]; code != 0) {
    if (first_.size() <= code) first_.resize(code + 1U);
    first_[code].add(standing[0], classes);
  }
  for (std::size_t i = 0; i < later_.size(); ++i) {
    const Code code = standing[i + 2];
    if (code == 0) continue;
    if (later_[i].size() <= code)
      later_[i].resize(code + 1U, CellTable(static_cast<std::uint32_t>(words(i + 1))));
    later_[i][code].add(standing.data(), 1);
  }
}

void LevelCounts::subtract(const Standing& standing) {
  if (const Code code = standing[1]; code != 0) first_[code].subtract(standing[0]);
  for (std::size_t i = 0; i < later_.size(); ++i) {
    if (const Code code = standing[i + 2]; code != 0) later_[i][code].subtract(standing.data(), 1);
  }
}

std::vector<std::uint32_t> LevelCounts::count(const Grants& grants, const std::vector<Level>& levels,
                                              std::size_t classes) const {
  std::vector<std::uint32_t> counts(classes);
  for (const Code code : grants.plain.front().codes()) {
    if (code < first_.size()) first_[code].add_to(counts.data());
  }
  for (std::size_t i = 1; i < levels.size(); ++i) add_level(i, grants, levels, counts);
  return counts;
}

/// What no level before it grants; of what a holder holds, what one of them shows.
void LevelCounts::add_level(std::size_t level, const Grants& grants, const std::vector<Level>& levels,
                            std::vector<std::uint32_t>& counts) const {
  const std::vector<CellTable>& cells = later_[level - 1];
  for (const Code code : grants.plain[level].codes()) {
    if (code >= cells.size()) continue;
    cells[code].visit([&](const std::uint32_t* key, std::uint32_t count) {
      bool seen = !levels[level].is_holder;
      for (std::size_t i = 0; i < level; ++i) {
        if (grants.plain[i].has(key[i + 1])) return;
        seen = seen || (!levels[i].is_holder && grants.behind[i].has(key[i + 1]));
      }
      if (seen) counts[*key] += count;
    });
  }
}

void LevelCounts::clear(std::size_t level, std::size_t codes) {
  if (level == 0) {
    first_.clear();
    first_.resize(codes);
  } else {
    later_[level - 1].clear();
    later_[level - 1].resize(codes, CellTable(static_cast<std::uint32_t>(words(level))));
  }
}

void LevelCounts::assign(std::size_t level, Code code, std::span<const std::uint32_t> keys,
                         Scratch& scratch) {
  if (level == 0) {
    first_[code].assign(keys, scratch.counts);
  } else {
    later_[level - 1][code].assign(keys, scratch.cells);
  }
}

std::size_t LevelCounts::bytes() const {
  std::size_t bytes = 0;
  for (const ClassCounts& one : first_) bytes += sizeof one + one.bytes();
  for (const std::vector<CellTable>& level : later_) {
    for (const CellTable& one : level) bytes += sizeof one + one.bytes();
  }
  return bytes;
}

}  // namespace headroom::worklist::impl
