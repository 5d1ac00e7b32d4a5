#include "worklist/impl/narrow_rows.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace headroom::worklist::impl {

// Numbers begin with their lowest byte: what is masked away stands behind them.
static_assert(std::endian::native == std::endian::little);

namespace {

constexpr unsigned kByte = 8;

/// The largest number of as many bytes as this one takes.
std::uint32_t mask_of(std::uint32_t number) {
  const auto bytes = (static_cast<unsigned>(std::bit_width(number)) + kByte - 1) / kByte;
  return static_cast<std::uint32_t>((std::uint64_t{1} << (bytes * kByte)) - 1);
}

}  // namespace

std::size_t NarrowRows::size_of_block(std::size_t block) const {
  return std::min(kBlock, rows_ - block * kBlock);
}

void NarrowRows::resize(std::size_t rows) {
  const std::size_t wanted = (rows + kBlock - 1) / kBlock;
  const std::size_t end = std::min(rows_, wanted * kBlock);
  if (rows < end) std::memset(at(rows), 0, (end - rows) * stride_);
  blocks_.resize(std::min(wanted, blocks_.size()));
  while (blocks_.size() < wanted) blocks_.push_back(std::make_unique<unsigned char[]>(bytes_of_block()));
  rows_ = rows;
}

void NarrowRows::clear(std::size_t column) {
  if (fields_[column].mask == 0) return;
  std::vector<Field> fields = fields_;
  fields[column].mask = 0;
  set_fields(std::move(fields));
}

void NarrowRows::widen(std::size_t column, std::uint32_t number) {
  std::vector<Field> fields = fields_;
  fields[column].mask = mask_of(number);
  set_fields(std::move(fields));
}

/// Rows move, block by block, to where their numbers are as wide as the masks of `fields`.
void NarrowRows::set_fields(std::vector<Field> fields) {
  std::uint32_t stride = 0;
  for (Field& field : fields) {
    field.offset = stride;
    stride += static_cast<std::uint32_t>(std::bit_width(field.mask)) / kByte;
  }
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    auto made = std::make_unique<unsigned char[]>(kBlock * stride + kWord);
    const std::size_t size = size_of_block(block);
    for (std::size_t column = 0; column < fields.size(); ++column) {
      const Field from = fields_[column];
      const Field to = fields[column];
      for (std::size_t i = 0; from.mask != 0 && i < size; ++i) {
        const std::uint32_t number = load(blocks_[block].get() + i * stride_ + from.offset) & from.mask;
        store(made.get() + i * stride, to, number & to.mask);
      }
    }
    blocks_[block] = std::move(made);
  }
  fields_ = std::move(fields);
  stride_ = stride;
}

void NarrowRows::read(std::size_t block, std::size_t column, std::uint32_t* out) const {
  const Field field = fields_[column];
  const std::size_t stride = stride_;
  const std::size_t size = size_of_block(block);
  const unsigned char* from = blocks_[block].get() + field.offset;
  for (std::size_t i = 0; i < size; ++i) out[i] = load(from + i * stride) & field.mask;
}

void NarrowRows::write(std::size_t block, std::size_t column, const std::uint32_t* numbers) {
  const Field field = fields_[column];
  const std::size_t stride = stride_;
  const std::size_t size = size_of_block(block);
  unsigned char* to = blocks_[block].get();
  for (std::size_t i = 0; i < size; ++i) store(to + i * stride, field, numbers[i]);
}

}  // namespace headroom::worklist::impl
