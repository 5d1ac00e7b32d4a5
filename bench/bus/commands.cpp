#include "commands.hpp"

#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "socket.hpp"

namespace bench {

bool Commands::read() {
  std::array<char, 512> space;
  const auto got = ::read(STDIN_FILENO, space.data(), space.size());
  if (got > 0) bytes_.append(space.data(), static_cast<std::size_t>(got));
  ended_ = got <= 0;
  return !ended_;
}

std::optional<std::vector<std::string>> Commands::next() {
  const std::size_t end = bytes_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream line(bytes_.substr(0, end));
  bytes_.erase(0, end + 1);
  std::vector<std::string> words;
  for (std::string word; line >> word;) words.push_back(std::move(word));
  return words;
}

std::size_t whole_number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    give_up(fmt::format("'{}': expected a whole number", text));
  return value;
}

std::uint16_t port_of(std::string_view text) {
  const std::size_t port = whole_number(text);
  if (port == 0 || port > 65'535) give_up("PORT: expected 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) give_up(fmt::format("{}: no secret in it", path));
  return line;
}

}  // namespace bench
