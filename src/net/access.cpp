#include "net/access.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/endpoint.hpp"

namespace headroom::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::size_t kShortestToken = 16;
constexpr std::size_t kLongestToken = 512;

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

Result<void> check_owner_and_mode(int descriptor, const std::string& name) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0)
    return fail(ErrorCode::kIo, fmt::format("{}: {}", name, std::strerror(errno)));
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kDenied, name + ": the token must stand in a regular file");
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return fail(ErrorCode::kDenied,
                name + ": the token's file must belong to root or to the user that serves");
  }
  if ((status.st_mode & 0027) != 0) {
    return fail(ErrorCode::kDenied, fmt::format("{}: mode {:04o} lets others in; use chmod 0640 or 0600",
                                                name, static_cast<unsigned>(status.st_mode & 07777)));
  }
  return {};
}

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

/// The key under which an address counts: itself, or the /64 of an IPv6 address, which one machine may own
/// whole.
std::string limiter_key(std::string_view address) {
  std::string key(address);
  in6_addr bytes{};
  if (inet_pton(AF_INET6, key.c_str(), &bytes) != 1 || IN6_IS_ADDR_V4MAPPED(&bytes)) return key;
  return {reinterpret_cast<const char*>(bytes.s6_addr), 8};
}

/// The host of "host", "host:port", "[v6]" or "[v6]:port", without brackets; empty when malformed.
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    return end == std::string_view::npos ? std::string_view{} : authority.substr(1, end - 1);
  }
  return authority.substr(0, authority.find(':'));
}

bool names_loopback(std::string_view host) {
  return equals_ignoring_case(host, "localhost") || equals_ignoring_case(host, "localhost.") ||
         is_loopback_address(host);
}

/// The credentials of "Bearer CREDENTIALS", or nothing for another scheme.
std::optional<std::string_view> bearer(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (!equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

/// A browser says where a request that it sends for a page comes from; programs say nothing.
bool comes_from_another_site(const Request& request) {
  const std::string* site = request.headers.find("Sec-Fetch-Site");
  if (site != nullptr) return *site != "same-origin" && *site != "none";
  const std::string* origin = request.headers.find("Origin");
  const std::string* host = request.headers.find("Host");
  if (origin == nullptr) return false;
  return host == nullptr || (*origin != "http://" + *host && *origin != "https://" + *host);
}

Response unauthorized(std::string_view message) {
  Response response = error_response(401, "unauthorized", message);
  response.headers.add("WWW-Authenticate", "Bearer realm=\"headroom\"");
  return response;
}

}  // namespace

Result<Token> Token::from_text(std::string_view text) {
  if (text.size() < kShortestToken || text.size() > kLongestToken) {
    return fail(ErrorCode::kInvalidArgument,
                "a token has 16 to 512 characters; make one with: openssl rand -hex 32");
  }
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    return fail(ErrorCode::kInvalidArgument, "a token has only printable ASCII characters and no blanks");
  }
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return Token(digest);
}

Result<Token> Token::from_file(const std::filesystem::path& file) {
  const Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (descriptor.number < 0) {
    const ErrorCode code = errno == ENOENT   ? ErrorCode::kNotFound
                           : errno == EACCES ? ErrorCode::kDenied
                                             : ErrorCode::kIo;
    return fail(code, fmt::format("{}: {}", file.string(), std::strerror(errno)));
  }
  if (auto checked = check_owner_and_mode(descriptor.number, file.string()); !checked) {
    return fail(std::move(checked.error()));
  }
  std::array<char, kLongestToken + 64> bytes{};
  const ssize_t size = ::read(descriptor.number, bytes.data(), bytes.size());
  if (size < 0) return fail(ErrorCode::kIo, fmt::format("{}: {}", file.string(), std::strerror(errno)));
  auto token = from_text(first_line({bytes.data(), static_cast<std::size_t>(size)}));
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (!token) return fail(std::move(token.error()).within(file.string()));
  return token;
}

bool Token::matches(std::string_view text) const {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return CRYPTO_memcmp(digest.data(), digest_.data(), digest.size()) == 0;
}

std::optional<std::int64_t> FailureLimiter::refused(std::string_view address, std::int64_t now_ns) const {
  const auto found = windows_.find(limiter_key(address));
  if (found == windows_.end() || found->second.failures < kMost) return std::nullopt;
  const std::int64_t left = found->second.start_ns + kWindowNs - now_ns;
  if (left <= 0) return std::nullopt;
  return left / 1'000'000'000 + 1;
}

void FailureLimiter::failed(std::string_view address, std::int64_t now_ns) {
  std::string key = limiter_key(address);
  if (!windows_.contains(key) && windows_.size() == kAddresses) forget_oldest();
  Window& window = windows_[std::move(key)];
  if (window.failures == 0 || now_ns - window.start_ns >= kWindowNs) window = {now_ns, 0};
  ++window.failures;
}

void FailureLimiter::forget_oldest() {
  const auto oldest = std::min_element(windows_.begin(), windows_.end(), [](const auto& a, const auto& b) {
    return a.second.start_ns < b.second.start_ns;
  });
  windows_.erase(oldest);
}

std::optional<Response> Gate::check_host(const Claim& claim) const {
  const Headers& headers = claim.request.headers;
  if (headers.count("Host") > 1) return error_response(400, "protocol", "more than one Host header");
  if (!claim.request.remote.local || claim.over_unix) return std::nullopt;
  const std::string* header = headers.find("Host");
  if (header == nullptr && claim.authority.empty())
    return error_response(400, "protocol", "the Host header is missing");
  const std::string_view host =
      host_of(claim.authority.empty() ? std::string_view(*header) : claim.authority);
  const bool known = names_loopback(host) ||
                     std::any_of(options_.hosts.begin(), options_.hosts.end(),
                                 [&](const std::string& name) { return equals_ignoring_case(name, host); });
  if (known) return std::nullopt;
  return error_response(421, "denied",
                        "the Host header must be localhost, a loopback address, or one of [serve] hosts");
}

std::optional<Response> Gate::authenticate(Request& request, std::int64_t now_ns) {
  const std::string* header = request.headers.find("Authorization");
  if (header == nullptr || !options_.token) return std::nullopt;
  const auto credentials = bearer(*header);
  if (!credentials) return std::nullopt;
  if (const auto wait = limiter_.refused(request.remote.address, now_ns)) {
    Response response = error_response(429, "overloaded", "too many wrong tokens from this address");
    response.headers.add("Retry-After", std::to_string(*wait));
    return response;
  }
  request.authenticated = options_.token->matches(*credentials);
  if (request.authenticated) return std::nullopt;
  limiter_.failed(request.remote.address, now_ns);
  return unauthorized("the token is wrong");
}

std::optional<Response> Gate::authorize(const Request& request, Access access) const {
  if (access == Access::kWrite && comes_from_another_site(request)) {
    return error_response(403, "denied", "a page of another site may not change anything here");
  }
  if (request.authenticated || access == Access::kPublic) return std::nullopt;
  if (access == Access::kRead && request.remote.local) return std::nullopt;
  if (!options_.token) {
    return error_response(403, "denied", "this needs a token and none is configured: set [serve] token_file");
  }
  return unauthorized("this needs the header Authorization: Bearer TOKEN");
}

}  // namespace headroom::net
