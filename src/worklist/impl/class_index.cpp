#include "worklist/impl/class_index.hpp"

#include <bit>

namespace headroom::worklist::impl {

namespace {

constexpr unsigned kKeyBits = 64;

}  // namespace

void ClassIndex::reset(std::span<const std::size_t> sizes) {
  shifts_.clear();
  widths_.clear();
  bits_ = 0;
  for (const std::size_t size : sizes) {
    shifts_.push_back(bits_);
    widths_.push_back(static_cast<unsigned>(std::bit_width(2 * size)));
    bits_ += widths_.back();
  }
  array_.assign(is_array() ? std::size_t{1} << bits_ : 0, 0);
  packed_.clear();
  whole_.clear();
}

bool ClassIndex::has_room(std::size_t place, std::uint32_t number) const {
  return static_cast<unsigned>(std::bit_width(number)) <= widths_[place];
}

std::uint64_t ClassIndex::pack(std::span<const std::uint32_t> tuple) const {
  std::uint64_t key = 0;
  for (std::size_t i = 0; i < tuple.size(); ++i) key |= std::uint64_t{tuple[i]} << shifts_[i];
  return key;
}

std::uint32_t ClassIndex::number(std::size_t place, std::size_t key) const {
  return static_cast<std::uint32_t>(key >> shifts_[place] & ((std::size_t{1} << widths_[place]) - 1));
}

std::uint32_t ClassIndex::find(std::span<const std::uint32_t> tuple) const {
  if (is_array()) return array_[pack(tuple)];
  if (bits_ <= kKeyBits) {
    const auto found = packed_.find(pack(tuple));
    return found == packed_.end() ? 0 : found->second;
  }
  const auto found = whole_.find(std::vector(tuple.begin(), tuple.end()));
  return found == whole_.end() ? 0 : found->second;
}

void ClassIndex::add(std::span<const std::uint32_t> tuple, std::uint32_t found) {
  if (is_array()) {
    array_[pack(tuple)] = found;
  } else if (bits_ <= kKeyBits) {
    packed_[pack(tuple)] = found;
  } else {
    whole_[std::vector(tuple.begin(), tuple.end())] = found;
  }
}

std::size_t ClassIndex::bytes() const {
  constexpr std::size_t kNode = 40;
  return array_.capacity() * sizeof(std::uint32_t) + packed_.size() * kNode +
         whole_.size() * (kNode + widths_.size() * sizeof(std::uint32_t));
}

}  // namespace headroom::worklist::impl
