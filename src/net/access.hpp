#pragma once

// Who may do what. Pure decisions over a request and the time; the server asks them before a handler runs.
//
// Three threats, three answers. Another machine: nothing but loopback is served without a proof. A page of
// another site in the administrator's browser: the Host header must name this machine (DNS rebinding), and
// what changes something needs a secret in a header that no browser adds by itself. Guessing: wrong tokens
// and passwords are limited per address, and compared without telling by the time taken how much of them was
// right.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "net/http.hpp"
#include "net/router.hpp"

namespace headroom::net {

/// A shared secret, kept as its SHA-256.
class Token {
 public:
  /// Reads the first line of a file that only its owner and group can read and only its owner can write.
  /// Errors: not_found, denied (mode or owner; the message says what to do), invalid_argument (shorter than
  /// 16 or longer than 512 characters, or blanks inside).
  [[nodiscard]] static base::Result<Token> from_file(const std::filesystem::path& file);
  [[nodiscard]] static base::Result<Token> from_text(std::string_view text);
  /// Cost: the same for every text of the same length.
  [[nodiscard]] bool matches(std::string_view text) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  explicit Token(const Digest& digest) : digest_(digest) {}

  Digest digest_;
};

/// The key under which an address counts: itself, or the /64 of an IPv6 address, which one machine may own
/// whole.
[[nodiscard]] std::string limiter_key(std::string_view address);

/// Counts wrong tokens per address: after `kMost` within `kWindow` the address is refused until the window is
/// over. IPv6 addresses count by their /64. At most `kAddresses` are kept; the oldest window is forgotten
/// first. Threads: none.
class FailureLimiter {
 public:
  static constexpr std::uint32_t kMost = 10;
  static constexpr std::int64_t kWindowNs = 60'000'000'000;
  static constexpr std::size_t kAddresses = 1024;

  /// Seconds to wait, or nothing when the address may try.
  [[nodiscard]] std::optional<std::int64_t> refused(std::string_view address, std::int64_t now_ns) const;
  void failed(std::string_view address, std::int64_t now_ns);
  /// Takes one failure back, which turned out to be none.
  void forgive(std::string_view address);
  [[nodiscard]] std::size_t size() const { return windows_.size(); }

 private:
  struct Window {
    std::int64_t start_ns = 0;
    std::uint32_t failures = 0;
  };
  void forget_oldest();

  std::unordered_map<std::string, Window> windows_;
};

class SignIn;

struct AccessOptions {
  /// The token, the passwords and the sessions; none, and nobody can prove anything.
  std::shared_ptr<SignIn> sign_in;
  /// Names, without port, under which a local client may call beside localhost and loopback addresses.
  std::vector<std::string> hosts;
  /// Addresses of proxies ("unix" is the unix socket) whose X-Forwarded-For and X-Forwarded-Proto hold.
  std::vector<std::string> proxies;
};

/// What a request proves and wants, gathered before the decision.
struct Claim {
  const Request& request;
  std::string_view authority;  ///< of the absolute form; empty otherwise
  bool over_unix = false;
};

/// Decides over requests. Threads: none, it lives on the I/O thread.
class Gate {
 public:
  explicit Gate(AccessOptions options) : options_(std::move(options)) {}

  /// The refusal of a request whose Host does not name this machine, whatever its route.
  [[nodiscard]] std::optional<Response> check_host(const Claim& claim) const;
  /// The refusal of a request that came to a shared address and asks for what depends on the process.
  [[nodiscard]] static std::optional<Response> check_shared(const Request& request, const Route* route);
  /// Puts the client in place of the proxy that brought the request. One that no trusted proxy brought, but
  /// some proxy, is not local whatever its address: it could come from anywhere.
  void see_through_proxy(Request& request) const;
  /// Finds the caller by token, cookie or address. Returns a refusal for a wrong token.
  [[nodiscard]] std::optional<Response> authenticate(Request& request, std::int64_t now_ns) const;
  /// Whether that is a proxy whose word holds.
  [[nodiscard]] bool is_proxy(std::string_view address) const;
  /// Whether the session of that cookie still goes on; asking does not use it.
  [[nodiscard]] bool session_goes_on(std::string_view id, std::int64_t now_ns) const;
  /// The refusal of a request that may not call a route of this access, or nothing.
  [[nodiscard]] std::optional<Response> authorize(const Request& request, Access access) const;

 private:
  void find_session(Request& request, std::int64_t now_ns) const;
  [[nodiscard]] bool is_open_locally() const;
  [[nodiscard]] Response refuse_to_nobody(Access access) const;

  AccessOptions options_;
};

/// The cookie that holds a session's id: its name says when it may only travel by https.
[[nodiscard]] std::string_view session_cookie_name(const Remote& remote);
/// The session's id that the request carries; empty without one.
[[nodiscard]] std::string session_cookie(const Request& request);
/// A browser asks for a page of another site.
[[nodiscard]] bool comes_from_another_site(const Request& request);

}  // namespace headroom::net
