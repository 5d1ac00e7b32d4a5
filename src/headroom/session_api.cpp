#include "headroom/session_api.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "net/access.hpp"

namespace headroom::cli {
namespace {

using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::size_t kMostBody = 8 * 1024;

net::Response json_response(const json& body) {
  return net::make_response(200, "application/json",
                            body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

/// What a page needs to know: who it works for, and whether it must ask.
json describe(const net::Caller& caller, const net::SignIn& sign_in) {
  const bool signed_in = caller.role == net::Role::kViewer || caller.role == net::Role::kAdministrator;
  json with = json::array();
  if (sign_in.has_token()) with.push_back("token");
  if (sign_in.has_passwords()) with.push_back("password");
  return {{"signed_in", signed_in},
          {"user", caller.user.empty() ? json() : json(caller.user)},
          {"role", signed_in ? json(net::name(caller.role)) : json()},
          {"csrf", caller.has_session() ? json(caller.csrf) : json()},
          {"required", caller.role == net::Role::kNobody},
          {"with", std::move(with)}};
}

/// A cookie that scripts can't read, that no other site's request carries, and that ends with the browser.
std::string cookie(const net::Remote& remote, std::string_view value, std::string_view more = {}) {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}{}", net::session_cookie_name(remote), value,
                     remote.https ? "; Secure" : "", more);
}

/// What a body asks to sign in with.
struct Credentials {
  std::optional<std::string> token;
  std::string user;
  std::string password;
};

/// {"token":...} or {"user":...,"password":...}, and nothing else.
std::optional<Credentials> read_credentials(std::string_view body) {
  const json object = json::parse(body.begin(), body.end(), nullptr, false);
  const auto text = [&](const char* key) -> std::optional<std::string> {
    if (!object.contains(key) || !object.at(key).is_string()) return std::nullopt;
    return object.at(key).get<std::string>();
  };
  if (!object.is_object()) return std::nullopt;
  if (auto token = text("token"); token && object.size() == 1) return Credentials{std::move(token), {}, {}};
  auto user = text("user");
  auto password = text("password");
  if (!user || !password || object.size() != 2) return std::nullopt;
  return Credentials{std::nullopt, std::move(*user), std::move(*password)};
}

net::SignIn::Outcome attempt(net::SignIn& sign_in, const Credentials& given, const std::string& address) {
  const std::int64_t now = base::monotonic_ns();
  return given.token ? sign_in.with_token(*given.token, address, now)
                     : sign_in.with_password(given.user, given.password, address, now);
}

net::Response post_session(net::SignIn& sign_in, const net::Request& request) {
  if (!net::is_json(request))
    return net::error_response(415, "unsupported", "the body must be of type application/json");
  const auto credentials = read_credentials(request.body);
  if (!credentials) {
    return net::error_response(400, "invalid_argument",
                               R"(expected {"token":"..."} or {"user":"...","password":"..."})");
  }
  auto outcome = attempt(sign_in, *credentials, request.remote.address);
  if (!outcome.opened) return std::move(outcome.refusal);
  sign_in.close(net::session_cookie(request));
  net::Session& session = outcome.opened->session;
  const net::Caller caller{session.role, std::move(session.user), std::move(session.csrf)};
  net::Response response = json_response(describe(caller, sign_in));
  response.headers.add("Set-Cookie", cookie(request.remote, outcome.opened->id));
  return response;
}

net::Response delete_session(net::SignIn& sign_in, const net::Request& request) {
  sign_in.close(net::session_cookie(request));
  net::Response response;
  response.status = 204;
  response.headers.add("Set-Cookie", cookie(request.remote, "", "; Max-Age=0"));
  return response;
}

net::Route route(std::string method, net::RunOn run_on, net::Handler handler) {
  net::Route made;
  made.method = std::move(method);
  made.pattern = "/api/session";
  made.access = net::Access::kPublic;
  made.run_on = run_on;
  made.body_bytes = kMostBody;
  made.handler = std::move(handler);
  return made;
}

}  // namespace

Result<std::shared_ptr<net::SignIn>> make_sign_in(const ServeSection& section) {
  std::optional<net::Token> token;
  std::optional<net::PasswordFile> passwords;
  if (!section.token_file.empty()) {
    auto read = net::Token::from_file(section.token_file);
    if (!read) return fail(std::move(read.error()).within("[serve] token_file"));
    token = *read;
  }
  if (!section.password_file.empty()) {
    auto read = net::PasswordFile::read(section.password_file);
    if (!read) return fail(std::move(read.error()).within("[serve] password_file"));
    passwords = std::move(*read);
  }
  net::SessionLimits limits;
  limits.idle = section.session_idle;
  limits.age = section.session_age;
  return std::make_shared<net::SignIn>(token, std::move(passwords), limits);
}

Result<void> reload_passwords(const ServeSection& section, net::SignIn& sign_in) {
  if (section.password_file.empty()) return {};
  auto passwords = net::PasswordFile::read(section.password_file);
  if (!passwords) return fail(std::move(passwords.error()).within("[serve] password_file"));
  sign_in.replace_passwords(std::move(*passwords));
  return {};
}

void add_session_api(net::Router& router, const std::shared_ptr<net::SignIn>& sign_in) {
  router.add(route("GET", net::RunOn::kEventLoop, [sign_in](const net::Request& request) {
    return json_response(describe(request.caller, *sign_in));
  }));
  router.add(route("POST", net::RunOn::kWorker,
                   [sign_in](const net::Request& request) { return post_session(*sign_in, request); }));
  router.add(route("DELETE", net::RunOn::kEventLoop,
                   [sign_in](const net::Request& request) { return delete_session(*sign_in, request); }));
}

}  // namespace headroom::cli
