#pragma once

// WebSocket frames as bytes, without I/O (RFC 6455).
//
// A server that tells thousands of clients the same thing frames it once: `Frame` is immutable and shared,
// and since a server's frames are not masked, the same bytes go to everybody. Reading is incremental and
// keeps nothing while a connection is idle: bytes are taken as they come, and a message is the only buffer
// there is. Every bound is checked when a header announces a length, before a byte of it is kept.
//
// No extension is offered. permessage-deflate would need a compressor for each connection (tens of kilobytes)
// or a broadcast that is compressed per receiver.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "wire/utf8.hpp"

namespace headroom::wire {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

/// Source: RFC 6455 section 7.4.1 and the IANA registry. Applications use 4000 to 4999 by a cast.
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  ///< never sent: a close frame without a code
  kAbnormal = 1006,  ///< never sent: the connection ended without a close frame
  kInvalidPayload = 1007,
  kPolicyViolation = 1008,
  kMessageTooBig = 1009,
  kInternalError = 1011,
  kServiceRestart = 1012,
  kTryAgainLater = 1013,
};

/// May stand in a close frame.
[[nodiscard]] bool may_be_sent(CloseCode code);

/// A whole frame, ready to be sent to any number of clients.
using Frame = std::shared_ptr<const std::string>;

/// One unfragmented message as a server sends it. `payload` of text must be UTF-8; of control frames it is
/// cut at 125 bytes.
[[nodiscard]] Frame make_frame(Opcode opcode, std::string_view payload);
/// The payload of a frame that `make_frame` made. Lifetime: the frame's.
[[nodiscard]] std::string_view payload_of(const Frame& frame);
/// A close frame; a reason is cut at 123 bytes, between characters. kNoStatus makes one without a code.
[[nodiscard]] Frame make_close_frame(CloseCode code, std::string_view reason = {});

/// As a client sends it: masked.
[[nodiscard]] std::string masked_frame(Opcode opcode, std::string_view payload,
                                       const std::array<unsigned char, 4>& mask);

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key. Source: RFC 6455 section 4.2.2.
[[nodiscard]] std::string accept_key(std::string_view key);
/// The base64 of 16 bytes, as a Sec-WebSocket-Key has to be.
[[nodiscard]] bool is_key(std::string_view key);

/// What came out of the bytes.
struct Event {
  enum class Kind : std::uint8_t {
    kText,    ///< a whole message, well-formed UTF-8
    kBinary,  ///< a whole message
    kPing,    ///< to be answered by a pong with the same payload
    kPong,
    kClose,   ///< `code` and, as payload, the reason; nothing is read after it
    kFailed,  ///< the peer broke a rule or bound: close with `code` and, as payload, the reason
  };
  Kind kind = Kind::kText;
  CloseCode code = CloseCode::kNoStatus;
  std::string payload;
};

/// Whose frames are read: a client's are masked, a server's are not.
enum class Sender : std::uint8_t { kClient, kServer };

/// Reads one direction of a connection. Threads: none.
class FrameReader {
 public:
  /// A message longer than `most`, over all its fragments, fails with kMessageTooBig.
  FrameReader(Sender sender, std::size_t most) : most_(most), sender_(sender) {}

  /// Takes bytes off the front of `bytes` until an event is complete or none are left. After kClose and
  /// kFailed it takes them all and has no more events. Cost: O(bytes).
  [[nodiscard]] std::optional<Event> next(std::string_view& bytes);
  /// Bytes of the message that is not complete yet.
  [[nodiscard]] std::size_t buffered() const { return message_.size() + control_.size(); }

 private:
  static constexpr std::size_t kLongestHeader = 14;

  /// Takes bytes of a header; true when it is whole.
  bool take_header(std::string_view& bytes);
  [[nodiscard]] std::size_t header_size() const;
  /// Decides over a whole header.
  std::optional<Event> begin_frame();
  std::optional<Event> check_header();
  std::optional<Event> take_payload(std::string_view& bytes);
  std::optional<Event> end_frame();
  Event end_close();
  Event fail(CloseCode code, std::string_view reason);
  [[nodiscard]] bool is_control() const { return (header_[0] & 0x08U) != 0; }
  [[nodiscard]] Opcode opcode() const { return static_cast<Opcode>(header_[0] & 0x0fU); }

  std::size_t most_;
  std::uint64_t left_ = 0;  ///< of the payload of this frame
  std::string message_;     ///< fragments so far, unmasked
  std::string control_;     ///< payload of a control frame, which may stand between fragments
  Utf8Check utf8_;          ///< of the text message so far
  Sender sender_;
  Opcode message_kind_ = Opcode::kContinuation;  ///< kContinuation: no message has begun
  std::uint8_t header_bytes_ = 0;
  std::uint8_t mask_at_ = 0;
  bool in_payload_ = false;
  bool over_ = false;
  std::array<unsigned char, kLongestHeader> header_{};
  std::array<unsigned char, 4> mask_{};
};

}  // namespace headroom::wire
