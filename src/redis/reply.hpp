#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct redisReader;

namespace headroom::redis {

using base::ErrorCode;
using base::fail;
using base::Result;

/// What the server answered to one command (RESP2).
struct Reply {
  enum class Type : std::uint8_t { kNil, kStatus, kString, kInteger, kArray, kError };
  Type type = Type::kNil;
  std::int64_t integer = 0;     ///< kInteger
  std::string text;             ///< kStatus, kString, kError
  std::vector<Reply> elements;  ///< kArray

  [[nodiscard]] bool is_nil() const { return type == Type::kNil; }
  [[nodiscard]] bool is_error() const { return type == Type::kError; }

  /// The value, when the reply has that type. Errors: that of the server for kError, protocol for another
  /// type.
  [[nodiscard]] Result<std::int64_t> as_integer() const;
  [[nodiscard]] Result<std::string_view> as_text() const;
  [[nodiscard]] Result<std::span<const Reply>> as_array() const;
  /// Nothing, when the reply is no error.
  [[nodiscard]] Result<void> as_success() const;
};

/// The server's error as ours: denied (NOAUTH, WRONGPASS, NOPERM), overloaded (OOM, too many clients),
/// unavailable (LOADING, READONLY, BUSY ...), unsupported (MOVED, CROSSSLOT, unknown command), protocol (the
/// rest).
[[nodiscard]] base::Error to_error(std::string_view message);

/// The value behind "NAME:" at the start of a line of INFO's text; empty when there is none. Lifetime: that
/// of the text.
[[nodiscard]] std::string_view info_field(std::string_view text, std::string_view name);

/// Bounds of one reply, against a server that is broken or is none.
struct ReplyLimits {
  std::size_t bytes = 64UL << 20;
  std::size_t elements = 2'000'000;
};

/// Reads replies out of a stream of bytes, over hiredis' reader.
/// Guarantees: never holds more than the limits (and one `feed`) for one reply; any bytes give replies or an
/// error.
class ReplyReader final {
 public:
  explicit ReplyReader(ReplyLimits limits = {});
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// Errors: overloaded (no memory).
  [[nodiscard]] Result<void> feed(std::string_view bytes);
  /// The next reply, or nothing while it is incomplete. Errors: protocol, too_large; the reader is of no use
  /// then.
  [[nodiscard]] Result<std::optional<Reply>> next();

 private:
  struct Budget {
    ReplyLimits limits;
    std::size_t bytes = 0;
    std::size_t elements = 0;
    bool exceeded = false;
  };
  struct Callbacks;
  struct Free {
    void operator()(redisReader* reader) const;
  };

  [[nodiscard]] base::Error too_large() const;

  Budget budget_;
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace headroom::redis
