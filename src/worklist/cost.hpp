#pragma once

// Which way to count is the cheaper one: from what a database knows of its tables without counting them.
//
// The estimate is a coarse one: documents that are read, by the index that leads to the fewest or all of
// them, times what one took when ten million were measured. It has to tell milliseconds from seconds, no
// more.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worklist/plan.hpp"

namespace headroom::worklist {

/// Of a column, about. What is not known is nothing.
struct ColumnSize {
  std::optional<double> values;         ///< how many different ones
  std::optional<double> nulls;          ///< the part of the documents that have none
  std::map<std::string, double> parts;  ///< of the documents, by the most frequent values as texts
};

/// Of a catalog, about.
struct CatalogSize {
  std::optional<double> documents;
  std::vector<ColumnSize> columns;  ///< by column of the catalog; nothing is known of those of look-ups
  /// The columns of each index, in its order, up to the first that is none of the catalog.
  std::vector<std::vector<std::size_t>> indexes;
};

/// Asks the database's statistics: pg_class and pg_stats, sqlite_stat1, or MariaDB's information_schema.
/// Shape: by catalog. A catalog that is a query, a view, and a table that was never analyzed are not known.
/// Errors: those of the reader, within the catalog. Cost: four small statements for a catalog.
[[nodiscard]] Result<std::vector<CatalogSize>> read_sizes(sql::Reader& reader,
                                                          const Definitions& definitions);

/// What a way costs.
struct WayCost {
  Way way = Way::kJoin;
  bool allowed = true;
  std::size_t statements = 0;
  double documents = 0;  ///< that are read, about; those of every statement
  double milliseconds = 0;
};

struct Choice {
  Way way = Way::kJoin;
  std::vector<WayCost> costs;  ///< empty: sizes are not known
  std::string why;             ///< "the cheapest"
};

/// The cheapest of the ways that the site allows. Where sizes are not known it is kJoin, which never reads a
/// document more than once, or the first allowed one of kCells, kMerged and kEach; in MariaDB kCells, since
/// joining reads them for each shape there. No sizes at all: no database was asked. `question.way` does not
/// matter. Errors: those of make_plan; invalid_argument: none is allowed. Cost: that of making each plan.
[[nodiscard]] Result<Choice> choose_way(const Question& question, const std::vector<CatalogSize>& sizes,
                                        const std::set<Way>& allowed);
/// The same, by the sizes that the database tells. Errors: also those of read_sizes. Cost: also its.
[[nodiscard]] Result<Choice> choose_way(sql::Reader& reader, const Question& question,
                                        const std::set<Way>& allowed);

/// A line for each way, and one for the choice.
[[nodiscard]] std::string to_text(const Choice& choice);
/// "sale: about 10000000 documents", a line for each catalog.
[[nodiscard]] std::string to_text(const Definitions& definitions, const std::vector<CatalogSize>& sizes);

}  // namespace headroom::worklist
