#pragma once

// Counting in a database, and the documents of a list.

#include <cstdint>
#include <string>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/plan.hpp"

namespace headroom::worklist {

struct Count {
  std::uint64_t count = 0;
  Fate fate = Fate::kCounted;
  std::string why;  ///< it was not counted
};

/// Runs the plan's statements. Shape: in the order of Definitions::lists.
/// Errors: those of the reader, within the list or group; protocol when an answer is none.
/// Threads: blocks, each statement for the reader's timeout.
[[nodiscard]] Result<std::vector<Count>> count(sql::Reader& reader, const Question& question);
[[nodiscard]] Result<std::vector<Count>> count(sql::Reader& reader, const Question& question,
                                               const Plan& plan);

/// A part of a list's documents, by their keys.
struct Page {
  std::uint64_t limit = 100;
  std::string after;  ///< the last key of the part before; empty: from the first
};

/// The keys of the documents of a list that the user may see, ascending. Texts are in the database's order.
/// Errors: denied (the list's guard refuses the user), invalid_argument (`after`), those of the reader.
[[nodiscard]] Result<std::vector<std::string>> documents(sql::Reader& reader, const Question& question,
                                                         std::size_t list, const Page& page);

}  // namespace headroom::worklist
