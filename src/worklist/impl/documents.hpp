#pragma once

// The documents of a catalog as numbers: which there are, the codes of their values, and their classes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "worklist/impl/narrow_rows.hpp"
#include "worklist/impl/numbers.hpp"
#include "worklist/impl/row_keys.hpp"

namespace headroom::worklist::impl {

/// Documents by slot. A slot whose class is 0 is free. Columns are held where that is asked for (`hold`);
/// codes of the others are 0.
/// Threads: reading at once; `write_classes` of different blocks at once, when `reserve_classes` was told
/// enough.
class Documents final {
 public:
  static constexpr Slot kNone = RowKeys::kNone;

  Documents(Type key, std::size_t columns) : keys_(key), rows_(columns + 1), is_held_(columns) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  /// One more than the last.
  [[nodiscard]] std::size_t slots() const { return rows_.size(); }

  /// kNone: there is no such document.
  [[nodiscard]] Slot find(const Value& key) const;
  /// Where it is, if it is there: whoever asks for many looks there later.
  [[nodiscard]] Slot seek(const Value& key) const {
    const Slot slot = keys_.find(key);
    return slot < slots() ? slot : kNone;
  }
  /// For a document that is not there, which is once it has a class. kNone: no slot is left.
  [[nodiscard]] Slot add(const Value& key);
  void remove(Slot slot);
  /// Goes over to a table where keys are far apart. True: documents have other slots now, in the same order.
  [[nodiscard]] bool compact();

  [[nodiscard]] bool is_there(Slot slot) const { return class_of(slot) != 0; }
  [[nodiscard]] Value key(Slot slot) const { return keys_.key(slot); }
  [[nodiscard]] ClassNumber class_of(Slot slot) const { return rows_.get(slot, kClass); }
  void set_class(Slot slot, ClassNumber number) { rows_.set(slot, kClass, number); }
  /// Classes below this number have room.
  void reserve_classes(std::size_t classes) { rows_.reserve(kClass, static_cast<ClassNumber>(classes)); }

  [[nodiscard]] bool is_held(std::size_t column) const { return is_held_[column]; }
  /// From now on; the codes of documents that are there are 0.
  void hold(std::size_t column) { is_held_[column] = true; }
  void drop(std::size_t column);
  [[nodiscard]] Code code(Slot slot, std::size_t column) const { return rows_.get(slot, column + 1); }
  /// Of a column that is held.
  void set_code(Slot slot, std::size_t column, Code code) { rows_.set(slot, column + 1, code); }

  // Fetched before they are asked for

  void prefetch_key(const Value& key) const { keys_.prefetch(key); }
  void prefetch(Slot slot) const { rows_.prefetch(slot); }

  // For walks: slots in blocks of kBlock. `out` has room for so many.

  [[nodiscard]] std::size_t blocks() const { return (slots() + kBlock - 1) / kBlock; }
  [[nodiscard]] std::size_t size_of_block(std::size_t block) const {
    return std::min(kBlock, slots() - block * kBlock);
  }
  void read_classes(std::size_t block, ClassNumber* out) const { rows_.read(block, kClass, out); }
  void write_classes(std::size_t block, const ClassNumber* classes) { rows_.write(block, kClass, classes); }
  void read_codes(std::size_t block, std::size_t column, Code* out) const {
    rows_.read(block, column + 1, out);
  }

  [[nodiscard]] std::size_t bytes() const { return keys_.bytes() + rows_.bytes(); }

 private:
  static constexpr std::size_t kClass = 0;

  RowKeys keys_;
  std::size_t size_ = 0;
  NarrowRows rows_;  ///< by slot: the class, and then a code for each column
  std::vector<bool> is_held_;
};

}  // namespace headroom::worklist::impl
