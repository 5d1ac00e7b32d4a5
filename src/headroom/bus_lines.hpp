#pragma once

// The commands of the doors that get them all at once: one a line.

#include <optional>
#include <string_view>
#include <vector>

#include "net/http.hpp"

namespace headroom::cli {

inline constexpr std::size_t kMostBusLines = 16;

/// The lines of a body that are not blank. Lifetime: that of `body`.
[[nodiscard]] std::vector<std::string_view> bus_lines(std::string_view body);
/// The refusal of a body without commands, or with more than kMostBusLines.
[[nodiscard]] std::optional<net::Response> check_bus_lines(const std::vector<std::string_view>& lines);

}  // namespace headroom::cli
