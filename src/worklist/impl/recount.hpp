#pragma once

// Counting all documents anew: their classes, and who may see how many of each.

#include <vector>

#include "worklist/impl/document_classes.hpp"
#include "worklist/impl/documents.hpp"
#include "worklist/impl/grants.hpp"
#include "worklist/impl/held_column.hpp"
#include "worklist/impl/level_counts.hpp"

namespace headroom::worklist::impl {

/// What is counted, and out of what.
struct Counted {
  std::vector<HeldColumn>& columns;
  Documents& documents;
  DocumentClasses& classes;
  const std::vector<Level>& levels;
  LevelCounts& counts;
};

/// Classes of documents are forgotten, and those that occur made. Cost: 30 to 50 ns a document, shared by
/// threads.
void recount(Counted counted, unsigned threads);

}  // namespace headroom::worklist::impl
