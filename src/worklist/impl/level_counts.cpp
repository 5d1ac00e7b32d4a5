#include "worklist/impl/level_counts.hpp"

#include <utility>

namespace headroom::worklist::impl {

LevelCounts::LevelCounts(std::size_t levels) {
  for (std::size_t i = 0; i < levels; ++i) levels_.push_back({CellKeys(i + 1), {}});
}

// Documents that come and go
// ---------------------------------------------------------------------------------------------------------

void LevelCounts::move(const Standing& from, const Standing& to, std::size_t classes) {
  // What a level counts by is its own code and all that stands before it.
  bool differs = from[0] != to[0];
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    differs = differs || from[i + 1] != to[i + 1];
    if (!differs) continue;
    if (i == 0) {
      if (from[1] != 0) first_[from[1]].subtract(from[0]);
      if (to[1] != 0) add_first(to, classes);
    } else {
      if (const Code code = from[i + 1]; code != 0)
        levels_[i].of_code[code].subtract(levels_[i].keys.pack(from.data()).data(), 1);
      if (to[i + 1] != 0) add_cell(i, to);
    }
  }
}

void LevelCounts::add_first(const Standing& standing, std::size_t classes) {
  const Code code = standing[1];
  if (first_.size() <= code) first_.resize(code + 1U);
  first_[code].add(standing[0], classes);
}

void LevelCounts::add_cell(std::size_t level, const Standing& standing) {
  Cells& cells = levels_[level];
  const Code code = standing[level + 1];
  if (!cells.keys.has_room(standing.data())) make_room(level, standing);
  if (cells.of_code.size() <= code) cells.of_code.resize(code + 1U, CellTable(cells.keys.words()));
  cells.of_code[code].add(cells.keys.pack(standing.data()).data(), 1);
}

/// Numbers outgrew their bits: all keys are made anew. It happens when one of them doubles.
void LevelCounts::make_room(std::size_t level, const Standing& standing) {
  Cells& cells = levels_[level];
  const CellKeys before = cells.keys;
  cells.keys.make_room(standing.data());
  for (CellTable& table : cells.of_code) {
    CellTable made(cells.keys.words());
    table.visit([&](const std::uint32_t* key, std::uint32_t count) {
      Standing numbers{};
      for (std::size_t i = 0; i <= level; ++i) numbers[i] = before.number(key, i);
      made.add(cells.keys.pack(numbers.data()).data(), count);
    });
    table = std::move(made);
  }
}

void LevelCounts::prefetch(const Standing& standing) const {
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    const Code code = standing[i + 1];
    if (code == 0) continue;
    if (i == 0) {
      if (code < first_.size()) first_[code].prefetch(standing[0]);
    } else if (code < levels_[i].of_code.size() && levels_[i].keys.has_room(standing.data())) {
      levels_[i].of_code[code].prefetch(levels_[i].keys.pack(standing.data()).data());
    }
  }
}

// What users see
// ---------------------------------------------------------------------------------------------------------

std::vector<std::uint32_t> LevelCounts::count(const Grants& grants, const std::vector<Level>& levels,
                                              std::size_t classes) const {
  std::vector<std::uint32_t> counts(classes);
  for (const Code code : grants.plain.front().codes()) {
    if (code < first_.size()) first_[code].add_to(counts.data());
  }
  for (std::size_t i = 1; i < levels.size(); ++i) count_level(i, grants, levels, counts);
  return counts;
}

/// What no level before it grants; of what a holder holds, what one of them shows.
void LevelCounts::count_level(std::size_t level, const Grants& grants, const std::vector<Level>& levels,
                              std::vector<std::uint32_t>& counts) const {
  const CellKeys keys = levels_[level].keys;
  const bool is_holder = levels[level].is_holder;
  for (const Code code : grants.plain[level].codes()) {
    if (code >= levels_[level].of_code.size()) continue;
    // Nothing is asked of a cell but what is added: cells are many, and as good as random.
    levels_[level].of_code[code].visit_places([&](const std::uint32_t* key, std::uint32_t count) {
      bool is_left_out = false;
      bool is_seen = !is_holder;
      for (std::size_t i = 0; i < level; ++i) {
        const Code before = keys.number(key, i + 1);
        is_left_out = is_left_out | grants.plain[i].has(before);
        if (is_holder && !levels[i].is_holder) is_seen = is_seen | grants.behind[i].has(before);
      }
      counts[keys.number(key, 0)] += (is_seen && !is_left_out) ? count : 0;
    });
  }
}

// Counting all anew
// ---------------------------------------------------------------------------------------------------------

void LevelCounts::clear(std::size_t level, const Standing& most) {
  const std::size_t codes = most[level + 1] + std::size_t{1};
  if (level == 0) {
    first_.clear();
    first_.resize(codes);
  }
  Cells& cells = levels_[level];
  cells.keys = CellKeys(level + 1);
  cells.keys.make_room(most.data());
  cells.of_code.clear();
  if (level > 0) cells.of_code.resize(codes, CellTable(cells.keys.words()));
}

void LevelCounts::assign(std::size_t level, Code code, std::span<const std::uint32_t> keys,
                         std::vector<std::uint32_t>& scratch) {
  if (level == 0) {
    first_[code].assign(keys, scratch);
  } else {
    levels_[level].of_code[code].assign(keys);
  }
}

std::size_t LevelCounts::bytes() const {
  std::size_t bytes = 0;
  for (const ClassCounts& one : first_) bytes += sizeof one + one.bytes();
  for (const Cells& level : levels_) {
    for (const CellTable& one : level.of_code) bytes += sizeof one + one.bytes();
  }
  return bytes;
}

}  // namespace headroom::worklist::impl
