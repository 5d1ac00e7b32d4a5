// The clients of bin/bench bus: one thread, one epoll, as many WebSockets as a process may open, and the HTTP
// connection that publishes to them. Node's clients would cost several times what the servers do.
//
//   bus_load SERVER PORT [SECRET_FILE]
//
// It obeys commands on stdin, and answers each with a line of JSON when it is done:
//
//   open N                  opens N subscribers
//   stall N                 opens N that never read a message, with small windows
//   publish N PACE_US       publishes N messages at that pace and waits until every subscriber has each one;
//                           "last_us" are the times from each publication's due moment to its last delivery
//   beat SECONDS EVERY_S    every subscriber says each EVERY_S what its tabs do, one after another
//
// Between commands it answers pings. A message that is missing, doubled or out of order, a closed connection,
// or 60 s without progress end it with a line on stderr and status 1: nothing is measured that is not right.
// A publication's clock runs from the moment it was due, not from when it could be sent, so a server that
// holds up its publisher gains nothing.

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.hpp"
#include "client.hpp"
#include "commands.hpp"
#include "dialect.hpp"
#include "publisher.hpp"
#include "socket.hpp"

namespace bench {
namespace {

using headroom::base::monotonic_ns;

constexpr std::int64_t kPatienceNs = 60'000'000'000;
constexpr std::size_t kOpeningAtOnce = 64;
constexpr std::int64_t kNsPerMs = 1'000'000;

/// What an event of epoll belongs to.
enum class Owner : std::uint32_t { kCommands, kClient, kPublisher };

struct Publication {
  std::int64_t due_ns = 0;
  std::int64_t last_ns = 0;
  std::size_t delivered = 0;
};

class Load {
 public:
  Load(Dialect dialect, const Address& address)
      : dialect_(std::move(dialect)), address_(address), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    watch(STDIN_FILENO, Owner::kCommands, 0);
  }

  /// Until the commands end.
  void run() {
    while (const auto words = next_command()) obey(*words);
  }

 private:
  // ---- commands

  std::optional<std::vector<std::string>> next_command() {
    while (true) {
      if (auto words = commands_.next()) return words;
      if (commands_.ended()) return std::nullopt;
      pump(1000);
    }
  }
  void obey(const std::vector<std::string>& words) {
    if (words.size() == 2 && words[0] == "open") return open(whole_number(words[1]));
    if (words.size() == 2 && words[0] == "stall") return stall(whole_number(words[1]));
    if (words.size() == 3 && words[0] == "publish")
      return publish(whole_number(words[1]), whole_number(words[2]));
    if (words.size() == 3 && words[0] == "beat") return beat(whole_number(words[1]), whole_number(words[2]));
    give_up("unknown command; expected 'open N', 'stall N', 'publish N PACE_US' or 'beat SECONDS EVERY_S'");
  }
  static void answer(const std::string& text) {
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }

  void open(std::size_t count) {
    open_more(count, address_);
    answer(fmt::format(R"({{"open":{}}})", clients_.size()));
  }
  void open_more(std::size_t count, const Address& address) {
    const std::size_t target = clients_.size() + count;
    while (subscribed_ < target) {
      while (clients_.size() < target && clients_.size() - subscribed_ < kOpeningAtOnce) add_client(address);
      pump(100);
    }
  }
  void add_client(const Address& address) {
    clients_.push_back(std::make_unique<Client>(dialect_, address, clients_.size(), publications_.size()));
    watch(clients_.back()->descriptor(), Owner::kClient, clients_.size() - 1);
    progress_ns_ = monotonic_ns();
  }
  void stall(std::size_t count) {
    const std::size_t first = clients_.size();
    open_more(count, {address_.port, true});
    for (std::size_t i = first; i < clients_.size(); ++i)
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, clients_[i]->descriptor(), nullptr);
    stalled_ += count;
    answer(fmt::format(R"({{"stalled":{}}})", stalled_));
  }

