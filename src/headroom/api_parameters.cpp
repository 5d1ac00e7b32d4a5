#include "headroom/api_parameters.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

const std::string* ParameterReader::find(std::string_view name) {
  known_.push_back(name);
  return query_.find(name);
}

void ParameterReader::reject(std::string_view name, const base::Error& error) {
  if (!problem_) problem_ = base::Error(error).within(name);
}

void ParameterReader::read(std::string_view name, std::string& target) {
  if (const std::string* text = find(name)) target = *text;
}

void ParameterReader::read(std::string_view name, std::uint64_t& target, std::uint64_t most) {
  std::optional<std::uint64_t> number;
  read(name, number, most);
  target = number.value_or(target);
}

void ParameterReader::read(std::string_view name, std::optional<std::uint64_t>& target, std::uint64_t most) {
  const std::string* text = find(name);
  if (text == nullptr) return;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error == std::errc{} && end == text->data() + text->size() && number <= most) {
    target = number;
  } else {
    reject(name,
           {ErrorCode::kInvalidArgument, fmt::format("'{}': expected a number from 0 to {}", *text, most)});
  }
}

void ParameterReader::read(std::string_view name, std::optional<base::UtcTime>& target) {
  const std::string* text = find(name);
  if (text == nullptr) return;
  const auto time = base::parse_time(*text, now_);
  if (time) {
    target = *time;
  } else {
    reject(name, time.error());
  }
}

void ParameterReader::read(std::string_view name, bool& target) {
  const std::string* text = find(name);
  if (text == nullptr) return;
  target = *text == "1" || *text == "true";
  if (target || *text == "0" || *text == "false") return;
  reject(name, {ErrorCode::kInvalidArgument, fmt::format("'{}': expected 1 or 0", *text)});
}

void ParameterReader::read_filter(perf::Filter& filter) {
  read("user", filter.user);
  read("database", filter.database);
  read("method", filter.method);
}

void ParameterReader::read_page(perf::Page& page) {
  page.limit = kUsualLimit;
  read("limit", page.limit, kMostRows);
  read("offset", page.offset, std::numeric_limits<std::int64_t>::max());
  if (page.limit == 0) page.limit = kMostRows;
}

Result<void> ParameterReader::finish(std::string_view what) const {
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : query_.all()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("unknown parameter '{}'; {} accepts {}", name, what, fmt::join(known_, ", ")));
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return fail(ErrorCode::kInvalidArgument, fmt::format("parameter '{}' is given twice", name));
    seen.push_back(name);
  }
  if (problem_) return fail(*problem_);
  return {};
}

}  // namespace headroom::cli
