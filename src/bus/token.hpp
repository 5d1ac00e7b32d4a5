#pragma once

// Signed tokens (JWT with HS256) and signed channel names.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/authority.hpp"

namespace headroom::bus {

constexpr std::size_t kMostTokenBytes = 4096;

/// A secret for HMAC-SHA256.
class SigningKey {
 public:
  /// Errors: invalid_argument when shorter than 32 or longer than 512 bytes.
  [[nodiscard]] static Result<SigningKey> from_text(std::string_view secret);

  [[nodiscard]] std::string sign(std::string_view text) const;  ///< 32 bytes
  /// Cost: the same for every signature of the right length.
  [[nodiscard]] bool verify(std::string_view text, std::string_view signature) const;

 private:
  explicit SigningKey(std::string secret) : secret_(std::move(secret)) {}
  std::string secret_;
};

struct TokenOptions {
  std::int64_t leeway_s = 5;            ///< by which clocks may differ
  std::int64_t longest_s = 7 * 86'400;  ///< from iat to exp
};

/// Checks a token. Errors: denied (the message says what is wrong, never the token), timed_out (expired).
/// Source: RFC 7515, RFC 7519, RFC 8725. Threads: pure.
[[nodiscard]] Result<Grant> read_token(std::string_view token, const std::vector<SigningKey>& keys,
                                       const TokenOptions& options, std::int64_t now_unix_s);
/// Makes one, for tests, the command line, and applications that have no library for it.
[[nodiscard]] std::string write_token(const Grant& grant, const SigningKey& key);

/// The `signature` of a subscription. An empty user makes a capability.
[[nodiscard]] std::string sign_channel(std::string_view channel, std::string_view user,
                                       std::int64_t expires_unix_s, const SigningKey& key);
[[nodiscard]] bool is_signed(std::string_view channel, std::string_view user, std::string_view signature,
                             const std::vector<SigningKey>& keys, std::int64_t now_unix_s);

/// Tokens of our own. Several keys: the first signs, all are accepted, so that one can be replaced.
class TokenAuthority final : public Authority {
 public:
  explicit TokenAuthority(std::vector<SigningKey> keys, const TokenOptions& options = {})
      : keys_(std::move(keys)), options_(options) {}
  void authenticate(std::string_view token, const Now& now, Done<Grant> done) override;

 private:
  std::vector<SigningKey> keys_;
  TokenOptions options_;
};

}  // namespace headroom::bus
