#include "base/units.hpp"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace headroom::base {

namespace {

constexpr std::array<std::pair<std::string_view, double>, 10> kUnits{{{"", 1.0},
                                                                      {"b", 1.0},
                                                                      {"kb", 1e3},
                                                                      {"mb", 1e6},
                                                                      {"gb", 1e9},
                                                                      {"tb", 1e12},
                                                                      {"kib", 1024.0},
                                                                      {"mib", 1024.0 * 1024},
                                                                      {"gib", 1024.0 * 1024 * 1024},
                                                                      {"tib", 1024.0 * 1024 * 1024 * 1024}}};
/// Sizes are kept as signed 64-bit numbers by the stores.
constexpr double kLargest = 9.0e18;

std::string lower_without_blanks(std::string_view text) {
  std::string result;
  for (const char character : text) {
    if (character != ' ') result += static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
  }
  return result;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bad = [text] {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is no size; write for example 2GiB, 500MB or a number of bytes", text));
  };
  const std::string compact = lower_without_blanks(text);
  double value = 0;
  const auto [end, error] =
      std::from_chars(compact.data(), compact.data() + compact.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || !(value >= 0)) return bad();
  const std::string_view unit(end, static_cast<std::size_t>(compact.data() + compact.size() - end));
  for (const auto& [unit_name, factor] : kUnits) {
    if (unit != unit_name) continue;
    const bool parts_of_a_byte = factor == 1.0 && value != std::floor(value);
    if (value * factor > kLargest || parts_of_a_byte) return bad();
    return static_cast<std::uint64_t>(std::llround(value * factor));
  }
  return bad();
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0 || value >= 99.95) return fmt::format("{:.0f} {}", value, kNames[unit]);
  return fmt::format("{:.1f} {}", value, kNames[unit]);
}

}  // namespace headroom::base
