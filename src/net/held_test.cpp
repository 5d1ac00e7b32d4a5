// Held requests over real connections: each case is a client that speaks bytes.

#include "net/held.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "net/client_test.hpp"
#include "net/server.hpp"
#include "net/sign_in.hpp"

namespace headroom::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// What handlers were told, and the requests that they hold, for the test's thread.
class Desk {
 public:
  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(what));
    changed_.notify_all();
  }
  void take(std::shared_ptr<HeldRequest> request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    changed_.notify_all();
  }
  std::vector<std::string> notes(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return notes_.size() >= count; }));
    return notes_;
  }
  /// The oldest that was not fetched yet.
  std::shared_ptr<HeldRequest> next() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return !requests_.empty(); }));
    if (requests_.empty()) return nullptr;
    auto first = std::move(requests_.front());
    requests_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> notes_;
  std::deque<std::shared_ptr<HeldRequest>> requests_;
};

class Waiter final : public HeldHandler {
 public:
  Waiter(Desk& desk, const std::shared_ptr<HeldRequest>& request, bool answers)
      : desk_(desk), request_(request), answers_(answers) {}
  void expired(Expiry why) override {
    desk_.note("expired " + std::to_string(static_cast<int>(why)));
    if (answers_) request_.lock()->answer(make_response(200, "text/plain", "nothing yet"));
  }
  void closed(HeldEnd end) override { desk_.note("closed " + std::to_string(static_cast<int>(end))); }

 private:
  Desk& desk_;
  std::weak_ptr<HeldRequest> request_;
  bool answers_;
};

class HeldTest : public testing::Test {
 protected:
  HeldTest() {
    options_.listen = {{"127.0.0.1", 0, ""}};
    options_.limits.stop = 2s;
    options_.access.sign_in =
        std::make_shared<SignIn>(Token::from_text("0123456789abcdef0123456789abcdef").value(), std::nullopt);
    route_.method = "POST";
    route_.pattern = "/wait/{who}";
    route_.open = [this](const std::shared_ptr<HeldRequest>& request, Request asked) {
      desk_.note(*asked.parameters.find("who") + " says " + asked.body);
      desk_.take(request);
      return std::make_unique<Waiter>(desk_, request, answers_);
    };
  }
  ~HeldTest() override { stop(); }

  void start() {
    Router router;
    router.add(route_);
    Route hello;
    hello.method = "GET";
    hello.pattern = "/hello";
    hello.handler = [](const Request&) { return make_response(200, "text/plain", "hello"); };
    router.add(std::move(hello));
    auto server = Server::create(options_, std::move(router));
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    thread_ = std::thread([this] { (void)server_->run(); });
  }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  const Endpoint& endpoint() const { return server_->endpoints().front(); }

  static std::string post(std::string_view who, std::string_view body, std::string_view headers = {}) {
    return "POST /wait/" + std::string(who) + " HTTP/1.1\r\n" + std::string(kHost) + std::string(headers) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }
  void on_io_thread(std::function<void()> work) { server_->post(std::move(work)); }

