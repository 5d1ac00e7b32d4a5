#pragma once

// The broker of one process. Nothing outlives it: each start is a new epoch, so whoever comes back with a
// position of before is told `lost`.

#include <cstdint>
#include <memory>
#include <string>

#include "bus/broker.hpp"
#include "bus/rules.hpp"

namespace headroom::bus {

struct MemoryCounts {
  std::size_t channels = 0;
  std::size_t messages = 0;
  std::size_t bytes = 0;  ///< overhead included
  std::size_t ids = 0;
  std::uint64_t dropped_by_budget = 0;   ///< messages that their rule's budget pushed out
  std::uint64_t forgotten_channels = 0;  ///< without subscribers, for the number of channels of their rule
  std::uint64_t refused_ids = 0;
};

class MemoryBroker final : public Broker {
 public:
  /// `epoch` must be another at every start (`random_epoch`), at most 32 characters. The rules outlive it.
  MemoryBroker(const ChannelRules& rules, std::string epoch);
  ~MemoryBroker() override;

  void start(BrokerListener& listener, const Now& now) override;
  void publish(Publication publication, const Now& now, Done<Published> done) override;
  void subscribe(std::string_view channel, const Now& now, Done<Position> done) override;
  void unsubscribe(std::string_view channel, const Now& now) override;
  void history(std::string_view channel, const HistoryQuery& query, const Now& now,
               Done<HistoryPage> done) override;
  void tick(const Now& now) override;
  [[nodiscard]] MemoryCounts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// 12 random characters.
[[nodiscard]] std::string random_epoch();

}  // namespace headroom::bus
