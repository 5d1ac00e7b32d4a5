#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/http.hpp"

namespace headroom::net {

/// The request target of a request line, decoded.
struct Target {
  /// "host:port" of the absolute form ("GET http://host:port/path"); it then stands for the Host header.
  std::string authority;
  /// Never empty strings, "." or ".."; the root path has none. A segment may hold a "/" that was sent as %2F.
  std::vector<std::string> segments;
  Parameters query;

  /// "/" and the segments, for messages.
  [[nodiscard]] std::string path() const;
};

/// Reads the origin form ("/path?a=b") and the absolute form. Everything decoded is valid UTF-8 without
/// control characters. In the query "+" is a blank. A fragment is an error, as is a trailing or double slash.
/// Errors: invalid_argument; too_large beyond 32 segments or 64 parameters.
/// Cost: O(size). Threads: pure. Source: RFC 3986 section 3, RFC 9112 section 3.2.
[[nodiscard]] base::Result<Target> parse_target(std::string_view target);

}  // namespace headroom::net
