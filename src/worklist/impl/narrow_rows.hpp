#pragma once

// Rows of small numbers, as narrow as they are.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "worklist/impl/blocks.hpp"

namespace headroom::worklist::impl {

/// Rows of numbers of 32 bits. The numbers of a row stand side by side, so that what is known of a document
/// is one place in memory; a column takes as many bytes (0 to 4) as its largest number needs. Threads:
/// reading at once; `set` and `write` in different blocks at once, of numbers that `reserve` was told.
class NarrowRows final {
 public:
  explicit NarrowRows(std::size_t columns) : fields_(columns) {}

  [[nodiscard]] std::size_t size() const { return rows_; }
  /// New rows hold 0; blocks that are not needed any more are freed.
  void resize(std::size_t rows);
  /// Makes a column wide enough. Cost: O(rows) where it is not.
  void reserve(std::size_t column, std::uint32_t number) {
    if (number > fields_[column].mask) widen(column, number);
  }
  /// A column's numbers become 0, and take no room.
  void clear(std::size_t column);

  [[nodiscard]] std::uint32_t get(std::size_t row, std::size_t column) const {
    const Field& field = fields_[column];
    return load(at(row) + field.offset) & field.mask;
  }
  void set(std::size_t row, std::size_t column, std::uint32_t number) {
    reserve(column, number);
    store(at(row), fields_[column], number);
  }
  void copy_row(std::size_t from, std::size_t to) { std::memmove(at(to), at(from), stride_); }
  void prefetch(std::size_t row) const { __builtin_prefetch(at(row)); }

  /// A column's numbers in a block of kBlock rows, as many as there are.
  void read(std::size_t block, std::size_t column, std::uint32_t* out) const;
  void write(std::size_t block, std::size_t column, const std::uint32_t* numbers);

  [[nodiscard]] std::size_t bytes() const { return blocks_.size() * bytes_of_block(); }

 private:
  /// A number is read with what stands behind it, as 4 bytes, and that is masked away.
  struct Field {
    std::uint32_t mask = 0;
    std::uint32_t offset = 0;
  };
  static constexpr std::size_t kWord = sizeof(std::uint32_t);

  [[nodiscard]] static std::uint32_t load(const unsigned char* from) {
    std::uint32_t word = 0;
    std::memcpy(&word, from, kWord);
    return word;
  }
  static void store(unsigned char* row, const Field& field, std::uint32_t number) {
    const std::uint32_t word = (load(row + field.offset) & ~field.mask) | number;
    std::memcpy(row + field.offset, &word, kWord);
  }
  [[nodiscard]] unsigned char* at(std::size_t row) const {
    return blocks_[row / kBlock].get() + row % kBlock * stride_;
  }
  [[nodiscard]] std::size_t bytes_of_block() const { return kBlock * stride_ + kWord; }
  [[nodiscard]] std::size_t size_of_block(std::size_t block) const;
  void widen(std::size_t column, std::uint32_t number);
  void set_fields(std::vector<Field> fields);

  std::vector<Field> fields_;  ///< by column
  std::size_t stride_ = 0;     ///< bytes of a row
  std::size_t rows_ = 0;
  std::vector<std::unique_ptr<unsigned char[]>> blocks_;
};

}  // namespace headroom::worklist::impl
