#include "bus/token.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/json.hpp"
#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

using base::fail;

constexpr std::size_t kLeastKey = 32;
constexpr std::size_t kMostKey = 512;
constexpr std::size_t kMostNames = 100;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string to_base64url(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8U) | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) text.push_back(kAlphabet[(bits >> (count - 6)) & 0x3fU]);
  }
  if (count > 0) text.push_back(kAlphabet[(bits << (6 - count)) & 0x3fU]);
  return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>((bits >> count) & 0xffU));
  }
  // Bits that stand for nothing are zero, so that one token has one spelling.
  if (count >= 6 || (bits & ((1U << count) - 1U)) != 0) return std::nullopt;
  return bytes;
}

tl::unexpected<Error> denied(std::string_view why) {
  return fail(ErrorCode::kDenied, fmt::format("the token {}", why));
}

/// The members of a part of a token, as texts of their own.
class Claims {
 public:
  [[nodiscard]] static Result<Claims> read(std::string_view encoded) {
    const auto text = from_base64url(encoded);
    if (!text || !wire::is_utf8(*text)) return denied("is malformed");
    const JsonParts parts = read_object(*text);
    if (parts.wrong_at) return denied("is malformed");
    Claims claims;
    for (const JsonPart& part : parts.parts) {
      // Of two, another reader could take the other one.
      if (claims.find(part.key) != nullptr) return denied("has a claim twice");
      claims.members_.emplace_back(part.key, part.value);
    }
    return claims;
  }
  [[nodiscard]] const std::string* find(std::string_view key) const {
    for (const auto& [name, value] : members_) {
      if (name == key) return &value;
    }
    return nullptr;
  }
  [[nodiscard]] Result<std::string> text(std::string_view key) const {
    const std::string* value = find(key);
    if (value == nullptr) return std::string();
    auto read = json_string(*value);
    if (!read) return denied(fmt::format("has a claim '{}' that is no text", key));
    return *read;
  }
  [[nodiscard]] Result<std::optional<std::int64_t>> seconds(std::string_view key) const {
    const std::string* value = find(key);
    if (value == nullptr) return std::optional<std::int64_t>();
    const auto read = json_integer(*value);
    if (!read || *read > kMostInteger)
      return denied(fmt::format("has a claim '{}' that is no whole number", key));
    return std::optional<std::int64_t>(static_cast<std::int64_t>(*read));
  }
  [[nodiscard]] Result<std::vector<std::string>> names(std::string_view key) const {
    std::vector<std::string> names;
    const std::string* value = find(key);
    if (value == nullptr) return names;
    const JsonParts list = read_list(*value);
    if (list.wrong_at) return denied(fmt::format("has a claim '{}' that is no list", key));
    if (list.parts.size() > kMostNames)
      return denied(fmt::format("has a claim '{}' of more than {} names", key, kMostNames));
    for (const JsonPart& part : list.parts) {
      auto name = json_string(part.value);
      if (!name) return denied(fmt::format("has a claim '{}' that is no list of texts", key));
      names.push_back(std::move(*name));
    }
    return names;
  }

 private:
  std::vector<std::pair<std::string, std::string>> members_;
};

Result<Grant> read_claims(const Claims& claims) {
  Grant grant;
  auto user = claims.text("sub");
  if (!user) return fail(std::move(user.error()));
  if (!check_user(*user)) return denied("names no user: 'sub' is missing or malformed");
  auto session = claims.text("sid");
  if (!session) return fail(std::move(session.error()));
  auto channels = claims.names("channels");
  if (!channels) return fail(std::move(channels.error()));
  auto publish = claims.names("publish");
  if (!publish) return fail(std::move(publish.error()));
  auto presence = claims.names("presence");
  if (!presence) return fail(std::move(presence.error()));
  grant.user = std::move(*user);
  grant.session = std::move(*session);
  grant.channels = std::move(*channels);
  grant.publish = std::move(*publish);
  grant.presence = std::move(*presence);
  if (const std::string* admin = claims.find("admin")) {
    if (!json_bool(*admin)) return denied("has a claim 'admin' that is no boolean");
    grant.admin = *json_bool(*admin);
  }
  return grant;
}

/// exp, nbf and iat.
Result<void> check_times(const Claims& claims, const TokenOptions& options, std::int64_t now, Grant& grant) {
  const auto expires = claims.seconds("exp");
  const auto issued = claims.seconds("iat");
  const auto not_before = claims.seconds("nbf");
  for (const auto* one : {&expires, &issued, &not_before}) {
    if (!*one) return fail(one->error());
  }
  if (!*expires || !*issued) return denied("has no 'exp' or no 'iat'");
  if (**expires - **issued > options.longest_s) return denied("lives for too long");
  if (**issued > now + options.leeway_s) return denied("is of the future");
  if (*not_before && **not_before > now + options.leeway_s) return denied("does not hold yet");
  if (**expires + options.leeway_s <= now) return fail(ErrorCode::kTimedOut, "the token has expired");
  grant.expires_unix_s = **expires;
  grant.issued_unix_s = **issued;
  return {};
}

