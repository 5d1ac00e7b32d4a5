// The server over real sockets: each case is a client that speaks bytes.

#include "net/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "net/client_test.hpp"
#include "net/sign_in.hpp"

namespace headroom::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

/// Holds handlers until the test lets them go.
class Latch {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }
  /// Waits until so many handlers wait.
  bool reached(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return waiting_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    options_.listen = {{"127.0.0.1", 0, ""}};
    options_.limits.workers = 2;
    options_.limits.stop = 2s;
    options_.access.sign_in = std::make_shared<SignIn>(Token::from_text(kSecret).value(), std::nullopt);
  }
  ~ServerTest() override { stop(); }

  static Route route(std::string method, std::string pattern, Handler handler) {
    Route made;
    made.method = std::move(method);
    made.pattern = std::move(pattern);
    made.handler = std::move(handler);
    return made;
  }

  Router router() {
    Router made;
    made.add(
        route("GET", "/hello", [](const Request&) { return make_response(200, "text/plain", "hello"); }));
    made.add(route("POST", "/echo",
                   [](const Request& request) { return make_response(200, "text/plain", request.body); }));
    made.add(route("GET", "/echo/{word}", [](const Request& request) {
      return make_response(200, "text/plain", *request.parameters.find("word") + request.remote.address);
    }));
    made.add(route("GET", "/wait", [this](const Request&) {
      latch_.wait();
      return make_response(200, "text/plain", "waited");
    }));
    made.add(
        route("GET", "/throw", [](const Request&) -> Response { throw std::runtime_error("inner secret"); }));
    made.add(route("GET", "/large", [](const Request&) {
      return make_response(200, "text/plain", std::string(8 << 20, 'x'));
    }));
    Route change =
        route("POST", "/change", [](const Request&) { return make_response(200, "text/plain", "changed"); });
    change.access = Access::kWrite;
    made.add(std::move(change));
    Route own = route("GET", "/own", [](const Request&) { return make_response(200, "text/plain", "own"); });
    own.access = Access::kOwn;
    own.check = [](Request&) { return std::nullopt; };
    made.add(std::move(own));
    for (const char* method : {"GET", "POST"}) {
      Route open =
          route(method, "/public", [](const Request&) { return make_response(200, "text/plain", "public"); });
      open.access = Access::kPublic;
      made.add(std::move(open));
    }
    Route inline_route =
        route("GET", "/inline", [](const Request&) { return make_response(200, "text/plain", "inline"); });
    inline_route.run_on = RunOn::kEventLoop;
    made.add(std::move(inline_route));
    return made;
  }

  void start() {
    auto server = Server::create(options_, router());
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    thread_ = std::thread([this] { finished_ = server_->run(); });
  }

  void stop() {
    latch_.open();
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }

  const Endpoint& endpoint() const { return server_->endpoints().front(); }
  const ServerStats& stats() const { return server_->stats(); }

  /// Waits until `done`, at most ten seconds.
  template <typename Done>
  static bool eventually(Done done) {
    for (int i = 0; i < 1000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  ServerOptions options_;
  Latch latch_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  bool finished_ = false;
};

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  start();
  Client client(endpoint());
  EXPECT_THAT(client.get("/hello"),
              testing::AllOf(StartsWith("HTTP/1.1 200 OK"), testing::EndsWith("\r\n\r\nhello")));
  EXPECT_THAT(client.get("/echo/a%20b"), testing::EndsWith("a b127.0.0.1"));
  EXPECT_EQ(stats().connections, 1U);
}

