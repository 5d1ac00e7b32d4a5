#pragma once

// The tree that the exact profiler grows while a call runs.
//
// Every event of the interpreter costs the profiled program, so an event does only this: read the clock once,
// give the time since the last event to the current node, and move one step. A node is one cache line. Going
// down, the child is mostly the one that this parent called last, or the one that came after that one the
// time before (loops that call several functions in turn); only then a hash table over all nodes is asked.
// Going up follows the parent pointer, which is why no separate stack is kept.
//
// Keys are addresses: a code object, or the method table entry of a C function, and the class when the method
// belongs to a Tryton model. Objects behind the keys are kept alive until names are resolved at the end.
// Times are kept in ticks of the clock and scaled to the monotonic clock at the end, which also calibrates
// the tick.
//
// Events may not match: frames that were there before the start return, another profiler takes over for a
// while. A return therefore names the function that ends; what does not match unwinds to it, or is ignored.

#include <Python.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "perf/profile.hpp"

namespace headroom::native {

/// Ticks of the fastest clock that is steady across cores: the time stamp counter where the processor says
/// that it is invariant, else nanoseconds. Cost: about 8 ns.
class TickClock {
 public:
  TickClock();
  [[nodiscard]] std::uint64_t now() const;

 private:
  bool counter_;
};

class CallTree {
 public:
  explicit CallTree(std::uint32_t node_limit);
  /// Threads: GIL, since it releases objects.
  ~CallTree();
  CallTree(const CallTree&) = delete;
  CallTree& operator=(const CallTree&) = delete;

  void enter(PyCodeObject* code, PyTypeObject* model);
  void enter(const PyCFunctionObject* function);
  void leave(const void* key);
  /// Ends the measurement and resolves names. Threads: GIL.
  [[nodiscard]] perf::Profile finish();

 private:
  struct alignas(64) Node {
    const void* key = nullptr;
    PyTypeObject* model = nullptr;
    Node* parent = nullptr;
    Node* last_child = nullptr;  ///< the child that ran last
    Node* successor = nullptr;   ///< the sibling that ran after this one the last time
    std::uint64_t calls = 0;
    std::uint64_t ticks = 0;
    std::uint32_t name = 0;   ///< of a C function: position in builtins_; kPython otherwise
    std::uint32_t index = 0;  ///< its own place, parents before children
  };
  static constexpr std::uint32_t kPython = 0xffffffff;
  static constexpr std::size_t kBlock = 256;

  void charge();
  [[nodiscard]] Node* known_child(const void* key, const PyTypeObject* model);
  void descend(Node* child);
  void unwind(const void* key);
  [[nodiscard]] Node* new_child(const void* key, PyTypeObject* model);
  [[nodiscard]] Node* append(const Node& fresh);
  [[nodiscard]] std::size_t slot_of(const Node* parent, const void* key, const PyTypeObject* model) const;
  void grow_table();
  [[nodiscard]] Node& node(std::size_t index) const { return blocks_[index / kBlock][index % kBlock]; }
  [[nodiscard]] std::uint32_t builtin_name(const PyCFunctionObject* function);
  [[nodiscard]] perf::Profile resolve(std::int64_t elapsed_ns, std::uint64_t elapsed_ticks) const;

  TickClock clock_;
  std::uint64_t last_;
  Node* current_;
  Node* root_;
  std::uint64_t skipped_ = 0;  ///< functions now open for which there was no node
  std::uint64_t dropped_ = 0;
  std::size_t size_ = 0;
  std::size_t limit_;
  std::vector<std::unique_ptr<Node[]>> blocks_;
  std::vector<Node*> table_;           ///< open addressing, a power of two, at most half full
  std::vector<perf::Frame> builtins_;  ///< the first stands for those whose name found no memory
  std::unordered_map<const void*, std::uint32_t> builtin_numbers_;
  std::uint64_t started_ticks_;
  std::int64_t started_ns_;
};

}  // namespace headroom::native
