#include "bus/pacing.hpp"

#include <algorithm>

namespace headroom::bus {
namespace {

constexpr double kNsPerS = 1e9;

}  // namespace

double TokenBucket::level(const Rate& rate, std::int64_t now_ns) const {
  if (rate.per_s <= 0) return 1;
  const double back = static_cast<double>(now_ns - at_ns_) / kNsPerS * rate.per_s;
  return 1 - std::max(0.0, spent_ - back) / rate.burst;
}

bool TokenBucket::take(const Rate& rate, std::int64_t now_ns) {
  if (rate.per_s <= 0) return true;
  const double back = static_cast<double>(now_ns - at_ns_) / kNsPerS * rate.per_s;
  spent_ = std::max(0.0, spent_ - back);
  at_ns_ = now_ns;
  if (spent_ + 1 > rate.burst) return false;
  spent_ += 1;
  return true;
}

std::int64_t TokenBucket::wait_ns(const Rate& rate, std::int64_t now_ns) const {
  if (rate.per_s <= 0) return 0;
  const double back = static_cast<double>(now_ns - at_ns_) / kNsPerS * rate.per_s;
  const double over = std::max(0.0, spent_ - back) + 1 - rate.burst;
  return over <= 0 ? 0 : static_cast<std::int64_t>(over / rate.per_s * kNsPerS);
}

std::optional<Disconnect> Admission::enter(std::string_view address, const Now& now) {
  const std::int64_t at = now.monotonic_ns;
  if (connections_ >= limits_.connections) return refuse(DisconnectCode::kOverloaded, 1'000'000'000);
  Address& one = find(address, at);
  if (one.connections >= limits_.connections_per_address)
    return refuse(DisconnectCode::kRateLimited, 1'000'000'000);
  const bool greedy = one.bucket.level(limits_.per_address, at) < 0.5;
  if (greedy && all_.level(limits_.all, at) < 0.5)
    return refuse(DisconnectCode::kRateLimited, one.bucket.wait_ns(limits_.per_address, at));
  if (!one.bucket.take(limits_.per_address, at))
    return refuse(DisconnectCode::kRateLimited, one.bucket.wait_ns(limits_.per_address, at));
  if (!all_.take(limits_.all, at)) return refuse(DisconnectCode::kOverloaded, all_.wait_ns(limits_.all, at));
  ++one.connections;
  ++connections_;
  return std::nullopt;
}

void Admission::left(std::string_view address) {
  if (connections_ > 0) --connections_;
  const auto found = addresses_.find(std::string(address));
  if (found != addresses_.end() && found->second.connections > 0) --found->second.connections;
}

Disconnect Admission::refuse(DisconnectCode code, std::int64_t wait_ns) {
  ++refused_;
  Disconnect refused;
  refused.code = code;
  refused.reconnect = {wait_ns / 1'000'000 + 1, 5'000};
  return refused;
}

Admission::Address& Admission::find(std::string_view address, std::int64_t now_ns) {
  const std::string key(address);
  const auto found = addresses_.find(key);
  if (found == addresses_.end() && addresses_.size() >= limits_.addresses) forget_one();
  Address& one = addresses_[key];
  one.seen_ns = now_ns;
  return one;
}

void Admission::forget_one() {
  auto oldest = addresses_.end();
  for (auto at = addresses_.begin(); at != addresses_.end(); ++at) {
    if (at->second.connections > 0) continue;
    if (oldest == addresses_.end() || at->second.seen_ns < oldest->second.seen_ns) oldest = at;
  }
  if (oldest != addresses_.end()) addresses_.erase(oldest);
}

std::string counted_address(std::string_view address) {
  // Without a colon it is IPv4 or a name; with a dot an IPv4 address written as IPv6.
  if (address.find(':') == std::string_view::npos || address.find('.') != std::string_view::npos)
    return std::string(address);
  std::string prefix;
  int groups = 0;
  // "a:b::1": what "::" leaves out before the fourth group is zero.
  while (groups < 4 && !address.empty() && address.front() != ':') {
    const std::size_t end = address.find(':');
    prefix.append(address.substr(0, end)).append(":");
    address = end == std::string_view::npos ? std::string_view{} : address.substr(end + 1);
    ++groups;
  }
  for (; groups < 4; ++groups) prefix.append("0:");
  return prefix + ":/64";
}

}  // namespace headroom::bus
