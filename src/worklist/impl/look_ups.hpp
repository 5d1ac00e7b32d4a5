#pragma once

// What documents have through look-ups: the rows of the other tables, and which documents have which.
//
// A row is held as codes, like a document: those of the catalog's columns that are looked up there. A
// document holds them too, so nothing that counts has to know of look-ups; and all documents with the same
// value in the column that leads to a row are a chain through their slots, so that a row that changes finds
// them.
//
// Rejected: to look codes up at each count (all that walks over documents would wait for memory once more),
// and to look for dependants among all documents (20 ms for ten million, for each row that changes).

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worklist/definition.hpp"
#include "worklist/impl/blocks.hpp"
#include "worklist/impl/narrow_rows.hpp"
#include "worklist/impl/numbers.hpp"
#include "worklist/impl/value_table.hpp"

namespace headroom::worklist::impl {

/// The rows of one look-up, by key. Memory: of each, that of its key in a ValueTable, and 1 to 4 bytes for
/// the code of each column.
class LookUpRows final {
 public:
  static constexpr std::uint32_t kNone = ValueTable::kNone;

  LookUpRows(const Catalog& catalog, std::size_t look_up);

  /// The document's column that leads to a row.
  [[nodiscard]] std::size_t by() const { return by_; }
  /// Of the catalog: those that are looked up here.
  [[nodiscard]] const std::vector<std::size_t>& columns() const { return columns_; }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

  /// The place of the row; kNone: there is none, as for NULL.
  [[nodiscard]] std::uint32_t find(const Value& key) const { return keys_.find(key); }
  [[nodiscard]] Value key(std::uint32_t place) const { return keys_.value(place); }
  /// Of the row at a place, or of none, in the column with this number among `columns`.
  [[nodiscard]] Code code(std::uint32_t place, std::size_t column) const {
    return place == kNone ? 0 : codes_.get(place, column);
  }
  [[nodiscard]] bool has(std::uint32_t place, std::span<const Code> codes) const;
  /// False: there is no room. `key` is of the type of `by`.
  [[nodiscard]] bool put(const Value& key, std::span<const Code> codes);
  void remove(std::uint32_t place) { keys_.remove(place); }
  void clear();

  /// `told(place)` for each row.
  template <typename Told>
  void visit(Told told) const {
    for (std::uint32_t place = 0; place < keys_.places(); ++place) {
      if (keys_.is_taken(place)) told(place);
    }
  }
  /// Marks the codes that rows have in the column with this number.
  void mark_used(std::size_t column, std::vector<bool>& used) const;
  [[nodiscard]] std::size_t bytes() const { return keys_.bytes() + codes_.bytes(); }

 private:
  std::size_t by_;
  Type type_;  ///< of keys
  std::vector<std::size_t> columns_;
  ValueTable keys_;
  NarrowRows codes_;  ///< by place
};

/// The documents that have a value in a column, by its code; NULL has none.
/// Memory: 8 bytes for each slot of a document, 4 for each value. Cost: O(1) to enter and to leave.
class Dependants final {
 public:
  explicit Dependants(std::size_t column) : column_(column) {}

  [[nodiscard]] std::size_t column() const { return column_; }
  /// A document has another code than before; 0: it is not there, or has NULL.
  void change(Slot slot, Code before, Code now);
  void clear();
  /// At most `most`, the last ones that came first.
  [[nodiscard]] std::vector<Slot> documents(Code code, std::size_t most) const;
  [[nodiscard]] std::size_t bytes() const { return first_.capacity() * sizeof(Slot) + links_.bytes(); }

 private:
  /// One more than a slot; 0 is the end.
  using Link = std::uint32_t;

  [[nodiscard]] Link next(Slot slot) const { return links_[2 * std::size_t{slot}]; }
  [[nodiscard]] Link previous(Slot slot) const { return links_[2 * std::size_t{slot} + 1]; }
  void set_next(Slot slot, Link link) { links_.set(2 * std::size_t{slot}, link); }
  void set_previous(Slot slot, Link link) { links_.set(2 * std::size_t{slot} + 1, link); }
  void enter(Slot slot, Code code);
  void leave(Slot slot, Code code);

  std::size_t column_;
  std::vector<Link> first_;  ///< by code
  Blocks<Link> links_;       ///< two for each slot
};

class LookUps final {
 public:
  explicit LookUps(const Catalog& catalog);

  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] LookUpRows& operator[](std::size_t look_up) { return rows_[look_up]; }
  [[nodiscard]] const LookUpRows& operator[](std::size_t look_up) const { return rows_[look_up]; }
  /// Whether a look-up is by this column.
  [[nodiscard]] bool are_by(std::size_t column) const;

  /// The codes that a document with these values has through look-ups.
  void fill(std::span<const Value> document, std::vector<Code>& codes) const;
  /// A document has other codes than before, `before(column)` and `now(column)`; 0 of one that is not there.
  template <typename Before, typename Now>
  void change(Slot slot, Before before, Now now) {
    for (Dependants& one : dependants_) one.change(slot, before(one.column()), now(one.column()));
  }
  /// Documents have other slots, and are entered anew.
  void forget_documents();
  /// Of the documents with this code in the column that look-ups are by.
  [[nodiscard]] std::vector<Slot> documents(std::size_t column, Code code, std::size_t most) const;

  /// How many rows may have values in the column, and which codes they have.
  [[nodiscard]] std::size_t rows_of(std::size_t column) const;
  void mark_used(std::size_t column, std::vector<bool>& used) const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Place {
    std::size_t look_up = 0;
    std::size_t column = 0;  ///< among its columns
  };
  [[nodiscard]] const Place* place_of(std::size_t column) const;

  std::vector<LookUpRows> rows_;
  std::vector<Dependants> dependants_;  ///< for each column that look-ups are by
  std::size_t own_columns_;
  std::vector<Place> places_;  ///< by the columns behind the table's own
};

}  // namespace headroom::worklist::impl
