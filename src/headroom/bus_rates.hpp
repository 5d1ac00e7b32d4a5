#pragma once

// How many a second, of counters that somebody looks at now and then: nothing is done while nobody looks.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace headroom::cli {

/// Remembers what each counter was at its last looks. Bounded: for one beyond kMost, those are forgotten at
/// which nobody looked lately, and all when there are none. Threads: none.
class BusRates final {
 public:
  static constexpr std::size_t kMost = 20'000;
  static constexpr std::int64_t kLeastNs = 1'000'000'000;  ///< a rate is over so much at least,
  static constexpr std::int64_t kSpanNs = 5'000'000'000;   ///< and over twice this at most, if looked at
  static constexpr std::int64_t kForgottenNs = 30'000'000'000;

  /// The rate since an earlier look; nothing at the first one, and after the counter began anew.
  [[nodiscard]] std::optional<double> look(std::string_view counter, std::uint64_t count,
                                           std::int64_t now_ns);
  [[nodiscard]] std::size_t size() const { return counters_.size(); }

 private:
  struct Mark {
    std::uint64_t count = 0;
    std::int64_t at_ns = 0;
  };
  struct Counter {
    Mark older;
    Mark newer;
    std::int64_t looked_ns = 0;
  };
  void make_room(std::int64_t now_ns);

  std::unordered_map<std::string, Counter> counters_;
};

}  // namespace headroom::cli
