#pragma once

// Token buckets: for the commands of a connection, for what comes from one address, and for admission, so
// that twenty thousand browsers that come back at once are let in at a rate the server can bear.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bus/disconnect.hpp"
#include "bus/message.hpp"

namespace headroom::bus {

struct Rate {
  double per_s = 0;  ///< 0: no limit
  double burst = 0;
};

/// 16 bytes. Starts full.
class TokenBucket {
 public:
  /// True, and one less, when there is one.
  [[nodiscard]] bool take(const Rate& rate, std::int64_t now_ns);
  /// How full it is, from 0 to 1.
  [[nodiscard]] double level(const Rate& rate, std::int64_t now_ns) const;
  /// Until the next one; 0 when there is one.
  [[nodiscard]] std::int64_t wait_ns(const Rate& rate, std::int64_t now_ns) const;

 private:
  double spent_ = 0;
  std::int64_t at_ns_ = 0;
};

struct AdmissionLimits {
  Rate all{2'000, 2'000};          ///< new connections of everybody
  Rate per_address{200, 1'000};    ///< of one address (an office behind one NAT)
  std::size_t addresses = 16'384;  ///< that are remembered; the one unseen for longest is forgotten
  std::size_t connections = 20'000;
  std::size_t connections_per_address = 20'000;
};

/// Decides over new connections. Fair: the last half of what everybody may take is kept for addresses that
/// took less than their share lately, so one address can't starve the others.
/// An address is what the door says; IPv6 counts by its /64.
class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  /// Nothing when it is let in (and counted until `left`), or when to come again.
  [[nodiscard]] std::optional<Disconnect> enter(std::string_view address, const Now& now);
  void left(std::string_view address);
  [[nodiscard]] std::size_t connections() const { return connections_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  /// When full, the oldest of so many is forgotten: looking at all would make each newcomer expensive.
  static constexpr std::size_t kLookedAt = 64;

  struct Address {
    TokenBucket bucket;
    std::int64_t seen_ns = 0;
    std::uint32_t connections = 0;
  };
  Address& find(std::string_view address, std::int64_t now_ns);
  void forget_one(const Address* spared);
  [[nodiscard]] Disconnect refuse(DisconnectCode code, std::int64_t wait_ns, std::int64_t now_ns);

  AdmissionLimits limits_;
  std::unordered_map<std::string, Address> addresses_;
  TokenBucket all_;
  double waiting_ = 0;  ///< were refused and will come again, as far as the rate has not let them in
  std::int64_t waiting_at_ns_ = 0;
  std::size_t connections_ = 0;
  std::uint64_t refused_ = 0;
};

/// The address by which a client is counted: IPv4 as it is, IPv6 its /64.
[[nodiscard]] std::string counted_address(std::string_view address);

}  // namespace headroom::bus
