#pragma once

// Who is signed in: sessions by the hash of their id, in memory.
//
// A browser gets an id of 256 random bits in a cookie that no script can read, and a second secret that its
// scripts send back in a header with whatever changes something: a page of another site can make the browser
// send the first, but never learns the second. Here stands only the hash of the id, so that a copy of the
// memory signs nobody in. A restart ends all sessions.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "net/http.hpp"

namespace headroom::net {

struct SessionLimits {
  std::size_t most = 1024;    ///< beyond it the one that was not used for the longest time ends
  std::size_t per_user = 16;  ///< likewise
  base::Microseconds idle = std::chrono::hours{12};
  base::Microseconds age = std::chrono::days{7};
};

/// What a session stands for.
struct Session {
  std::string user;
  Role role = Role::kNobody;
  std::string csrf;  ///< must come back in X-Headroom-CSRF with whatever changes something
};

/// Threads: none. Times are monotonic nanoseconds.
class SessionTable {
 public:
  struct Opened {
    std::string id;  ///< 43 characters for the cookie; known to nobody else
    Session session;
  };

  explicit SessionTable(const SessionLimits& limits) : limits_(limits) {}

  [[nodiscard]] Opened open(std::string user, Role role, std::int64_t now_ns);
  /// The session of that id, which is used by that; nullptr when it ended. Lifetime: until the next call.
  [[nodiscard]] const Session* find(std::string_view id, std::int64_t now_ns);
  /// Whether it is there; does not use it.
  [[nodiscard]] bool goes_on(std::string_view id, std::int64_t now_ns) const;
  void close(std::string_view id);
  /// Ends those that `stays` is false for.
  void keep(const std::function<bool(const Session&)>& stays);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Key = std::array<unsigned char, 32>;
  struct Entry {
    Session session;
    std::int64_t opened_ns = 0;
    std::int64_t used_ns = 0;
  };

  static Key key_of(std::string_view id);
  [[nodiscard]] bool is_over(const Entry& entry, std::int64_t now_ns) const;
  void end_old_ones(std::int64_t now_ns);
  /// Ends the one that was not used for the longest time, of this user or of all.
  void end_least_used(const std::string* user);

  SessionLimits limits_;
  std::map<Key, Entry> entries_;
};

/// 256 bits from the system's generator, in 43 characters of base64url.
[[nodiscard]] std::string random_secret();

}  // namespace headroom::net
