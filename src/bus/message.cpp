#include "bus/message.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

using base::fail;

Result<void> check_name(std::string_view name, std::string_view what, std::size_t most) {
  if (name.empty() || name.size() > most)
    return fail(ErrorCode::kInvalidArgument, fmt::format("a {} has 1 to {} bytes", what, most));
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '"' && c != '\\';
  });
  if (!plain || !wire::is_utf8(name)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a {} is UTF-8 without control characters, quotes and backslashes", what));
  }
  return {};
}

}  // namespace

Now read_clocks() {
  const auto unix = std::chrono::duration_cast<std::chrono::seconds>(base::utc_now().time_since_epoch());
  return {base::monotonic_ns(), unix.count()};
}

Result<void> check_channel(std::string_view name) {
  return check_name(name, "channel's name", kMostChannelBytes);
}

Result<void> check_user(std::string_view user) {
  if (user.find(':') != std::string_view::npos)
    return fail(ErrorCode::kInvalidArgument, "a user's id holds no ':', which ends it in a channel's name");
  return check_name(user, "user's id", kMostUserBytes);
}

}  // namespace headroom::bus
