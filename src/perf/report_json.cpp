#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perf/report.hpp"

namespace headroom::perf {

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_number(double number) {
  return std::isfinite(number) ? fmt::format("{:.6g}", number) : "null";
}

namespace {

std::string json_seconds(Microseconds duration) {
  const std::int64_t us = duration.count();
  const std::int64_t size = us < 0 ? -us : us;
  return fmt::format("{}{}.{:06}", us < 0 ? "-" : "", size / 1'000'000, size % 1'000'000);
}

std::string json_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return text->empty() ? "null" : json_text(*text);
  if (const auto* duration = std::get_if<Microseconds>(&cell)) return json_seconds(*duration);
  if (const auto* time = std::get_if<UtcTime>(&cell)) return fmt::format("\"{}\"", base::to_iso(*time));
  if (const auto* number = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *number);
  if (const auto* number = std::get_if<double>(&cell)) return json_number(*number);
  return "null";
}

std::string json_row(const std::vector<std::string>& keys, const std::vector<Cell>& row) {
  std::string result = "{";
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) result += ", ";
    result += keys[i] + ": " + json_cell(row[i]);
  }
  return result + "}";
}

}  // namespace

std::string to_json(const Report& report) {
  if (report.parts.empty()) return to_json(report.table);
  std::string result = to_json(report.table);
  result.resize(result.rfind('}'));
  for (const Part& part : report.parts) {
    std::string rows = to_json(part.table);
    rows.pop_back();  // its line end
    result += fmt::format(",\n {}: {}", json_text(part.name), rows);
  }
  return result + "}]\n";
}

std::string to_json(const Table& table) {
  std::vector<std::string> keys;
  for (const Column& column : table.columns) keys.push_back(json_text(column.name));
  std::string result = "[";
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    result += i > 0 ? ",\n " : "";
    result += json_row(keys, table.rows[i]);
  }
  return result + "]\n";
}

}  // namespace headroom::perf
