#include "sql/waiting.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

namespace headroom::sql {

Waker::Waker() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Waker::~Waker() {
  ::close(descriptor_);
}

void Waker::wake() const {
  (void)::eventfd_write(descriptor_, 1);
}

void Waker::clear() const {
  eventfd_t ignored = 0;
  (void)::eventfd_read(descriptor_, &ignored);
}

Waited waited(const PostgresListener& connection) {
  const bool writes = connection.wants_write();
  return {connection.socket(), !writes || connection.is_listening(), writes};
}

void wait(std::span<const Waited> connections, const Waker& waker, PostgresListener::Time until) {
  using std::chrono::milliseconds;
  std::array<pollfd, 17> descriptors{};
  std::size_t count = 0;
  descriptors.at(count++) = {waker.descriptor(), POLLIN, 0};
  for (const Waited& connection : connections) {
    if (connection.socket < 0) continue;
    const int events = (connection.reads ? POLLIN : 0) | (connection.writes ? POLLOUT : 0);
    descriptors.at(count++) = {connection.socket, static_cast<short>(events), 0};
  }
  // Rounded up: a wait that ends too early would be made again at once.
  const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
  (void)::poll(descriptors.data(), count, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000)));
}

void wait(std::span<PostgresListener* const> connections, const Waker& waker, PostgresListener::Time until) {
  std::vector<Waited> all;
  for (const PostgresListener* connection : connections) all.push_back(waited(*connection));
  wait(std::span<const Waited>(all), waker, until);
}

}  // namespace headroom::sql
