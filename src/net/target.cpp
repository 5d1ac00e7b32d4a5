#include "net/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "wire/utf8.hpp"

namespace headroom::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::size_t kMostSegments = 32;
constexpr std::size_t kMostParameters = 64;

enum class Plus { kIsPlus, kIsBlank };

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<std::string> decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const bool complete = i + 2 < text.size();
      const int high = complete ? hex_digit(text[i + 1]) : -1;
      const int low = complete ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return fail(ErrorCode::kInvalidArgument, "a % must be followed by two hex digits");
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      decoded.push_back(text[i] == '+' && plus == Plus::kIsBlank ? ' ' : text[i]);
    }
  }
  if (!wire::is_utf8(decoded)) return fail(ErrorCode::kInvalidArgument, "the text is not UTF-8");
  if (has_control(decoded)) return fail(ErrorCode::kInvalidArgument, "control characters are not accepted");
  return decoded;
}

/// Calls `take` with each part between separators; stops at its first error.
template <typename Take>
Result<void> for_each_part(std::string_view text, char separator, Take take) {
  while (true) {
    const std::size_t end = text.find(separator);
    if (auto taken = take(text.substr(0, end)); !taken) return taken;
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
}

Result<void> read_segment(std::string_view part, std::vector<std::string>& segments) {
  if (segments.size() == kMostSegments)
    return fail(ErrorCode::kTooLarge, "the path has more than 32 segments");
  auto segment = decode(part, Plus::kIsPlus);
  if (!segment) return fail(std::move(segment.error()).within("path"));
  if (segment->empty() || *segment == "." || *segment == "..") {
    return fail(ErrorCode::kInvalidArgument, "path: empty segments, '.' and '..' are not accepted");
  }
  segments.push_back(std::move(*segment));
  return {};
}

Result<void> read_parameter(std::string_view part, Parameters& query) {
  if (part.empty()) return {};
  if (query.all().size() == kMostParameters) {
    return fail(ErrorCode::kTooLarge, "the query has more than 64 parameters");
  }
  const std::size_t equals = part.find('=');
  auto name = decode(part.substr(0, equals), Plus::kIsBlank);
  if (!name) return fail(std::move(name.error()).within("query"));
  auto value =
      decode(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1), Plus::kIsBlank);
  if (!value) return fail(std::move(value.error()).within(fmt::format("query parameter '{}'", *name)));
  query.add(std::move(*name), std::move(*value));
  return {};
}

/// Takes "http://authority" off the front; nothing happens to the origin form.
void take_authority(std::string_view& text, std::string& authority) {
  constexpr std::string_view kScheme = "http://";
  if (!equals_ignoring_case(text.substr(0, kScheme.size()), kScheme)) return;
  text.remove_prefix(kScheme.size());
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  authority = std::string(text.substr(0, end));
  text.remove_prefix(end);
  if (text.empty()) text = "/";
}

}  // namespace

std::string Target::path() const {
  if (segments.empty()) return "/";
  std::string joined;
  for (const std::string& segment : segments) joined.append("/").append(segment);
  return joined;
}

Result<Target> parse_target(std::string_view text) {
  Target target;
  take_authority(text, target.authority);
  if (text.find('#') != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "the request target must not have a fragment");
  }
  const std::size_t mark = std::min(text.find('?'), text.size());
  const std::string_view path = text.substr(0, mark);
  if (path.empty() || path.front() != '/') {
    return fail(ErrorCode::kInvalidArgument, "the request target must be a path that begins with '/'");
  }
  if (path.size() > 1) {
    const auto read = [&](std::string_view part) { return read_segment(part, target.segments); };
    if (auto done = for_each_part(path.substr(1), '/', read); !done) return fail(std::move(done.error()));
  }
  if (mark < text.size()) {
    const auto read = [&](std::string_view part) { return read_parameter(part, target.query); };
    if (auto done = for_each_part(text.substr(mark + 1), '&', read); !done)
      return fail(std::move(done.error()));
  }
  return target;
}

}  // namespace headroom::net