std::string list_json(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) text += (text.size() > 1 ? "," : "") + quoted(name);
  return text + "]";
}

std::string signed_text(std::string_view channel, std::string_view user, std::string_view expires) {
  return fmt::format("{}\n{}\n{}", channel, user, expires);
}

}  // namespace

Result<SigningKey> SigningKey::from_text(std::string_view secret) {
  if (secret.size() < kLeastKey || secret.size() > kMostKey) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a secret has {} to {} characters; make one with: openssl rand -hex 32",
                            kLeastKey, kMostKey));
  }
  return SigningKey(std::string(secret));
}

std::string SigningKey::sign(std::string_view text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

bool SigningKey::verify(std::string_view text, std::string_view signature) const {
  const std::string wanted = sign(text);
  return signature.size() == wanted.size() &&
         CRYPTO_memcmp(signature.data(), wanted.data(), wanted.size()) == 0;
}

Result<Grant> read_token(std::string_view token, const std::vector<SigningKey>& keys,
                         const TokenOptions& options, std::int64_t now_unix_s) {
  if (token.size() > kMostTokenBytes) return denied("is too long");
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos) return denied("is malformed");
  const auto signature = from_base64url(token.substr(second + 1));
  if (!signature) return denied("is malformed");
  bool verified = false;
  for (const SigningKey& key : keys) verified = key.verify(token.substr(0, second), *signature) || verified;
  if (!verified) return denied("is not signed with a key of this server");
  const auto header = Claims::read(token.substr(0, first));
  if (!header) return fail(header.error());
  const auto algorithm = header->text("alg");
  if (!algorithm || *algorithm != "HS256") return denied("is not of the algorithm HS256");
  if (header->find("crit") != nullptr) return denied("asks for an extension ('crit')");
  const auto claims = Claims::read(token.substr(first + 1, second - first - 1));
  if (!claims) return fail(claims.error());
  auto grant = read_claims(*claims);
  if (!grant) return grant;
  if (auto times = check_times(*claims, options, now_unix_s, *grant); !times)
    return fail(std::move(times.error()));
  return grant;
}

std::string write_token(const Grant& grant, const SigningKey& key) {
  std::string claims = fmt::format(R"({{"sub":{},"iat":{})", quoted(grant.user), grant.issued_unix_s);
  if (grant.expires_unix_s) claims += fmt::format(R"(,"exp":{})", *grant.expires_unix_s);
  if (!grant.session.empty()) claims += fmt::format(R"(,"sid":{})", quoted(grant.session));
  if (!grant.channels.empty()) claims += fmt::format(R"(,"channels":{})", list_json(grant.channels));
  if (!grant.publish.empty()) claims += fmt::format(R"(,"publish":{})", list_json(grant.publish));
  if (!grant.presence.empty()) claims += fmt::format(R"(,"presence":{})", list_json(grant.presence));
  if (grant.admin) claims += R"(,"admin":true)";
  const std::string text = to_base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + to_base64url(claims + "}");
  return text + "." + to_base64url(key.sign(text));
}

std::string sign_channel(std::string_view channel, std::string_view user, std::int64_t expires_unix_s,
                         const SigningKey& key) {
  const std::string expires = std::to_string(expires_unix_s);
  return expires + "." + to_base64url(key.sign(signed_text(channel, user, expires)));
}

bool is_signed(std::string_view channel, std::string_view user, std::string_view signature,
               const std::vector<SigningKey>& keys, std::int64_t now_unix_s) {
  const std::size_t dot = signature.find('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view expires = signature.substr(0, dot);
  const auto until = json_integer(expires);
  const auto given = from_base64url(signature.substr(dot + 1));
  if (!until || !given || *until > kMostInteger || static_cast<std::int64_t>(*until) <= now_unix_s)
    return false;
  bool verified = false;
  for (const SigningKey& key : keys) {
    verified = key.verify(signed_text(channel, user, expires), *given) || verified;
    verified = key.verify(signed_text(channel, "", expires), *given) || verified;
  }
  return verified;
}

void TokenAuthority::authenticate(std::string_view token, const Now& now, Done<Grant> done) {
  done(read_token(token, keys_, options_, now.unix_s));
}

}  // namespace headroom::bus
