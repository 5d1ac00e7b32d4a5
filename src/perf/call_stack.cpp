#include "perf/call_stack.hpp"

#include <algorithm>

#include "perf/impl/varint.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;

constexpr std::size_t kLongestText = 1024;
constexpr std::size_t kRoomForHead = 64;  // of an answer without frames
constexpr std::uint64_t kError = 0;
constexpr std::uint64_t kStack = 1;
constexpr auto kLastCode = static_cast<std::uint64_t>(ErrorCode::kInternal);

void put_text(std::string& bytes, std::string_view text) {
  text = text.substr(0, kLongestText);
  put_varint(bytes, text.size());
  bytes += text;
}

std::string encode_frame(const StackFrame& frame) {
  std::string bytes;
  put_text(bytes, frame.function);
  put_text(bytes, frame.file);
  put_varint(bytes, frame.line);
  return bytes;
}

std::string encode_error(const base::Error& error) {
  std::string bytes;
  put_varint(bytes, kError);
  put_varint(bytes, static_cast<std::uint64_t>(error.code()));
  put_text(bytes, std::string_view(error.message()).substr(0, kLongestText / 2));
  return bytes;
}

std::string encode_stack(const CallStack& stack, std::size_t most) {
  std::string frames;
  std::size_t count = 0;
  for (const StackFrame& frame : stack.frames) {
    const std::string bytes = encode_frame(frame);
    if (frames.size() + bytes.size() + kRoomForHead > most) break;
    frames += bytes;
    ++count;
  }
  std::string bytes;
  put_varint(bytes, kStack);
  put_varint(bytes, static_cast<std::uint64_t>(stack.origin));
  put_varint(bytes, stack.left_out + (stack.frames.size() - count));
  put_varint(bytes, count);
  return bytes + frames;
}

/// Reads numbers and texts; after the first that is cut it gives nothing, `failed`.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number() {
    VarintReader reader(rest_);
    const std::uint64_t value = reader.next();
    failed_ = failed_ || reader.failed();
    rest_ = reader.rest();
    return value;
  }
  std::string text() {
    const std::uint64_t size = number();
    if (size > kLongestText || size > rest_.size()) failed_ = true;
    if (failed_) return {};
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return std::string(text);
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool is_whole() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

tl::unexpected<base::Error> malformed() {
  return base::fail(ErrorCode::kProtocol, "the answer of the process is malformed");
}

StackAnswer decode_error(Reader& reader) {
  const std::uint64_t code = reader.number();
  std::string message = reader.text();
  if (!reader.is_whole() || code > kLastCode) return malformed();
  return base::fail(static_cast<ErrorCode>(code), std::move(message));
}

StackAnswer decode_stack(Reader& reader) {
  CallStack stack;
  const std::uint64_t origin = reader.number();
  stack.left_out = reader.number();
  const std::uint64_t count = reader.number();
  if (origin > static_cast<std::uint64_t>(CallStack::Origin::kGreenlet)) return malformed();
  stack.origin = static_cast<CallStack::Origin>(origin);
  for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
    StackFrame& frame = stack.frames.emplace_back();
    frame.function = reader.text();
    frame.file = reader.text();
    frame.line = static_cast<std::uint32_t>(reader.number());
  }
  if (!reader.is_whole()) return malformed();
  return stack;
}

}  // namespace

std::string_view name(CallStack::Origin origin) {
  return origin == CallStack::Origin::kGreenlet ? "greenlet" : "thread";
}

std::string encode_answer(const StackAnswer& answer, std::size_t most) {
  return answer ? encode_stack(*answer, most) : encode_error(answer.error());
}

StackAnswer decode_answer(std::string_view bytes) {
  Reader reader(bytes);
  const std::uint64_t kind = reader.number();
  if (reader.failed() || kind > kStack) return malformed();
  return kind == kError ? decode_error(reader) : decode_stack(reader);
}

}  // namespace headroom::perf
