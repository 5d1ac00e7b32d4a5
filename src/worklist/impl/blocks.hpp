#pragma once

// Long arrays in blocks: growing neither copies what is there nor leaves half of the memory unused.

#include <cstddef>
#include <cstdint>
#include <memory>
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

}  // namespace headroom::worklist::impl
