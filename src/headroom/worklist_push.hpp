#pragma once

// Counts that change, told in a channel of each user who listens. The work lists know no bus: they tell
// whoever implements CountsChannel, and bus_counts.cpp does so.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "headroom/worklist_service.hpp"
#include "net/router.hpp"

namespace headroom::cli {

/// Where users listen. Threads: the I/O thread.
class CountsChannel {
 public:
  struct Listener {
    std::string channel;
    std::string user;  ///< his id in the definitions
    auto operator<=>(const Listener&) const = default;
  };

  virtual ~CountsChannel() = default;
  /// Who listens now. Cost: may be O(channels).
  [[nodiscard]] virtual std::vector<Listener> listeners() = 0;
  /// Tells `data`, one JSON value of at most kMostBytes. Never waits; what gets lost the next one makes good,
  /// or the client's next question.
  virtual void publish(const std::string& channel, std::string data) = 0;

  static constexpr std::size_t kMostBytes = 24 * 1024;
};

/// Follows those who listen, looked for once a second. Each is told all numbers when he begins to listen and
/// then those that change: {"type": "worklist", "lsn", "state", "counts": {"sale/late": 3}}; where that would
/// be too much, {"type": "worklist", "lsn", "state", "all": true}: he is to ask for them. Numbers that change
/// faster than they are told are told once, the newest. Threads: the I/O thread. Lifetime: made before the
/// service starts; both outlive the server.
class WorklistPush {
 public:
  WorklistPush(WorklistService& service, CountsChannel& channel);
  ~WorklistPush();
  WorklistPush(const WorklistPush&) = delete;
  WorklistPush& operator=(const WorklistPush&) = delete;

 private:
  class Followed;
  void look();

  WorklistService& service_;
  CountsChannel& channel_;
  std::map<CountsChannel::Listener, std::shared_ptr<Followed>> followed_;
};

}  // namespace headroom::cli
