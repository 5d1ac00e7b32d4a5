#include "bus/tryton_payload.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::string_view kBlanks = " \t\n\r";
constexpr std::string_view kBodyBegin = R"({"message":)";

/// The members of an object that is known to be JSON, as slices of its text.
class Members {
 public:
  explicit Members(std::string_view object) : text_(object) { at_ = text_.find('{') + 1; }

  /// The next name and its value, both as they stand there; false behind the last.
  bool next(std::string_view& name, std::string_view& value) {
    skip(",");
    if (text_[at_] == '}') return false;
    name = take_value();
    skip(":");
    value = take_value();
    return true;
  }

 private:
  void skip(std::string_view separator) {
    at_ = text_.find_first_not_of(kBlanks, at_);
    if (separator.find(text_[at_]) == std::string_view::npos) return;
    at_ = text_.find_first_not_of(kBlanks, at_ + 1);
  }

  void skip_string() {
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }

  std::string_view take_value() {
    const std::size_t begin = at_;
    std::size_t depth = 0;
    do {
      const char character = text_[at_];
      if (character == '"') {
        skip_string();
      } else if (character == '{' || character == '[') {
        ++depth;
        ++at_;
      } else if (character == '}' || character == ']') {
        --depth;
        ++at_;
      } else {
        // A number or a word; inside of a nested value also what stands between two.
        at_ = text_.find_first_of("\"{}[],: \t\n\r", at_ + 1);
      }
    } while (depth > 0);
    return text_.substr(begin, at_ - begin);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// The value of a member, empty without one; the last of that name holds.
std::string_view member(std::string_view object, std::string_view wanted) {
  Members members(object);
  std::string_view name;
  std::string_view value;
  std::string_view found;
  while (members.next(name, value)) {
    if (json::parse(name).get_ref<const std::string&>() == wanted) found = value;
  }
  return found;
}

std::optional<std::string> text_of(std::string_view value) {
  if (!value.starts_with('"')) return std::nullopt;
  return json::parse(value).get<std::string>();
}

Result<void> check_channel(std::string_view name) {
  if (name.size() <= kTrytonChannelBytes) return {};
  return fail(ErrorCode::kTooLarge,
              fmt::format("a channel's name has {} bytes; at most {}", name.size(), kTrytonChannelBytes));
}

bool is_object(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin != std::string_view::npos && text[begin] == '{';
}

std::string hex_sha256(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

/// Empty when it is no base64.
std::string decode_base64(std::string_view text) {
  constexpr std::size_t kLongest = 4096;
  if (text.empty() || text.size() % 4 != 0 || text.size() > kLongest) return {};
  std::string bytes(text.size() / 4 * 3, '\0');
  const int written =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (written < 0) return {};
  const auto padding = static_cast<std::size_t>(std::count(text.end() - 2, text.end(), '='));
  bytes.resize(static_cast<std::size_t>(written) - padding);
  return bytes;
}

bool equals_session(std::string_view scheme) {
  constexpr std::string_view kScheme = "session";
  return scheme.size() == kScheme.size() &&
         std::equal(scheme.begin(), scheme.end(), kScheme.begin(),
                    [](char given, char wanted) { return (given | 0x20) == wanted; });
}

std::optional<TrytonSession> read_session(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos || text.find(':', second + 1) != std::string_view::npos)
    return std::nullopt;
  const std::string_view user = text.substr(first + 1, second - first - 1);
  const std::string_view key = text.substr(second + 1);
  TrytonSession session;
  const auto read = std::from_chars(user.data(), user.data() + user.size(), session.user);
  if (read.ec != std::errc() || read.ptr != user.data() + user.size() || session.user < 0 || key.empty())
    return std::nullopt;
  session.digest = hex_sha256(key);
  return session;
}

}  // namespace

Result<TrytonMessage> parse_tryton_payload(std::string_view text) {
  if (!is_object(text) || !json::accept(text)) return fail(ErrorCode::kProtocol, "no JSON object");
  const std::string_view channel = member(text, "channel");
  const std::string_view message = member(text, "message");
  auto name = text_of(channel);
  if (!name) return fail(ErrorCode::kProtocol, "no channel");
  if (!is_object(message)) return fail(ErrorCode::kProtocol, "no message");
  auto id = text_of(member(message, "message_id"));
  if (!id || id->empty()) return fail(ErrorCode::kProtocol, "no message_id");
  if (auto checked = check_channel(*name); !checked) return fail(std::move(checked.error()));
  return TrytonMessage{std::move(*name), std::move(*id),
                       fmt::format(R"({}{},"channel":{}}})", kBodyBegin, message, channel), message.size()};
}

/// A line's end stands between two tokens only: in a text it is written as two characters.
std::string TrytonMessage::message() const {
  std::string text = body.substr(kBodyBegin.size(), message_bytes);
  std::ranges::replace_if(
      text, [](char character) { return character == '\n' || character == '\r'; }, ' ');
  return text;
}

std::optional<TrytonSession> parse_tryton_authorization(std::string_view header) {
  const std::size_t blank = header.find(' ');
  if (blank == std::string_view::npos || !equals_session(header.substr(0, blank))) return std::nullopt;
  header.remove_prefix(std::min(header.find_first_not_of(' ', blank), header.size()));
  header = header.substr(0, header.find_last_not_of(' ') + 1);
  std::string text = decode_base64(header);
  auto session = read_session(text);
  OPENSSL_cleanse(text.data(), text.size());
  return session;
}

Result<TrytonPoll> parse_tryton_poll(std::string_view body) {
  const json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object()) return fail(ErrorCode::kInvalidArgument, "Unable to read JSON request");
  TrytonPoll poll;
  if (const auto last = parsed.find("last_message"); last != parsed.end() && last->is_string())
    poll.last_message = last->get<std::string>();
  const auto channels = parsed.find("channels");
  if (channels == parsed.end()) return poll;
  if (!channels->is_array()) return fail(ErrorCode::kInvalidArgument, "channels: expected a list of strings");
  if (channels->size() > kTrytonChannels)
    return fail(ErrorCode::kTooLarge, fmt::format("channels: at most {}", kTrytonChannels));
  for (const json& channel : *channels) {
    if (!channel.is_string())
      return fail(ErrorCode::kInvalidArgument, "channels: expected a list of strings");
    const auto& name = channel.get_ref<const std::string&>();
    if (auto checked = check_channel(name); !checked) return fail(std::move(checked.error()));
    if (name.starts_with("user:") || std::ranges::find(poll.channels, name) != poll.channels.end()) continue;
    poll.channels.push_back(name);
  }
  return poll;
}

}  // namespace headroom::bus