  void publish(std::size_t count, std::size_t pace_us) {
    if (count == 0) give_up("publish 0: expected a message at least");
    // A new one each time: servers close a connection that was idle for some seconds.
    publisher_ = std::make_unique<Publisher>(address_);
    watch(publisher_->descriptor(), Owner::kPublisher, 0);
    const std::size_t first = publications_.size();
    const auto pace_ns = static_cast<std::int64_t>(pace_us) * 1000;
    std::int64_t due_ns = monotonic_ns();
    for (std::size_t i = 0; i < count; ++i, due_ns += pace_ns) {
      for (std::int64_t now = monotonic_ns(); now < due_ns; now = monotonic_ns())
        pump(static_cast<int>((due_ns - now) / kNsPerMs));
      send_one(due_ns);
    }
    while (arrived_ < publications_.size() || !publisher_->idle()) pump(100);
    publisher_.reset();
    std::vector<std::int64_t> last_us;
    for (std::size_t i = first; i < publications_.size(); ++i)
      last_us.push_back((publications_[i].last_ns - publications_[i].due_ns) / 1000);
    answer(fmt::format(R"({{"deliveries":{},"last_us":[{}]}})", count * readers(), fmt::join(last_us, ",")));
  }
  /// One at a time: servers promise no order between requests that overlap.
  void send_one(std::int64_t due_ns) {
    while (!publisher_->idle()) pump(100);
    const std::string request = dialect_.publication(publications_.size());
    publications_.push_back({due_ns});
    publisher_->send(request);
  }

  /// Evenly over the time: a crowd of browsers does not beat together.
  void beat(std::size_t seconds, std::size_t every_s) {
    if (clients_.empty() || every_s == 0) give_up("beat: expected subscribers, and a second at least");
    const std::size_t count = seconds * clients_.size() / every_s;
    const auto pace_ns =
        static_cast<std::int64_t>(seconds) * 1'000'000'000 / static_cast<std::int64_t>(count);
    const std::size_t before = beats_;
    std::int64_t due_ns = monotonic_ns();
    for (std::size_t i = 0; i < count; ++i, due_ns += pace_ns) {
      for (std::int64_t now = monotonic_ns(); now < due_ns; now = monotonic_ns())
        pump(static_cast<int>((due_ns - now) / kNsPerMs));
      clients_[i % clients_.size()]->beat(i / clients_.size());
    }
    while (beats_ < before + count) pump(100);
    answer(fmt::format(R"({{"beats":{}}})", beats_ - before));
  }

  [[nodiscard]] std::size_t readers() const { return clients_.size() - stalled_; }

  // ---- events

  void watch(int descriptor, Owner owner, std::size_t index) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint64_t>(owner) << 32U | index;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) give_up("epoll_ctl failed");
  }
  void pump(int milliseconds) {
    static std::array<epoll_event, 512> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t data = events.at(static_cast<std::size_t>(i)).data.u64;
      handle(static_cast<Owner>(data >> 32U), static_cast<std::uint32_t>(data));
    }
    const bool waits =
        subscribed_ < clients_.size() || arrived_ < publications_.size() || publisher_ != nullptr;
    if (count > 0 || !waits) progress_ns_ = monotonic_ns();
    if (monotonic_ns() - progress_ns_ > kPatienceNs)
      give_up(fmt::format("60 s without progress: {} of {} subscribed, {} of {} messages everywhere",
                          subscribed_, clients_.size(), arrived_, publications_.size()));
  }
  void handle(Owner owner, std::size_t index) {
    if (owner == Owner::kCommands) return read_commands();
    if (owner == Owner::kPublisher) return publisher_->read();
    Client& client = *clients_[index];
    const bool before = client.subscribed();
    client.read([this](std::uint64_t message) { delivered(message); });
    beats_ += client.take_beats();
    if (client.subscribed() != before) ++subscribed_;
  }
  void delivered(std::uint64_t message) {
    if (message >= publications_.size()) give_up("a message that was not published");
    Publication& publication = publications_[message];
    if (++publication.delivered < readers()) return;
    publication.last_ns = monotonic_ns();
    ++arrived_;
  }
  void read_commands() {
    if (!commands_.read()) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
  }

  Dialect dialect_;
  Address address_;
  int epoll_;
  Commands commands_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<Publisher> publisher_;  ///< while `publish` runs
  std::size_t subscribed_ = 0;
  std::size_t stalled_ = 0;
  std::vector<Publication> publications_;
  std::size_t arrived_ = 0;  ///< publications that everybody has
  std::size_t beats_ = 0;    ///< that were answered
  std::int64_t progress_ns_ = monotonic_ns();
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  if (count < 3) bench::give_up("expected: bus_load SERVER PORT [SECRET_FILE]");
  const std::string secret = count > 3 ? bench::first_line(arguments[3]) : std::string();
  bench::Load load(bench::Dialect(arguments[1], secret), {bench::port_of(arguments[2]), false});
  load.run();
}
