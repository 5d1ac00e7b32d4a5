#pragma once

// Who may see how many documents of each class.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worklist/impl/cell_keys.hpp"
#include "worklist/impl/cell_table.hpp"
#include "worklist/impl/grants.hpp"
#include "worklist/impl/numbers.hpp"

namespace headroom::worklist::impl {

/// A document's class, and then its code in each level. All 0: it is not counted.
using Standing = CellKeys::Key;

/// Level i counts, for each code of its column, documents by their class and by their codes in the levels
/// before. So what a user sees is a sum over the codes that he is granted, level by level, that leaves out
/// what a level before has granted. The first one needs no exclusion, and is an array by class.
class LevelCounts final {
 public:
  explicit LevelCounts(std::size_t levels);

  /// A document stands elsewhere; only levels in which it does are touched. `classes`: one more than the
  /// last.
  void move(const Standing& from, const Standing& to, std::size_t classes);
  /// Fetches what `move` will look at.
  void prefetch(const Standing& standing) const;

  /// By class, the documents that are granted.
  [[nodiscard]] std::vector<std::uint32_t> count(const Grants& grants, const std::vector<Level>& levels,
                                                 std::size_t classes) const;

  // Counting all anew, code by code. Threads: different codes at once.

  /// The level counts nothing now. `most`: the largest class that there is, and the largest code of each
  /// level.
  void clear(std::size_t level, const Standing& most);
  /// How its keys are made of standings.
  [[nodiscard]] const CellKeys& keys(std::size_t level) const { return levels_[level].keys; }
  /// `keys` of all documents that have the code, one behind the other. `scratch` has a 0 for each class, and
  /// is left so.
  void assign(std::size_t level, Code code, std::span<const std::uint32_t> keys,
              std::vector<std::uint32_t>& scratch);

  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Cells {
    CellKeys keys;
    std::vector<CellTable> of_code;  ///< not of the first level
  };

  void add_first(const Standing& standing, std::size_t classes);
  void add_cell(std::size_t level, const Standing& standing);
  void make_room(std::size_t level, const Standing& standing);
  void count_level(std::size_t level, const Grants& grants, const std::vector<Level>& levels,
                   std::vector<std::uint32_t>& counts) const;

  std::vector<ClassCounts> first_;  ///< by code
  std::vector<Cells> levels_;
};

}  // namespace headroom::worklist::impl
