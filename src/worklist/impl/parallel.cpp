#include "worklist/impl/parallel.hpp"

#include <thread>
#include <vector>

namespace headroom::worklist::impl {

void in_parallel(unsigned threads, const std::function<void(unsigned)>& work) {
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
}

}  // namespace headroom::worklist::impl
