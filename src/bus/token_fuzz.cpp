// Any text as a token, and any text as the claims of a signed one: refused with denied or timed_out, or a
// grant whose user and times hold, and which is read again as it was when it is written.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bus/token.hpp"

namespace {

using namespace headroom::bus;

constexpr std::int64_t kTime = 1'800'000'000;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void require(bool holds) {
  if (!holds) std::abort();
}

std::string base64url(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = bits << 8U | static_cast<unsigned char>(byte);
    for (count += 8; count >= 6; count -= 6) text += kAlphabet[bits >> (count - 6) & 0x3fU];
  }
  if (count > 0) text += kAlphabet[bits << (6 - count) & 0x3fU];
  return text;
}

void check(const headroom::base::Result<Grant>& grant, const SigningKey& key) {
  if (!grant) {
    require(grant.error().code() == ErrorCode::kDenied || grant.error().code() == ErrorCode::kTimedOut);
    return;
  }
  require(check_user(grant->user).has_value());
  require(grant->expires_unix_s && *grant->expires_unix_s > kTime - 10 && grant->issued_unix_s <= kTime + 10);
  const auto again = read_token(write_token(*grant, key), {key}, {}, kTime);
  if (!again) return;  // it got longer than a token may be
  require(again->user == grant->user && again->session == grant->session &&
          again->channels == grant->channels && again->publish == grant->publish &&
          again->presence == grant->presence && again->admin == grant->admin);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const SigningKey key = SigningKey::from_text("0123456789abcdef0123456789abcdef").value();
  check(read_token(text, {key}, {}, kTime), key);
  const std::string claims = base64url(R"({"alg":"HS256"})") + "." + base64url(text);
  check(read_token(claims + "." + base64url(key.sign(claims)), {key}, {}, kTime), key);
  const std::string header =
      base64url(text) + "." + base64url(R"({"sub":"a","iat":1800000000,"exp":1800000060})");
  check(read_token(header + "." + base64url(key.sign(header)), {key}, {}, kTime), key);
  (void)is_signed("doc:5", "alice", text, {key}, kTime);
  return 0;
}
