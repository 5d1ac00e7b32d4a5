#include "net/sign_in.hpp"

#include <utility>

namespace headroom::net {
namespace {

constexpr std::string_view kTokenUser = "token";

/// Of nothing that anybody knows, at the usual cost: what the password of an unknown user is compared with.
constexpr const char* kNobodysHash =
    "$argon2id$v=19$m=65536,t=3,p=1$aGVhZHJvb20taGVhZHJvb20$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

Response wrong(std::string_view message) {
  Response response = error_response(401, "unauthorized", message);
  response.headers.add("WWW-Authenticate", "Bearer realm=\"headroom\"");
  return response;
}

Response none_configured(std::string_view what, std::string_view key) {
  std::string message = "no ";
  message.append(what).append(" is configured: set [serve] ").append(key);
  return error_response(403, "denied", message);
}

}  // namespace

class SignIn::Place {
 public:
  explicit Place(SignIn& owner) : owner_(owner) {
    const std::lock_guard lock(owner.mutex_);
    taken_ = owner.hashing_ < kHashesAtOnce;
    if (taken_) ++owner.hashing_;
  }
  ~Place() {
    const std::lock_guard lock(owner_.mutex_);
    if (taken_) --owner_.hashing_;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  [[nodiscard]] bool taken() const { return taken_; }

 private:
  SignIn& owner_;
  bool taken_ = false;
};

SignIn::SignIn(std::optional<Token> token, std::optional<PasswordFile> passwords, const SessionLimits& limits)
    : token_(token),
      has_passwords_(passwords.has_value()),
      passwords_(passwords ? std::move(*passwords) : PasswordFile{}),
      sessions_(limits) {}

std::optional<Response> SignIn::refused(std::string_view address, std::int64_t now_ns) const {
  const auto wait = limiter_.refused(address, now_ns);
  if (!wait) return std::nullopt;
  Response response =
      error_response(429, "overloaded", "too many wrong tokens or passwords from this address");
  response.headers.add("Retry-After", std::to_string(*wait));
  return response;
}

void SignIn::forgive(std::string_view address) {
  const std::lock_guard lock(mutex_);
  limiter_.forgive(address);
}

std::optional<Response> SignIn::check_token(std::string_view token, std::string_view address,
                                            std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  if (auto refusal = refused(address, now_ns)) return refusal;
  if (token_ && token_->matches(token)) return std::nullopt;
  limiter_.failed(address, now_ns);
  return wrong("the token is wrong");
}

SignIn::Outcome SignIn::with_token(std::string_view token, std::string_view address, std::int64_t now_ns) {
  if (!token_) return {std::nullopt, none_configured("token", "token_file")};
  if (auto refusal = check_token(token, address, now_ns)) return {std::nullopt, std::move(*refusal)};
  const std::lock_guard lock(mutex_);
  return {sessions_.open(std::string(kTokenUser), Role::kAdministrator, now_ns), {}};
}

PasswordEntry SignIn::entry_of(std::string_view user) const {
  const PasswordEntry* entry = passwords_.find(user);
  return entry == nullptr ? PasswordEntry{{}, Role::kNobody, kNobodysHash} : *entry;
}

SignIn::Outcome SignIn::with_password(std::string_view user, std::string_view password,
                                      std::string_view address, std::int64_t now_ns) {
  if (!has_passwords_) return {std::nullopt, none_configured("password file", "password_file")};
  const Place place(*this);
  if (!place.taken()) {
    Response busy = error_response(503, "overloaded", "too many sign-ins at once");
    busy.headers.add("Retry-After", "1");
    return {std::nullopt, std::move(busy)};
  }
  PasswordEntry entry;
  {
    const std::lock_guard lock(mutex_);
    if (auto refusal = refused(address, now_ns)) return {std::nullopt, std::move(*refusal)};
    limiter_.failed(address, now_ns);  // until it is known better
    entry = entry_of(user);
  }
  const bool right = password_matches(entry.hash, password);
  if (!right || entry.role == Role::kNobody)
    return {std::nullopt, wrong("the name or the password is wrong")};
  forgive(address);
  const std::lock_guard lock(mutex_);
  return {sessions_.open(std::move(entry.user), entry.role, now_ns), {}};
}

std::optional<Session> SignIn::find(std::string_view id, std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  const Session* session = sessions_.find(id, now_ns);
  return session == nullptr ? std::nullopt : std::optional(*session);
}

bool SignIn::goes_on(std::string_view id, std::int64_t now_ns) const {
  const std::lock_guard lock(mutex_);
  return sessions_.goes_on(id, now_ns);
}

void SignIn::close(std::string_view id) {
  const std::lock_guard lock(mutex_);
  sessions_.close(id);
}

void SignIn::replace_passwords(PasswordFile passwords) {
  const std::lock_guard lock(mutex_);
  if (passwords.entries() == passwords_.entries()) return;
  sessions_.keep([&](const Session& session) {
    const PasswordEntry* before = passwords_.find(session.user);
    const PasswordEntry* after = passwords.find(session.user);
    return before == nullptr || (after != nullptr && *after == *before);
  });
  passwords_ = std::move(passwords);
}

}  // namespace headroom::net
