#pragma once

#include <string>
#include <vector>

#include "bus/hub.hpp"
#include "headroom/worklist_push.hpp"

namespace headroom::cli {

/// Counts in the channel `user:ID` of the bus; where sessions of Tryton's database prove who a user is, in
/// that of the session's user too, `user:ID@DATABASE`.
class BusCounts final : public CountsChannel {
 public:
  static constexpr std::size_t kMostListeners = 10'000;  ///< those with most connections

  /// Lifetime: the hub outlives it.
  BusCounts(bus::Hub& hub, std::string database) : hub_(hub), database_(std::move(database)) {}

  [[nodiscard]] std::vector<Listener> listeners() override;
  void publish(const std::string& channel, std::string data) override;

 private:
  bus::Hub& hub_;
  std::string database_;
};

}  // namespace headroom::cli
