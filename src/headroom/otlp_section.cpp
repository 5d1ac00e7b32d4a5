#include "headroom/otlp_section.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char character) { return character > 0x20 && character < 0x7F; });
}

}  // namespace

Result<HttpTarget> parse_http_target(std::string_view url) {
  const auto wrong = [&url](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{:.60}': {}; expected http://host:4318/v1/traces", url, why));
  };
  HttpTarget target;
  target.tls = url.starts_with("https://");
  if (!target.tls && !url.starts_with("http://")) return wrong("no http:// or https:// URL");
  if (!is_plain(url)) return wrong("blanks or control characters in it");
  url.remove_prefix(url.find("//") + 2);
  const std::size_t slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
  if (authority.find('@') != std::string_view::npos)
    return fail(ErrorCode::kInvalidArgument, "credentials belong into [otlp] header, not into the URL");
  target.path = slash < url.size() ? std::string(url.substr(slash)) : "/v1/traces";
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  target.port = has_port ? std::string(authority.substr(colon + 1)) : target.tls ? "443" : "4318";
  if (has_port) authority = authority.substr(0, colon);
  if (authority.starts_with('[') && authority.ends_with(']'))
    authority = authority.substr(1, authority.size() - 2);
  target.host = authority;
  const bool digits = !target.port.empty() && target.port.size() <= 5 &&
                      target.port.find_first_not_of("0123456789") == std::string::npos &&
                      std::stoi(target.port) <= 65535;
  if (target.host.empty() || !digits) return wrong("no host and port");
  return target;
}

Result<HttpHeader> parse_http_header(std::string_view text) {
  const std::size_t colon = text.find(':');
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char character) {
    return character >= 0x20 && character != 0x7F;
  });
  if (colon == std::string_view::npos || colon == 0 || !plain || !is_plain(text.substr(0, colon)))
    return fail(ErrorCode::kInvalidArgument, "expected \"Name: value\"");
  std::string_view value = text.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return HttpHeader{std::string(text.substr(0, colon)), std::string(value)};
}

void OtlpSection::read(base::ConfigSection& section) {
  section.read("endpoint", endpoint);
  section.read("ca_file", ca_file);
  section.read("service", service);
  section.read("header", header);
  section.read("queue", queue, 100, 1'000'000);
  if (!endpoint.empty()) {
    if (const auto target = parse_http_target(endpoint); !target)
      section.reject("endpoint", target.error().message());
    else if (!ca_file.empty() && !target->tls)
      section.reject("ca_file", "only an https:// endpoint has a certificate");
  }
  if (!header.empty()) {
    if (const auto parsed = parse_http_header(header); !parsed)
      section.reject("header", parsed.error().message());
  }
}

}  // namespace headroom::cli
