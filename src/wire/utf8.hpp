#pragma once

#include <cstdint>
#include <string_view>

namespace headroom::wire {

/// Tells whether bytes that come in pieces are well-formed UTF-8: no surrogates, no overlong forms.
/// Cost: O(bytes), two words of state. Threads: none. Source: RFC 3629, Unicode 15 table 3-7.
class Utf8Check {
 public:
  /// False at the first byte that can't be right; then for ever.
  bool feed(std::string_view bytes);
  /// Nothing is missing from the last character.
  [[nodiscard]] bool complete() const { return missing_ == 0; }

 private:
  bool begin(unsigned char byte);

  /// Continuation bytes still to come, and what the next of them may be.
  std::uint8_t missing_ = 0;
  unsigned char least_ = 0x80;
  unsigned char most_ = 0xbf;
  bool failed_ = false;
};

[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace headroom::wire
