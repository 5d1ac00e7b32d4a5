#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace headroom::base {

/// What a caller can act on. Few on purpose: details belong in the message.
enum class ErrorCode {
  kInvalidArgument,
  kNotFound,
  kConflict,
  kDenied,
  kTimedOut,
  kUnavailable,
  kOverloaded,
  kTooLarge,
  kProtocol,
  kUnsupported,
  kIo,
  kInternal,
};

/// A failed operation: what kind, and one line that says what was wrong, where, and what to do.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] ErrorCode code() const { return code_; }
  /// One line; each layer that adds context puts it in front ("while opening /x: no such file").
  [[nodiscard]] const std::string& message() const { return message_; }
  /// The same call may succeed later without a change by the caller.
  [[nodiscard]] bool retryable() const;
  [[nodiscard]] int http_status() const;
  /// Adds the caller's context once: "context: message".
  [[nodiscard]] Error within(std::string_view context) &&;

 private:
  ErrorCode code_;
  std::string message_;
};

/// The code's name as it stands in JSON and logs, for example "not_found".
[[nodiscard]] std::string_view name(ErrorCode code);

template <typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::make_unexpected(Error(code, std::move(message)));
}

/// Passes an error on to a Result of another type.
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::make_unexpected(std::move(error));
}

}  // namespace headroom::base
