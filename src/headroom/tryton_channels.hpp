#pragma once

// Tryton's clients among those of the bus: their session is a token, and what their database notifies is told
// in channels. So the tabs of SAO share one connection, and go on from where they were.
//
// The token is `Session DATABASE AUTH`, with what the client sends to trytond as AUTH. The user 1 of the
// database shop is `1@shop`; what trytond notifies on a channel C stands in `C@shop`. A session reads
// `user:<its user>@<its database>`, each `client:<uuid>@<its database>` that nobody of another user read
// before, and the channels of its database that are nobody's own. It reads nothing else, whatever the rules
// of channels say, and publishes nothing. It sees the presence of users of its database; others are offline
// to it.
//
// A message is told once all sessions by which connections live were seen within five seconds; meanwhile it
// waits. So nobody hears anything more than five seconds after his logout.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/authority.hpp"
#include "bus/hub.hpp"
#include "headroom/tryton_door.hpp"

namespace headroom::cli {

/// Threads: that of the door and the hub. Lifetime: both outlive it.
class TrytonChannels final : public bus::Authority, public TrytonAssociate {
 public:
  using Clock = std::function<bus::Now()>;

  /// The scheme of the tokens.
  static constexpr std::string_view kScheme = "Session";
  static constexpr std::size_t kMostWaiting = 10'000;  ///< messages of one database
  /// What the bus could not keep is published again; the bus knows its id longer than this.
  static constexpr std::chrono::nanoseconds kRepeatFor = std::chrono::minutes{4};
  static constexpr std::chrono::nanoseconds kRepeatAfter = std::chrono::seconds{1};

  TrytonChannels(TrytonDoor& door, bus::Hub& hub, Clock clock = bus::read_clocks);
  ~TrytonChannels() override;
  TrytonChannels(const TrytonChannels&) = delete;
  TrytonChannels& operator=(const TrytonChannels&) = delete;

  /// Errors: denied (no such token, a database that is not served, no bus for clients), timed_out (the
  /// session does not hold: come with another), unavailable (it could not be looked up).
  void authenticate(std::string_view token, const bus::Now& now, bus::Done<bus::Grant> done) override;

  void heard(const std::string& database, const bus::TrytonMessage& message) override;
  void ended(const std::string& database, const bus::TrytonSession& session) override;
  void tell(const std::string& database) override;

  /// Adds what was told.
  void count(std::vector<TrytonFigures>& figures) const;

 private:
  class SessionRights;
  struct Waiting {
    bus::Publication publication;
    std::int64_t heard_ns = 0;
  };
  struct Database {
    std::deque<Waiting> waiting;
    std::int64_t not_before_ns = 0;
    std::uint64_t told = 0;
    std::uint64_t dropped = 0;
  };

  [[nodiscard]] base::Result<bus::Grant> grant(const std::string& database, const bus::TrytonSession& session,
                                               int status);
  void publish(const std::string& name, Database& database, Waiting message, const bus::Now& now);
  void not_kept(Database& database, Waiting message, const base::Error& error);
  static void wait(Database& database, Waiting message);

  TrytonDoor& door_;
  bus::Hub& hub_;
  Clock clock_;
  std::map<std::string, Database> databases_;
  /// For what the hub keeps of this: it may be left when this is gone.
  const std::shared_ptr<TrytonChannels*> self_;
};

}  // namespace headroom::cli
