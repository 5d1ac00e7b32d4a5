#pragma once

// The pages of the web application, as they are embedded in the executable.

#include <span>
#include <string_view>

namespace headroom::web {

/// One file of the web application.
/// Lifetime: everything it refers to lives as long as the program.
struct Asset {
  /// As a browser asks for it: "/index.html", "/assets/index-1f2e3d.js".
  std::string_view path;
  std::string_view content_type;
  /// Names the content, without quotes: a hash in hexadecimal.
  std::string_view etag;
  /// The content, packed once at build time.
  std::span<const unsigned char> gzip;
};

/// All files, sorted by path. A file below "/assets/" carries a hash of its content in its name and never
/// changes; "/index.html" is the page that every address of the application begins with.
[[nodiscard]] std::span<const Asset> web_assets();

}  // namespace headroom::web
