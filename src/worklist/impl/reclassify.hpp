#pragma once

// Other lists over documents that stay. What a column's values are called by the lists (their class) is
// compared with what they were called before: a class is now what most of its values are, and only documents
// with another of its values, and those that no list wanted before, move.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "worklist/impl/document_classes.hpp"
#include "worklist/impl/documents.hpp"
#include "worklist/impl/held_column.hpp"

namespace headroom::worklist::impl {

/// What a column's values were called.
struct CalledBefore {
  bool asked = false;
  std::size_t place = 0;  ///< in tuples
  std::vector<std::uint32_t> class_of_code;
  std::size_t classes = 1;
};

/// By column, before lists change.
[[nodiscard]] std::vector<CalledBefore> remember(std::vector<HeldColumn>& columns,
                                                 const DocumentClasses& classes);

/// Which documents may be of another class.
struct Moves {
  std::vector<std::vector<std::uint8_t>> of_code;  ///< by column; empty: none
  std::vector<std::uint8_t> of_class;              ///< by class before: no list wanted it

  [[nodiscard]] bool none() const;
};

/// After lists changed: classes of documents are what most of their documents are now.
[[nodiscard]] Moves rename_classes(const std::vector<CalledBefore>& before, std::vector<HeldColumn>& columns,
                                   DocumentClasses& classes);

/// Those documents; nothing: too many, counting all anew is cheaper. Cost: 2 ns a document.
[[nodiscard]] std::optional<std::vector<Slot>> slots_that_move(const Moves& moves, const Documents& documents,
                                                               unsigned threads);

}  // namespace headroom::worklist::impl
