#pragma once

// Waiting for several connections at once, in a thread that has nothing else to wait for.

#include <chrono>
#include <span>

#include "sql/listener.hpp"

namespace headroom::sql {

/// Ends a `wait` from another thread. Calls between two waits count once. Threads: `wake` any.
class Waker final {
 public:
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void wake() const;
  /// Forgets the calls until now.
  void clear() const;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

/// What one connection waits for.
struct Waited {
  int socket = -1;  ///< none
  bool reads = false;
  bool writes = false;
};
[[nodiscard]] Waited waited(const PostgresListener& connection);

/// Returns when one of the connections can go on, `waker` was woken, or `until` is reached, which is never
/// more than a second away. At most 16 connections.
void wait(std::span<const Waited> connections, const Waker& waker, PostgresListener::Time until);
void wait(std::span<PostgresListener* const> connections, const Waker& waker, PostgresListener::Time until);

}  // namespace headroom::sql
