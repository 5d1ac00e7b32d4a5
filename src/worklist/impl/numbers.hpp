#pragma once

// The small numbers that stand for things in the counters in memory.

#include <cstddef>
#include <cstdint>

namespace headroom::worklist::impl {

/// Of a value, in its column; 0 is NULL.
using Code = std::uint32_t;
/// Of a document: where its codes are.
using Slot = std::uint32_t;
/// Of documents that all lists treat alike; 0: of no document.
using ClassNumber = std::uint32_t;

/// More security columns and holders a catalog does not have.
inline constexpr std::size_t kMostLevels = 16;

}  // namespace headroom::worklist::impl
