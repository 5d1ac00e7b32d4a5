#pragma once

// Counts by small keys, as dense as it can be: millions of cells are held.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace headroom::worklist::impl {

/// A key of a few numbers to a count that is not 0. Open addressing in one array; a cell whose count becomes
/// 0 is gone. Cost: O(1), in one cache line mostly. Memory: 4 bytes for each number and the count, in a table
/// that is filled from 0.5 to 0.75, or to 0.7 after `assign`.
class CellTable final {
 public:
  explicit CellTable(std::uint32_t words) : words_(words) {}

  /// `key` has as many numbers as the table was made with.
  void add(const std::uint32_t* key, std::uint32_t by);
  /// Less; what is not there stays so.
  void subtract(const std::uint32_t* key, std::uint32_t by);
  /// Counts keys that stand one behind the other, in place of what is there.
  void assign(std::span<const std::uint32_t> keys);
  /// Fetches what `add` or `subtract` will look at.
  void prefetch(const std::uint32_t* key) const {
    if (!cells_.empty()) __builtin_prefetch(cell(home(key)), 1);
  }
  /// `told(key, count)` of each cell.
  template <typename Told>
  void visit(Told told) const {
    visit_places([&told](const std::uint32_t* key, std::uint32_t count) {
      if (count != 0) told(key, count);
    });
  }
  /// Of free places too, for sums that need not ask: their count is 0, their key 0 or one that was there.
  template <typename Told>
  void visit_places(Told told) const {
    const std::size_t stride = words_ + 1U;
    const std::uint32_t* const end = cells_.data() + cells_.size();
    for (const std::uint32_t* at = cells_.data(); at != end; at += stride) told(at, at[words_]);
  }
  [[nodiscard]] std::size_t size() const { return used_; }
  [[nodiscard]] std::size_t bytes() const { return cells_.capacity() * sizeof(std::uint32_t); }

 private:
  [[nodiscard]] std::size_t home(const std::uint32_t* key) const;
  /// Of the key, or where it would be.
  [[nodiscard]] std::size_t place_of(const std::uint32_t* key) const;
  [[nodiscard]] bool is_at(std::size_t place, const std::uint32_t* key) const {
    const std::uint32_t* there = cell(place);
    std::uint32_t word = 0;
    while (word < words_ && there[word] == key[word]) ++word;
    return word == words_;
  }
  [[nodiscard]] std::size_t behind(std::size_t place) const { return place + 1 == places_ ? 0 : place + 1; }
  [[nodiscard]] std::uint32_t* cell(std::size_t place) { return cells_.data() + place * (words_ + 1U); }
  [[nodiscard]] const std::uint32_t* cell(std::size_t place) const {
    return cells_.data() + place * (words_ + 1U);
  }
  void put(const std::uint32_t* key, std::uint32_t by);
  void resize(std::size_t places);
  void reset(std::size_t places);
  void erase(std::size_t place);

  std::uint32_t words_;
  std::uint32_t places_ = 0;
  std::uint32_t used_ = 0;
  std::vector<std::uint32_t> cells_;
};

/// Counts by class: an array where many classes occur, else cells.
class ClassCounts final {
 public:
  /// `classes`: how many there are, the class below it.
  void add(std::uint32_t document_class, std::size_t classes);
  void subtract(std::uint32_t document_class);
  /// Counts classes that stand one behind the other, in place of what is there. `scratch` holds zeros, one
  /// for each class, and is left so.
  void assign(std::span<const std::uint32_t> classes, std::vector<std::uint32_t>& scratch);
  /// `counts` has a place for each class.
  void add_to(std::uint32_t* counts) const;
  /// Fetches what `add` or `subtract` will look at.
  void prefetch(std::uint32_t document_class) const {
    if (document_class < dense_.size()) {
      __builtin_prefetch(&dense_[document_class], 1);
    } else {
      sparse_.prefetch(&document_class);
    }
  }
  [[nodiscard]] std::size_t bytes() const {
    return dense_.capacity() * sizeof(std::uint32_t) + sparse_.bytes();
  }

 private:
  void make_dense(std::size_t classes);

  std::vector<std::uint32_t> dense_;
  CellTable sparse_{1};
};

}  // namespace headroom::worklist::impl
