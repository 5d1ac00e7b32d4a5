#pragma once

// How a caller proves who they are: the token, or a name and password, for one request or for a session.
//
// Guessing is limited per address, and counted before the work is done, so that a hundred tries at once are a
// hundred tries. A hash takes a tenth of a second and 64 MiB on purpose: it is computed by a worker, by so
// many at a time and no more, and for a name that nobody has as well, since the time taken would tell.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/access.hpp"
#include "net/password_file.hpp"
#include "net/sessions.hpp"

namespace headroom::net {

/// Threads: every method from any thread.
class SignIn {
 public:
  static constexpr int kHashesAtOnce = 2;

  /// What came of a try: `opened`, or the refusal to answer with.
  struct Outcome {
    std::optional<SessionTable::Opened> opened;
    Response refusal;
  };

  SignIn(std::optional<Token> token, std::optional<PasswordFile> passwords, const SessionLimits& limits = {});

  /// Whether there is a token; whether a password file is configured.
  [[nodiscard]] bool has_token() const { return token_.has_value(); }
  [[nodiscard]] bool has_passwords() const { return has_passwords_; }

  /// The refusal of a wrong token (401, 429), or nothing.
  [[nodiscard]] std::optional<Response> check_token(std::string_view token, std::string_view address,
                                                    std::int64_t now_ns);
  /// Opens an administrator's session.
  [[nodiscard]] Outcome with_token(std::string_view token, std::string_view address, std::int64_t now_ns);
  /// Blocks for the time of a hash: not for the I/O thread. 503 when too many are computed already.
  [[nodiscard]] Outcome with_password(std::string_view user, std::string_view password,
                                      std::string_view address, std::int64_t now_ns);
  /// The session of a cookie, which is used by that.
  [[nodiscard]] std::optional<Session> find(std::string_view id, std::int64_t now_ns);
  /// Whether it is there; does not use it.
  [[nodiscard]] bool goes_on(std::string_view id, std::int64_t now_ns) const;
  void close(std::string_view id);

  /// Takes another password file into use: sessions of people who are gone, or whose role or password
  /// changed, end.
  void replace_passwords(PasswordFile passwords);

 private:
  std::optional<Response> refused(std::string_view address, std::int64_t now_ns) const;
  void forgive(std::string_view address);
  [[nodiscard]] PasswordEntry entry_of(std::string_view user) const;
  /// Holds one of the places in which a hash may be computed.
  class Place;

  const std::optional<Token> token_;
  const bool has_passwords_;
  mutable std::mutex mutex_;
  PasswordFile passwords_;
  SessionTable sessions_;
  FailureLimiter limiter_;
  int hashing_ = 0;
};

}  // namespace headroom::net
