#include "net/access.hpp"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "net/endpoint.hpp"
#include "net/secret_file.hpp"
#include "net/sign_in.hpp"

namespace headroom::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::size_t kShortestToken = 16;
constexpr std::size_t kLongestToken = 512;
constexpr std::size_t kLargestFile = 64 * 1024;

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return text;
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

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// The last header of that name: what the nearest proxy added.
const std::string* last_value(const Headers& headers, std::string_view name) {
  const std::string* last = nullptr;
  for (const auto& [key, value] : headers.all()) {
    if (equals_ignoring_case(key, name)) last = &value;
  }
  return last;
}

/// The last address of the list that is no proxy of ours; what stands before it anybody may have written.
template <typename IsProxy>
std::string nearest_address(std::string_view list, IsProxy is_proxy) {
  std::string_view address;
  while (true) {
    const std::size_t comma = list.rfind(',');
    address = trimmed(comma == std::string_view::npos ? list : list.substr(comma + 1));
    if (!is_proxy(address) || comma == std::string_view::npos) break;
    list = list.substr(0, comma);
  }
  in6_addr bytes{};
  const std::string text(address);
  const bool known =
      inet_pton(AF_INET, text.c_str(), &bytes) == 1 || inet_pton(AF_INET6, text.c_str(), &bytes) == 1;
  return known ? text : "unknown";
}

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD";
}

bool carries_csrf(const Request& request) {
  const std::string* given = request.headers.find("X-Headroom-CSRF");
  const std::string& wanted = request.caller.csrf;
  return given != nullptr && given->size() == wanted.size() &&
         CRYPTO_memcmp(given->data(), wanted.data(), wanted.size()) == 0;
}

Role needed(Access access) {
  switch (access) {
    case Access::kPublic:
    case Access::kOwn:
      return Role::kNobody;
    case Access::kRead:
      return Role::kViewer;
    case Access::kPrivate:
      return Role::kLocal;
    case Access::kWrite:
      break;
  }
  return Role::kAdministrator;
}

Response unauthorized(std::string_view message) {
  Response response = error_response(401, "unauthorized", message);
  response.headers.add("WWW-Authenticate", "Bearer realm=\"headroom\"");
  return response;
}

}  // namespace

std::string limiter_key(std::string_view address) {
  std::string key(address);
  in6_addr bytes{};
  if (inet_pton(AF_INET6, key.c_str(), &bytes) != 1 || IN6_IS_ADDR_V4MAPPED(&bytes)) return key;
  return {reinterpret_cast<const char*>(bytes.s6_addr), 8};
}

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
  auto text = read_secret_file(file, kLargestFile);
  if (!text) return fail(std::move(text.error()));
  auto token = from_text(first_line(*text));
  OPENSSL_cleanse(text->data(), text->size());
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