  Desk desk_;
  bool answers_ = true;
  HeldRoute route_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(HeldTest, IsAnsweredLaterAndTheConnectionGoesOn) {
  start();
  Client client(endpoint());
  for (const std::string word : {"first", "second"}) {
    client.send(post("ann", word));
    auto request = desk_.next();
    ASSERT_NE(request, nullptr);
    on_io_thread([request, word] { request->answer(make_response(200, "text/plain", "got " + word)); });
    EXPECT_THAT(client.read_responses(1), EndsWith("got " + word));
  }
  EXPECT_THAT(client.get("/hello"), EndsWith("hello"));
  EXPECT_EQ(server_->stats().connections, 1U);
  EXPECT_EQ(server_->stats().held, 2U);
}

TEST_F(HeldTest, AnswersARequestThatWasSentBehindIt) {
  start();
  Client client(endpoint());
  client.send(post("ann", "1") + "GET /hello HTTP/1.1\r\n" + std::string(kHost) + "\r\n");
  auto request = desk_.next();
  on_io_thread([request] { request->answer(make_response(200, "text/plain", "one")); });
  const std::string both = client.read_responses(2);
  EXPECT_LT(both.find("one"), both.find("hello"));
}

TEST_F(HeldTest, HoldsHundredsAtOnceWithoutAThread) {
  options_.limits.lasting = 300;
  start();
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::shared_ptr<HeldRequest>> held;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(std::make_unique<Client>(endpoint()));
    clients.back()->send(post("n" + std::to_string(i), "x"));
    held.push_back(desk_.next());
  }
  EXPECT_EQ(server_->running(), 0U);
  Client more(endpoint());
  more.send(post("more", "x"));
  EXPECT_THAT(more.read_responses(1), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: ")));
  EXPECT_EQ(server_->stats().lasting_refused, 1U);
  on_io_thread([&held] {
    for (const auto& one : held) one->answer(make_response(200, "text/plain", "done"));
  });
  for (const auto& client : clients) EXPECT_THAT(client->read_responses(1), EndsWith("done"));
}

TEST_F(HeldTest, HasADeadlineAtWhichTheHandlerMaySpeak) {
  route_.limits.deadline = 50ms;
  start();
  Client client(endpoint());
  client.send(post("ann", "x"));
  EXPECT_THAT(client.read_responses(1), EndsWith("nothing yet"));
  EXPECT_THAT(desk_.notes(3), ElementsAre("ann says x", "expired 0", "closed 0"));
}

TEST_F(HeldTest, AnswersItselfWhenTheHandlerHasNothingToSayAtTheDeadline) {
  route_.limits.deadline = 50ms;
  answers_ = false;
  start();
  Client client(endpoint());
  client.send(post("ann", "x"));
  EXPECT_THAT(client.read_responses(1), StartsWith("HTTP/1.1 504"));
}

TEST_F(HeldTest, TellsTheHandlerThatTheClientIsGone) {
  start();
  Client client(endpoint());
  client.send(post("ann", "x"));
  auto request = desk_.next();
  client.close();
  EXPECT_THAT(desk_.notes(2), ElementsAre("ann says x", "closed 1"));
  // Too late, and harmless.
  on_io_thread([request] { request->answer(make_response(200, "text/plain", "late")); });
}

TEST_F(HeldTest, SendsAnAnswerInPieces) {
  start();
  Client client(endpoint());
  client.send(post("ann", "x"));
  auto request = desk_.next();
  on_io_thread([request] {
    request->begin(make_response(200, "text/event-stream", ": hello\n\n"));
    request->send(std::make_shared<const std::string>("data: 1\n\n"));
    request->send(std::make_shared<const std::string>("data: 2\n\n"));
    request->end();
  });
  const std::string all = client.read_all();
  EXPECT_THAT(all, EndsWith("\r\n\r\n: hello\n\ndata: 1\n\ndata: 2\n\n"));
  EXPECT_THAT(all, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(all, HasSubstr("Connection: close"));
}

TEST_F(HeldTest, CutsAClientThatDoesNotTakeThePiecesAndNoOther) {
  route_.limits.queue_bytes = 1 << 20;
  start();
  Client slow(endpoint());
  slow.send(post("slow", "x"));
  auto stuck = desk_.next();
  Client quick(endpoint());
  quick.send(post("quick", "x"));
  auto request = desk_.next();
  const auto piece = std::make_shared<const std::string>(1 << 20, 'x');
  on_io_thread([=] {
    stuck->begin(make_response(200, "text/plain", ""));
    request->begin(make_response(200, "text/plain", ""));
    for (int i = 0; i < 16; ++i) stuck->send(piece);
    request->send(std::make_shared<const std::string>("whole"));
    request->end();
  });
  EXPECT_THAT(quick.read_all(), EndsWith("whole"));
  EXPECT_THAT(desk_.notes(4), testing::Contains("closed 2"));
  EXPECT_EQ(server_->stats().slow_clients, 1U);
}

TEST_F(HeldTest, PingsAnAnswerInPiecesThatIsSilent) {
  route_.limits.ping = 50ms;
  route_.limits.ping_piece = std::make_shared<const std::string>(": ping\n\n");
  start();
  Client client(endpoint());
  client.send(post("ann", "x"));
  auto request = desk_.next();
  on_io_thread([request] { request->begin(make_response(200, "text/event-stream", "")); });
  std::string all;
  while (all.find(": ping\n\n: ping\n\n") == std::string::npos) {
    const std::string more = client.read_some();
    ASSERT_FALSE(more.empty());
    all += more;
  }
}

TEST_F(HeldTest, EveryoneIsAnsweredWhenTheServerStops) {
  answers_ = false;
  start();
  Client waiting(endpoint());
  waiting.send(post("ann", "x"));
  (void)desk_.next();
  Client streaming(endpoint());
  streaming.send(post("bob", "x"));
  auto request = desk_.next();
  on_io_thread([request] { request->begin(make_response(200, "text/plain", "begun")); });
  EXPECT_THAT(streaming.read_some(), EndsWith("begun"));
  stop();
  EXPECT_THAT(waiting.read_all(), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Connection: close")));
  EXPECT_EQ(streaming.read_all(), "");
}

TEST_F(HeldTest, IsRefusedByItsHeadBeforeTheBodyIsSent) {
  route_.access = Access::kOwn;
  route_.check = [](Request& request) -> std::optional<Response> {
    const std::string* key = request.headers.find("Authorization");
    if (key == nullptr || *key != "Bearer mine") return error_response(401, "unauthorized", "no key");
    request.caller.user = "me";
    return std::nullopt;
  };
  start();
  const std::string expecting = "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n";
  Client stranger(endpoint());
  stranger.send("POST /wait/ann HTTP/1.1\r\n" + std::string(kHost) + expecting);
  EXPECT_THAT(stranger.read_all(), StartsWith("HTTP/1.1 401"));
  Client large(endpoint());
  large.send("POST /wait/ann HTTP/1.1\r\n" + std::string(kHost) +
             "Authorization: Bearer mine\r\nContent-Length: 70000\r\n\r\n");
  EXPECT_THAT(large.read_all(), StartsWith("HTTP/1.1 413"));
  Client friendly(endpoint());
  friendly.send("POST /wait/ann HTTP/1.1\r\n" + std::string(kHost) + "Authorization: Bearer mine\r\n" +
                expecting);
  EXPECT_THAT(friendly.read_some(), StartsWith("HTTP/1.1 100"));
  friendly.send("x");
  auto request = desk_.next();
  EXPECT_EQ(request->caller().user, "me");
  on_io_thread([request] { request->answer(make_response(200, "text/plain", "mine")); });
  EXPECT_THAT(friendly.read_responses(1), EndsWith("mine"));
}

}  // namespace
}  // namespace headroom::net
