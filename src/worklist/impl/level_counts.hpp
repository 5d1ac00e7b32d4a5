#pragma once

// Who may see how many documents of each class.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worklist/impl/cell_table.hpp"
#include "worklist/impl/grants.hpp"
#include "worklist/impl/numbers.hpp"

namespace headroom::worklist::impl {

/// A document's class, and then its code in each level.
using Standing = std::array<std::uint32_t, kMostLevels + 1>;

/// Level i counts, for each code of its column, documents by their class and by their codes in the levels
/// before. So what a user sees is a sum over the codes that he is granted, level by level, that leaves out
/// what a level before has granted. The first one needs no exclusion, and is an array by class.
class LevelCounts final {
 public:
  explicit LevelCounts(std::size_t levels) : later_(levels == 0 ? 0 : levels - 1) {}

  /// `classes`: one more than the last class.
  void add(const Standing& standing, std::size_t classes);
  void subtract(const Standing& standing);

  /// By class, the documents that are granted.
  [[nodiscard]] std::vector<std::uint32_t> count(const Grants& grants, const std::vector<Level>& levels,
                                                 std::size_t classes) const;

  // Counting all anew, code by code. Threads: different codes at once.

  /// Numbers of a standing that a level's keys have.
  [[nodiscard]] static std::size_t words(std::size_t level) { return level + 1; }
  /// The level counts nothing now, and will have so many codes.
  void clear(std::size_t level, std::size_t codes);
  /// Kept from code to code.
  struct Scratch {
    std::vector<std::uint32_t> counts;  ///< a 0 for each class
    CellTable cells;
  };
  /// `keys`: the first `words(level)` numbers of each document that has the code, one behind the other.
  void assign(std::size_t level, Code code, std::span<const std::uint32_t> keys, Scratch& scratch);

  [[nodiscard]] std::size_t bytes() const;

 private:
  void add_level(std::size_t level, const Grants& grants, const std::vector<Level>& levels,
                 std::vector<std::uint32_t>& counts) const;

  std::vector<ClassCounts> first_;             ///< by code
  std::vector<std::vector<CellTable>> later_;  ///< by level, from the second on, and by code
};

}  // namespace headroom::worklist::impl
