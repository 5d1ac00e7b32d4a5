#include "bus/pacing.hpp"

#include <algorithm>
#include <cmath>

namespace headroom::bus {
namespace {

constexpr double kNsPerSecond = 1e9;
/// Above it any address may take from what is for everybody, below only those that took little lately.
constexpr double kReservedLevel = 0.5;
constexpr double kLittleTaken = 0.5;
constexpr std::int64_t kLeastWindowMs = 1'000;
constexpr std::int64_t kMostWindowMs = 60'000;

double refilled(double spent, const Rate& rate, std::int64_t passed_ns) {
  return std::max(0.0, spent - rate.per_s * static_cast<double>(passed_ns) / kNsPerSecond);
}

}  // namespace

bool TokenBucket::take(const Rate& rate, std::int64_t now_ns) {
  if (rate.per_s <= 0) return true;
  spent_ = refilled(spent_, rate, now_ns - at_ns_);
  at_ns_ = now_ns;
  if (spent_ + 1 > rate.burst) return false;
  spent_ += 1;
  return true;
}

double TokenBucket::level(const Rate& rate, std::int64_t now_ns) const {
  if (rate.per_s <= 0 || rate.burst <= 0) return 1;
  return 1 - refilled(spent_, rate, now_ns - at_ns_) / rate.burst;
}

std::int64_t TokenBucket::wait_ns(const Rate& rate, std::int64_t now_ns) const {
  if (rate.per_s <= 0) return 0;
  const double missing = refilled(spent_, rate, now_ns - at_ns_) + 1 - rate.burst;
  return missing <= 0 ? 0 : static_cast<std::int64_t>(std::ceil(missing / rate.per_s * kNsPerSecond));
}

std::optional<Disconnect> Admission::enter(std::string_view address, const Now& now) {
  const std::int64_t now_ns = now.monotonic_ns;
  if (connections_ >= limits_.connections) return refuse(DisconnectCode::kOverloaded, 0, now_ns);
  Address& from = find(address, now_ns);
  if (from.connections >= limits_.connections_per_address || !from.bucket.take(limits_.per_address, now_ns)) {
    return refuse(DisconnectCode::kRateLimited, from.bucket.wait_ns(limits_.per_address, now_ns), now_ns);
  }
  const bool took_much = from.bucket.level(limits_.per_address, now_ns) < kLittleTaken;
  const bool reserved = took_much && all_.level(limits_.all, now_ns) < kReservedLevel;
  if (reserved || !all_.take(limits_.all, now_ns))
    return refuse(DisconnectCode::kRateLimited, all_.wait_ns(limits_.all, now_ns), now_ns);
  ++from.connections;
  ++connections_;
  return std::nullopt;
}

void Admission::left(std::string_view address) {
  const auto found = addresses_.find(counted_address(address));
  if (found == addresses_.end() || found->second.connections == 0) return;
  --found->second.connections;
  --connections_;
}

Admission::Address& Admission::find(std::string_view address, std::int64_t now_ns) {
  auto [found, added] = addresses_.try_emplace(counted_address(address));
  found->second.seen_ns = now_ns;
  if (added && addresses_.size() > limits_.addresses) forget_one(&found->second);
  return found->second;
}

/// Those with connections are not forgotten: there are at most as many as connections.
void Admission::forget_one(const Address* spared) {
  auto oldest = addresses_.end();
  std::size_t looked_at = 0;
  for (auto each = addresses_.begin(); each != addresses_.end() && looked_at < kLookedAt;
       ++each, ++looked_at) {
    if (each->second.connections > 0 || &each->second == spared) continue;
    if (oldest == addresses_.end() || each->second.seen_ns < oldest->second.seen_ns) oldest = each;
  }
  if (oldest != addresses_.end()) addresses_.erase(oldest);
}

/// Those that were refused lately come again; the window is wide enough for all of them at the rate.
Disconnect Admission::refuse(DisconnectCode code, std::int64_t wait_ns, std::int64_t now_ns) {
  ++refused_;
  waiting_ = refilled(waiting_, limits_.all, now_ns - waiting_at_ns_) + 1;
  waiting_at_ns_ = now_ns;
  Disconnect disconnect{code, {}, {}};
  disconnect.reconnect.after_ms = wait_ns / 1'000'000;
  const double needed_ms = limits_.all.per_s > 0 ? waiting_ / limits_.all.per_s * 1'000 : 0;
  disconnect.reconnect.window_ms =
      std::clamp(static_cast<std::int64_t>(needed_ms * 2), kLeastWindowMs, kMostWindowMs);
  return disconnect;
}

std::string counted_address(std::string_view address) {
  const auto first_colon = address.find(':');
  if (first_colon == std::string_view::npos) return std::string(address);
  if (address.find('.') != std::string_view::npos)  // IPv4 written as IPv6
    return std::string(address.substr(address.rfind(':') + 1));
  std::size_t end = 0;
  for (int groups = 0; groups < 4 && end < address.size(); ++groups) {
    const std::size_t colon = address.find(':', end);
    if (colon == std::string_view::npos) return std::string(address);
    if (address.substr(colon).starts_with("::")) return std::string(address.substr(0, colon)) + "::/64";
    end = colon + 1;
  }
  return std::string(address.substr(0, end - 1)) + "::/64";
}

}  // namespace headroom::bus
