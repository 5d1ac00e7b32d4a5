#pragma once

// Who may do what. Pure decisions over a request and the time; the server asks them before a handler runs.
//
// Three threats, three answers. Another machine: nothing but loopback is served without a token. A page of
// another site in the administrator's browser: the Host header must name this machine (DNS rebinding), and
// what changes something needs a token in a header that no browser adds by itself. Guessing: wrong tokens are
// limited per address, and compared without telling by the time taken how much of them was right.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
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
  [[nodiscard]] std::size_t size() const { return windows_.size(); }

 private:
  struct Window {
    std::int64_t start_ns = 0;
    std::uint32_t failures = 0;
  };
  void forget_oldest();

  std::unordered_map<std::string, Window> windows_;
};

struct AccessOptions {
  std::optional<Token> token;
  /// Names, without port, under which a local client may call beside localhost and loopback addresses.
  std::vector<std::string> hosts;
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
  /// Reads the Authorization header. Returns a refusal for a wrong token; sets `authenticated` for the right
  /// one.
  [[nodiscard]] std::optional<Response> authenticate(Request& request, std::int64_t now_ns);
  /// The refusal of a request that may not call a route of this access, or nothing.
  [[nodiscard]] std::optional<Response> authorize(const Request& request, Access access) const;

 private:
  AccessOptions options_;
  FailureLimiter limiter_;
};

}  // namespace headroom::net
