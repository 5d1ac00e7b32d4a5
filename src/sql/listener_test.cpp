// What needs no server: how it waits for one. What it hears from a real one is tested in
// tests/scenarios/test_bus_tryton.py.

#include "sql/listener.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

namespace headroom::sql {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using Time = PostgresListener::Time;

/// A loopback port: bound only, so that connections are refused, or listening and silent.
class Port {
 public:
  enum class Kind { kRefuses, kSilent };
  explicit Port(Kind kind) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, generic, size) != 0 || ::getsockname(socket_, generic, &size) != 0) ADD_FAILURE();
    if (kind == Kind::kSilent && ::listen(socket_, 8) != 0) ADD_FAILURE();
    number_ = ntohs(address.sin_port);
  }
  ~Port() { ::close(socket_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  [[nodiscard]] std::string url() const {
    return fmt::format("postgresql://someone:secret@127.0.0.1:{}/shop", number_);
  }

 private:
  int socket_;
  int number_ = 0;
};

PostgresListener listener_to(const Port& port) {
  PostgresListenerOptions options;
  options.url = port.url();
  options.channel = "bus";
  return std::move(*PostgresListener::create(std::move(options)));
}

/// Until it has given the attempt up; the time of the listener stands still meanwhile.
void try_once(PostgresListener& listener, Time now) {
  listener.advance(now);
  while (listener.socket() >= 0) {
    pollfd descriptor{listener.socket(), static_cast<short>(listener.wants_write() ? POLLOUT : POLLIN), 0};
    ASSERT_GT(::poll(&descriptor, 1, 10'000), 0);
    listener.advance(now);
  }
}

TEST(PostgresListener, TriesAgainSoonAndThenEverySecond) {
  const Port port(Port::Kind::kRefuses);
  PostgresListener listener = listener_to(port);
  Time now = Time() + 1h;
  std::vector<std::int64_t> pauses;
  for (int i = 0; i < 8; ++i) {
    try_once(listener, now);
    pauses.push_back((listener.wake_at() - now) / 1ms);
    listener.advance(listener.wake_at() - 1ms);
    ASSERT_EQ(listener.socket(), -1) << "not before its time";
    now = listener.wake_at();
  }
  EXPECT_THAT(pauses, testing::ElementsAre(50, 100, 200, 400, 800, 1000, 1000, 1000));
  EXPECT_THAT(listener.problem(), HasSubstr("refused"));
  EXPECT_THAT(listener.problem(), Not(HasSubstr("secret")));
  EXPECT_FALSE(listener.is_free());
  EXPECT_EQ(listener.losses(), 0U) << "there was nothing to lose";
}

TEST(PostgresListener, GivesUpOnAServerThatIsSilent) {
  const Port port(Port::Kind::kSilent);
  PostgresListener listener = listener_to(port);
  const Time now = Time() + 1h;
  listener.advance(now);
  EXPECT_EQ(listener.wake_at(), now + 5s);
  listener.advance(now + 4'999ms);
  EXPECT_GE(listener.socket(), 0);
  listener.advance(now + 5s);
  EXPECT_EQ(listener.socket(), -1);
  EXPECT_THAT(listener.problem(), HasSubstr("did not answer in time"));
}

TEST(PostgresListener, RefusesAUrlWithoutRepeatingIt) {
  PostgresListenerOptions options;
  options.url = "postgresql://someone:secret@[";
  const auto made = PostgresListener::create(options);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace headroom::sql
