#include "worklist/template_text.hpp"

#include <fmt/format.h>

namespace headroom::worklist {

namespace {

/// Calls `plain` with each stretch of text and `place` with each name; false at a `%` that begins neither a
/// place nor a sign.
template <typename Plain, typename Place>
bool walk(std::string_view text, Plain plain, Place place) {
  while (!text.empty()) {
    const std::size_t percent = text.find('%');
    plain(text.substr(0, percent));
    if (percent == std::string_view::npos) return true;
    text.remove_prefix(percent + 1);
    if (text.starts_with('%')) {
      plain(text.substr(0, 1));
      text.remove_prefix(1);
      continue;
    }
    const std::size_t end = text.find(")s");
    if (!text.starts_with('(') || end == std::string_view::npos) return false;
    place(text.substr(1, end - 1));
    text.remove_prefix(end + 2);
  }
  return true;
}

bool is_unreserved(char sign) {
  return (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') || (sign >= '0' && sign <= '9') ||
         sign == '-' || sign == '.' || sign == '_' || sign == '~';
}

}  // namespace

Result<std::set<std::string>> places_of(std::string_view text) {
  std::set<std::string> places;
  const bool read = walk(
      text, [](std::string_view) {}, [&places](std::string_view place) { places.emplace(place); });
  if (read) return places;
  return base::fail(ErrorCode::kInvalidArgument,
                    "a % begins neither a place such as %(count)s nor %%, the sign itself");
}

std::string fill(std::string_view text, const PlaceValue& value_of) {
  std::string filled;
  (void)walk(
      text, [&filled](std::string_view plain) { filled += plain; },
      [&](std::string_view place) { filled += value_of(place, filled); });
  return filled;
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char sign : text) {
    if (is_unreserved(sign)) {
      encoded += sign;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(sign));
    }
  }
  return encoded;
}

}  // namespace headroom::worklist
