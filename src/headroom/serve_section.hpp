#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.hpp"

namespace headroom::cli {

/// `[serve]`
struct ServeSection {
  /// "address:port"; an address other than a loopback one requires a token.
  std::string listen = "127.0.0.1:7400";
  /// The path of a unix socket to listen on too (mode 0660); empty is none.
  std::string socket;
  /// A file whose first line is the token that clients send; empty is none. Others must not be able to read
  /// it.
  std::string token_file;
  /// The people who may sign in, as `headroom serve password` keeps them; empty is none. Then this machine's
  /// users sign in too.
  std::string password_file;
  /// A session ends when it was not used for so long, and at this age.
  base::Microseconds session_idle = std::chrono::hours{12};
  base::Microseconds session_age = std::chrono::days{7};
  /// Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto hold; "unix" is the unix
  /// socket.
  std::vector<std::string> proxies;
  /// Names, without port, under which local clients may call beside localhost and loopback addresses.
  std::vector<std::string> hosts;
  /// Threads that answer reports.
  std::int64_t workers = 4;

  void read(base::ConfigSection& section);
};

}  // namespace headroom::cli
