#include "checked_memory.hpp"

#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace headroom::native {

namespace {

constexpr std::size_t kMostBlocks = 1024;  // UIO_MAXIOV

bool read_some(std::span<const MemoryBlock> blocks) {
  std::array<iovec, kMostBlocks> remote;
  std::array<iovec, kMostBlocks> local;
  std::size_t size = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    remote[i] = {const_cast<void*>(blocks[i].from), blocks[i].size};
    local[i] = {blocks[i].to, blocks[i].size};
    size += blocks[i].size;
  }
  const ssize_t got =
      process_vm_readv(getpid(), local.data(), blocks.size(), remote.data(), blocks.size(), 0);
  return got >= 0 && static_cast<std::size_t>(got) == size;
}

}  // namespace

bool read_memory(const void* from, void* to, std::size_t size) {
  const MemoryBlock block{from, to, size};
  return read_some({&block, 1});
}

bool read_memory(std::span<const MemoryBlock> blocks) {
  while (!blocks.empty()) {
    const std::size_t count = std::min(blocks.size(), kMostBlocks);
    if (!read_some(blocks.first(count))) return false;
    blocks = blocks.subspan(count);
  }
  return true;
}

base::Result<void> check_memory_readable() {
  const int source = 42;
  int target = 0;
  if (read_memory(&source, &target, sizeof target) && target == source) return {};
  return base::fail(base::ErrorCode::kUnsupported,
                    fmt::format("sampling profiles are off: the system forbids process_vm_readv ({})",
                                std::strerror(errno)));
}

}  // namespace headroom::native
