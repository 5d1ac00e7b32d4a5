#include "sql/waiting.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

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

void wait(std::span<PostgresListener* const> connections, const Waker& waker, PostgresListener::Time until) {
  using std::chrono::milliseconds;
  std::array<pollfd, 17> descriptors{};
  std::size_t count = 0;
  descriptors.at(count++) = {waker.descriptor(), POLLIN, 0};
  for (const PostgresListener* connection : connections) {
    if (connection->socket() < 0) continue;
    const short events = static_cast<short>(
        connection->wants_write() ? (connection->is_listening() ? POLLIN | POLLOUT : POLLOUT) : POLLIN);
    descriptors.at(count++) = {connection->socket(), events, 0};
  }
  // Rounded up: a wait that ends too early would be made again at once.
  const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
  (void)::poll(descriptors.data(), count, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000)));
}

}  // namespace headroom::sql
