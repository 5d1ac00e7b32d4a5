#include "redis/connection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "tests/servers/redis.hpp"

namespace headroom::redis {
namespace {

using headroom::testing::RedisServer;
using headroom::testing::TemporaryFolder;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::Not;

Connection open(const std::string& url, ReplyLimits limits = {}) {
  return Connection(parse_url(url).value(), limits);
}

void run_shell(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

/// Accepts connections through the kernel's backlog and never says a word.
class SilentServer final {
 public:
  SilentServer() : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(descriptor_, 16), 0);
    EXPECT_EQ(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { ::close(descriptor_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  [[nodiscard]] std::string url(const std::string& options) const {
    return "redis://127.0.0.1:" + std::to_string(port_) + options;
  }
  /// Accepts once, says that, and closes after the client did.
  void say_once(const std::string& bytes) const {
    const int client = ::accept(descriptor_, nullptr, nullptr);
    EXPECT_EQ(::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    char buffer[256];
    while (::recv(client, buffer, sizeof buffer, 0) > 0) continue;
    ::close(client);
  }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

TEST(Connection, RunsCommandsOverTcpAndUnixInTheDatabaseOfTheUrl) {
  const RedisServer server;
  auto tcp = open("redis://127.0.0.1:" + std::to_string(server.port()) + "/5");
  ASSERT_TRUE(tcp.run({"SET", "k", std::string("a\0b", 3)}));
  auto unix_five = open("unix://" + server.socket() + "?db=5");
  EXPECT_EQ(unix_five.run({"GET", "k"})->text, std::string("a\0b", 3));
  auto unix_zero = open("unix://" + server.socket());
  EXPECT_TRUE(unix_zero.run({"GET", "k"})->is_nil());
}

TEST(Connection, GivesTheRepliesOfAPipelineInOrderWithErrorsAtTheirPlace) {
  const RedisServer server;
  auto connection = open(server.url());
  Pipeline pipeline;
  for (int i = 0; i < 5'000; ++i) pipeline.add({"RPUSH", "list", std::to_string(i)});
  pipeline.add({"GET", "list"});
  pipeline.add({"LLEN", "list"});
  const auto replies = connection.run(pipeline);
  ASSERT_TRUE(replies) << replies.error().message();
  ASSERT_EQ(replies->size(), 5'002U);
  EXPECT_EQ((*replies)[4'999].integer, 5'000);
  EXPECT_TRUE((*replies)[5'000].is_error());
  EXPECT_EQ((*replies)[5'001].integer, 5'000);
}

TEST(Connection, CarriesHugeArgumentsAndReplies) {
  const RedisServer server;
  auto connection = open(server.url());
  const std::string huge(40UL << 20, 'h');
  ASSERT_TRUE(connection.run({"SET", "huge", huge}));
  const auto reply = connection.run({"GET", "huge"});
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(reply->text, huge);
}

TEST(Connection, RefusesAReplyOverItsLimitAndGoesOnAfterIt) {
  const RedisServer server;
  auto connection = open(server.url(), {.bytes = 100'000, .elements = 1'000});
  ASSERT_TRUE(connection.run({"SET", "large", std::string(200'000, 'x')}));
  EXPECT_EQ(connection.run({"GET", "large"}).error().code(), ErrorCode::kTooLarge);
  EXPECT_EQ(connection.run({"PING"})->text, "PONG");
}

TEST(Connection, RunsAScriptThatTheServerDoesNotKnowOrForgot) {
  const RedisServer server;
  auto connection = open(server.url());
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  const std::vector<std::string_view> keys{"n"};
  const std::vector<std::string_view> arguments{"3"};
  EXPECT_EQ(connection.evaluate(script, keys, arguments)->integer, 3);
  EXPECT_EQ(connection.evaluate(script, keys, arguments)->integer, 6);
  ASSERT_TRUE(connection.run({"SCRIPT", "FLUSH"}));
  Pipeline pipeline;
  pipeline.add_script(script, keys, arguments);
  pipeline.add({"PING"});
  pipeline.add_script(script, keys, arguments);
  const auto replies = connection.run(pipeline);
  ASSERT_TRUE(replies);
  EXPECT_EQ((*replies)[0].integer, 9);
  EXPECT_EQ((*replies)[2].integer, 12);
}

TEST(Connection, NeedsTheRightPassword) {
  const RedisServer server({"--requirepass", "s3cret"});
  const auto place = "127.0.0.1:" + std::to_string(server.port());
  EXPECT_EQ(open("redis://:s3cret@" + place).run({"PING"})->text, "PONG");
  for (const auto& url : {"redis://" + place, "redis://:wr0ng@" + place, "redis://ada:wr0ng@" + place}) {
    const auto reply = open(url).run({"PING"});
    ASSERT_FALSE(reply) << url;
    EXPECT_EQ(reply.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(reply.error().message(), Not(HasSubstr("wr0ng")));
  }
}

TEST(Connection, SaysThatAPasswordIsNotWantedOrADatabaseNotThere) {
  const RedisServer server;
  const auto place = "127.0.0.1:" + std::to_string(server.port());
  EXPECT_EQ(open("redis://:pw@" + place).run({"PING"}).error().code(), ErrorCode::kDenied);
  EXPECT_EQ(open("redis://" + place + "/999").run({"PING"}).error().code(), ErrorCode::kInvalidArgument);
}

TEST(Connection, ActsAsAUserOfTheAccessList) {
  const RedisServer server;
  ASSERT_TRUE(open(server.url()).run({"ACL", "SETUSER", "ada", "on", ">pw", "~mine:*", "+get", "+set"}));
  auto connection = open("unix://ada:pw@" + server.socket());
  EXPECT_TRUE(connection.run({"SET", "mine:a", "1"}));
  EXPECT_EQ(connection.run({"SET", "other", "1"}).error().code(), ErrorCode::kDenied);
  EXPECT_EQ(connection.run({"FLUSHALL"}).error().code(), ErrorCode::kDenied);
}

TEST(Connection, MapsAFullServerToOverloaded) {
  const RedisServer server({"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
  auto connection = open(server.url());
  auto reply = connection.run({"PING"});
  for (int i = 0; i < 100 && reply; ++i)
    reply = connection.run({"SET", std::to_string(i), std::string(100'000, 'x')});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), ErrorCode::kOverloaded);
  EXPECT_TRUE(reply.error().retryable());
}

class TlsServer {
 public:
  TlsServer() : port_(headroom::testing::free_port()) {
    const auto in = "cd " + certificates_.path().string() + " && ";
    const std::string quiet = " >/dev/null 2>&1";
    run_shell(
        in +
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-ca "
        "-keyout ca.key -out ca.pem" +
        quiet);
    run_shell(in +
              "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=redis "
              "-keyout server.key -out server.csr" +
              quiet);
    run_shell(
        in +
        "printf 'subjectAltName=DNS:localhost\\n' > names && openssl x509 -req -in server.csr -CA ca.pem "
        "-CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem" +
        quiet);
    server_ = std::make_unique<RedisServer>(std::vector<std::string>{
        "--tls-port", std::to_string(port_), "--tls-cert-file", file("server.pem"), "--tls-key-file",
        file("server.key"), "--tls-ca-cert-file", file("ca.pem"), "--tls-auth-clients", "no"});
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return (certificates_.path() / name).string();
  }
  [[nodiscard]] std::string url(const std::string& host, const std::string& options) const {
    return "rediss://" + host + ":" + std::to_string(port_) + "/0" + options;
  }
  [[nodiscard]] RedisServer& server() { return *server_; }

 private:
  TemporaryFolder certificates_;
  std::uint16_t port_;
  std::unique_ptr<RedisServer> server_;
};

TEST(Tls, CarriesCommandsLargeOnesToo) {
  TlsServer server;
  auto connection = open(server.url("localhost", "?ca=" + server.file("ca.pem")));
  const std::string large(10UL << 20, 't');
  const auto stored = connection.run({"SET", "large", large});
  ASSERT_TRUE(stored) << stored.error().message();
  EXPECT_EQ(connection.run({"GET", "large"})->text, large);
  server.server().kill();
  const auto lost = connection.run({"PING"});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), ErrorCode::kUnavailable);
}

TEST(Tls, RefusesACertificateThatIsNotTrustedOrNotOfThisHost) {
  TlsServer server;
  const auto untrusted = open(server.url("localhost", "")).run({"PING"});
  ASSERT_FALSE(untrusted);
  EXPECT_EQ(untrusted.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(untrusted.error().message(), HasSubstr("not trusted"));
  const auto foreign = open(server.url("127.0.0.1", "?ca=" + server.file("ca.pem"))).run({"PING"});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(foreign.error().message(), HasSubstr("mismatch"));
  const auto no_file = open(server.url("localhost", "?ca=/nowhere.pem")).run({"PING"});
  EXPECT_EQ(no_file.error().code(), ErrorCode::kInvalidArgument);
}

TEST(Tls, GivesAnErrorAgainstAServerWithoutTlsAndTheOtherWayRound) {
  TlsServer server;
  const auto plain_port = std::to_string(server.server().port());
  const auto plain = open("rediss://localhost:" + plain_port + "?timeout=500ms").run({"PING"});
  ASSERT_FALSE(plain);
  EXPECT_TRUE(plain.error().retryable()) << plain.error().message();
  const auto tls_port = server.url("127.0.0.1", "?timeout=500ms").substr(std::string("rediss").size());
  EXPECT_FALSE(open("redis" + tls_port).run({"PING"}));
}

TEST(Connection, ReportsAServerThatIsKilledInTheMiddleAndFindsItAgain) {
  RedisServer server;
  auto connection = open(server.url());
  ASSERT_TRUE(connection.run({"PING"}));
  std::thread killer([&] {
    std::this_thread::sleep_for(milliseconds{100});
    server.kill();
  });
  const auto lost = connection.run({"BLPOP", "nothing", "0"});
  killer.join();
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(connection.run({"PING"}).error().code(), ErrorCode::kUnavailable);
  server.start();
  std::this_thread::sleep_for(milliseconds{150});  // the pause after the failed attempt
  const auto back = connection.run({"PING"});
  EXPECT_TRUE(back) << back.error().message();
}

TEST(Connection, ConnectsAgainSilentlyWhenItWasClosedWhileIdle) {
  RedisServer server;
  auto connection = open(server.url());
  ASSERT_TRUE(connection.run({"PING"}));
  server.kill();
  server.start();
  EXPECT_TRUE(connection.run({"PING"}));
}

TEST(Connection, FailsFastAgainstADeadServerWithoutTryingEachTime) {
  auto connection = open("redis://127.0.0.1:" + std::to_string(headroom::testing::free_port()));
  const auto begin = steady_clock::now();
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(connection.run({"PING"}).error().code(), ErrorCode::kUnavailable);
  }
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds{5});
}

TEST(Connection, KeepsItsDeadlineAgainstAServerThatNeverAnswers) {
  const SilentServer server;
  auto connection = open(server.url("?timeout=200ms"));
  const auto begin = steady_clock::now();
  const auto reply = connection.run({"PING"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), ErrorCode::kTimedOut);
  EXPECT_GE(steady_clock::now() - begin, milliseconds{200});
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds{3});
}

TEST(Connection, KeepsItsDeadlineWhileSendingToAServerThatIsStopped) {
  RedisServer server;
  auto connection = open(server.url() + "?timeout=300ms");
  ASSERT_TRUE(connection.run({"PING"}));
  server.pause();
  EXPECT_EQ(connection.run({"SET", "k", std::string(50UL << 20, 'x')}).error().code(), ErrorCode::kTimedOut);
  server.resume();
}

TEST(Connection, TakesNoHarmFromAServerThatSpeaksAnotherProtocol) {
  const SilentServer server;
  std::thread speaker([&] { server.say_once("HTTP/1.1 400 Bad Request\r\n\r\n"); });
  {
    auto connection = open(server.url("?timeout=2s"));
    const auto reply = connection.run({"PING"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), ErrorCode::kProtocol);
  }
  speaker.join();
}

TEST(Connection, IsMadeAgainOnlyWhenAskedIfThatIsWanted) {
  RedisServer server;
  ConnectionOptions options;
  options.reconnect = Reconnect::kWhenAsked;
  Connection connection(parse_url(server.url()).value(), options);
  EXPECT_EQ(connection.run({"PING"}).error().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(connection.open());
  EXPECT_TRUE(connection.is_open());
  EXPECT_TRUE(connection.run({"PING"}));
  server.kill();
  server.start();
  EXPECT_FALSE(connection.is_open());
  EXPECT_EQ(connection.run({"PING"}).error().code(), ErrorCode::kUnavailable) << "it is another server";
  ASSERT_TRUE(connection.open());
  EXPECT_TRUE(connection.run({"PING"}));
}

TEST(Connection, EndsItsWaitsWhenItIsInterrupted) {
  const RedisServer server;
  const Interrupt interrupt;
  ConnectionOptions options;
  options.interrupt = &interrupt;
  Url url = parse_url(server.url()).value();
  url.timeout = std::chrono::minutes{10};
  Connection connection(url, options);
  ASSERT_TRUE(connection.run({"PING"}));
  std::thread other([&] {
    auto looking = open(server.url());
    while (looking.run({"INFO", "clients"})->text.find("blocked_clients:1") == std::string::npos) continue;
    interrupt.raise();
  });
  const auto reply = connection.run({"BLPOP", "nothing", "0"});
  other.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(reply.error().message(), HasSubstr("interrupted"));
}

}  // namespace
}  // namespace headroom::redis
