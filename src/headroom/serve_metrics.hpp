#pragma once

// What `/metrics` shows. Labels are bounded: the routes of the server, classes of methods, statuses, kinds of
// calls, the first `kDatabases` databases, and the classes of methods (method_class.hpp) that were called
// with success first. No other name that a client chooses becomes a label.
//
// The store keeps counts by the hour and forgets old hours, while Prometheus wants numbers that only grow: so
// the growth between two readings is added up here. The counters begin with what the current and the last
// hour hold.

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.hpp"
#include "headroom/otlp_queue.hpp"
#include "headroom/tryton_door.hpp"
#include "net/server.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

/// Threads: every method from any thread.
class ServeMetrics {
 public:
  static constexpr std::size_t kDatabases = 32;

  ServeMetrics();
  ~ServeMetrics();

  void observe(const net::Observation& seen);
  void set_store(const perf::StoreInfo& info);
  void set_store_away();
  /// The counts of the current and the last hour.
  void add_counts(const std::vector<perf::MethodCount>& counts);
  void pruned(std::uint64_t calls);
  void swept(std::uint64_t calls);
  void set_otlp(const OtlpQueue::Counts& counts, std::size_t queued);
  void set_tryton_bus(const std::vector<TrytonFigures>& figures);
  void duty_failed(std::string_view duty);
  /// Prometheus text format 0.0.4.
  [[nodiscard]] std::string text(const net::Server& server);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::cli
