#pragma once

// Work over all documents that several threads share.

#include <cstddef>
#include <functional>

namespace headroom::worklist::impl {

/// `work(thread)` in so many threads, of which this one is the first.
void in_parallel(unsigned threads, const std::function<void(unsigned thread)>& work);

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// One of `parts` parts of so many things, all of about the same size.
[[nodiscard]] constexpr Range part_of(std::size_t size, unsigned part, unsigned parts) {
  return {size * part / parts, size * (part + 1U) / parts};
}

}  // namespace headroom::worklist::impl
