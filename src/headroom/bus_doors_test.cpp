// The doors of the bus over real sockets, with the hub and the memory broker behind them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "bus/token.hpp"
#include "headroom/bus_client.hpp"
#include "headroom/bus_publish.hpp"
#include "headroom/bus_service.hpp"
#include "net/client_test.hpp"
#include "net/server.hpp"
#include "net/sign_in.hpp"

namespace headroom::cli {
namespace {

using namespace std::chrono_literals;
using net::Client;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kUpgrade =
    "GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A WebSocket client that reads objects.
class Tab {
 public:
  explicit Tab(const net::Endpoint& endpoint) : connection_(BusConnection::open({endpoint, ""}).value()) {}
  Tab(const net::Endpoint& endpoint, const std::string& token) : Tab(endpoint) {
    EXPECT_TRUE(ask({{"id", 1}, {"connect", {{"token", token}}}}).contains("connect"));
  }

  void send(const json& command) { EXPECT_TRUE(connection_.send(command.dump())); }
  void send_text(std::string_view text) { EXPECT_TRUE(connection_.send(text)); }
  wire::Event next_event() {
    auto event = connection_.next(10s);
    if (event && *event) return **event;
    ADD_FAILURE() << "nothing came";
    return {wire::Event::Kind::kFailed, wire::CloseCode::kAbnormal, "nothing"};
  }
  json next() {
    const wire::Event event = next_event();
    if (event.kind != wire::Event::Kind::kText)
      return {{"closed", static_cast<int>(event.code)}, {"reason", event.payload}};
    return json::parse(event.payload);
  }
  json ask(const json& command) {
    send(command);
    return next();
  }
  json subscribe(const std::string& channel) {
    return ask({{"id", 2}, {"subscribe", {{"channels", {channel}}}}});
  }

 private:
  BusConnection connection_;
};

class BusDoors : public testing::Test {
 protected:
  BusDoors() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bus-doors-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream(folder_ / "secret") << kSecret << "\n";
    ::chmod((folder_ / "secret").c_str(), 0600);
    section_.enabled = true;
    section_.secret_files = {(folder_ / "secret").string()};
    section_.channels = {{"room:", "subscribe=users publish=users joins=yes"}};
    section_.origins = {"https://erp.example.org"};
    options_.listen = {{"127.0.0.1", 0, ""}};
    options_.access.sign_in =
        std::make_shared<net::SignIn>(net::Token::from_text(kSecret).value(), std::nullopt);
  }
  ~BusDoors() override {
    stop();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    auto service = BusService::create(section_);
    ASSERT_TRUE(service) << service.error().message();
    service_ = std::move(*service);
    net::Router router;
    service_->add_routes(router);
    auto server = net::Server::create(options_, std::move(router));
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    service_->start(*server_);
    thread_ = std::thread([this] { (void)server_->run(); });
  }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  const net::Endpoint& endpoint() const { return server_->endpoints().front(); }

  static std::string token(const std::string& user, std::vector<std::string> publish = {},
                           bool admin = false) {
    bus::Grant grant;
    grant.user = user;
    grant.session = "of " + user;
    grant.publish = std::move(publish);
    grant.admin = admin;
    grant.issued_unix_s = bus::read_clocks().unix_s;
    grant.expires_unix_s = grant.issued_unix_s + 600;
    return bus::write_token(grant, bus::SigningKey::from_text(kSecret).value());
  }

  static std::string request(std::string_view method, std::string_view path, std::string_view body,
                             const std::string& bearer = {}) {
    return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}{}Content-Length: {}\r\n\r\n{}", method, path,
                       bearer.empty() ? "" : "Authorization: Bearer ", bearer.empty() ? "" : bearer + "\r\n",
                       body.size(), body);
  }
  std::string answer(const std::string& bytes) const {
    Client client(endpoint());
    client.send(bytes);
    return client.read_responses(1);
  }
  json publish(const std::string& channel, const json& data, const std::string& id = {}) const {
    json message{{"channel", channel}, {"data", data}};
    if (!id.empty()) message["id"] = id;
    return body_of(answer(request("POST", "/bus/publish", message.dump(), token("app", {}, true))));
  }
  static json body_of(const std::string& response) {
    return json::parse(response.substr(response.find("\r\n\r\n") + 4), nullptr, false);
  }
  static std::string connect_line(const std::string& token) {
    return json{{"id", 1}, {"connect", {{"token", token}}}}.dump() + "\n";
  }

  std::filesystem::path folder_;
  BusSection section_;
  net::ServerOptions options_;
  std::unique_ptr<BusService> service_;
  std::unique_ptr<net::Server> server_;
  std::thread thread_;
};

