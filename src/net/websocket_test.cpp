// WebSockets over real connections: each case is a client that speaks bytes.

#include "net/websocket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/client_test.hpp"
#include "net/server.hpp"
#include "net/sign_in.hpp"

namespace headroom::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using wire::CloseCode;
using wire::Opcode;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kUpgrade =
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr std::array<unsigned char, 4> kMask{1, 2, 3, 4};

Request upgrade_request() {
  Request request;
  request.method = "GET";
  request.headers.add("Host", "localhost");
  request.headers.add("Upgrade", "WebSocket");
  request.headers.add("Connection", "keep-alive, Upgrade");
  request.headers.add("Sec-WebSocket-Version", "13");
  request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  return request;
}

TEST(WebSocketHandshake, AnswersTheKeyAndChoosesAProtocol) {
  WebSocketRoute route;
  route.protocols = {"bus.2", "bus.1"};
  Request request = upgrade_request();
  request.headers.add("Sec-WebSocket-Protocol", "bus.1, other");
  request.headers.add("Sec-WebSocket-Protocol", "bus.2");
  const Response response = websocket_handshake(request, route);
  EXPECT_EQ(response.status, 101);
  EXPECT_EQ(*response.headers.find("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(*response.headers.find("Sec-WebSocket-Protocol"), "bus.2");
  EXPECT_EQ(websocket_handshake(upgrade_request(), route).headers.find("Sec-WebSocket-Protocol"), nullptr);
}

TEST(WebSocketHandshake, SaysWhyNot) {
  const auto status = [](const char* header, const char* value) {
    Request request = upgrade_request();
    request.headers.set(header, value);
    return websocket_handshake(request, {}).status;
  };
  EXPECT_EQ(status("Upgrade", "h2c"), 426);
  EXPECT_EQ(status("Connection", "keep-alive"), 426);
  EXPECT_EQ(status("Sec-WebSocket-Version", "8"), 426);
  EXPECT_EQ(status("Sec-WebSocket-Key", "short"), 400);
  EXPECT_EQ(status("Origin", "https://evil.example"), 403);
  EXPECT_EQ(status("Origin", "http://localhost"), 101);
  EXPECT_EQ(*websocket_handshake(Request{}, {}).headers.find("Sec-WebSocket-Version"), "13");
}

/// What a handler was told, for the test's thread to wait for.
class Notes {
 public:
  void add(std::string note) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(note));
    changed_.notify_all();
  }
  std::vector<std::string> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return notes_.size() >= count; }));
    return notes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> notes_;
};

/// Sends back what it gets; notes everything; throws when asked.
class Echo final : public WebSocketHandler {
 public:
  Echo(const std::shared_ptr<WebSocket>& socket, WebSocketGroup& group, Notes& notes)
      : socket_(socket), group_(group), notes_(notes) {
    group_.join(socket);
  }
  void received_text(std::string_view message) override {
    notes_.add("text " + std::string(message.substr(0, 20)));
    if (message == "throw") throw std::runtime_error("inner secret");
    if (message == "leave") return socket_.lock()->close(static_cast<CloseCode>(4001), "as asked");
    socket_.lock()->send(wire::make_frame(Opcode::kText, message));
  }
  void received_binary(std::string_view message) override {
    socket_.lock()->send(wire::make_frame(Opcode::kBinary, message));
  }
  void closed(CloseCode code, SocketEnd end) override {
    group_.leave(socket_.lock().get());
    notes_.add("closed " + std::to_string(static_cast<int>(code)) + (end == SocketEnd::kSlow ? " slow" : ""));
  }

 private:
  std::weak_ptr<WebSocket> socket_;
  WebSocketGroup& group_;
  Notes& notes_;
};

/// A client's end of a WebSocket.
class SocketClient {
 public:
  explicit SocketClient(const Endpoint& endpoint, std::string_view headers = {}) : client_(endpoint) {
    client_.send("GET /socket HTTP/1.1\r\n" + std::string(kHost) + std::string(kUpgrade) +
                 std::string(headers) + "\r\n");
    std::string seen;
    while (seen.find("\r\n\r\n") == std::string::npos) {
      const std::string more = client_.read_some();
      if (more.empty()) break;
      seen += more;
    }
    const std::size_t end = std::min(seen.size(), seen.find("\r\n\r\n") + 4);
    head_ = seen.substr(0, end);
    unread_ = seen.substr(end);
  }

