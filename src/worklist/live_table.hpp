#pragma once

// One catalog's table as replication tells of it: rows become values, changes of rows become changes of
// counters. No connection stands here.

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sql/pgoutput.hpp"
#include "sql/rows.hpp"
#include "worklist/definition.hpp"
#include "worklist/live_counters.hpp"

namespace headroom::worklist {

/// A value as PostgreSQL writes it (in UTC, with ISO dates). What a definition can't name is kept apart from
/// everything that it can: infinity and years beyond four digits lie above all dates, years before Christ
/// below, NaN above all numbers. Errors: invalid_argument.
[[nodiscard]] Result<Value> live_value(Type type, std::string_view text);

/// Whether a catalog can be counted live: a table by itself, without look-ups. Errors: unsupported.
[[nodiscard]] Result<void> check_live(const Catalog& catalog);

/// Who may be concerned by changes of a catalog's documents: the values that they had or have in its security
/// columns. Bounds: more than kMost values are all.
class TouchedRows final {
 public:
  static constexpr std::size_t kMost = 4'000;

  /// Lifetime: the catalog outlives it.
  explicit TouchedRows(const Catalog& catalog) : catalog_(&catalog), values_(catalog.security.size()) {}

  void add(std::span<const Value> row);
  void add_all() { all_ = true; }
  /// Whether a document was touched that somebody of this scope could see before or can see now.
  [[nodiscard]] bool concern(const Scope& scope) const;

 private:
  const Catalog* catalog_;
  std::vector<std::set<Value>> values_;  ///< by security column
  bool all_ = false;
};

class LiveTable final {
 public:
  /// Lifetime: the catalog outlives it.
  explicit LiveTable(const Catalog& catalog) : catalog_(catalog) {}

  // Before it is loaded

  /// Asks for what `checked` wants to know.
  [[nodiscard]] std::string check_statement(std::string_view publication) const;
  /// Errors: not_found (no such table), invalid_argument (it is not published, or its replica identity does
  /// not hold the catalog's key; with the statement to run), protocol.
  [[nodiscard]] Result<void> checked(const sql::PostgresRows& rows, std::string_view publication);
  [[nodiscard]] std::string copy_statement() const;
  /// A line of it. Errors: invalid_argument, too_large, protocol.
  [[nodiscard]] Result<void> copied(std::string_view line, LiveCounters& counters) const;

  // Its changes. Errors: conflict: it is not the table that it was, and has to be loaded anew.

  [[nodiscard]] bool is(std::uint32_t relation) const { return relation == relation_; }
  /// Whether it is meant, by its number or its name.
  [[nodiscard]] bool is(const sql::ReplicatedRelation& relation) const;
  [[nodiscard]] Result<void> learn(const sql::ReplicatedRelation& relation);
  // `touched` may be null: nobody wants to know.
  [[nodiscard]] Result<void> apply(const sql::RowInserted& change, LiveCounters& counters,
                                   TouchedRows* touched = nullptr) const;
  [[nodiscard]] Result<void> apply(const sql::RowUpdated& change, LiveCounters& counters,
                                   TouchedRows* touched = nullptr) const;
  [[nodiscard]] Result<void> apply(const sql::RowDeleted& change, LiveCounters& counters,
                                   TouchedRows* touched = nullptr) const;

 private:
  [[nodiscard]] Result<Value> value_at(std::size_t column, const sql::ReplicatedRow& row) const;
  [[nodiscard]] Result<std::vector<Value>> values_of(const sql::ReplicatedRow& row, const Value& key_before,
                                                     const LiveCounters& counters) const;
  [[nodiscard]] bool is_whole(const sql::ReplicatedRow& row) const;
  [[nodiscard]] base::Error altered(std::string_view what) const;

  const Catalog& catalog_;
  std::uint32_t relation_ = 0;
  std::string schema_;
  std::string name_;
  std::size_t columns_ = 0;          ///< of the relation
  std::vector<std::size_t> places_;  ///< by the catalog's columns; empty: not learnt yet
  std::vector<std::uint32_t> types_;
};

}  // namespace headroom::worklist