void FailureLimiter::forgive(std::string_view address) {
  const auto found = windows_.find(limiter_key(address));
  if (found != windows_.end() && found->second.failures > 0) --found->second.failures;
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

std::optional<Response> Gate::check_shared(const Request& request, const Route* route) {
  if (!request.remote.shared) return std::nullopt;
  const bool is_public = route != nullptr && route->access == Access::kPublic && is_safe(request.method);
  if (is_public || (route != nullptr && route->access == Access::kOwn)) return std::nullopt;
  return error_response(404, "not_found",
                        "this is not served where several services listen; ask one of them alone");
}

bool Gate::is_proxy(std::string_view address) const {
  return std::ranges::find(options_.proxies, address) != options_.proxies.end();
}

void Gate::see_through_proxy(Request& request) const {
  const std::string* forwarded = last_value(request.headers, "X-Forwarded-For");
  if (!is_proxy(request.remote.address)) {
    if (forwarded != nullptr || request.headers.find("Forwarded") != nullptr) request.remote.local = false;
    return;
  }
  if (forwarded == nullptr) return;
  const std::string* scheme = last_value(request.headers, "X-Forwarded-Proto");
  request.remote.address = nearest_address(*forwarded, [this](auto address) { return is_proxy(address); });
  request.remote.local = false;
  request.remote.https = scheme != nullptr && equals_ignoring_case(*scheme, "https");
}

bool Gate::session_goes_on(std::string_view id, std::int64_t now_ns) const {
  return options_.sign_in != nullptr && options_.sign_in->goes_on(id, now_ns);
}

bool Gate::is_open_locally() const {
  return options_.sign_in == nullptr || !options_.sign_in->has_passwords();
}

std::optional<Response> Gate::authenticate(Request& request, std::int64_t now_ns) const {
  if (request.remote.local && is_open_locally()) request.caller.role = Role::kLocal;
  if (options_.sign_in == nullptr) return std::nullopt;
  const std::string* header = request.headers.find("Authorization");
  const auto credentials = header == nullptr ? std::nullopt : bearer(*header);
  if (!credentials || !options_.sign_in->has_token()) {
    find_session(request, now_ns);
    return std::nullopt;
  }
  auto refusal = options_.sign_in->check_token(*credentials, request.remote.address, now_ns);
  if (!refusal) request.caller.role = Role::kAdministrator;
  return refusal;
}

void Gate::find_session(Request& request, std::int64_t now_ns) const {
  const std::string id = session_cookie(request);
  if (id.empty()) return;
  auto session = options_.sign_in->find(id, now_ns);
  if (session) request.caller = {session->role, std::move(session->user), std::move(session->csrf)};
}

Response Gate::refuse_to_nobody(Access access) const {
  const bool has_token = options_.sign_in != nullptr && options_.sign_in->has_token();
  const bool has_passwords = options_.sign_in != nullptr && options_.sign_in->has_passwords();
  if (has_passwords || (has_token && access == Access::kRead)) {
    return unauthorized("this needs the header Authorization: Bearer TOKEN, or a session: sign in");
  }
  if (has_token) return unauthorized("this needs the header Authorization: Bearer TOKEN, or a session");
  return error_response(403, "denied", "this needs a token and none is configured: set [serve] token_file");
}

std::optional<Response> Gate::authorize(const Request& request, Access access) const {
  if (access == Access::kOwn) return std::nullopt;
  const bool changes = access == Access::kWrite || !is_safe(request.method);
  if (changes && comes_from_another_site(request))
    return error_response(403, "denied", "a page of another site may not change anything here");
  if (changes && request.caller.has_session() && !carries_csrf(request)) {
    return error_response(
        403, "denied",
        "a change in a session needs the header X-Headroom-CSRF, which GET /api/session tells");
  }
  if (request.caller.role >= needed(access)) return std::nullopt;
  if (!request.caller.has_session()) return refuse_to_nobody(access);
  return error_response(403, "denied", "this needs the role administrator; yours is viewer");
}

std::string_view session_cookie_name(const Remote& remote) {
  return remote.https ? "__Host-headroom" : "headroom";
}

std::string session_cookie(const Request& request) {
  const std::string* header = request.headers.find("Cookie");
  if (header == nullptr) return {};
  const std::string_view wanted = session_cookie_name(request.remote);
  std::string_view rest = *header;
  while (!rest.empty()) {
    const std::size_t end = rest.find(';');
    const std::string_view pair = trimmed(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == wanted)
      return std::string(pair.substr(equals + 1));
  }
  return {};
}

// A browser says where a request that it sends for a page comes from; programs say nothing.
bool comes_from_another_site(const Request& request) {
  const std::string* site = request.headers.find("Sec-Fetch-Site");
  if (site != nullptr) return *site != "same-origin" && *site != "none";
  const std::string* origin = request.headers.find("Origin");
  const std::string* host = request.headers.find("Host");
  if (origin == nullptr) return false;
  return host == nullptr || (*origin != "http://" + *host && *origin != "https://" + *host);
}

}  // namespace headroom::net
