#pragma once

// Reads memory of this process that may be changed or unmapped at any moment by another thread.
//
// process_vm_readv on ourselves lets the kernel do the access: an address that is not mapped is an answer
// instead of a SIGSEGV, without a signal handler that would fight with the application's own (faulthandler,
// uWSGI). The kernel needs no privilege for a process that reads itself. What was read may be torn: the
// caller checks that it makes sense.

#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>

#include "base/result.hpp"

namespace headroom::native {

struct MemoryBlock {
  const void* from;
  void* to;
  std::size_t size;
};

/// True when all of it was readable.
/// Cost: about 0.4 us.
[[nodiscard]] bool read_memory(const void* from, void* to, std::size_t size);

/// The same for many blocks, 1,024 per system call; false at the first that is not readable.
/// Cost: about 0.4 us and 0.13 us per block.
[[nodiscard]] bool read_memory(std::span<const MemoryBlock> blocks);

template <typename T>
[[nodiscard]] std::optional<T> read_object(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  if (!read_memory(from, &value, sizeof value)) return std::nullopt;
  return value;
}

/// Errors: unsupported when the system forbids process_vm_readv (an old container runtime's system call
/// filter).
[[nodiscard]] base::Result<void> check_memory_readable();

}  // namespace headroom::native
