#include "wire/websocket.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace headroom::wire {
namespace {

constexpr std::size_t kMostControl = 125;
constexpr std::uint8_t kLength16 = 126;
constexpr std::uint8_t kLength64 = 127;
constexpr unsigned char kFin = 0x80;
constexpr unsigned char kReserved = 0x70;
constexpr unsigned char kMasked = 0x80;

bool is_known(Opcode opcode) {
  switch (opcode) {
    case Opcode::kContinuation:
    case Opcode::kText:
    case Opcode::kBinary:
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      return true;
  }
  return false;
}

/// The longest beginning of at most `most` bytes that ends between characters.
std::string_view cut_between_characters(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
  return text.substr(0, most);
}

void append_big_endian(std::string& bytes, std::uint64_t number, int size) {
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(number >> shift & 0xffU));
}

void append_header(std::string& bytes, Opcode opcode, std::size_t size, unsigned char masked) {
  bytes.push_back(static_cast<char>(kFin | static_cast<unsigned char>(opcode)));
  if (size < kLength16) {
    bytes.push_back(static_cast<char>(masked | size));
  } else if (size <= 0xffffU) {
    bytes.push_back(static_cast<char>(masked | kLength16));
    append_big_endian(bytes, size, 2);
  } else {
    bytes.push_back(static_cast<char>(masked | kLength64));
    append_big_endian(bytes, size, 8);
  }
}

std::string_view fitting(Opcode opcode, std::string_view payload) {
  const bool control = (static_cast<unsigned char>(opcode) & 0x08U) != 0;
  return control ? payload.substr(0, kMostControl) : payload;
}

/// Masks in place; unmasking is the same. `at` is where in the mask the first byte stands.
void apply_mask(char* bytes, std::size_t size, const std::array<unsigned char, 4>& mask, std::uint8_t at) {
  std::array<unsigned char, 8> rotated{};
  for (std::size_t i = 0; i < rotated.size(); ++i) rotated[i] = mask[(at + i) % 4];
  std::uint64_t wide_mask = 0;
  std::memcpy(&wide_mask, rotated.data(), sizeof wide_mask);
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t wide = 0;
    std::memcpy(&wide, bytes + i, sizeof wide);
    wide ^= wide_mask;
    std::memcpy(bytes + i, &wide, sizeof wide);
  }
  for (; i < size; ++i) bytes[i] = static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ rotated[i % 8]);
}

}  // namespace

bool may_be_sent(CloseCode code) {
  const auto number = static_cast<std::uint16_t>(code);
  return (number >= 1000 && number <= 1003) || (number >= 1007 && number <= 1014) ||
         (number >= 3000 && number <= 4999);
}

Frame make_frame(Opcode opcode, std::string_view payload) {
  payload = fitting(opcode, payload);
  std::string bytes;
  bytes.reserve(payload.size() + 10);
  append_header(bytes, opcode, payload.size(), 0);
  bytes.append(payload);
  return std::make_shared<const std::string>(std::move(bytes));
}

std::string_view payload_of(const Frame& frame) {
  const std::string_view bytes = *frame;
  const auto length = static_cast<unsigned char>(bytes[1]);
  return bytes.substr(length < kLength16 ? 2 : length == kLength16 ? 4 : 10);
}

Frame make_close_frame(CloseCode code, std::string_view reason) {
  if (!may_be_sent(code)) return make_frame(Opcode::kClose, {});
  std::string payload;
  append_big_endian(payload, static_cast<std::uint16_t>(code), 2);
  payload.append(cut_between_characters(reason, kMostControl - 2));
  return make_frame(Opcode::kClose, payload);
}

std::string masked_frame(Opcode opcode, std::string_view payload, const std::array<unsigned char, 4>& mask) {
  payload = fitting(opcode, payload);
  std::string bytes;
  append_header(bytes, opcode, payload.size(), kMasked);
  bytes.append(reinterpret_cast<const char*>(mask.data()), mask.size());
  const std::size_t begin = bytes.size();
  bytes.append(payload);
  apply_mask(bytes.data() + begin, payload.size(), mask, 0);
  return bytes;
}

std::string accept_key(std::string_view key) {
  std::string text(key);
  text.append("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> base64{};
  const int size = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(size)};
}

bool is_key(std::string_view key) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return key.size() == 24 && key.ends_with("==") &&
         key.substr(0, 22).find_first_not_of(kAlphabet) == std::string_view::npos;
}

std::optional<Event> FrameReader::next(std::string_view& bytes) {
  while (!bytes.empty() && !over_) {
    if (!in_payload_) {
      if (!take_header(bytes)) return std::nullopt;
      if (auto event = begin_frame()) return event;
      continue;
    }
    if (auto event = take_payload(bytes)) return event;
  }
  if (over_) bytes = {};
  return std::nullopt;
}

std::size_t FrameReader::header_size() const {
  if (header_bytes_ < 2) return 2;
  const unsigned length = header_[1] & 0x7fU;
  const std::size_t extended = length == kLength16 ? 2 : length == kLength64 ? 8 : 0;
  return 2 + extended + ((header_[1] & kMasked) != 0 ? 4 : 0);
}

