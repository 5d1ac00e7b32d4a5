#pragma once

// What a load generator is told: arguments of its command line, and lines of words on stdin.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// The lines of stdin. Its owner waits until that can be read.
class Commands {
 public:
  /// Takes what is there; call it when there is something. False at the end of stdin.
  bool read();
  [[nodiscard]] bool ended() const { return ended_; }
  /// The words of the next whole line.
  [[nodiscard]] std::optional<std::vector<std::string>> next();

 private:
  std::string bytes_;
  bool ended_ = false;
};

// Each of these ends the process when the text says something else.

[[nodiscard]] std::size_t whole_number(std::string_view text);
[[nodiscard]] std::uint16_t port_of(std::string_view text);
/// Of a file that holds a secret.
[[nodiscard]] std::string first_line(const char* path);

}  // namespace bench
