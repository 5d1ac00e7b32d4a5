#pragma once

// A profile is a call tree: one node per path of frames from the root, with what was spent there.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace headroom::perf {

/// A place in the code. `function` carries the model of a Tryton method where it is known: "sale.sale:read".
struct Frame {
  std::string function;
  std::string file;
  std::uint32_t line = 0;

  [[nodiscard]] bool operator==(const Frame&) const = default;
};

/// One node of the call tree. Nodes come parents first; node 0 is the root and stands for the whole call.
struct ProfileNode {
  std::uint32_t parent = 0;
  std::uint32_t frame = 0;        ///< index into Profile::frames; meaningless for the root
  std::uint64_t calls = 0;        ///< exact: times entered; sampled: samples that ended here (self)
  base::Nanoseconds wall{0};      ///< self time, without children
  base::Nanoseconds cpu{0};       ///< self CPU time; zero in an exact profile
};

/// Guarantees: the sum of `wall` over all nodes is the time that was profiled.
struct Profile {
  enum class Kind : std::uint8_t { kExact, kSampled };
  Kind kind = Kind::kExact;
  std::vector<Frame> frames;
  std::vector<ProfileNode> nodes;
  /// Sampled only: samples that should have been taken, and those that could not be (shown to the reader).
  std::uint64_t samples = 0;
  std::uint64_t missed = 0;
  /// Nodes that the bound left out; their time went to the parent.
  std::uint64_t dropped_nodes = 0;
};

}  // namespace headroom::perf
