#pragma once

// From the classes of a document's values to the document's class.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

namespace headroom::worklist::impl {

/// Tuples of small numbers to a class; 0 is none. A tuple is packed into bits: 22 at most are a place in an
/// array, 64 a key; longer ones are looked up as they are.
class ClassIndex final {
 public:
  /// Bits with which a tuple is a place in an array.
  static constexpr unsigned kArrayBits = 22;

  /// Forgets everything. `sizes`: how many numbers each place of a tuple has; there may be twice as many
  /// later.
  void reset(std::span<const std::size_t> sizes);
  /// Whether a number has room in the bits of its place.
  [[nodiscard]] bool has_room(std::size_t place, std::uint32_t number) const;
  [[nodiscard]] std::uint32_t find(std::span<const std::uint32_t> tuple) const;
  void add(std::span<const std::uint32_t> tuple, std::uint32_t found);

  /// For walks over all documents: the tuple as a place, an OR of its numbers, each shifted.
  [[nodiscard]] bool is_array() const { return bits_ <= kArrayBits; }
  [[nodiscard]] unsigned shift(std::size_t place) const { return shifts_[place]; }
  [[nodiscard]] std::uint32_t number(std::size_t place, std::size_t key) const;
  [[nodiscard]] std::size_t places() const { return array_.size(); }
  [[nodiscard]] std::uint32_t at(std::size_t key) const { return array_[key]; }
  [[nodiscard]] std::size_t bytes() const;

 private:
  [[nodiscard]] std::uint64_t pack(std::span<const std::uint32_t> tuple) const;

  std::vector<unsigned> shifts_;
  std::vector<unsigned> widths_;
  unsigned bits_ = 0;
  std::vector<std::uint32_t> array_{0};
  std::unordered_map<std::uint64_t, std::uint32_t> packed_;
  std::map<std::vector<std::uint32_t>, std::uint32_t> whole_;
};

}  // namespace headroom::worklist::impl
