#pragma once

// A few small numbers as the key of a cell, in as few words as they need.

#include <array>
#include <cstddef>
#include <cstdint>

#include "worklist/impl/numbers.hpp"

namespace headroom::worklist::impl {

/// Tuples of numbers, each in as many bits as the largest one told needs, side by side in words of 32 bits. A
/// number stands in one word. So a document class and a security uid are one word nearly always.
class CellKeys final {
 public:
  static constexpr std::size_t kMostNumbers = kMostLevels + 1;
  using Key = std::array<std::uint32_t, kMostNumbers>;

  /// For 1 to kMostNumbers numbers, of which 0 has room.
  explicit CellKeys(std::size_t numbers);

  /// Words of a key.
  [[nodiscard]] std::uint32_t words() const { return fields_[numbers_ - 1].word + 1U; }
  [[nodiscard]] bool has_room(const std::uint32_t* numbers) const {
    std::uint32_t beyond = 0;
    for (std::size_t i = 0; i < numbers_; ++i) beyond |= numbers[i] & ~fields_[i].mask;
    return beyond == 0;
  }
  /// Keys of before mean something else then.
  void make_room(const std::uint32_t* numbers);

  [[nodiscard]] Key pack(const std::uint32_t* numbers) const {
    Key key{};
    for (std::size_t i = 0; i < numbers_; ++i) key[fields_[i].word] |= numbers[i] << fields_[i].shift;
    return key;
  }
  [[nodiscard]] std::uint32_t number(const std::uint32_t* key, std::size_t place) const {
    const Field& field = fields_[place];
    return key[field.word] >> field.shift & field.mask;
  }
  [[nodiscard]] std::uint32_t word(std::size_t place) const { return fields_[place].word; }
  [[nodiscard]] std::uint32_t shift(std::size_t place) const { return fields_[place].shift; }

 private:
  struct Field {
    std::uint32_t mask = 0;
    std::uint8_t word = 0;
    std::uint8_t shift = 0;
  };

  std::size_t numbers_;
  std::array<Field, kMostNumbers> fields_{};
};

}  // namespace headroom::worklist::impl
