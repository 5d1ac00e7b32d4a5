#pragma once

// The passes of ERP5's merged query: lists that ask about the same columns share one statement, whose rows
// are dealt out to them.
//
// Three things are otherwise than there, each because its numbers would be wrong:
//   * A document that several security columns show is counted by the first one: part i of a list asks that
//     column i grants, and that no column before it does. Where lists differ in what grants, a condition that
//     several share takes the intersection of what is left out (their union would lose documents), and what
//     one list leaves out never restricts what another asks for.
//   * Rows are dealt out by all that a part asks, what it leaves out included.
//   * Every kind of criterion takes part: ranges, prefixes, NULL. Columns whose values are no few texts are
//     grouped by classes of values.
// And one because it costs: a column of which all lists ask the same is no column of the rows.
//
// Source: ERP5, "Technical Note on Worklists Optimisation".

#include <string>

#include "worklist/plan.hpp"

namespace headroom::worklist::impl {

/// What the note extracts of each list: all that is asked of each column, of what grants too.
[[nodiscard]] Result<void> extract_parts(const Question& question, Plan& plan);
[[nodiscard]] std::string show_parts(const Question& question, const Plan& plan);

/// First step. Groups are of one catalog and the same columns, and of bounded size.
[[nodiscard]] Result<void> group_by_criteria(const Question& question, Plan& plan);
[[nodiscard]] std::string show_criteria(const Question& question, const Plan& plan);

/// Second step: the column with the most shared test is asked first, and those who ask the same of it share
/// what comes behind; of the last column the tests of all become one.
[[nodiscard]] Result<void> nest_conditions(const Question& question, Plan& plan);
[[nodiscard]] std::string show_nesting(const Question& question, const Plan& plan);

/// Fourth step, before the third: by what rows have to be grouped to be dealt out.
[[nodiscard]] Result<void> make_dispatch(const Question& question, Plan& plan);
[[nodiscard]] std::string show_dispatch(const Question& question, const Plan& plan);

/// Fifth step, behind the count.
[[nodiscard]] std::string show_actions(const Question& question, const Plan& plan);

}  // namespace headroom::worklist::impl