bool FrameReader::take_header(std::string_view& bytes) {
  while (header_bytes_ < header_size()) {
    if (bytes.empty()) return false;
    header_[header_bytes_++] = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
  }
  return true;
}

std::optional<Event> FrameReader::check_header() {
  if ((header_[0] & kReserved) != 0) return fail(CloseCode::kProtocolError, "a reserved bit is set");
  if (!is_known(opcode())) return fail(CloseCode::kProtocolError, "an unknown opcode");
  const bool masked = (header_[1] & kMasked) != 0;
  if (masked != (sender_ == Sender::kClient))
    return fail(CloseCode::kProtocolError, masked ? "a masked frame" : "a frame that is not masked");
  if (is_control()) {
    if ((header_[0] & kFin) == 0) return fail(CloseCode::kProtocolError, "a control frame in fragments");
    if (left_ > kMostControl) return fail(CloseCode::kProtocolError, "a control frame over 125 bytes");
    return std::nullopt;
  }
  const bool begun = message_kind_ != Opcode::kContinuation;
  if (begun != (opcode() == Opcode::kContinuation))
    return fail(CloseCode::kProtocolError, begun ? "a message within another" : "a fragment of no message");
  if (left_ > most_ || message_.size() > most_ - left_)
    return fail(CloseCode::kMessageTooBig, "the message is too large");
  return std::nullopt;
}

std::optional<Event> FrameReader::begin_frame() {
  const unsigned length = header_[1] & 0x7fU;
  const std::size_t extended = length == kLength16 ? 2 : length == kLength64 ? 8 : 0;
  left_ = extended == 0 ? length : 0;
  for (std::size_t i = 0; i < extended; ++i) left_ = left_ << 8U | header_[2 + i];
  const std::uint64_t least = extended == 2 ? kLength16 : extended == 8 ? 0x10000U : 0;
  if (left_ < least || left_ >> 63U != 0) return fail(CloseCode::kProtocolError, "a malformed length");
  if (auto failure = check_header()) return failure;
  if (sender_ == Sender::kClient) std::copy_n(header_.begin() + 2 + extended, 4, mask_.begin());
  mask_at_ = 0;
  header_bytes_ = 0;
  in_payload_ = true;
  if (!is_control() && opcode() != Opcode::kContinuation) {
    message_kind_ = opcode();
    utf8_ = {};
  }
  return left_ == 0 ? end_frame() : std::nullopt;
}

std::optional<Event> FrameReader::take_payload(std::string_view& bytes) {
  const std::size_t size = std::min<std::uint64_t>(left_, bytes.size());
  std::string& target = is_control() ? control_ : message_;
  const std::size_t begin = target.size();
  target.append(bytes.substr(0, size));
  bytes.remove_prefix(size);
  left_ -= size;
  if (sender_ == Sender::kClient) apply_mask(target.data() + begin, size, mask_, mask_at_);
  mask_at_ = static_cast<std::uint8_t>((mask_at_ + size) % 4);
  const bool text = !is_control() && message_kind_ == Opcode::kText;
  if (text && !utf8_.feed(std::string_view(target).substr(begin)))
    return fail(CloseCode::kInvalidPayload, "a text that is not UTF-8");
  return left_ == 0 ? end_frame() : std::nullopt;
}

std::optional<Event> FrameReader::end_frame() {
  in_payload_ = false;
  if (opcode() == Opcode::kClose) return end_close();
  if (opcode() == Opcode::kPing)
    return Event{Event::Kind::kPing, CloseCode::kNoStatus, std::exchange(control_, {})};
  if (opcode() == Opcode::kPong)
    return Event{Event::Kind::kPong, CloseCode::kNoStatus, std::exchange(control_, {})};
  if ((header_[0] & kFin) == 0) return std::nullopt;
  const Opcode kind = std::exchange(message_kind_, Opcode::kContinuation);
  if (kind == Opcode::kText && !utf8_.complete())
    return fail(CloseCode::kInvalidPayload, "a text that ends within a character");
  return Event{kind == Opcode::kText ? Event::Kind::kText : Event::Kind::kBinary, CloseCode::kNoStatus,
               std::exchange(message_, {})};
}

Event FrameReader::end_close() {
  over_ = true;
  message_ = {};
  Event event{Event::Kind::kClose, CloseCode::kNoStatus, std::exchange(control_, {})};
  if (event.payload.empty()) return event;
  if (event.payload.size() == 1) return fail(CloseCode::kProtocolError, "a close code of one byte");
  event.code = static_cast<CloseCode>(static_cast<unsigned char>(event.payload[0]) << 8U |
                                      static_cast<unsigned char>(event.payload[1]));
  event.payload.erase(0, 2);
  if (!may_be_sent(event.code)) return fail(CloseCode::kProtocolError, "a close code that is none");
  if (!is_utf8(event.payload)) return fail(CloseCode::kInvalidPayload, "a close reason that is not UTF-8");
  return event;
}

Event FrameReader::fail(CloseCode code, std::string_view reason) {
  over_ = true;
  message_ = {};
  control_ = {};
  return {Event::Kind::kFailed, code, std::string(reason)};
}

}  // namespace headroom::wire
