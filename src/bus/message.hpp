#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace headroom::bus {

using base::Error;
using base::ErrorCode;
using base::Result;

/// The time of an event, read once by whoever brings it in.
struct Now {
  std::int64_t monotonic_ns = 0;  ///< for durations
  std::int64_t unix_s = 0;        ///< for what tokens say
};

/// The clocks of this machine.
[[nodiscard]] Now read_clocks();

constexpr std::size_t kMostChannelBytes = 255;
constexpr std::size_t kMostUserBytes = 128;
constexpr std::size_t kMostEpochBytes = 64;
constexpr std::size_t kMostPublicationIdBytes = 64;
/// Offsets and command ids stay within what a JavaScript number holds exactly.
constexpr std::uint64_t kMostInteger = (std::uint64_t{1} << 53U) - 1;

/// Where in a channel's stream somebody is: after the message `offset`. Offsets have no gaps, and are
/// comparable within one epoch only. They begin at 1, the position before all messages having offset 0; a
/// broker that forgets unused channels tells a later position for those that it does not know.
struct Position {
  std::uint64_t offset = 0;
  std::string epoch;  ///< at most kMostEpochBytes of printable ASCII, without quote and backslash
  bool operator==(const Position&) const = default;
};

/// One message of a channel. `data` is one JSON value in compact text, shared by whoever holds the message.
struct Message {
  std::uint64_t offset = 0;
  std::shared_ptr<const std::string> data;
};

/// What is to be published.
struct Publication {
  std::string channel;
  std::string data;  ///< one JSON value in compact text
  std::string id;    ///< makes it safe to publish again; may be empty
};

/// Where a publication stands.
struct Published {
  Position position;
  bool repeated = false;  ///< the id was seen before: this is the position of the first
};

/// Which messages of a channel are asked for.
struct HistoryQuery {
  const Position* since = nullptr;  ///< those after it; none: the newest ones
  std::size_t limit = 100;          ///< messages; 0 asks for the position alone
  std::size_t bytes = 256 * 1024;   ///< of data: what goes beyond is `more`, or left out of the oldest
};

/// The answer: messages with consecutive offsets, oldest first.
struct HistoryPage {
  Position position;  ///< the newest of the channel
  std::vector<Message> messages;
  bool lost = false;  ///< messages after `since` are gone, or may be; `messages` is empty then
  bool more = false;  ///< there are more after the last one
};

/// Called exactly once, on the thread that called the function which took it, maybe before that returns.
template <typename T>
using Done = std::function<void(Result<T>)>;

/// A name of 1 to kMostChannelBytes bytes of UTF-8 without control characters, quotes and backslashes, so
/// that it stands in JSON as it is. Errors: invalid_argument; the message says what is wrong.
[[nodiscard]] Result<void> check_channel(std::string_view name);
/// Likewise for a user's id, which holds no ':' either: "user:a:b" is a channel of user "a".
[[nodiscard]] Result<void> check_user(std::string_view user);

}  // namespace headroom::bus
