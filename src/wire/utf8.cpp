#include "wire/utf8.hpp"

namespace headroom::wire {

bool Utf8Check::begin(unsigned char byte) {
  least_ = 0x80;
  most_ = 0xbf;
  if (byte < 0x80) return true;
  if (byte < 0xc2 || byte > 0xf4) return false;
  missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  if (byte == 0xe0) least_ = 0xa0;  // else overlong
  if (byte == 0xed) most_ = 0x9f;   // else a surrogate
  if (byte == 0xf0) least_ = 0x90;  // else overlong
  if (byte == 0xf4) most_ = 0x8f;   // else beyond U+10FFFF
  return true;
}

bool Utf8Check::feed(std::string_view bytes) {
  for (const char one : bytes) {
    const auto byte = static_cast<unsigned char>(one);
    if (failed_) return false;
    if (missing_ == 0) {
      failed_ = !begin(byte);
      continue;
    }
    failed_ = byte < least_ || byte > most_;
    least_ = 0x80;
    most_ = 0xbf;
    --missing_;
  }
  return !failed_;
}

bool is_utf8(std::string_view text) {
  Utf8Check check;
  return check.feed(text) && check.complete();
}

}  // namespace headroom::wire
