#pragma once

// The OTLP exporter of `headroom serve`: recorded calls to an OpenTelemetry collector, as traces.

#include <memory>
#include <mutex>

#include "base/result.hpp"
#include "headroom/otlp_http.hpp"
#include "headroom/otlp_queue.hpp"
#include "headroom/otlp_section.hpp"
#include "headroom/serve_stores.hpp"
#include "perf/export.hpp"

namespace headroom::cli {

/// Threads: `tick` from one, `counts` from any.
class OtlpExporter final {
 public:
  static constexpr std::chrono::seconds kEvery{2};
  /// Of one request; a turn begins none after it, so that the service stops in time.
  static constexpr std::chrono::seconds kTimeout{3};

  /// Errors: invalid_argument (endpoint, header or CA file can't be read).
  [[nodiscard]] static base::Result<std::unique_ptr<OtlpExporter>> create(const OtlpSection& section,
                                                                          StorePool& store,
                                                                          base::UtcTime now);

  /// Looks for new calls, and sends what waits, batch after batch until one is not taken.
  /// Errors: those of the store, and why the last batch was not taken, also while it waits to be sent again.
  [[nodiscard]] base::Result<void> tick(base::UtcTime now);

  [[nodiscard]] OtlpQueue::Counts counts() const;
  [[nodiscard]] std::size_t queued() const;

 private:
  OtlpExporter(const OtlpSection& section, StorePool& store, HttpSender sender, base::UtcTime now);

  [[nodiscard]] base::Result<void> look();
  /// Sends one batch; false when there is nothing to send or it was not taken.
  [[nodiscard]] base::Result<bool> send(base::UtcTime now);
  [[nodiscard]] OtlpOutcome post(const perf::Batch& batch) const;

  StorePool& store_;
  HttpSender sender_;
  perf::OtlpResource resource_;
  mutable std::mutex mutex_;  ///< over the queue
  OtlpQueue queue_;
  std::string failure_;  ///< of the last batch; empty when it was taken
};

}  // namespace headroom::cli
