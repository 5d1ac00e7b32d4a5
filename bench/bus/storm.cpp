// The clients of bin/bench bus --only restart: they come back after whatever ends their connection, and count
// what they got.
//
//   bus_storm PORT SECRET_FILE
//
// It obeys commands on stdin, and answers each with a line of JSON when it is done:
//
//   open N       opens N subscribers
//   expect N     waits until every one is subscribed and has the message that is numbered N; "there_ns" is
//                when the last one was subscribed again, by CLOCK_MONOTONIC
//   idle         answers at once what was counted so far
//
// Messages are {"n":1,...}, {"n":2,...}. 60 s in which nothing comes nearer end it with a line on stderr and
// status 1.

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "commands.hpp"
#include "dialect.hpp"
#include "returning.hpp"
#include "socket.hpp"

namespace bench {
namespace {

using headroom::base::monotonic_ns;

constexpr std::int64_t kPatienceNs = 60'000'000'000;
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kCommands = ~std::uint64_t{0};
/// That are connecting at once: browsers have a network between them and the server.
constexpr std::size_t kConnecting = 512;

class Storm {
 public:
  Storm(Dialect dialect, std::uint16_t port)
      : dialect_(std::move(dialect)), port_(port), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    watch(STDIN_FILENO, kCommands, EPOLLIN);
  }

  /// Until the commands end.
  void run() {
    while (const auto words = next_command()) obey(*words);
  }

 private:
  std::optional<std::vector<std::string>> next_command() {
    while (true) {
      if (auto words = commands_.next()) return words;
      if (commands_.ended()) return std::nullopt;
      pump(100);
    }
  }
  void obey(const std::vector<std::string>& words) {
    if (words.size() == 2 && words[0] == "open") return open(whole_number(words[1]));
    if (words.size() == 2 && words[0] == "expect") return expect(whole_number(words[1]));
    if (words.size() == 1 && words[0] == "idle") return answer();
    give_up("unknown command; expected 'open N', 'expect N' or 'idle'");
  }
  void open(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      clients_.emplace_back(dialect_, port_, clients_.size(), returns_);
      come_back(clients_.size() - 1);
    }
    expect(0);
  }
  void expect(std::uint64_t number) {
    std::size_t before = 0;
    std::int64_t progress_ns = monotonic_ns();
    while (true) {
      const std::size_t done = count_done(number);
      if (done == clients_.size()) return answer();
      if (done != before) progress_ns = monotonic_ns();
      before = done;
      if (monotonic_ns() - progress_ns > kPatienceNs) {
        give_up(fmt::format("60 s without progress: {} of {} are there and have message {}", done,
                            clients_.size(), number));
      }
      const std::int64_t until_ns = monotonic_ns() + 50 * kNsPerMs;
      while (monotonic_ns() < until_ns) pump(20);
    }
  }
  [[nodiscard]] std::size_t count_done(std::uint64_t number) const {
    return static_cast<std::size_t>(
        std::count_if(clients_.begin(), clients_.end(),
                      [number](const ReturningClient& one) { return one.there() && one.last() >= number; }));
  }
  void answer() const {
    std::int64_t there_ns = 0;
    std::size_t there = 0;
    for (const ReturningClient& one : clients_) {
      there_ns = std::max(there_ns, one.there_ns());
      there += one.there() ? 1 : 0;
    }
    fmt::print(
        R"({{"there":{},"there_ns":{},"connected":{},"recovered":{},"lost":{},"refused":{},"missed":{},)"
        R"("twice":{}}})"
        "\n",
        there, there_ns, returns_.connected, returns_.recovered, returns_.lost, returns_.refused,
        returns_.missed, returns_.twice);
    std::fflush(stdout);
  }

  // ---- events

  void watch(int descriptor, std::uint64_t index, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = index;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0 &&
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) != 0)
      give_up("epoll_ctl failed");
  }
  void pump(int milliseconds) {
    begin_due();
    static std::array<epoll_event, 512> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events.at(static_cast<std::size_t>(i));
      if (event.data.u64 == kCommands) {
        read_commands();
      } else {
        handle(event.data.u64, event.events);
      }
    }
  }
  void handle(std::size_t index, std::uint32_t events) {
    ReturningClient& client = clients_[index];
    const bool was_connecting = client.connecting();
    client.ready((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0, monotonic_ns());
    if (was_connecting) --connecting_;
    if (was_connecting && client.descriptor() >= 0) watch(client.descriptor(), index, EPOLLIN);
    come_back(index);
  }
  void come_back(std::size_t index) {
    if (const auto due_ns = clients_[index].due_ns()) due_.emplace(*due_ns, index);
  }
  void begin_due() {
    const std::int64_t now_ns = monotonic_ns();
    while (!due_.empty() && due_.top().first <= now_ns && connecting_ < kConnecting) {
      const auto [due_ns, index] = due_.top();
      due_.pop();
      ReturningClient& client = clients_[index];
      if (client.due_ns() != due_ns) continue;  // noted twice
      if (!client.begin()) {
        client.stay_away(now_ns);
        come_back(index);
      } else {
        ++connecting_;
        watch(client.descriptor(), index, EPOLLOUT);
      }
    }
  }
  void read_commands() {
    if (!commands_.read()) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
  }

  using Due = std::pair<std::int64_t, std::size_t>;

  Dialect dialect_;
  std::uint16_t port_;
  int epoll_;
  Commands commands_;
  Returns returns_;
  std::deque<ReturningClient> clients_;
  std::size_t connecting_ = 0;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  if (count != 3) bench::give_up("expected: bus_storm PORT SECRET_FILE");
  bench::Storm storm(bench::Dialect("headroom", bench::first_line(arguments[2])),
                     bench::port_of(arguments[1]));
  storm.run();
}
