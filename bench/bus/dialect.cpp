#include "dialect.hpp"

#include <charconv>
#include <ctime>
#include <vector>

#include <fmt/format.h>

#include "socket.hpp"

namespace bench {
namespace {

constexpr std::size_t kMessageBytes = 200;
constexpr std::int64_t kTokenSeconds = 86'400;
constexpr std::size_t kTabs = 5;

Server server_of(std::string_view name) {
  if (name == "headroom") return Server::kHeadroom;
  if (name == "nchan") return Server::kNchan;
  if (name == "nchan+meta") return Server::kNchanMeta;
  if (name == "plain") return Server::kPlain;
  if (name == "socketio") return Server::kSocketIo;
  give_up(fmt::format("'{}' is no server; expected headroom, nchan, nchan+meta, plain or socketio", name));
}

std::string payload(std::uint64_t number) {
  std::string text = fmt::format(R"({{"n":{},"pad":")", number);
  text.resize(kMessageBytes - 2, 'x');
  return text + R"("})";
}

/// The number of the payload in a frame; the rest of it has to be there too.
std::uint64_t number_in(std::string_view text) {
  const std::size_t at = text.find(R"({"n":)");
  if (at == std::string_view::npos || text.size() - at < kMessageBytes)
    give_up(fmt::format("not a message: '{:.300}'", text));
  std::uint64_t number = 0;
  std::from_chars(text.data() + at + 5, text.data() + text.size(), number);
  if (text.substr(at + kMessageBytes - 3, 3) != R"(x"})")
    give_up(fmt::format("a cut message: '{:.300}'", text));
  return number;
}

Heard hear_headroom(std::string_view text) {
  Heard heard;
  if (text.starts_with(R"({"message":)")) {
    heard.message = number_in(text);
  } else if (text.find(R"("error")") != std::string_view::npos) {
    give_up(fmt::format("refused: {:.300}", text));
  } else {
    heard.subscribed = text.starts_with(R"({"id":2,"subscribe")");
    heard.beat = text.starts_with(R"({"id":3,"activity")");
  }
  return heard;
}

Heard hear_socket_io(std::string_view text) {
  Heard heard;
  if (text.starts_with("42")) {
    heard.message = number_in(text);
  } else if (text.starts_with("40")) {
    heard.subscribed = true;
  } else if (text.starts_with("0")) {
    heard.answer = "40";
  } else if (text == "2") {
    heard.answer = "3";
  } else {
    give_up(fmt::format("refused: {:.300}", text));
  }
  return heard;
}

Heard hear_bare(std::string_view text) {
  Heard heard;
  heard.message = number_in(text);
  return heard;
}

}  // namespace

Dialect::Dialect(std::string_view server, std::string_view secret) : server_(server_of(server)) {
  if (server_ != Server::kHeadroom) return;
  auto key = headroom::bus::SigningKey::from_text(secret);
  if (!key) give_up(key.error().message());
  key_ = std::move(*key);
  admin_ = token("app", true);
}

std::string Dialect::token(std::string_view user, bool admin) const {
  headroom::bus::Grant grant;
  grant.user = user;
  grant.admin = admin;
  grant.issued_unix_s = std::time(nullptr);
  grant.expires_unix_s = grant.issued_unix_s + kTokenSeconds;
  return headroom::bus::write_token(grant, *key_);
}

std::string Dialect::upgrade() const {
  std::string_view path = "/";
  if (server_ == Server::kHeadroom) path = "/bus/ws";
  if (is_nchan()) path = "/sub?id=1";
  if (server_ == Server::kSocketIo) path = "/socket.io/?EIO=4&transport=websocket";
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n{}\r\n",
      path, server_ == Server::kNchanMeta ? "Sec-WebSocket-Protocol: ws+meta.nchan\r\n" : "");
}

std::vector<std::string> Dialect::greeting(std::size_t client) const {
  if (server_ != Server::kHeadroom) return {};
  return {
      fmt::format(R"({{"id":1,"connect":{{"token":"{}"}}}})", token(fmt::format("user{}", client), false)),
      R"({"id":2,"subscribe":{"channels":["room:1"]}})"};
}

bool Dialect::subscribed_by_upgrade() const {
  return is_nchan() || server_ == Server::kPlain;
}

Heard Dialect::hear(std::string_view text) const {
  if (server_ == Server::kHeadroom) return hear_headroom(text);
  if (server_ == Server::kSocketIo) return hear_socket_io(text);
  return hear_bare(text);
}

std::string Dialect::beat(std::size_t number) const {
  if (server_ != Server::kHeadroom) give_up("only headroom is told of tabs");
  const std::size_t used = 1 + number % 2;
  return fmt::format(R"({{"id":3,"activity":{{"active":{},"idle":{}}}}})", used, kTabs - used);
}

std::string Dialect::publication(std::uint64_t number) const {
  const std::string data = payload(number);
  const bool ours = server_ == Server::kHeadroom;
  const std::string body = ours ? fmt::format(R"({{"channel":"room:1","data":{}}})", data) : data;
  std::string_view path = ours ? "/bus/publish" : "/publish";
  if (is_nchan()) path = "/pub?id=1";
  return fmt::format("POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}Content-Length: {}\r\n\r\n{}", path,
                     ours ? fmt::format("Authorization: Bearer {}\r\n", admin_) : "", body.size(), body);
}

}  // namespace bench
