#pragma once

// Plans: which statements may be explained, and what the databases answer, as one kind of tree.
//
// Explaining must not change anything and must not take long, whoever wrote the statement. So: one statement,
// of the kinds that have a plan; a connection of its own, a read-only transaction that is rolled back, and
// deadlines on both sides (postgres.hpp, sqlite.hpp). A plain EXPLAIN runs nothing. EXPLAIN ANALYZE runs the
// statement, and a read-only transaction does not hold back functions that act outside of it
// (pg_terminate_backend, pg_advisory_lock), so it is given to SELECTs only whose functions the database does
// not call volatile.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace headroom::sql {

using base::Result;

/// A statement that may be explained.
struct Explainable {
  std::string text;                    ///< without comments, and without `;` at its end
  bool is_select = false;              ///< it only reads: no WITH that writes, no INTO, no FOR UPDATE
  std::size_t parameters = 0;          ///< $1, $2, ... in `text`
  std::vector<std::string> functions;  ///< that it calls by name, lower case, without schema
};

/// Placeholders of any driver become $1, $2, ...
/// Errors: invalid_argument when it is not a single SELECT, INSERT, UPDATE or DELETE, unsupported when
/// PostgreSQL's parser does not accept it (the message says what it says), too_large over 64 KiB.
/// Threads: pure.
[[nodiscard]] Result<Explainable> check_explainable(std::string_view statement);

/// The same by tokens alone, for SQLite, whose dialect PostgreSQL's parser does not accept throughout; `text`
/// is as given but for comments and a `;` at its end.
[[nodiscard]] Result<std::string> check_explainable_in_sqlite(std::string_view statement);

/// One node of a plan. Parents come first; node 0 is the root.
struct PlanNode {
  std::uint32_t parent = 0;
  std::string operation;  ///< "Seq Scan", "Hash Join", "SCAN"
  std::string relation;   ///< table or index subquery that it reads
  std::string index;
  std::string condition;              ///< filter or join condition
  std::string detail;                 ///< what else the database says of it, in its words
  std::optional<double> rows;         ///< that the planner expects
  std::optional<double> cost;         ///< of it and what is below, in the planner's units
  std::optional<double> actual_rows;  ///< all loops together
  std::optional<double> actual_ms;    ///< all loops together, with what is below
  std::optional<double> loops;
};

struct Plan {
  std::string dialect;    ///< "postgresql" or "sqlite"
  bool generic = false;   ///< for any values: those of the statement were removed
  bool analyzed = false;  ///< the statement was run
  std::string statement;  ///< that was explained
  std::vector<PlanNode> nodes;
  std::optional<double> planning_ms;
  std::optional<double> execution_ms;
};

/// A row of SQLite's EXPLAIN QUERY PLAN.
struct SqlitePlanRow {
  std::int64_t id = 0;
  std::int64_t parent = 0;
  std::string detail;
};

/// The names of functions in the expressions of a plan with VERBOSE, where views are resolved: lower case,
/// without schema.
[[nodiscard]] std::vector<std::string> functions_of_plan(std::string_view json);

/// The answer of EXPLAIN (FORMAT JSON). Errors: protocol when it is none.
[[nodiscard]] Result<Plan> parse_postgres_plan(std::string_view json);
[[nodiscard]] Plan parse_sqlite_plan(const std::vector<SqlitePlanRow>& rows);

/// The node that reads a table from one end to the other: the one that costs most. Nullptr when there is
/// none, or, in PostgreSQL, when it reads under a thousand rows or so. SQLite's plans tell no numbers: its
/// first.
[[nodiscard]] const PlanNode* worst_scan(const Plan& plan);

/// The table that a plan of SQLite means by `name`, which is the alias where the statement gives one: as
/// `Statement::tables` has it. Nothing where the text does not tell: a subquery, a CTE, or one alias for two
/// tables. Threads: pure. Cost: as `analyze`.
[[nodiscard]] std::optional<std::string> table_behind(std::string_view statement, std::string_view name);

/// As a tree of lines for people.
[[nodiscard]] std::string plan_text(const Plan& plan);

/// How a plan is asked for.
struct ExplainOptions {
  bool analyze = false;
  std::chrono::milliseconds timeout{5000};
};

/// What is explained: the statement as it ran, or, where its values are gone, its normalised text.
struct ExplainQuestion {
  std::string statement;
  bool generic = false;
};

/// Asks the database that `url` names ("postgresql://..." or "sqlite:///absolute/path").
/// Errors: invalid_argument (a scheme that is neither), those of check_explainable, denied (ANALYZE of what
/// might change something), timed_out, unavailable; the database's own refusal as invalid_argument. No
/// message holds the URL.
/// Threads: blocks up to the timeout, and to connect as long again.
[[nodiscard]] Result<Plan> explain(const std::string& url, const ExplainQuestion& question,
                                   const ExplainOptions& options);

}  // namespace headroom::sql
