#include "headroom/bus_lines.hpp"

#include <fmt/format.h>

namespace headroom::cli {

std::vector<std::string_view> bus_lines(std::string_view body) {
  std::vector<std::string_view> lines;
  while (!body.empty()) {
    const std::size_t end = body.find('\n');
    std::string_view line = body.substr(0, end);
    body = end == std::string_view::npos ? std::string_view{} : body.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(' ') != std::string_view::npos) lines.push_back(line);
  }
  return lines;
}

std::optional<net::Response> check_bus_lines(const std::vector<std::string_view>& lines) {
  if (!lines.empty() && lines.size() <= kMostBusLines) return std::nullopt;
  return net::error_response(
      400, "invalid_argument",
      fmt::format("the body holds {} commands; expected 1 to {}, one a line, the first being connect",
                  lines.size(), kMostBusLines));
}

}  // namespace headroom::cli
