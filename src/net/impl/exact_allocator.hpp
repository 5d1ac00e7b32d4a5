#pragma once

#include <cstddef>
#include <memory>

namespace headroom::net {

/// For a handler that waits for hours: memory of just its size, by `asio::bind_allocator`. Asio would give it
/// the block that a larger one left behind, such as that of an accept, and make a new one for the next
/// accept: each idle client would keep one.
template <typename T>
struct ExactAllocator {
  using value_type = T;

  ExactAllocator() = default;
  template <typename Other>
  ExactAllocator(const ExactAllocator<Other>& /*other*/) {}  // NOLINT(google-explicit-constructor): rebinding

  [[nodiscard]] T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* memory, std::size_t count) { std::allocator<T>().deallocate(memory, count); }
  template <typename Other>
  bool operator==(const ExactAllocator<Other>& /*other*/) const {
    return true;
  }
};

}  // namespace headroom::net
