#pragma once

// Integers of variable length: 7 bits a byte, lowest first, the high bit set in every byte but the last.
// Signed numbers are folded ("zigzag": 0, -1, 1, -2 ...) so that small negative ones stay short.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headroom::perf {

[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

/// Appends 1 to 10 bytes to a string or a vector of bytes.
template <typename Bytes>
void put_varint(Bytes& bytes, std::uint64_t value) {
  using Byte = typename Bytes::value_type;
  for (; value >= 0x80; value >>= 7)
    bytes.push_back(static_cast<Byte>(static_cast<std::uint8_t>(value | 0x80)));
  bytes.push_back(static_cast<Byte>(static_cast<std::uint8_t>(value)));
}

/// Reads numbers one after the other. After the first that is cut or too long it stands at the end, `failed`,
/// and gives zeros.
class VarintReader {
 public:
  explicit VarintReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  [[nodiscard]] bool at_end() const { return at_ == end_; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

  [[nodiscard]] std::uint64_t next() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at_ != end_ && shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(*at_++);
      const auto bits = static_cast<std::uint64_t>(byte & 0x7F);
      if (shift == 63 && bits > 1) break;
      value |= bits << shift;
      if ((byte & 0x80) == 0) return value;
    }
    failed_ = true;
    at_ = end_;
    return 0;
  }

 private:
  const char* at_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace headroom::perf
