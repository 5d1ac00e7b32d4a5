#pragma once

// Classes of methods, as metrics can bear them. Clients choose the names of methods, so a label made of them
// must be bounded however many they invent.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace headroom::cli {

/// "model.sale.sale" and "read" of "model.sale.sale.read"; a verb that is none of Tryton's usual ones is
/// "other".
struct MethodClass {
  std::string name;
  std::string verb;
};

/// Gives out at most `kMost` classes; what comes later is "other". A class is taken in with its first call
/// that succeeded: methods that only ever failed may not exist. Threads: none, the owner locks.
class MethodClasses final {
 public:
  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kLongest = 100;

  [[nodiscard]] MethodClass of(std::string_view method, std::uint64_t succeeded);

 private:
  std::set<std::string, std::less<>> known_;
};

}  // namespace headroom::cli
