#include "worklist/impl/cell_keys.hpp"

#include <bit>

namespace headroom::worklist::impl {

namespace {

constexpr int kWordBits = 32;

}  // namespace

CellKeys::CellKeys(std::size_t numbers) : numbers_(numbers) {}

void CellKeys::make_room(const std::uint32_t* numbers) {
  int word = 0;
  int end = 0;
  for (std::size_t i = 0; i < numbers_; ++i) {
    Field& field = fields_[i];
    const auto width = static_cast<int>(std::bit_width(numbers[i] | field.mask));
    if (end + width > kWordBits) {
      ++word;
      end = 0;
    }
    field.mask = static_cast<std::uint32_t>((std::uint64_t{1} << width) - 1);
    field.word = static_cast<std::uint8_t>(word);
    // A number of no bits at the end of a word is shifted by less than the word has.
    field.shift = static_cast<std::uint8_t>(end == kWordBits ? 0 : end);
    end += width;
  }
}

}  // namespace headroom::worklist::impl
