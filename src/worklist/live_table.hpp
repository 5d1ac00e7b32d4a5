#pragma once

// A table of a catalog, its own or that of a look-up, as replication tells of it: rows become values, changes
// of rows become changes of counters. No connection stands here.

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sql/pgoutput.hpp"
#include "sql/replication.hpp"
#include "sql/rows.hpp"
#include "worklist/definition.hpp"
#include "worklist/live_counters.hpp"

namespace headroom::worklist {

/// A value as PostgreSQL writes it (in UTC, with ISO dates). What a definition can't name is kept apart from
/// everything that it can: infinity and years beyond four digits lie above all dates, years before Christ
/// below, NaN above all numbers. Errors: invalid_argument.
[[nodiscard]] Result<Value> live_value(Type type, std::string_view text);

/// Whether a catalog can be counted live: a table, with look-ups by columns of whole numbers or texts, which
/// are equal where the database says so. Errors: unsupported.
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
  /// The catalog's own table, or that of a look-up.
  explicit LiveTable(const Catalog& catalog, std::optional<std::size_t> look_up = {});

  /// "catalog 'sale'", "catalog 'sale': look-up 'party'".
  [[nodiscard]] const std::string& what() const { return what_; }
  /// As SQL names it.
  [[nodiscard]] const std::string& table() const { return table_; }
  /// What is read of it: for a look-up, its key first.
  [[nodiscard]] const std::vector<Column>& columns() const { return read_; }

  // Before it is loaded

  /// Asks for what `checked` wants to know.
  [[nodiscard]] std::string check_statement(std::string_view publication) const;
  /// Errors: not_found (no such table), invalid_argument (it is not published, or its replica identity does
  /// not hold the key, or the key of a look-up is not unique; with the statement to run), protocol.
  [[nodiscard]] Result<void> checked(const sql::PostgresRows& rows, std::string_view publication);
  [[nodiscard]] std::string copy_statement() const;
  /// A line of it, as a row. Errors: invalid_argument, protocol.
  [[nodiscard]] Result<void> read(std::string_view line, std::vector<Value>& row);
  /// Rows that were read. Errors: invalid_argument, too_large.
  [[nodiscard]] Result<void> put_all(std::span<const std::vector<Value>> rows, LiveCounters& counters) const;

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
  /// It was truncated.
  void clear(LiveCounters& counters) const;

 private:
  [[nodiscard]] Result<Value> value_at(std::size_t column, const sql::ReplicatedRow& row) const;
  [[nodiscard]] Result<std::vector<Value>> values_of(const sql::ReplicatedRow& row, const Value& key_before,
                                                     const LiveCounters& counters) const;
  [[nodiscard]] bool is_whole(const sql::ReplicatedRow& row) const;
  [[nodiscard]] base::Error altered(std::string_view what) const;
  [[nodiscard]] std::optional<std::vector<Value>> known(const Value& key, const LiveCounters& counters) const;
  [[nodiscard]] Result<void> put(std::span<const Value> row, LiveCounters& counters,
                                 TouchedRows* touched) const;
  void remove(const Value& key, LiveCounters& counters, TouchedRows* touched) const;
  void touch(const Value& key, const LiveCounters& counters, TouchedRows* touched) const;

  std::optional<std::size_t> look_up_;
  std::string what_;
  std::string table_;
  std::vector<Column> read_;
  std::size_t key_ = 0;  ///< of read_
  sql::CopiedColumns copied_;
  std::uint32_t relation_ = 0;
  std::string schema_;
  std::string name_;
  std::size_t columns_ = 0;          ///< of the relation
  std::vector<std::size_t> places_;  ///< by read_; empty: not learnt yet
  std::vector<std::uint32_t> types_;
};

/// What is followed for a catalog that can be counted live: its look-ups, and its own table behind them, so
/// that documents find their rows there.
[[nodiscard]] std::vector<LiveTable> live_tables(const Catalog& catalog);

}  // namespace headroom::worklist
