#pragma once

// How each of the servers that are compared is spoken to. A message is the same 200 bytes in all of them:
// {"n":NUMBER,"pad":"..."}.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/token.hpp"

namespace bench {

enum class Server : std::uint8_t {
  kHeadroom,
  kNchan,
  kNchanMeta,  ///< with ws+meta.nchan: each message carries the position that a client comes back with
  kPlain,      ///< a frame is a message: npm ws
  kSocketIo,
};

/// What a frame of the server means.
struct Heard {
  bool subscribed = false;
  bool beat = false;                     ///< answers a beat
  std::string answer;                    ///< the text of a frame to send; empty: none
  std::optional<std::uint64_t> message;  ///< its number
};

class Dialect {
 public:
  /// "headroom", "nchan", "nchan+meta", "plain" or "socketio". `secret` signs the tokens of headroom.
  Dialect(std::string_view server, std::string_view secret);

  [[nodiscard]] std::string upgrade() const;
  /// Frames to send after it, each in its own.
  [[nodiscard]] std::vector<std::string> greeting(std::size_t client) const;
  /// Whether the answer to the upgrade is all that there is to wait for.
  [[nodiscard]] bool subscribed_by_upgrade() const;
  [[nodiscard]] Heard hear(std::string_view text) const;
  /// What a browser of headroom's with five tabs says of them: of every two beats, another number is in use.
  [[nodiscard]] std::string beat(std::size_t number) const;
  /// The HTTP request that publishes the message with this number.
  [[nodiscard]] std::string publication(std::uint64_t number) const;

 private:
  [[nodiscard]] bool is_nchan() const { return server_ == Server::kNchan || server_ == Server::kNchanMeta; }
  [[nodiscard]] std::string token(std::string_view user, bool admin) const;

  Server server_;
  std::optional<headroom::bus::SigningKey> key_;
  std::string admin_;
};

}  // namespace bench
