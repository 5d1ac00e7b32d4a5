#include "base/glob.hpp"

#include <cstddef>

namespace headroom::base {

namespace {

constexpr std::size_t kNone = std::string_view::npos;

/// Matches one character against the class that starts at `pattern[at]` == '['.
/// Returns the index behind the class, or kNone when it does not match or is not closed.
std::size_t match_class(std::string_view pattern, std::size_t at, char wanted) {
  std::size_t i = at + 1;
  const bool negated = i < pattern.size() && pattern[i] == '!';
  if (negated) ++i;
  bool found = false;
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    const bool range = i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']';
    const char low = pattern[i];
    const char high = range ? pattern[i + 2] : low;
    found = found || (low <= wanted && wanted <= high);
    i += range ? 3 : 1;
  }
  if (i >= pattern.size()) return kNone;
  return found != negated ? i + 1 : kNone;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = kNone;
  std::size_t retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '[') {
      if (const auto next = match_class(pattern, p, text[t]); next != kNone) {
        p = next;
        ++t;
        continue;
      }
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
      continue;
    }
    if (star == kNone) return false;
    p = star + 1;
    t = ++retry;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool glob_is_closed(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '[') continue;
    const std::size_t first = i + 1 < pattern.size() && pattern[i + 1] == '!' ? i + 2 : i + 1;
    const std::size_t close = pattern.find(']', first + 1);
    if (close == kNone) return false;
    i = close;
  }
  return true;
}

}  // namespace headroom::base
