#pragma once

// From definitions and a user to statements: a list of passes, each of which changes the plan a little and
// can say what it did.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/classes.hpp"
#include "worklist/user.hpp"

namespace headroom::worklist {

/// How lists are counted. All give the same numbers.
enum class Way : std::uint8_t {
  kEach,    ///< one statement for each list
  kJoin,    ///< what the user sees is grouped once, and joined with the definitions
  kCells,   ///< what the user sees is grouped once, and added up here
  kMerged,  ///< lists that ask about the same columns share a nested condition, whose rows are added up here
};

/// Every way, in the order of their names' list.
inline constexpr std::array<Way, 4> kAllWays{Way::kEach, Way::kJoin, Way::kCells, Way::kMerged};

/// "each", "join", "cells", "merged".
[[nodiscard]] std::string_view name(Way way);
[[nodiscard]] Result<Way> parse_way(std::string_view text);

/// What is planned for. Lifetime: what it refers to outlives the planning.
struct Question {
  const Definitions& definitions;
  const User& user;
  base::UtcTime now;
  sql::Dialect dialect = sql::Dialect::kPostgres;
  Way way = Way::kJoin;
};

enum class Fate : std::uint8_t {
  kCounted,
  kHidden,  ///< a guard refuses it
  kZero,    ///< known without asking
};

struct PlannedList {
  std::size_t list = 0;  ///< of Definitions::lists
  Fate fate = Fate::kCounted;
  std::string why;  ///< it is not counted
  std::vector<ColumnTest> tests;
  Scope scope;
};

/// A column by which documents are grouped.
struct Key {
  std::size_t column = 0;
  std::map<ColumnTest, std::size_t> tests;  ///< of the lists; each has its place in `classes.accepted`
  ValueClasses classes;
  bool as_it_is = false;  ///< by its values, which become classes afterwards; else by classes at once
  bool by_sets = false;   ///< of an ordered column: its classes are sets of values, and all others
};

/// "Documents of this class, in this key, belong to the list."
struct Member {
  std::size_t list = 0;  ///< of Plan::lists
  ClassId value_class = 0;
  [[nodiscard]] bool operator==(const Member&) const = default;
};

/// Lists of a group whose criteria speak of the same columns.
struct Shape {
  std::vector<std::size_t> keys;             ///< of Group::keys
  std::vector<std::size_t> lists;            ///< of Plan::lists
  std::vector<std::vector<Member>> members;  ///< by key of the shape
};

/// A list, of what one security column lets the user see: all that is asked of each column. No document is in
/// two parts of a list. Tests of thousands of security uids are shared by all lists that have them.
struct Part {
  std::size_t list = 0;                                  ///< of Plan::lists
  std::vector<std::shared_ptr<const ColumnTest>> tests;  ///< by their columns, each once
};

/// A condition: one of `any`, which are tests of one column, and, where there are some, one of `then`.
struct Branch {
  std::vector<ColumnTest> any;
  std::vector<Branch> then;
};

/// Lists that are counted by one grouping: of one catalog, with one scope; for kMerged parts of lists that
/// ask about the same columns.
struct Group {
  std::size_t catalog = 0;
  Scope scope;
  std::vector<std::size_t> lists;  ///< of Plan::lists
  std::vector<Key> keys;
  std::vector<Shape> shapes;
  std::vector<std::size_t> parts;   ///< of Plan::parts
  std::vector<std::size_t> order;   ///< of the columns that the parts ask about, the most shared tests first
  std::vector<Branch> condition{};  ///< one of them holds for each document that a part counts
};

struct Statement {
  std::string text;
  std::vector<sql::Parameter> parameters;
  /// Whose count is its only value; none: its rows are a place in Plan::lists and a count, without the zeros.
  std::optional<std::size_t> list;
  /// Of which its rows are cells: for each key a class or, where it is grouped as it is, a value; then a
  /// count.
  std::optional<std::size_t> group;
};

struct Plan {
  std::vector<PlannedList> lists;  ///< all of Definitions::lists, in their order
  std::vector<Part> parts;         ///< of kMerged alone
  std::vector<Group> groups;
  std::vector<Statement> statements;
};

struct Pass {
  std::string_view name;
  std::string_view purpose;
  std::function<Result<void>(const Question&, Plan&)> run;
  /// What it did, a line for each thing.
  std::function<std::string(const Question&, const Plan&)> show;
};

/// guard, dates, impossible, scope: what is known of each list before it is counted.
[[nodiscard]] std::vector<Pass> first_passes();
/// The first ones and then, for kJoin: group, keys, shapes, join; for kCells: group, keys, cells; for kEach:
/// each; for kMerged: extract, criteria, nest, dispatch, merged, actions.
[[nodiscard]] std::vector<Pass> passes_of(Way way);

/// Errors: those of scope_of. Cost: O(lists x values of their criteria). Threads: pure.
[[nodiscard]] Result<Plan> make_plan(const Question& question);
[[nodiscard]] Result<Plan> make_plan(const Question& question, const std::vector<Pass>& passes);

struct PassNote {
  std::string_view name;
  std::string_view purpose;
  std::string text;
};

struct ExplainedPlan {
  Plan plan;
  std::vector<PassNote> notes;
};

/// The plan, with what each pass did.
[[nodiscard]] Result<ExplainedPlan> explain_plan(const Question& question);

}  // namespace headroom::worklist
