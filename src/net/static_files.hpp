#pragma once

// The files of a web application, embedded in the executable.
//
// A table of assets is made at build time and handed over; this module knows nothing of what is in it. Bytes
// are compressed once, at build time, and sent from where they lie: a request copies nothing. A client that
// takes no gzip gets them unpacked.
//
// The application is one page with many addresses, so that each view has a URL: what has no dot in its last
// segment is answered with /index.html, whose scripts look at the address. The page itself is asked for anew
// every time (a 304 mostly); names below /assets/ carry a hash of their content and are kept by the browser
// for a year.

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>

#include "net/http.hpp"

namespace headroom::net {

/// One file. Lifetime: the views and bytes live as long as the program.
struct Asset {
  std::string_view path;          ///< as asked for: "/index.html", "/assets/index-4f2a91c0.js"
  std::string_view content_type;  ///< "text/html; charset=utf-8"
  std::string_view etag;          ///< names the content, without quotes: a hash in hexadecimal
  std::span<const unsigned char> gzip;
};

/// Answers GET with assets. Threads: any, after construction.
class StaticFiles {
 public:
  /// No file is larger than this when it is unpacked.
  static constexpr std::size_t kMostBytes = 16 * 1024 * 1024;

  explicit StaticFiles(std::span<const Asset> assets);

  [[nodiscard]] bool empty() const { return assets_.empty(); }
  /// 200, 304 when If-None-Match names the content, 404 for a file that does not exist, 406 for a client that
  /// takes neither gzip nor the plain bytes. Cost: a look-up; unpacking for a client without gzip.
  [[nodiscard]] Response respond(const Request& request) const;

 private:
  [[nodiscard]] const Asset* find(std::string_view path) const;

  std::unordered_map<std::string_view, Asset> assets_;
};

/// The encodings that an Accept-Encoding header allows; without the header only identity is sent.
/// Source: RFC 9110 section 12.5.3.
struct AcceptedEncodings {
  bool gzip = false;
  bool identity = true;
};
[[nodiscard]] AcceptedEncodings accepted_encodings(std::string_view header);

}  // namespace headroom::net
