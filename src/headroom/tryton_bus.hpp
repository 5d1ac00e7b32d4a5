#pragma once

// Tryton's bus in the service: the route, the door behind it, and the thread that feeds it.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "headroom/bus_service.hpp"
#include "headroom/tryton_channels.hpp"
#include "headroom/tryton_door.hpp"
#include "headroom/tryton_feed.hpp"
#include "headroom/tryton_section.hpp"
#include "net/held.hpp"
#include "net/router.hpp"
#include "net/server.hpp"

namespace headroom::cli {

/// Threads: the door lives on the server's I/O thread, and what the feed hears is posted to it.
/// Lifetime: made before the server, outlives it; started when the server runs, stopped before it stops.
class TrytonBus final : private TrytonAudience {
 public:
  TrytonBus(TrytonSite site, TrytonDoor::Report report);
  ~TrytonBus() override;
  TrytonBus(const TrytonBus&) = delete;
  TrytonBus& operator=(const TrytonBus&) = delete;

  /// Its clients come by the doors of the bus too, with their sessions as tokens. Before `start`; the bus
  /// outlives this.
  void join(BusService& bus);
  /// POST /<database>/bus
  void add_route(net::Router& router);
  void start(net::Server& server);
  void stop();
  /// On the I/O thread.
  [[nodiscard]] std::vector<TrytonFigures> figures() const;
  /// The user of the session that a client's header Authorization names. Errors: denied (no session, one that
  /// does not hold, a database that is not served), unavailable. On the I/O thread.
  void prove(const std::string& database, std::string_view header,
             std::function<void(base::Result<std::int32_t>)> done);

 private:
  void notified(const std::string& database, std::vector<std::string> payloads) override;
  void answered(const std::string& database, base::Result<sql::PostgresRows> answer) override;
  void changed(const std::string& database, const std::string& problem, std::uint64_t losses) override;
  void listed(base::Result<std::vector<std::string>> names) override;
  void ticked() override;
  [[nodiscard]] std::unique_ptr<net::HeldHandler> hold(const std::shared_ptr<net::HeldRequest>& held,
                                                       const net::Request& request);

  TrytonFeed feed_;
  TrytonDoor door_;
  std::unique_ptr<TrytonChannels> channels_;  ///< none unless there is a bus
  net::Server* server_ = nullptr;
};

}  // namespace headroom::cli