  [[nodiscard]] const std::string& head() const { return head_; }
  Client& client() { return client_; }
  bool send(Opcode opcode, std::string_view payload) {
    return client_.send(wire::masked_frame(opcode, payload, kMask));
  }
  /// "text hello", "close 1001 why", or "end".
  std::string next() {
    while (true) {
      std::string_view bytes = unread_;
      const auto event = reader_.next(bytes);
      unread_.erase(0, unread_.size() - bytes.size());
      if (event) return told(*event);
      unread_ = client_.read_some();
      if (unread_.empty()) return "end";
    }
  }

 private:
  static std::string told(const wire::Event& event) {
    static constexpr std::array<const char*, 6> kNames{"text ", "binary ", "ping ",
                                                       "pong ", "close ",  "failed "};
    std::string line = kNames.at(static_cast<std::size_t>(event.kind));
    if (event.code != CloseCode::kNoStatus) line += std::to_string(static_cast<int>(event.code)) + " ";
    return line + event.payload;
  }

  Client client_;
  wire::FrameReader reader_{wire::Sender::kServer, 16 << 20};
  std::string head_;
  std::string unread_;
};

class WebSocketTest : public testing::Test {
 protected:
  WebSocketTest() {
    options_.listen = {{"127.0.0.1", 0, ""}};
    options_.limits.stop = 5s;
    options_.access.sign_in = sign_in_;
    route_.pattern = "/socket";
    route_.open = [this](const std::shared_ptr<WebSocket>& socket, const Request&) {
      return std::make_unique<Echo>(socket, group_, notes_);
    };
  }
  ~WebSocketTest() override { stop(); }

  void start() {
    Router router;
    router.add(route_);
    auto server = Server::create(options_, std::move(router));
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    thread_ = std::thread([this] { EXPECT_TRUE(server_->run()); });
  }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  const Endpoint& endpoint() const { return server_->endpoints().front(); }

