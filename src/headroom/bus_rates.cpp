#include "headroom/bus_rates.hpp"

#include <utility>

namespace headroom::cli {

std::optional<double> BusRates::look(std::string_view counter, std::uint64_t count, std::int64_t now_ns) {
  std::string name(counter);
  if (!counters_.contains(name)) make_room(now_ns);
  const auto [found, is_new] = counters_.try_emplace(std::move(name));
  Counter& known = found->second;
  const bool began_anew = is_new || count < known.newer.count || now_ns - known.looked_ns > kForgottenNs;
  known.looked_ns = now_ns;
  if (began_anew) {
    known.older = known.newer = {count, now_ns};
    return std::nullopt;
  }
  if (now_ns - known.newer.at_ns >= kSpanNs) {
    known.older = known.newer;
    known.newer = {count, now_ns};
  }
  const std::int64_t span_ns = now_ns - known.older.at_ns;
  if (span_ns < kLeastNs) return std::nullopt;
  return static_cast<double>(count - known.older.count) * 1e9 / static_cast<double>(span_ns);
}

void BusRates::make_room(std::int64_t now_ns) {
  if (counters_.size() < kMost) return;
  std::erase_if(counters_,
                [now_ns](const auto& each) { return now_ns - each.second.looked_ns > kForgottenNs; });
  if (counters_.size() >= kMost) counters_.clear();
}

}  // namespace headroom::cli
