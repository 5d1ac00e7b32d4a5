#pragma once

// Long arrays in blocks: growing neither copies what is there nor leaves half of the memory unused.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

namespace headroom::worklist::impl {

/// Places in one block. What is read block by block is decoded at once.
inline constexpr std::size_t kBlock = 16'384;

template <typename Number>
class Blocks final {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Number operator[](std::size_t place) const { return blocks_[place / kBlock][place % kBlock]; }
  void set(std::size_t place, Number value) { blocks_[place / kBlock][place % kBlock] = value; }
  /// New places hold 0; blocks that are not needed any more are freed.
  void resize(std::size_t size) {
    const std::size_t wanted = (size + kBlock - 1) / kBlock;
    for (std::size_t place = size; place < size_ && place < wanted * kBlock; ++place) set(place, 0);
    while (blocks_.size() < wanted) blocks_.push_back(std::make_unique<Number[]>(kBlock));
    blocks_.resize(wanted);
    size_ = size;
  }
  [[nodiscard]] const Number* block(std::size_t number) const { return blocks_[number].get(); }
  [[nodiscard]] std::size_t bytes() const { return blocks_.size() * kBlock * sizeof(Number); }

 private:
  std::vector<std::unique_ptr<Number[]>> blocks_;
  std::size_t size_ = 0;
};

/// Numbers of 32 bits, held in as many bytes (1, 2 or 4) as the largest one needs.
/// Threads: `read` and `[]` at once; `set` of different blocks at once when no value is larger than one that
/// `reserve` was told.
class NarrowArray final {
 public:
  [[nodiscard]] std::size_t size() const {
    return std::visit([](const auto& blocks) { return blocks.size(); }, blocks_);
  }
  void resize(std::size_t size) {
    std::visit([size](auto& blocks) { blocks.resize(size); }, blocks_);
  }
  [[nodiscard]] std::uint32_t operator[](std::size_t place) const {
    if (const auto* narrow = std::get_if<Blocks<std::uint8_t>>(&blocks_)) return (*narrow)[place];
    if (const auto* middle = std::get_if<Blocks<std::uint16_t>>(&blocks_)) return (*middle)[place];
    return std::get<Blocks<std::uint32_t>>(blocks_)[place];
  }
  void set(std::size_t place, std::uint32_t value) {
    reserve(value);
    if (auto* narrow = std::get_if<Blocks<std::uint8_t>>(&blocks_)) {
      narrow->set(place, static_cast<std::uint8_t>(value));
    } else if (auto* middle = std::get_if<Blocks<std::uint16_t>>(&blocks_)) {
      middle->set(place, static_cast<std::uint16_t>(value));
    } else {
      std::get<Blocks<std::uint32_t>>(blocks_).set(place, value);
    }
  }
  /// Makes places wide enough for a value.
  void reserve(std::uint32_t value) {
    if (value > most_) widen(value);
  }
  /// A block's places, as many as there are, as numbers of 32 bits.
  void read(std::size_t block, std::uint32_t* out) const {
    const std::size_t count = std::min(kBlock, size() - block * kBlock);
    std::visit(
        [&](const auto& blocks) {
          const auto* from = blocks.block(block);
          for (std::size_t i = 0; i < count; ++i) out[i] = from[i];
        },
        blocks_);
  }
  [[nodiscard]] std::size_t bytes() const {
    return std::visit([](const auto& blocks) { return blocks.bytes(); }, blocks_);
  }

 private:
  template <typename Wide>
  void widen_to() {
    Blocks<Wide> wide;
    wide.resize(size());
    for (std::size_t place = 0; place < size(); ++place) wide.set(place, static_cast<Wide>((*this)[place]));
    blocks_ = std::move(wide);
    most_ = static_cast<Wide>(-1);
  }
  void widen(std::uint32_t value) {
    if (value <= UINT16_MAX) return widen_to<std::uint16_t>();
    widen_to<std::uint32_t>();
  }

  std::variant<Blocks<std::uint8_t>, Blocks<std::uint16_t>, Blocks<std::uint32_t>> blocks_;
  std::uint32_t most_ = UINT8_MAX;
};

}  // namespace headroom::worklist::impl