  template <typename Done>
  static bool eventually(Done done) {
    for (int i = 0; i < 1000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  const std::shared_ptr<SignIn> sign_in_ =
      std::make_shared<SignIn>(Token::from_text(kSecret).value(), std::nullopt);
  ServerOptions options_;
  WebSocketRoute route_;
  Notes notes_;
  WebSocketGroup group_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(WebSocketTest, UpgradesAndEchoes) {
  start();
  SocketClient client(endpoint());
  EXPECT_THAT(client.head(), StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(client.head(), HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  EXPECT_THAT(client.head(), testing::Not(HasSubstr("keep-alive")));
  client.send(Opcode::kText, "z\xc3\xa9");
  EXPECT_EQ(client.next(), "text z\xc3\xa9");
  client.send(Opcode::kBinary, std::string(60'000, '\xff'));
  EXPECT_EQ(client.next().size(), 60'000U + 7);
  EXPECT_EQ(server_->stats().websockets_open, 1U);
}

TEST_F(WebSocketTest, ReadsWhatCameTogetherWithTheRequest) {
  start();
  Client client(endpoint());
  client.send("GET /socket HTTP/1.1\r\n" + std::string(kHost) + std::string(kUpgrade) + "\r\n" +
              wire::masked_frame(Opcode::kText, "early", kMask));
  EXPECT_THAT(notes_.wait(1), ElementsAre("text early"));
}

TEST_F(WebSocketTest, AnswersAPingAndAClose) {
  start();
  SocketClient client(endpoint());
  client.send(Opcode::kPing, "there?");
  EXPECT_EQ(client.next(), "pong there?");
  client.send(Opcode::kClose, std::string("\x0f\xa1", 2) + "bye");
  EXPECT_EQ(client.next(), "close 4001 ");
  EXPECT_EQ(client.next(), "end");
  EXPECT_THAT(notes_.wait(1), ElementsAre("closed 4001"));
  EXPECT_TRUE(eventually([&] { return server_->stats().websockets_open == 0; }));
}

TEST_F(WebSocketTest, ClosesWhenTheHandlerWantsItAndWhenItFails) {
  start();
  SocketClient leaver(endpoint());
  leaver.send(Opcode::kText, "leave");
  EXPECT_EQ(leaver.next(), "close 4001 as asked");
  SocketClient thrower(endpoint());
  thrower.send(Opcode::kText, "throw");
  EXPECT_EQ(thrower.next(), "close 1011 the server failed");
}

TEST_F(WebSocketTest, ClosesWhoBreaksARuleWithItsCode) {
  route_.limits.message_bytes = 100;
  start();
  SocketClient unmasked(endpoint());
  unmasked.client().send(*wire::make_frame(Opcode::kText, "hello"));
  EXPECT_THAT(unmasked.next(), StartsWith("close 1002"));
  SocketClient large(endpoint());
  large.send(Opcode::kText, std::string(101, 'x'));
  EXPECT_THAT(large.next(), StartsWith("close 1009"));
  SocketClient garbled(endpoint());
  garbled.send(Opcode::kText, "\xff");
  EXPECT_THAT(garbled.next(), StartsWith("close 1007"));
  SocketClient good(endpoint());
  good.send(Opcode::kText, "fine");
  EXPECT_EQ(good.next(), "text fine") << "nobody else notices";
}

TEST_F(WebSocketTest, DecidesWhoMayOpenItLikeForEveryRoute) {
  route_.access = Access::kWrite;
  start();
  EXPECT_THAT(SocketClient(endpoint()).head(), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(SocketClient(endpoint(), "Authorization: Bearer " + std::string(kSecret) + "\r\n").head(),
              StartsWith("HTTP/1.1 101"));
  EXPECT_THAT(SocketClient(endpoint(), "Origin: https://evil.example\r\n").head(),
              StartsWith("HTTP/1.1 403"));
}

TEST_F(WebSocketTest, AnswersAPlainRequestThatItSpeaksWebSocket) {
  start();
  Client client(endpoint());
  EXPECT_THAT(client.get("/socket"), StartsWith("HTTP/1.1 426"));
  EXPECT_THAT(client.get("/socket"), HasSubstr("Upgrade: websocket")) << "the connection goes on";
}

TEST_F(WebSocketTest, EndsWithTheSessionThatOpenedIt) {
  start();
  const auto session = sign_in_->with_token(kSecret, "127.0.0.1", base::monotonic_ns()).opened.value();
  SocketClient client(endpoint(), "Cookie: headroom=" + session.id + "\r\n");
  client.send(Opcode::kText, "here");
  EXPECT_EQ(client.next(), "text here");
  sign_in_->close(session.id);
  EXPECT_EQ(client.next(), "close 1008 the session has ended");
}

TEST_F(WebSocketTest, PingsWhoIsSilentAndCutsWhoDoesNotAnswer) {
  route_.limits.ping = 300ms;
  route_.limits.silence = 1500ms;
  start();
  SocketClient client(endpoint());
  EXPECT_EQ(client.next(), "ping ");
  client.send(Opcode::kPong, "");
  EXPECT_EQ(client.next(), "ping ") << "again, since it answered";
  EXPECT_EQ(client.next(), "end");
  EXPECT_THAT(notes_.wait(1), ElementsAre("closed 1006"));
}

TEST_F(WebSocketTest, CutsWhoDoesNotAnswerAClose) {
  route_.limits.close = 300ms;
  start();
  SocketClient client(endpoint());
  client.send(Opcode::kText, "leave");
  EXPECT_THAT(client.next(), StartsWith("close 4001"));
  EXPECT_EQ(client.next(), "end");
  EXPECT_THAT(notes_.wait(2), ElementsAre("text leave", "closed 1006"));
}

TEST_F(WebSocketTest, ClosesASlowClientWithoutWaitingForItAndCountsIt) {
  route_.limits.queue_bytes = 4 << 20;
  route_.limits.close = 1s;
  start();
  SocketClient slow(endpoint());
  SocketClient good(endpoint());
  ASSERT_TRUE(eventually([&] { return group_.size() == 2; }));
  const wire::Frame frame = wire::make_frame(Opcode::kBinary, std::string(1 << 20, 'x'));
  for (int i = 0; i < 40; ++i) {
    server_->post([&] { group_.send(frame); });
    EXPECT_EQ(good.next().size(), (1U << 20U) + 7) << "the other gets all of it";
  }
  EXPECT_TRUE(eventually([&] { return server_->stats().slow_websockets == 1; }));
  EXPECT_TRUE(eventually([&] { return group_.size() == 1; }));
  std::string last;
  for (std::string next = slow.next(); next != "end"; next = slow.next()) last = next.substr(0, 12);
  EXPECT_THAT(last, testing::AnyOf(StartsWith("binary"), StartsWith("close 1013")));
}

TEST_F(WebSocketTest, TellsItsHandlerThatAClientStalled) {
  route_.limits.queue_bytes = 64 << 20;
  route_.limits.stall = 300ms;
  route_.limits.close = 300ms;
  start();
  const SocketClient stalled(endpoint());
  ASSERT_TRUE(eventually([&] { return group_.size() == 1; }));
  server_->post([&] { group_.send(wire::make_frame(Opcode::kBinary, std::string(32 << 20, 'x'))); });
  EXPECT_THAT(notes_.wait(1), ElementsAre("closed 1006 slow"));
  EXPECT_EQ(server_->stats().slow_websockets, 1U);
}

TEST_F(WebSocketTest, KeepsWholeAndInOrderWhatTheKernelTakesInPart) {
  route_.limits.queue_bytes = 64 << 20;
  start();
  SocketClient client(endpoint());
  ASSERT_TRUE(eventually([&] { return group_.size() == 1; }));
  std::string large(16 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i / 4096 % 26);
  large.resize(large.size() - 100);  // with its header it is within the reader's bound
  server_->post([&] {
    group_.send(wire::make_frame(Opcode::kText, "before"));
    group_.send(wire::make_frame(Opcode::kText, large));
    group_.send(wire::make_frame(Opcode::kText, "behind"));
    notes_.add("sent");
  });
  notes_.wait(1);  // nobody read meanwhile: the kernel has a part, the queue the rest
  EXPECT_EQ(client.next(), "text before");
  EXPECT_TRUE(client.next() == "text " + large);
  EXPECT_EQ(client.next(), "text behind");
  server_->post([&] { group_.send(wire::make_frame(Opcode::kText, "later")); });
  EXPECT_EQ(client.next(), "text later");
}

TEST_F(WebSocketTest, SharesOneFrameAmongAllWhoGetIt) {
  start();
  std::vector<std::unique_ptr<SocketClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<SocketClient>(endpoint()));
  ASSERT_TRUE(eventually([&] { return group_.size() == 20; }));
  const wire::Frame frame = wire::make_frame(Opcode::kText, "all of you");
  server_->post([&] { group_.send(frame); });
  for (auto& client : clients) EXPECT_EQ(client->next(), "text all of you");
  EXPECT_TRUE(eventually([&] { return frame.use_count() == 1; })) << "no queue keeps it";
}

TEST_F(WebSocketTest, HasABoundOfItsOwnBesideThatOfConnections) {
  options_.limits.lasting = 1;
  start();
  SocketClient client(endpoint());
  client.send(Opcode::kText, "here");
  EXPECT_EQ(client.next(), "text here");
  EXPECT_THAT(SocketClient(endpoint()).head(), StartsWith("HTTP/1.1 503"));
}

TEST_F(WebSocketTest, ClosesEverybodyWhenTheServerStops) {
  start();
  SocketClient client(endpoint());
  client.send(Opcode::kText, "here");
  EXPECT_EQ(client.next(), "text here");
  server_->stop();
  EXPECT_EQ(client.next(), "close 1001 the server stops");
  client.send(Opcode::kClose, std::string("\x03\xe9", 2));
  EXPECT_EQ(client.next(), "end");
  stop();
  EXPECT_THAT(notes_.wait(2), ElementsAre("text here", "closed 1001"));
}

TEST_F(WebSocketTest, SurvivesAClientThatGoesInTheMiddleOfAFrame) {
  start();
  {
    SocketClient client(endpoint());
    client.client().send(wire::masked_frame(Opcode::kText, "whole", kMask).substr(0, 8));
  }
  EXPECT_THAT(notes_.wait(1), ElementsAre("closed 1006"));
}

}  // namespace
}  // namespace headroom::net
