#pragma once

#include <atomic>

namespace headroom::cli {

/// One of a few places for requests that wait for another process or server, so that they can't take all
/// workers of the service; whoever finds none is told to come again. `Kind` names what is limited: each has
/// places of its own. Threads: any.
template <typename Kind>
class FewAtOnce final {
 public:
  FewAtOnce() : taken_(running().fetch_add(1) < kMost) {}
  ~FewAtOnce() { running().fetch_sub(1); }
  FewAtOnce(const FewAtOnce&) = delete;
  FewAtOnce& operator=(const FewAtOnce&) = delete;
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  static constexpr int kMost = 2;
  static std::atomic<int>& running() {
    static std::atomic<int> number{0};
    return number;
  }
  bool taken_;
};

}  // namespace headroom::cli
