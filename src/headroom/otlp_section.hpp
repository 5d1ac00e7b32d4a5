#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/config.hpp"
#include "base/result.hpp"

namespace headroom::cli {

/// An "http://host[:port]/path" or "https://..." in parts.
struct HttpTarget {
  bool tls = false;
  std::string host;
  std::string port;
  std::string path;
};

/// A port that is not named is OTLP's 4318, of https 443; a path, "/v1/traces".
/// Errors: invalid_argument (another scheme, credentials in it, control characters, no host).
[[nodiscard]] base::Result<HttpTarget> parse_http_target(std::string_view url);

/// "Name: value" in parts. Errors: invalid_argument.
struct HttpHeader {
  std::string name;
  std::string value;
};
[[nodiscard]] base::Result<HttpHeader> parse_http_header(std::string_view text);

/// `[otlp]`
struct OtlpSection {
  /// Where `headroom serve` sends recorded calls as traces: "http://host:4318/v1/traces", or https; empty is
  /// nowhere.
  std::string endpoint;
  /// PEM certificates that are trusted in place of the system's, when the endpoint is https. Empty: the
  /// system's.
  std::string ca_file;
  /// `service.name` of the traces.
  std::string service = "trytond";
  /// A header that every request carries, "Name: value": for a token. Empty is none.
  std::string header;
  /// Calls that wait to be sent; beyond it the oldest are dropped, and counted.
  std::int64_t queue = 10'000;

  void read(base::ConfigSection& section);
};

}  // namespace headroom::cli