TEST_F(ServerTest, ClosesWhenTheClientAsksForIt) {
  start();
  Client client(endpoint());
  client.send("GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read_all(), HasSubstr("Connection: close"));
  Client old(endpoint());
  old.send("GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(old.read_all(), HasSubstr("hello"));
}

TEST_F(ServerTest, AnswersHeadWithLengthButWithoutBody) {
  start();
  Client client(endpoint());
  client.send("HEAD /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  Client client(endpoint());
  std::string requests;
  for (int i = 0; i < 50; ++i)
    requests += "GET /echo/n" + std::to_string(i) + "- HTTP/1.1\r\nHost: localhost\r\n\r\n";
  client.send(requests);
  const std::string answers = client.read_responses(50);
  std::size_t from = 0;
  for (int i = 0; i < 50; ++i) {
    from = answers.find("\r\n\r\nn" + std::to_string(i) + "-", from);
    ASSERT_NE(from, std::string::npos) << i;
  }
}

TEST_F(ServerTest, ReadsARequestThatComesByteByByte) {
  start();
  Client client(endpoint());
  for (const char byte :
       std::string("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")) {
    client.send({&byte, 1});
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_THAT(client.read_responses(1), testing::EndsWith("\r\n\r\nabc"));
}

TEST_F(ServerTest, ReadsAChunkedBody) {
  start();
  Client client(endpoint());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(client.read_responses(1), testing::EndsWith("\r\n\r\nabcde"));
  EXPECT_THAT(client.get("/hello"), testing::EndsWith("hello"));
}

TEST_F(ServerTest, TellsAClientThatWaitsToContinue) {
  start();
  Client client(endpoint());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_responses(1), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_THAT(client.read_responses(1), testing::EndsWith("\r\n\r\nabc"));
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: more\r\n\r\n");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 417"));
}

TEST_F(ServerTest, RefusesWhatIsNoHttpAndCloses) {
  start();
  const std::array<std::pair<std::string, std::string>, 11> cases{{
      {"\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n", "400"},
      {"GET\r\n\r\n", "400"},
      {"GET /hello HTTP/1.1\r\nHost localhost\r\n\r\n", "400"},
      {"GET /hello HTTP/1.1\r\n" + std::string(kHost) + " folded: x\r\nbad\x01name: x\r\n\r\n", "400"},
      {"GET /hello HTTP/2.0\r\nHost: localhost\r\n\r\n", "505"},
      {"GET hello HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
      {"GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "400"},
      {"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", "400"},
      {"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"},
      {"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
  }};
  for (const auto& [bytes, status] : cases) {
    Client client(endpoint());
    client.send(bytes);
    client.finish_sending();
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 " + status)) << bytes;
  }
  EXPECT_THAT(Client(endpoint()).get("/hello"), HasSubstr("200 OK"));
  EXPECT_GE(stats().bad_requests, cases.size());
}

TEST_F(ServerTest, RefusesHugeHeadersAndBodies) {
  options_.limits.header_bytes = 2048;
  options_.limits.body_bytes = 4096;
  start();
  Client headers(endpoint());
  headers.send("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(100'000, 'x'));
  EXPECT_THAT(headers.read_all(), StartsWith("HTTP/1.1 431"));
  Client path(endpoint());
  path.send("GET /" + std::string(100'000, 'x'));
  EXPECT_THAT(path.read_all(), StartsWith("HTTP/1.1 431"));
  Client body(endpoint());
  body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4097\r\n\r\n");
  EXPECT_THAT(body.read_all(), StartsWith("HTTP/1.1 413"));
  Client chunks(endpoint());
  chunks.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" +
              std::string(0x2000, 'x'));
  EXPECT_THAT(chunks.read_all(), StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, ClosesClientsThatAreSlowOrSilent) {
  options_.limits.read = 300ms;
  options_.limits.idle = 2s;  // longer than a busy machine keeps the first byte of the slow one waiting
  start();
  Client silent(endpoint());
  EXPECT_EQ(silent.read_all(), "");
  Client slow(endpoint());
  const auto begin = std::chrono::steady_clock::now();
  const auto waited = [&] { return std::chrono::steady_clock::now() - begin; };
  while (slow.send("G") && waited() < 30s) std::this_thread::sleep_for(50ms);
  EXPECT_LT(waited(), 30s) << "each byte renewed the deadline";
  Client half(endpoint());
  half.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(half.read_all(), "");
  // The deadline closes the socket; it is counted a moment later.
  EXPECT_TRUE(eventually([&] { return stats().slow_clients == 2U && stats().connections_open == 0U; }));
}

TEST_F(ServerTest, ClosesAClientThatDoesNotReadItsAnswer) {
  options_.limits.write = 300ms;
  start();
  Client client(endpoint());
  client.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return stats().slow_clients == 1U && stats().connections_open == 0U; }));
}

TEST_F(ServerTest, SendsALargeAnswerWhole) {
  start();
  Client client(endpoint());
  EXPECT_GT(client.get("/large").size(), std::size_t{8} << 20);
}

TEST_F(ServerTest, TurnsAwayConnectionsBeyondTheBound) {
  options_.limits.connections = 3;
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(endpoint()));
    clients.back()->send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  ASSERT_TRUE(eventually([&] { return server_->running() + server_->queued() == 3; }));
  EXPECT_THAT(Client(endpoint()).read_all(),
              testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After")));
  EXPECT_EQ(stats().connections_refused, 1U);
  latch_.open();
  for (const auto& client : clients) EXPECT_THAT(client->read_responses(1), HasSubstr("200 OK"));
}

TEST_F(ServerTest, MakesRoomForANewClientWhereAnOldOneOnlyWaits) {
  options_.limits.connections = 2;
  start();
  Client silent(endpoint());
  Client idle(endpoint());
  EXPECT_THAT(idle.get("/hello"), HasSubstr("200 OK"));
  // Whoever came just now stays.
  EXPECT_THAT(Client(endpoint()).read_all(), StartsWith("HTTP/1.1 503"));
  std::this_thread::sleep_for(600ms);
  EXPECT_THAT(Client(endpoint()).get("/hello"), HasSubstr("200 OK"));
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_THAT(idle.get("/hello"), HasSubstr("200 OK")) << "not the one that waits for longest";
  EXPECT_EQ(stats().connections_displaced, 1U);
}

TEST_F(ServerTest, HalfOpenRequestsOfOneAddressTakeNoPlaceFromOthers) {
  options_.limits.strangers = 4;
  start();
  std::vector<std::unique_ptr<Client>> attackers;
  for (int i = 0; i < 4; ++i) {
    attackers.push_back(std::make_unique<Client>(endpoint(), 66));
    attackers.back()->send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nslow");
  }
  ASSERT_TRUE(eventually([&] { return stats().connections_open == 4; }));
  EXPECT_THAT(Client(endpoint(), 66).read_all(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(stats().strangers_refused, 1U);
  EXPECT_THAT(Client(endpoint(), 7).get("/hello"), HasSubstr("200 OK"));
  // One that ends its request is no stranger any more, and another may come.
  attackers.front()->send("-done");
  EXPECT_THAT(attackers.front()->read_responses(1), testing::EndsWith("slow-done"));
  EXPECT_THAT(Client(endpoint(), 66).get("/hello"), HasSubstr("200 OK"));
}

TEST_F(ServerTest, CountsNoStrangersBehindATrustedProxy) {
  options_.limits.strangers = 1;
  options_.access.proxies = {"127.0.0.9"};
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<Client>(endpoint(), 9));
  for (const auto& client : clients) EXPECT_THAT(client->get("/hello"), HasSubstr("200 OK"));
}

TEST_F(ServerTest, ServesManyConnectionsAtOnce) {
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<Client>(endpoint()));
  for (const auto& client : clients) client->send("GET /inline HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (const auto& client : clients) EXPECT_THAT(client->read_responses(1), HasSubstr("200 OK"));
}

TEST_F(ServerTest, RefusesMoreRequestsThanTheQueueHoldsButStillAnswersOnTheEventLoop) {
  options_.limits.workers = 1;
  options_.limits.queue = 1;
  start();
  Client running(endpoint());
  running.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(latch_.reached(1));
  Client queued(endpoint());
  queued.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return server_->queued() == 1U; }));
  EXPECT_THAT(Client(endpoint()).get("/hello"),
              testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After")));
  EXPECT_EQ(stats().overflows, 1U);
  EXPECT_THAT(Client(endpoint()).get("/inline"), HasSubstr("200 OK"));
  latch_.open();
  EXPECT_THAT(running.read_responses(1), testing::EndsWith("waited"));
  EXPECT_THAT(queued.read_responses(1), testing::EndsWith("hello"));
}

TEST_F(ServerTest, AnswersForAHandlerThatMissesItsDeadline) {
  options_.limits.handler = 200ms;
  start();
  Client client(endpoint());
  EXPECT_THAT(client.get("/wait"), StartsWith("HTTP/1.1 504"));
  EXPECT_THAT(client.get("/hello"), HasSubstr("200 OK")) << "the connection goes on";
  EXPECT_EQ(stats().late_handlers, 1U);
}

TEST_F(ServerTest, DropsRequestsWhoseDeadlinePassedInTheQueue) {
  options_.limits.handler = 200ms;
  options_.limits.workers = 1;
  start();
  Client first(endpoint());
  Client second(endpoint());
  first.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  second.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(first.read_responses(1), StartsWith("HTTP/1.1 504"));
  EXPECT_THAT(second.read_responses(1), StartsWith("HTTP/1.1 504"));
  latch_.open();
  EXPECT_TRUE(eventually([&] { return server_->queued() == 0U && server_->running() == 0U; }));
  EXPECT_EQ(latch_.count(), 1);
}

TEST_F(ServerTest, HidesWhatAHandlerThrows) {
  start();
  const std::string answer = Client(endpoint()).get("/throw");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(answer, Not(HasSubstr("inner secret")));
  EXPECT_EQ(stats().failed_handlers, 1U);
}

TEST_F(ServerTest, SaysWhatIsNotServed) {
  start();
  Client client(endpoint());
  EXPECT_THAT(client.get("/none"),
              testing::AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("{\"error\":{\"code\":\"not_found\"")));
  client.send("DELETE /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(client.read_responses(1),
              testing::AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET, HEAD\r\n")));
}

TEST_F(ServerTest, GuardsAgainstRebindingAndForeignWrites) {
  start();
  Client client(endpoint());
  client.send("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_THAT(client.read_responses(1), StartsWith("HTTP/1.1 421"));
  client.send("POST /change HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(client.read_responses(1),
              testing::AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer")));
  const std::string bearer = "Authorization: Bearer " + std::string(kSecret) + "\r\n";
  client.send("POST /change HTTP/1.1\r\nHost: localhost\r\n" + bearer + "Content-Length: 0\r\n\r\n");
  EXPECT_THAT(client.read_responses(1), testing::EndsWith("changed"));
  EXPECT_EQ(stats().denied, 2U);
}

TEST_F(ServerTest, AnswersARefusalBeforeTheBodyIsRead) {
  start();
  Client client(endpoint());
  client.send("POST /change HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" +
              std::string(50'000, 'x'));
  EXPECT_THAT(client.read_responses(1),
              testing::AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("Connection: close")));
}

TEST_F(ServerTest, FinishesRunningRequestsWhenItStops) {
  start();
  Client idle(endpoint());
  EXPECT_THAT(idle.get("/hello"), HasSubstr("200 OK"));
  Client busy(endpoint());
  busy.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(latch_.reached(1));
  server_->stop();
  EXPECT_EQ(idle.read_all(), "") << "an idle connection closes at once";
  latch_.open();
  EXPECT_THAT(busy.read_all(), testing::AllOf(HasSubstr("Connection: close"), testing::EndsWith("waited")));
  thread_.join();
  EXPECT_TRUE(finished_);
}

TEST_F(ServerTest, CutsWhatDoesNotFinishWhenItStops) {
  options_.limits.stop = 300ms;
  start();
  Client busy(endpoint());
  busy.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  Client partial(endpoint());
  partial.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab");
  ASSERT_TRUE(latch_.reached(1));
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  thread_.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_FALSE(finished_) << "a handler still runs";
  EXPECT_EQ(busy.read_all(), "");
}

TEST_F(ServerTest, AcceptsNothingAfterItStopped) {
  start();
  const Endpoint where = endpoint();
  stop();
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(where.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ::close(descriptor);
}

TEST_F(ServerTest, StopsEvenBeforeItRuns) {
  auto server = Server::create(options_, router());
  ASSERT_TRUE(server);
  (*server)->stop();
  EXPECT_TRUE((*server)->run());
}

TEST_F(ServerTest, ListensOnAUnixSocketAndRemovesIt) {
  std::string folder = (std::filesystem::temp_directory_path() / "headroom-net-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/serve.sock";
  options_.listen = {{"", 0, path}};
  start();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
  Client client(endpoint());
  client.send("GET /echo/x HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.read_responses(1), testing::EndsWith("xunix"));
  const auto second = Server::create(options_, router());
  ASSERT_FALSE(second) << "a socket that is served must not be taken over";
  EXPECT_EQ(second.error().code(), base::ErrorCode::kConflict);
  client.close();
  stop();
  EXPECT_FALSE(std::filesystem::exists(path));
  std::filesystem::remove_all(folder);
}

TEST_F(ServerTest, TakesOverASocketFileThatAKilledServerLeft) {
  std::string folder = (std::filesystem::temp_directory_path() / "headroom-net-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/serve.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ::close(dead);
  options_.listen = {{"", 0, path}};
  start();
  Client client(endpoint());
  EXPECT_THAT(client.get("/hello"), HasSubstr("200 OK"));
  stop();
  std::filesystem::remove_all(folder);
}

TEST_F(ServerTest, RefusesAnOpenAddressWithoutAToken) {
  options_.listen = {{"0.0.0.0", 0, ""}};
  options_.access.sign_in.reset();
  const auto server = Server::create(options_, router());
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code(), base::ErrorCode::kInvalidArgument);
  EXPECT_THAT(server.error().message(), HasSubstr("token"));
}

TEST_F(ServerTest, RequiresTheTokenOnAnOpenAddressEvenFromThisMachine) {
  options_.listen = {{"0.0.0.0", 0, ""}};
  start();
  Client client(endpoint());
  EXPECT_THAT(client.get("/hello"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(client.get("/none"), StartsWith("HTTP/1.1 401")) << "which paths exist is not told";
  EXPECT_THAT(client.get("/hello", "Authorization: Bearer " + std::string(kSecret) + "\r\n"),
              HasSubstr("200 OK"));
}

TEST_F(ServerTest, NamesTheAddressThatIsInUse) {
  start();
  options_.listen = {endpoint()};
  const auto second = Server::create(options_, router());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), base::ErrorCode::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr(endpoint().text()));
}

TEST_F(ServerTest, SharesAnAddressWithOthersThatSayTheSame) {
  options_.listen.front().shared = true;
  options_.listen.push_back({"127.0.0.1", 0, ""});
  start();
  ServerOptions other = options_;
  other.listen = {endpoint()};
  auto second = Server::create(std::move(other), router());
  ASSERT_TRUE(second) << second.error().message();
  bool finished = false;
  std::thread thread([&] { finished = (*second)->run(); });
  std::vector<std::unique_ptr<Client>> clients;
  // The kernel spreads them by their ports.
  const bool both = eventually([&] {
    clients.push_back(std::make_unique<Client>(endpoint()));
    EXPECT_THAT(clients.back()->get("/own"), HasSubstr("200 OK"));
    return stats().requests > 0 && (*second)->stats().requests > 0;
  });
  EXPECT_TRUE(both) << clients.size() << " connections to one of both";
  ServerOptions alone_there = options_;
  alone_there.listen = {endpoint()};
  alone_there.listen.front().shared = false;
  const auto third = Server::create(std::move(alone_there), router());
  ASSERT_FALSE(third) << "who does not say so does not share";
  EXPECT_EQ(third.error().code(), base::ErrorCode::kConflict);
  server_->leave_shared();
  Client alone(server_->endpoints().back());
  EXPECT_THAT(alone.get("/own"), HasSubstr("200 OK")) << "it stays where it listens alone";
  // By now it has left.
  const std::size_t all = clients.size() + 1;
  EXPECT_TRUE(eventually([&] { return stats().requests + (*second)->stats().requests == all; }));
  const std::uint64_t of_first = stats().requests;
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Client(endpoint()).get("/own"), HasSubstr("200 OK"));
  EXPECT_TRUE(eventually([&] { return of_first + (*second)->stats().requests == all + 20; }));
  EXPECT_EQ(stats().requests, of_first);
  (*second)->stop();
  thread.join();
  EXPECT_TRUE(finished);
}

TEST_F(ServerTest, ServesNothingThatDependsOnTheProcessWhereSeveralListen) {
  options_.listen = {{"127.0.0.1", 0, "", true}, {"127.0.0.1", 0, ""}};
  start();
  const std::string proof = "Authorization: Bearer " + std::string(kSecret) + "\r\n";
  Client client(endpoint());
  EXPECT_THAT(client.get("/hello", proof), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(client.get("/none", proof), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(client.get("/own"), HasSubstr("200 OK"));
  EXPECT_THAT(client.get("/public"), HasSubstr("200 OK"));
  client.send("POST /public HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(client.read_responses(1), StartsWith("HTTP/1.1 404"));
  Client alone(server_->endpoints().back());
  EXPECT_THAT(alone.get("/hello", proof), HasSubstr("200 OK"));
}

TEST_F(ServerTest, NeedsNoTokenOnAnOpenAddressThatIsShared) {
  options_.listen = {{"0.0.0.0", 0, "", true}};
  options_.access.sign_in.reset();
  EXPECT_TRUE(Server::create(options_, router()));
}

TEST_F(ServerTest, TellsTheObserverWhatWasAnswered) {
  std::mutex mutex;
  std::vector<std::string> seen;
  options_.observe = [&](const Observation& one) {
    const std::lock_guard lock(mutex);
    seen.push_back(std::string(one.method) + " " + std::string(one.route) + " " + std::to_string(one.status));
  };
  start();
  Client client(endpoint());
  client.get("/echo/abc");
  client.get("/no%22thing");
  client.send("BREW /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  client.read_responses(1);
  stop();
  EXPECT_THAT(seen, testing::ElementsAre("GET /echo/{word} 200", "GET none 404", "other none 405"));
}

TEST_F(ServerTest, DoesADutyAgainAndAgainUntilItStops) {
  std::atomic<int> turns{0};
  start();
  server_->repeat(1ms, [&] { ++turns; });
  EXPECT_TRUE(eventually([&] { return turns >= 3; }));
  stop();
  const int before = turns;
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(turns, before);
}

}  // namespace
}  // namespace headroom::net
