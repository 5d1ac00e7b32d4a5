#pragma once

// What statements counted, for those who take it for a while: a page that is opened a hundred times a minute
// need not count lists a hundred times that can't be counted live.

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "headroom/worklist_service.hpp"

namespace headroom::cli {

struct WorklistResult {
  WorklistNumbers numbers;
  /// How old those are that statements counted; none: they were counted for this question, or there are none.
  std::optional<std::chrono::milliseconds> kept;
};

/// Lifetime: within that of the service. Threads: the I/O thread.
class WorklistResults {
 public:
  template <typename T>
  using Done = std::function<void(base::Result<T>)>;
  using UserPointer = WorklistService::UserPointer;
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::size_t kMostNumbers = 1'000'000;  ///< of all users; the longest unasked go first
  static constexpr std::chrono::minutes kOldest{5};

  explicit WorklistResults(WorklistService& service) : service_(service) {}

  /// As WorklistService::count. Numbers of statements may be those of `age` ago, as long as the user's rights
  /// are the same; those that are counted live are as new as ever.
  void count(const UserPointer& user, const WorklistWish& wish, std::chrono::milliseconds age,
             Done<WorklistResult> done);

 private:
  struct Kept {
    UserPointer user;
    Time at{};
    std::map<std::string, worklist::Count> counts;  ///< by the lists' keys
    std::list<std::string>::iterator order;
  };
  void count_anew(const UserPointer& user, const WorklistWish& wish, Done<WorklistResult> done);
  void keep(const UserPointer& user, const WorklistNumbers& numbers, Time at);
  void forget(const std::string& id);
  /// Nothing where one of the lists is missing.
  [[nodiscard]] std::optional<WorklistNumbers> joined(WorklistNumbers live, const Kept& kept) const;

  WorklistService& service_;
  std::map<std::string, Kept> kept_;
  std::list<std::string> order_;  ///< of users: the longest unasked first
  std::size_t numbers_ = 0;
};

}  // namespace headroom::cli