TEST_F(BusDoors, AMessageReachesItsSubscribersAndSaysWhereItStands) {
  start();
  Tab ann(endpoint(), token("ann"));
  Tab bob(endpoint(), token("bob"));
  const json subscribed = ann.subscribe("room:1")["subscribe"]["channels"][0];
  EXPECT_EQ(subscribed["offset"], 0);
  bob.subscribe("room:1");
  const json published = publish("room:1", {{"n", 1}}, "a");
  EXPECT_EQ(published["offset"], 1);
  EXPECT_EQ(published["epoch"], subscribed["epoch"]);
  EXPECT_TRUE(publish("room:1", {{"n", 1}}, "a")["repeated"].get<bool>());
  for (Tab* tab : {&ann, &bob})
    EXPECT_EQ(tab->next().dump(), R"({"message":{"channel":"room:1","data":{"n":1},"offset":1}})");
}

TEST_F(BusDoors, APageOfAnotherOriginMayNotOpenItUnlessItIsListed) {
  start();
  const auto status = [this](const std::string& origin) {
    Client client(endpoint());
    client.send("GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin +
                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    return client.read_some().substr(9, 3);
  };
  EXPECT_EQ(status("https://evil.example"), "403");
  EXPECT_EQ(status("https://erp.example.org"), "101");
  EXPECT_EQ(status("http://localhost"), "101");
  EXPECT_THAT(answer("POST /bus/poll HTTP/1.1\r\nHost: localhost\r\nOrigin: "
                     "https://evil.example\r\nContent-Length: 9\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("[bus] origins")));
}

TEST_F(BusDoors, AWrongTokenIsToldNotToComeAgain) {
  start();
  Tab tab(endpoint());
  const json closed = tab.ask({{"id", 1}, {"connect", {{"token", token("ann") + "x"}}}});
  EXPECT_EQ(closed["closed"], 4201);
  EXPECT_EQ(json::parse(closed["reason"].get<std::string>())["code"], "token_invalid");
}

TEST_F(BusDoors, NobodyElseNoticesMalformedFrames) {
  start();
  Tab fine(endpoint(), token("ann"));
  fine.subscribe("room:1");
  const auto code = [this](const std::string& frame) {
    Client client(endpoint());
    client.send(kUpgrade);
    (void)client.read_some();
    client.send(frame);
    std::string_view bytes;
    const std::string got = client.read_some();
    bytes = got;
    wire::FrameReader reader(wire::Sender::kServer, 1000);
    const auto event = reader.next(bytes);
    return event ? static_cast<int>(event->code) : 0;
  };
  constexpr std::array<unsigned char, 4> kMask{1, 2, 3, 4};
  EXPECT_EQ(code(std::string("\x81\x02hi", 4)), 1002) << "not masked";
  EXPECT_EQ(code(wire::masked_frame(wire::Opcode::kText, "\xff\xfe", kMask)), 1007) << "invalid UTF-8";
  EXPECT_EQ(code(wire::masked_frame(wire::Opcode::kText, std::string(70'000, ' '), kMask).substr(0, 14)),
            1009);
  EXPECT_EQ(code(wire::masked_frame(wire::Opcode::kBinary, "x", kMask)), 1003);
  EXPECT_EQ(code(wire::masked_frame(wire::Opcode::kText, "[]", kMask)), 4200) << "no command id";
  EXPECT_EQ(code(wire::masked_frame(wire::Opcode::kText, std::string(30'000, '['), kMask)), 4200) << "deep";
  publish("room:1", 7);
  EXPECT_EQ(fine.next()["message"]["data"], 7);
}

TEST_F(BusDoors, AUsersChannelIsReadByNobodyElseThroughAnyDoor) {
  start();
  publish("user:bob", "secret");
  Tab ann(endpoint(), token("ann"));
  EXPECT_EQ(ann.subscribe("user:bob")["subscribe"]["channels"][0]["error"]["code"], "denied");
  EXPECT_EQ(ann.ask({{"id", 3}, {"history", {{"channel", "user:bob"}, {"limit", 9}}}})["error"]["code"],
            "denied");
  const std::string subscribe = R"({"id":2,"subscribe":{"channels":["user:bob"]}})";
  const std::string lines = connect_line(token("ann")) + subscribe + "\n" + R"({"id":3,"unknown":{}})";
  section_.poll_wait = 100ms;
  EXPECT_THAT(answer(request("GET", "/bus/history?channel=user:bob", "", token("app", {}, true))),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer(request("GET", "/bus/history?channel=user:bob", "", token("ann"))),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer(request("GET", "/bus/history?channel=user:bob", "")), StartsWith("HTTP/1.1 401"));
  Client stream(endpoint());
  stream.send(request("POST", "/bus/events", lines));
  std::string seen;
  while (seen.find("unknown command") == std::string::npos) seen += stream.read_some();
  EXPECT_THAT(seen, AllOf(HasSubstr(R"("code":"denied")"), Not(HasSubstr("secret"))));
}

TEST_F(BusDoors, StreamsCarryTheSameObjectsAsEvents) {
  start();
  Client stream(endpoint());
  stream.send(request("POST", "/bus/events",
                      connect_line(token("ann")) + R"({"id":2,"subscribe":{"channels":["room:1"]}})" + "\n"));
  std::string seen;
  while (seen.find("\"epoch\"") == std::string::npos) seen += stream.read_some();
  EXPECT_THAT(seen,
              AllOf(HasSubstr("Content-Type: text/event-stream"), HasSubstr("data: {\"id\":1,\"connect\":")));
  publish("room:1", "hello");
  seen.clear();
  while (seen.find("hello") == std::string::npos) seen += stream.read_some();
  EXPECT_THAT(seen,
              HasSubstr("data: {\"message\":{\"channel\":\"room:1\",\"offset\":1,\"data\":\"hello\"}}\n\n"));
  service_->drain(*server_, 5s);
  EXPECT_THAT(stream.read_all(), HasSubstr(R"(data: {"disconnect":{"close":4000,"code":"going_away")"));
}

TEST_F(BusDoors, APollIsAnsweredByTheNextMessageOrAtOnceByWhatWasMissed) {
  start();
  const std::string epoch = publish("room:1", 1)["epoch"].get<std::string>();
  publish("room:1", 2);
  const std::string again =
      connect_line(token("ann")) +
      fmt::format(
          R"({{"id":2,"subscribe":{{"channels":[{{"channel":"room:1","since":{{"offset":1,"epoch":"{}"}}}}]}}}})",
          epoch);
  const json missed = body_of(answer(request("POST", "/bus/poll", again)));
  ASSERT_EQ(missed.size(), 3U) << missed;
  EXPECT_TRUE(missed[1]["subscribe"]["channels"][0]["recovered"].get<bool>());
  EXPECT_EQ(missed[2]["message"]["data"], 2);

  Client waiting(endpoint());
  waiting.send(request("POST", "/bus/poll",
                       connect_line(token("ann")) + R"({"id":2,"subscribe":{"channels":["room:1"]}})"));
  while (service_->section().enabled && server_->stats().held < 4) std::this_thread::sleep_for(1ms);
  publish("room:1", 3);
  const json news = body_of(waiting.read_responses(1));
  EXPECT_EQ(news.back()["message"]["data"], 3);
}

TEST_F(BusDoors, APollToWhichNothingComesSaysWhereItIs) {
  section_.poll_wait = 100ms;
  start();
  const std::string lines = connect_line(token("ann")) + R"({"id":2,"subscribe":{"channels":["room:1"]}})";
  const json nothing = body_of(answer(request("POST", "/bus/poll", lines)));
  ASSERT_EQ(nothing.size(), 2U) << nothing;
  EXPECT_EQ(nothing[1]["subscribe"]["channels"][0]["offset"], 0);
}

TEST_F(BusDoors, APollSaysWhyItIsRefused) {
  start();
  EXPECT_THAT(answer(request("POST", "/bus/poll", connect_line("x.y.z"))),
              AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("token_invalid")));
  EXPECT_THAT(answer(request("POST", "/bus/poll", "\n")),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("the body holds 0 commands")));
  EXPECT_THAT(answer("POST /bus/poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
}

TEST_F(BusDoors, ABatchIsJudgedMessageByMessage) {
  start();
  const std::string body =
      R"({"messages":[{"channel":"room:1","data":1},{"channel":"other","data":2},{"channel":""},{"channel":"room:1","data":3}]})";
  const json results =
      body_of(answer(request("POST", "/bus/publish", body, token("app", {"room:*"}))))["results"];
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[0]["offset"], 1);
  EXPECT_EQ(results[1]["error"]["code"], "denied");
  EXPECT_EQ(results[2]["error"]["code"], "invalid_argument");
  EXPECT_EQ(results[3]["offset"], 2);
}

TEST_F(BusDoors, PublishingIsRefusedByTheHeadAlone) {
  start();
  const std::string length = "Content-Length: 100\r\n\r\n";
  const std::string start_line = "POST /bus/publish HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_THAT(answer(start_line + length),
              AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("Authorization: Bearer TOKEN")));
  EXPECT_THAT(answer(start_line + "Authorization: Bearer " + token("ann") + "\r\n" + length),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer(start_line + "Authorization: Bearer " + token("ann") + "x\r\n" + length),
              StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(answer(start_line + "Authorization: Bearer " + token("app", {}, true) +
                     "\r\nContent-Length: 9999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(answer("POST /api/bus/publish HTTP/1.1\r\nHost: localhost\r\n" + length),
              StartsWith("HTTP/1.1 401"));
}

TEST_F(BusDoors, WhatIsPublishedByHttpComesByteForByte) {
  start();
  Tab ann(endpoint(), token("ann"));
  ann.subscribe("room:1");
  const std::string data =
      R"([1e400,12345678901234567890123,-0.0,0.1000000000000000000000000001,"\u00e9\/"])";
  const std::string body = R"({"channel":"room:1","data":)" + data + "}";
  EXPECT_THAT(answer(request("POST", "/bus/publish", body, token("app", {}, true))),
              StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(ann.next_event().payload, R"({"message":{"channel":"room:1","offset":1,"data":)" + data + "}}");
  EXPECT_THAT(answer(request("POST", "/bus/publish", std::string(500'000, '['), token("app", {}, true))),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("the body is no object")));
  std::string many = R"({"messages":[0)";
  for (std::size_t i = 0; i < kMostPublications; ++i) many += ",0";
  EXPECT_THAT(answer(request("POST", "/bus/publish", many + "]}", token("app", {}, true))),
              AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("257 messages")));
}

TEST_F(BusDoors, AnswersWhoMayAskWhatIsThere) {
  start();
  Tab ann(endpoint(), token("ann"));
  ann.subscribe("room:1");
  publish("room:1", 1);
  publish("room:2", 1);
  for (const std::string side : {"/bus", "/api/bus"}) {
    const std::string bearer = side == "/bus" ? token("app", {}, true) : std::string(kSecret);
    const auto ask = [&](const std::string& target) {
      return body_of(answer(request("GET", side + target, "", bearer)));
    };
    EXPECT_EQ(ask("/status")["subscriptions"], 1);
    const json channels = ask("/channels?prefix=room:")["channels"];
    ASSERT_EQ(channels.size(), 1U);
    EXPECT_EQ(channels[0]["channel"], "room:1");
    EXPECT_EQ(channels[0]["subscribers"], 1);
    EXPECT_EQ(channels[0]["history"], (json{{"messages", 100}, {"seconds", 300}}));
    EXPECT_EQ(ask("/presence?user=ann&user=bob")["users"], (json{{"ann", "online"}, {"bob", "offline"}}));
    EXPECT_EQ(ask("/history?channel=room:2")["messages"], json::parse(R"([{"offset":1,"data":1}])"));
    EXPECT_THAT(ask("/channels?limit=x")["error"]["message"].get<std::string>(),
                HasSubstr("whole number up to 1000"));
  }
}

TEST_F(BusDoors, AdministratorsSeeWhoIsConnected) {
  start();
  Tab ann(endpoint(), token("ann"));
  ann.subscribe("room:1");
  Tab bob(endpoint(), token("bob"));
  for (const std::string side : {"/bus", "/api/bus"}) {
    const std::string bearer = side == "/bus" ? token("app", {}, true) : std::string(kSecret);
    const auto ask = [&](const std::string& query) {
      return body_of(answer(request("GET", side + "/connections" + query, "", bearer)));
    };
    const json all = ask("");
    EXPECT_EQ(all["count"], 2);
    EXPECT_EQ(all["next"], nullptr);
    ASSERT_EQ(all["connections"].size(), 2U);
    json first = all["connections"][0];
    EXPECT_GE(first["age_s"], 0);
    first.erase("age_s");
    EXPECT_EQ(first, json::parse(R"({"connection":"c1","user":"ann","address":"127.0.0.1","queued_bytes":0,)"
                                 R"("active":1,"idle":0,"subscriptions":1,"channels":["room:1"]})"));
    EXPECT_EQ(ask("?limit=1")["next"], "c1");
    EXPECT_EQ(ask("?limit=1&after=c1")["connections"][0]["user"], "bob");
    EXPECT_EQ(ask("?order=queue&limit=1")["next"], nullptr);
    EXPECT_EQ(ask("?channel=room:1")["count"], 1);
    EXPECT_EQ(ask("?user=carol")["connections"], json::array());
    for (const std::string wrong : {"?limit=1001", "?order=newest", "?after=12", "?after=c", "?after=c1x"})
      EXPECT_EQ(ask(wrong)["error"]["code"], "invalid_argument") << wrong;
  }
  EXPECT_THAT(answer(request("GET", "/bus/connections", "", token("ann", {"room:*"}))),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer(request("GET", "/api/bus/connections", "")), StartsWith("HTTP/1.1 401"));
}

TEST_F(BusDoors, CountsWhoIsAtEachDoor) {
  start();
  const auto doors = [this] {
    return body_of(answer(request("GET", "/bus/status", "", token("app", {}, true))))["doors"];
  };
  EXPECT_EQ(doors(), (json{{"websocket", 0}, {"stream", 0}, {"poll", 0}}));
  {
    Tab ann(endpoint(), token("ann"));
    Tab bob(endpoint(), token("bob"));
    Client stream(endpoint());
    stream.send(request("POST", "/bus/events", connect_line(token("ann"))));
    Client poll(endpoint());
    poll.send(request("POST", "/bus/poll", connect_line(token("ann"))));
    while (doors() != (json{{"websocket", 2}, {"stream", 1}, {"poll", 1}})) std::this_thread::sleep_for(1ms);
  }
  while (doors() != (json{{"websocket", 0}, {"stream", 0}, {"poll", 0}})) std::this_thread::sleep_for(1ms);
}

TEST_F(BusDoors, ListsChannelsAndUsersAPageAtATime) {
  start();
  Tab ann(endpoint(), token("ann"));
  Tab anna(endpoint(), token("anna"));
  Tab bob(endpoint(), token("bob"));
  for (Tab* tab : {&ann, &anna}) tab->subscribe("room:1");
  for (const std::string channel : {"room:1", "room:2", "room:3"}) bob.subscribe(channel);
  const auto ask = [&](const std::string& target) {
    return body_of(answer(request("GET", "/bus" + target, "", token("app", {}, true))));
  };
  const auto names = [](const json& list, const char* key) {
    std::vector<std::string> found;
    for (const json& one : list) found.push_back(one[key].get<std::string>());
    return found;
  };
  json page = ask("/channels?limit=2");
  EXPECT_THAT(names(page["channels"], "channel"), testing::ElementsAre("room:1", "room:2"));
  EXPECT_TRUE(page["more"].get<bool>());
  EXPECT_TRUE(page["channels"][0]["per_second"].is_null()) << "nobody looked before";
  page = ask("/channels?limit=2&offset=2");
  EXPECT_THAT(names(page["channels"], "channel"), testing::ElementsAre("room:3"));
  EXPECT_FALSE(page["more"].get<bool>());
  EXPECT_TRUE(ask("/channels?offset=200000")["channels"].empty());

  page = ask("/users?search=ann");
  EXPECT_THAT(names(page["users"], "user"), testing::ElementsAre("ann", "anna"));
  EXPECT_EQ(page["users"][0], (json{{"user", "ann"}, {"state", "online"}, {"connections", 1}}));
  EXPECT_EQ(page["online"], 2);
  EXPECT_THAT(names(ask("/users?offset=1&limit=1")["users"], "user"), testing::ElementsAre("anna"));
  EXPECT_TRUE(ask("/users?state=away")["users"].empty());
  EXPECT_THAT(ask("/users?state=gone")["error"]["message"].get<std::string>(),
              HasSubstr("expected online or away"));
  EXPECT_THAT(ask("/users?limit=1001")["error"]["message"].get<std::string>(), HasSubstr("up to 1000"));
}

TEST_F(BusDoors, ADisconnectedUserNeedsANewToken) {
  start();
  Tab ann(endpoint(), token("ann"));
  Tab bob(endpoint(), token("bob"));
  const std::string admin = token("app", {}, true);
  const std::string publisher = token("ann", {"room:*"});
  const std::string message = R"({"channel":"room:1","data":1})";
  EXPECT_THAT(answer(request("POST", "/bus/publish", message, publisher)), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(body_of(answer(request("POST", "/bus/disconnect", R"({"user":"ann"})", admin)))["disconnected"],
            1);
  EXPECT_EQ(ann.next()["closed"], 4101);
  EXPECT_TRUE(bob.ask({{"id", 9}, {"ping", json::object()}}).contains("ping"));
  EXPECT_THAT(answer(request("POST", "/bus/publish", message, publisher)),
              AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("revoked")));
  EXPECT_THAT(answer(request("POST", "/bus/disconnect", "{}", admin)), StartsWith("HTTP/1.1 400"));
}

TEST_F(BusDoors, ADisconnectedSessionEndsAloneAndNeedsANewToken) {
  start();
  const auto of_session = [](const std::string& session) {
    bus::Grant grant;
    grant.user = "ann";
    grant.session = session;
    grant.issued_unix_s = bus::read_clocks().unix_s;
    grant.expires_unix_s = grant.issued_unix_s + 600;
    return bus::write_token(grant, bus::SigningKey::from_text(kSecret).value());
  };
  Tab desk(endpoint(), of_session("desk"));
  Tab phone(endpoint(), of_session("phone"));
  const std::string admin = token("app", {}, true);
  EXPECT_EQ(
      body_of(answer(request("POST", "/bus/disconnect", R"({"session":"desk"})", admin)))["disconnected"], 1);
  EXPECT_EQ(desk.next()["closed"], 4101);
  EXPECT_TRUE(phone.ask({{"id", 9}, {"ping", json::object()}}).contains("ping"));
  Tab again(endpoint());
  EXPECT_EQ(again.ask({{"id", 1}, {"connect", {{"token", of_session("desk")}}}})["closed"], 4101);
}

TEST_F(BusDoors, WhoSendsTooManyCommandsIsToldWhenToComeBack) {
  start();
  Client client(endpoint());
  client.send(kUpgrade);
  (void)client.read_some();
  std::string pings;
  for (int i = 0; i < 300; ++i)
    pings += wire::masked_frame(wire::Opcode::kText, R"({"id":1,"ping":{}})", {1, 2, 3, 4});
  client.send(pings);
  wire::FrameReader reader(wire::Sender::kServer, 1000);
  std::optional<wire::Event> last;
  while (!last || last->kind == wire::Event::Kind::kText) {
    const std::string got = client.read_some();
    ASSERT_FALSE(got.empty());
    for (std::string_view bytes = got; !bytes.empty();) {
      if (auto event = reader.next(bytes)) last = std::move(event);
    }
  }
  EXPECT_EQ(static_cast<int>(last->code), 4003);
  EXPECT_TRUE(json::parse(last->payload)["reconnect"].contains("after_ms")) << last->payload;
}

TEST_F(BusDoors, OneMoreClientThanFitsIsToldSoAtEachDoor) {
  section_.connections = 1;
  start();
  Tab ann(endpoint(), token("ann"));
  EXPECT_EQ(Tab(endpoint()).next()["closed"], 4002);
  const std::string lines = connect_line(token("bob"));
  EXPECT_THAT(
      answer(request("POST", "/bus/poll", lines)),
      AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After"), HasSubstr(R"("code":"overloaded")")));
  Client stream(endpoint());
  stream.send(request("POST", "/bus/events", lines));
  EXPECT_THAT(stream.read_all(), HasSubstr(R"(data: {"disconnect":{"close":4002,"code":"overloaded")"));
  EXPECT_TRUE(ann.ask({{"id", 9}, {"ping", json::object()}}).contains("ping"));
}

TEST_F(BusDoors, ACommandThatIsNestedTooDeepIsAnsweredAndTheConnectionStays) {
  start();
  Tab ann(endpoint(), token("ann"));
  ann.send_text(R"({"id":7,"publish":{"channel":"room:1","data":)" + std::string(100, '[') +
                std::string(100, ']') + "}}");
  const json refused = ann.next();
  EXPECT_EQ(refused["id"], 7);
  EXPECT_EQ(refused["error"]["code"], "invalid_argument");
  EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("nested deeper than 64"));
  EXPECT_TRUE(ann.ask({{"id", 9}, {"ping", json::object()}}).contains("ping"));
}

TEST_F(BusDoors, ASlowReaderIsToldToResumeAndTheOthersGetEverything) {
  section_.queue_size = 64U << 10U;
  section_.channels["room:"] += " history=1000 history_size=64MiB message=64KiB";
  start();
  Tab slow(endpoint(), token("slow"));
  slow.subscribe("room:1");
  Tab quick(endpoint(), token("quick"));
  quick.subscribe("room:1");
  const std::string data(30'000, 'x');
  std::uint64_t last = 0;
  while (service_ != nullptr && server_->stats().slow_websockets == 0 && last < 900) {
    last = publish("room:1", data)["offset"].get<std::uint64_t>();
    EXPECT_EQ(quick.next()["message"]["offset"], last);
  }
  EXPECT_EQ(server_->stats().slow_websockets, 1U);
  std::uint64_t seen = 0;
  json object = slow.next();
  while (object.contains("message")) {
    EXPECT_EQ(object["message"]["offset"], ++seen) << "what it got has no gap";
    object = slow.next();
  }
  EXPECT_EQ(object["closed"], 4001);
  EXPECT_LT(seen, last);
}

TEST_F(BusDoors, APollThatWaitsIsAnsweredWhenTheServiceStops) {
  start();
  Client waiting(endpoint());
  waiting.send(request("POST", "/bus/poll",
                       connect_line(token("ann")) + R"({"id":2,"subscribe":{"channels":["room:1"]}})"));
  while (server_->stats().held_open == 0) std::this_thread::sleep_for(1ms);
  service_->drain(*server_, 5s);
  const json objects = body_of(waiting.read_responses(1));
  ASSERT_EQ(objects.size(), 3U) << objects;
  EXPECT_EQ(objects[1]["subscribe"]["channels"][0]["channel"], "room:1");
  EXPECT_EQ(objects[2]["disconnect"]["close"], 4000);
  EXPECT_TRUE(objects[2]["disconnect"]["reconnect"].contains("window_ms"));
}

TEST_F(BusDoors, EveryoneIsSentAwayWithATimeToComeBack) {
  start();
  std::vector<std::unique_ptr<Tab>> tabs;
  for (int i = 0; i < 20; ++i) tabs.push_back(std::make_unique<Tab>(endpoint(), token("ann")));
  std::thread drain([this] { service_->drain(*server_, 10s); });
  for (const auto& tab : tabs) {
    const json closed = tab->next();
    EXPECT_EQ(closed["closed"], 4000);
    EXPECT_TRUE(json::parse(closed["reason"].get<std::string>())["reconnect"].contains("window_ms"));
  }
  tabs.clear();
  drain.join();
  EXPECT_TRUE(service_->hub().drained());
}

}  // namespace
}  // namespace headroom::cli
