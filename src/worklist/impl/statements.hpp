#pragma once

#include "worklist/plan.hpp"

namespace headroom::worklist::impl {

/// Counts one list.
[[nodiscard]] Statement count_statement(const Question& question, const PlannedList& list);
/// Keys of the list's documents behind `after` (nothing: from the first), ascending.
[[nodiscard]] Statement documents_statement(const Question& question, const PlannedList& list,
                                            const Value& after, std::uint64_t limit);
/// What the user sees of a group, by its keys.
[[nodiscard]] Statement cells_statement(const Question& question, const Group& group);
/// What the user sees of a merged group, by its keys.
[[nodiscard]] Statement merged_statement(const Question& question, const Group& group);
/// Counts all lists of a group.
[[nodiscard]] Statement join_statement(const Question& question, const Group& group);

}  // namespace headroom::worklist::impl
