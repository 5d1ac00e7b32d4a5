#pragma once

// Who somebody is and what he may do. The hub asks an Authority about the token of the first frame; tokens of
// our own (token.hpp), sessions of an application (elsewhere) and a test are implementations.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/message.hpp"

namespace headroom::bus {

/// What an authority says of a connection that lists of names can't say. Lifetime: as long as the connection
/// uses the grant, so its end tells the authority that the connection is gone.
class Rights {
 public:
  Rights() = default;
  virtual ~Rights() = default;
  Rights(const Rights&) = delete;
  Rights& operator=(const Rights&) = delete;

  /// Whether the connection may read this channel; asked when it subscribes and when it asks for history.
  [[nodiscard]] virtual bool may_read(std::string_view channel, const Now& now) = 0;
  /// Whether the connection may know whether this user is there. Who may not is told `offline`, as of a user
  /// who is nowhere.
  [[nodiscard]] virtual bool may_see(std::string_view user) = 0;
};

/// What a token proves.
struct Grant {
  std::string user;
  std::string session;                ///< for disconnect(session); may be empty
  std::vector<std::string> channels;  ///< readable: names, or prefixes that end with '*'
  std::vector<std::string> publish;   ///< writable, likewise
  std::vector<std::string> presence;  ///< users whose presence may be known, likewise; the own user's always
  std::optional<std::int64_t> expires_unix_s;
  std::int64_t issued_unix_s = 0;  ///< a revocation ends what was issued before it
  bool admin = false;              ///< may use the administrative API, and know the presence of all users
  /// They alone decide what is read and who is seen, whatever the rules of channels say; nothing is published
  /// then.
  std::shared_ptr<Rights> rights;
};

/// Whether a name stands in a list of names and of prefixes that end with '*'.
[[nodiscard]] bool grants(const std::vector<std::string>& patterns, std::string_view name);

/// Threads: that of the hub.
class Authority {
 public:
  virtual ~Authority() = default;

  /// Errors: denied (the token is not accepted: do not come again with it), timed_out when it has expired,
  /// unavailable and overloaded (it could not be checked now: come again). A message never contains the
  /// token.
  virtual void authenticate(std::string_view token, const Now& now, Done<Grant> done) = 0;
};

/// Several authorities, each for tokens of its own scheme: "Session ..." is none of ours.
class SchemeAuthority final : public Authority {
 public:
  /// `otherwise` judges tokens of no scheme that was added. Everything given outlives this.
  explicit SchemeAuthority(Authority& otherwise) : otherwise_(otherwise) {}
  /// Tokens that begin with the scheme and a blank are its.
  void add(std::string_view scheme, Authority& authority);
  void authenticate(std::string_view token, const Now& now, Done<Grant> done) override;

 private:
  Authority& otherwise_;
  std::vector<std::pair<std::string, Authority*>> schemes_;
};

/// Tokens of a user or session that were issued before a moment are not accepted.
struct Revocation {
  std::string key;  ///< 'u' or 's' and the name
  std::int64_t before_unix_s = 0;
};

/// Carries what is revoked to the other nodes, and keeps it for those that come later. A bus of one node has
/// none.
class RevocationExchange {
 public:
  virtual ~RevocationExchange() = default;
  /// Gives it to `Hub::revoke` of the other nodes. Never waits.
  virtual void announce(const Revocation& revocation) = 0;
};

/// Tells a hub's revocations apart: tokens of a user or session issued before a moment are not accepted.
/// Bounded: entries end after the longest life of a token; when full the oldest goes and is counted.
class Revocations {
 public:
  struct Limits {
    std::size_t most = 10'000;
    std::int64_t keep_s = 7 * 86'400;
  };
  explicit Revocations(const Limits& limits) : limits_(limits) {}

  Revocation revoke_user(std::string_view user, const Now& now);
  Revocation revoke_session(std::string_view session, const Now& now);
  /// False when it was known already.
  bool add(const Revocation& revocation);
  [[nodiscard]] bool is_revoked(const Grant& grant) const;
  void forget_old(const Now& now);
  [[nodiscard]] const std::vector<Revocation>& all() const { return entries_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::uint64_t forgotten_early() const { return forgotten_early_; }

 private:
  Revocation revoke(std::string key, const Now& now);
  [[nodiscard]] bool covers(std::string_view kind, std::string_view name, std::int64_t issued_unix_s) const;

  Limits limits_;
  std::vector<Revocation> entries_;  ///< by key
  std::uint64_t forgotten_early_ = 0;
};

}  // namespace headroom::bus
