#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "net/http.hpp"

namespace headroom::cli {

/// What `/health` answers, kept up to date by the background duties so that asking costs nothing and never
/// blocks. Degraded (503): the service can't do its work, such as a store that is away, or a duty that failed
/// or hangs. Warnings (still 200): what an administrator should look at, as `headroom status` says it.
/// Threads: all.
class ServeHealth {
 public:
  /// A store that was not looked at for so long is not known to work.
  static constexpr std::chrono::seconds kStaleAfter{60};

  explicit ServeHealth(base::UtcTime started) : started_(started), looked_(started) {}

  /// The outcome of a duty; an empty error means that it went well. Returns whether that is news.
  bool set(std::string_view duty, std::string_view error);
  void set_warnings(std::vector<std::string> warnings);
  /// The store was looked at, whatever was seen.
  void looked(base::UtcTime now);
  /// Reasons and warnings only `with_details`: they name files and hosts.
  [[nodiscard]] net::Response response(base::UtcTime now, bool with_details) const;

 private:
  [[nodiscard]] std::vector<std::string> reasons(base::UtcTime now) const;

  const base::UtcTime started_;
  mutable std::mutex mutex_;
  base::UtcTime looked_;
  std::map<std::string, std::string, std::less<>> errors_;
  std::vector<std::string> warnings_;
};

}  // namespace headroom::cli
