#pragma once

// The parameters of a GET: read one by one, then `finish` says what is wrong. Naming a parameter once is what
// makes it known; whatever else the client sends is an error that lists those.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

/// Lifetime: within that of the parameters. A value that can't be read is noted and leaves its target alone.
class ParameterReader {
 public:
  static constexpr std::uint64_t kUsualLimit = 100;
  static constexpr std::uint64_t kMostRows = 1000;

  ParameterReader(const net::Parameters& query, base::UtcTime now) : query_(query), now_(now) {}

  void read(std::string_view name, std::string& target);
  /// A number from 0 to `most`; nothing when it is not given.
  void read(std::string_view name, std::optional<std::uint64_t>& target, std::uint64_t most);
  /// The same; what is not given leaves `target` alone.
  void read(std::string_view name, std::uint64_t& target, std::uint64_t most);
  void read(std::string_view name, std::optional<base::UtcTime>& target);
  /// True for `1` or `true`.
  void read(std::string_view name, bool& target);
  /// user, database and method
  void read_filter(perf::Filter& filter);
  /// limit (100 when it is not given, at most 1,000, which 0 means too) and offset
  void read_page(perf::Page& page);
  /// Notes an error of the caller's own about a parameter.
  void reject(std::string_view name, const base::Error& error);

  /// Errors: invalid_argument, for the first that was noted, a name that was not read, or one given twice.
  /// `what` stands in the message ("method accepts session, ...").
  [[nodiscard]] base::Result<void> finish(std::string_view what) const;

 private:
  const std::string* find(std::string_view name);

  const net::Parameters& query_;
  base::UtcTime now_;
  std::vector<std::string_view> known_;
  std::optional<base::Error> problem_;
};

}  // namespace headroom::cli
