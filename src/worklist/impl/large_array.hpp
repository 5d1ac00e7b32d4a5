#pragma once

// Memory for a while, of which every place is written once, in no order.

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace headroom::worklist::impl {

/// Numbers that begin as anything. In huge pages where the system gives them: thousands of places that are
/// written by turns are more than a processor knows small pages.
class LargeArray final {
 public:
  explicit LargeArray(std::size_t size) {
    if (size == 0) return;
    const std::size_t bytes = (size * sizeof(std::uint32_t) + kHugePage - 1) / kHugePage * kHugePage;
    numbers_.reset(static_cast<std::uint32_t*>(std::aligned_alloc(kHugePage, bytes)));
    if (numbers_ == nullptr) throw std::bad_alloc();
    // Advice: without it, it is slower.
    (void)::madvise(numbers_.get(), bytes, MADV_HUGEPAGE);
  }
  [[nodiscard]] std::uint32_t* data() const { return numbers_.get(); }

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21U;
  struct Free {
    void operator()(std::uint32_t* numbers) const { std::free(numbers); }
  };

  std::unique_ptr<std::uint32_t[], Free> numbers_;
};

}  // namespace headroom::worklist::impl
