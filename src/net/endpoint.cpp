#include "net/endpoint.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>

namespace headroom::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

tl::unexpected<base::Error> bad(std::string_view text, std::string_view problem) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}': {}; accepted are ADDRESS:PORT such as 127.0.0.1:7400 or [::1]:7400, and "
                          "unix:/absolute/path",
                          text, problem));
}

bool is_ip(const std::string& address) {
  in6_addr bytes{};
  return inet_pton(AF_INET, address.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, address.c_str(), &bytes) == 1;
}

Result<Endpoint> parse_unix(std::string_view text, std::string_view path) {
  if (path.empty() || path.front() != '/') return bad(text, "the path of a unix socket must be absolute");
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return bad(text, "a unix socket's path has at most 107 bytes");
  return Endpoint{{}, 0, std::string(path)};
}

std::string numeric(std::string_view host) {
  if (host == "localhost") return "127.0.0.1";
  if (host == "*") return "0.0.0.0";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return std::string(host);
}

}  // namespace

bool is_loopback_address(std::string_view text) {
  const std::string address(text);
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool Endpoint::is_local() const {
  return is_unix() || is_loopback_address(address);
}

std::string Endpoint::text() const {
  if (is_unix()) return "unix:" + path;
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with("unix:")) return parse_unix(text, text.substr(5));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad(text, "it has no port");
  const std::string_view digits = text.substr(colon + 1);
  Endpoint endpoint;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), endpoint.port);
  if (digits.empty() || error != std::errc() || end != digits.end())
    return bad(text, "the port must be 0 to 65535");
  const std::string_view host = text.substr(0, colon);
  endpoint.address = numeric(host);
  if (!is_ip(endpoint.address)) return bad(text, "the address must be numeric");
  if (endpoint.address.find(':') != std::string::npos && host.front() != '[') {
    return bad(text, "an IPv6 address stands in brackets");
  }
  return endpoint;
}

}  // namespace headroom::net
