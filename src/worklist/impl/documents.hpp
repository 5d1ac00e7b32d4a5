#pragma once

// The documents of a catalog as numbers: which there are, the codes of their values, and their classes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "worklist/impl/blocks.hpp"
#include "worklist/impl/numbers.hpp"
#include "worklist/impl/row_keys.hpp"

namespace headroom::worklist::impl {

/// Documents by slot. A slot whose class is 0 is free. Columns are held where that is asked for (`hold`);
/// codes of the others are 0.
/// Threads: reading at once; `set_class` of slots in different blocks at once, when `reserve_classes` was
/// told enough.
class Documents final {
 public:
  static constexpr Slot kNone = RowKeys::kNone;

  Documents(Type key, std::size_t columns) : keys_(key), codes_(columns), is_held_(columns) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  /// One more than the last.
  [[nodiscard]] std::size_t slots() const { return class_of_slot_.size(); }

  /// kNone: there is no such document.
  [[nodiscard]] Slot find(const Value& key) const;
  /// For a document that is not there, which is once it has a class. kNone: no slot is left.
  [[nodiscard]] Slot add(const Value& key);
  void remove(Slot slot);
  /// Goes over to a table where keys are far apart. True: documents have other slots now, in the same order.
  [[nodiscard]] bool compact();

  [[nodiscard]] bool is_there(Slot slot) const { return class_of_slot_[slot] != 0; }
  [[nodiscard]] Value key(Slot slot) const { return keys_.key(slot); }
  [[nodiscard]] ClassNumber class_of(Slot slot) const { return class_of_slot_[slot]; }
  void set_class(Slot slot, ClassNumber number) { class_of_slot_.set(slot, number); }
  /// Classes below this number have room.
  void reserve_classes(std::size_t classes) { class_of_slot_.reserve(static_cast<std::uint32_t>(classes)); }

  [[nodiscard]] bool is_held(std::size_t column) const { return is_held_[column]; }
  /// From now on; the codes of documents that are there are 0.
  void hold(std::size_t column);
  void drop(std::size_t column);
  [[nodiscard]] Code code(Slot slot, std::size_t column) const {
    return is_held_[column] ? codes_[column][slot] : 0;
  }
  /// Of a column that is held.
  void set_code(Slot slot, std::size_t column, Code code) { codes_[column].set(slot, code); }

  // For walks: slots in blocks of kBlock. `out` has room for so many.

  [[nodiscard]] std::size_t blocks() const { return (slots() + kBlock - 1) / kBlock; }
  [[nodiscard]] std::size_t size_of_block(std::size_t block) const {
    return std::min(kBlock, slots() - block * kBlock);
  }
  void read_classes(std::size_t block, ClassNumber* out) const { class_of_slot_.read(block, out); }
  /// Of a column that is held.
  void read_codes(std::size_t block, std::size_t column, Code* out) const { codes_[column].read(block, out); }

  [[nodiscard]] std::size_t bytes() const;

 private:
  void resize(std::size_t slots);

  RowKeys keys_;
  std::size_t size_ = 0;
  NarrowArray class_of_slot_;
  std::vector<NarrowArray> codes_;  ///< by column
  std::vector<bool> is_held_;
};

}  // namespace headroom::worklist::impl
