#pragma once

// A profile is a call tree: one node per path of frames from the root, with what was spent there.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace headroom::perf {

/// A place in the code. `function` carries the model of a Tryton method where it is known:
/// "sale.sale:read". `line` is where the function begins in an exact profile, and the line that ran in a
/// sampled one. What is not Python source (C functions, waiting) has the file "~" and line 0, as pstats
/// shows it.
struct Frame {
  std::string function;
  std::string file;
  std::uint32_t line = 0;

  [[nodiscard]] bool operator==(const Frame&) const = default;
};

/// One node of the call tree. Nodes come parents first; node 0 is the root and stands for the whole
/// call.
struct ProfileNode {
  std::uint32_t parent = 0;
  std::uint32_t frame = 0;    ///< index into Profile::frames; meaningless for the root
  std::uint64_t calls = 0;    ///< exact: times entered; sampled: samples that ended here (self)
  base::Nanoseconds wall{0};  ///< self time, without children
  base::Nanoseconds cpu{0};   ///< self CPU time; zero in an exact profile

  [[nodiscard]] bool operator==(const ProfileNode&) const = default;
};

/// Guarantees: the sum of `wall` over all nodes is the time that was profiled.
struct Profile {
  enum class Kind : std::uint8_t { kExact, kSampled };
  Kind kind = Kind::kExact;
  std::vector<Frame> frames;
  std::vector<ProfileNode> nodes;
  /// Sampled only: samples that should have been taken, and those that could not be (shown to the
  /// reader).
  std::uint64_t samples = 0;
  std::uint64_t missed = 0;
  /// Entries into nodes that the bound left out; their time went to the parent.
  std::uint64_t dropped_nodes = 0;

  [[nodiscard]] bool operator==(const Profile&) const = default;
};

/// Builds a profile node by node. It begins with the root, node 0.
/// Guarantees: at most `node_limit` nodes and as many frames; what is beyond goes to the parent and is
/// counted.
/// Cost: O(1) per operation.
/// Threads: none, the owner locks.
class ProfileBuilder {
 public:
  static constexpr std::uint32_t kNodeLimit = 100'000;

  explicit ProfileBuilder(Profile::Kind kind, std::uint32_t node_limit = kNodeLimit);

  /// The node of `frame` below `parent`, made when it is new; `parent` itself when the bound is reached.
  [[nodiscard]] std::uint32_t child(std::uint32_t parent, const Frame& frame);
  void add(std::uint32_t node, std::uint64_t calls, base::Nanoseconds wall,
           base::Nanoseconds cpu = base::Nanoseconds{0});
  void count_samples(std::uint64_t samples, std::uint64_t missed);
  void count_dropped(std::uint64_t nodes) { profile_.dropped_nodes += nodes; }
  [[nodiscard]] const Profile& profile() const { return profile_; }
  /// The finished profile; the builder is empty afterwards.
  [[nodiscard]] Profile take() &&;

 private:
  struct FrameHash {
    std::size_t operator()(const Frame& frame) const;
  };

  [[nodiscard]] std::uint32_t intern(const Frame& frame);

  Profile profile_;
  std::uint32_t node_limit_;
  std::unordered_map<Frame, std::uint32_t, FrameHash> frames_;
  std::unordered_map<std::uint64_t, std::uint32_t> children_;  ///< (parent, frame) to node
};

/// Adds profiles of one kind up: nodes on the same path of frames become one.
/// Errors: invalid_argument when kinds differ.
/// Cost: O(nodes). An empty list gives an empty exact profile.
[[nodiscard]] base::Result<Profile> merge(std::span<const Profile> profiles,
                                          std::uint32_t node_limit = ProfileBuilder::kNodeLimit);

/// The compact form that stores keep: "HRP", version 1, length, then zlib of varints (see profile.cpp).
/// Shape: about 3 to 6 bytes a node.
/// Cost: about 1 ms per 10,000 nodes.
[[nodiscard]] std::string pack_profile(const Profile& profile);
/// The inverse of `pack_profile`.
/// Errors: protocol for bytes that `pack_profile` did not make (hostile ones included), too_large beyond
/// 64 MiB unpacked.
[[nodiscard]] base::Result<Profile> unpack_profile(std::string_view bytes);

}  // namespace headroom::perf
