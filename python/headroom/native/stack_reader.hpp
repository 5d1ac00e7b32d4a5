#pragma once

// Reads the Python stack of another thread of this process while that thread runs.
//
// No lock protects what is read, and the GIL is not asked for: waiting for it would sample only where the
// program gives it up, and disturb the program. Everything goes through checked_memory, and everything is
// checked:
//   * the thread state still carries the id that it had (thread states are freed and reused);
//   * every frame's code pointer leads to a code object, and its instruction pointer lies inside that;
//   * the chain ends with the frame in which the thread, or the greenlet, began.
// A frame that fails means that the stack changed under us: the whole sample is read anew, three times at
// most.
//
// Names are copied at once, since the objects may be gone a moment later, and are kept by address. A code
// object that took the place of another one is told by its fields, compared at every use. That is not enough:
// an allocator that gives the last freed block first may put all that a template's next expression needs just
// where the last one had it, so that every pointer is the same. So the texts themselves are compared too,
// whenever the owner doubts the names (`doubt_names`), at the next use of each. (Considered: at every use.
// That would double the cost of a sample.)
//
// Source: CPython 3.11 frames as in interpreter_layout.hpp; the method is that of py-spy and of austin.

#include <Python.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checked_memory.hpp"
#include "interpreter_layout.hpp"
#include "location_table.hpp"

namespace headroom::native {

/// A place in a stack, as addresses. Frames on the stack do not move.
struct FramePlace {
  const void* frame = nullptr;
  const void* code = nullptr;

  [[nodiscard]] bool operator==(const FramePlace&) const = default;
};

/// What is known of a code object. `id` is never given twice.
struct CodeName {
  std::uint64_t id = 0;
  std::string name;
  std::string qualified_name;
  std::string file;
  std::uint32_t first_line = 0;
  bool takes_self = false;
  std::vector<LineRange> lines;
};

/// What is known of a class. `id` is never given twice, and 0 for a class that is no Tryton model.
struct ModelName {
  std::uint64_t id = 0;
  std::string name;
};

/// What a kept name was read from, to see later whether the same still stands there.
class NameSource final {
 public:
  /// These bytes were read there.
  void add(const void* from, std::string_view bytes);
  /// Ends the adding; of the bytes only a hash is kept.
  void seal();
  /// Cost: about 0.4 us and 0.15 us per place.
  [[nodiscard]] bool is_unchanged() const;

 private:
  std::vector<MemoryBlock> places_;
  std::string bytes_;
  std::size_t hash_ = 0;
};

/// One frame with its names, which stay valid until the next `read` or `forget`.
struct SampledFrame {
  FramePlace place;
  const CodeName* code = nullptr;
  const ModelName* model = nullptr;  ///< null is none
  std::uint32_t line = 0;
  bool of_generator = false;
};

enum class ReadStack : std::uint8_t { kDone, kTorn, kThreadGone };

/// Threads: none, the owner locks.
/// Lifetime: keeps at most 4,096 code objects' names, about 3 MiB.
class StackReader {
 public:
  static constexpr std::size_t kMostFrames = 1024;

  /// The stack of the calling thread, outermost first.
  /// Threads: GIL.
  [[nodiscard]] static std::vector<FramePlace> own_stack();

  /// Fills `frames`, outermost first. Does not need the GIL.
  /// Cost: about 5 us and 0.3 us per frame.
  [[nodiscard]] ReadStack read(const PyThreadState* thread, std::uint64_t thread_id,
                               std::vector<SampledFrame>& frames);

  /// The same from an innermost frame of the interpreter: that of a greenlet which is switched out.
  [[nodiscard]] ReadStack read_from(const void* innermost, std::vector<SampledFrame>& frames);

  /// Each kept name is compared with its object before it is used again.
  void doubt_names() { ++round_of_checks_; }

  /// Drops all names.
  void forget();

 private:
#if HEADROOM_KNOWS_FRAMES
  /// A code object without its instructions.
  struct CodeHead {
    alignas(PyCodeObject) std::array<std::byte, offsetof(PyCodeObject, co_code_adaptive)> bytes;
    [[nodiscard]] const PyCodeObject& get() const {
      return *reinterpret_cast<const PyCodeObject*>(bytes.data());
    }
  };
  struct CodeEntry {
    CodeHead head;
    CodeName name;
    NameSource source;
    std::uint64_t checked = 0;  ///< the round of checks that it passed last
  };
  /// The fields of a type up to tp_flags.
  struct TypeHead {
    alignas(PyTypeObject) std::array<std::byte, offsetof(PyTypeObject, tp_doc)> bytes;
    [[nodiscard]] const PyTypeObject& get() const {
      return *reinterpret_cast<const PyTypeObject*>(bytes.data());
    }
  };
  struct TypeEntry {
    TypeHead head;
    ModelName name;
    NameSource source;
    std::uint64_t checked = 0;
  };
  struct RawFrame {
    const void* address;
    InterpreterFrame frame;
  };
  /// The first argument of a method, and the class that it is or that it is an instance of.
  struct Argument {
    std::size_t frame;
    const PyObject* value;
    PyObject head;
    TypeHead type;
  };

  [[nodiscard]] bool read_chain(const void* innermost);
  [[nodiscard]] bool read_frame(const void* address, InterpreterFrame& frame);
  [[nodiscard]] bool name_codes();
  [[nodiscard]] const CodeName* name_code(const PyCodeObject* code, const CodeHead& head);
  [[nodiscard]] static std::optional<CodeEntry> read_code(const CodeHead& head);
  /// Whether the name of the entry was compared since the last doubt, or passes now.
  template <typename Entry>
  [[nodiscard]] bool holds(Entry& entry) const;
  [[nodiscard]] bool find_arguments();
  [[nodiscard]] bool read_argument_types();
  [[nodiscard]] const ModelName* model_of(const Argument& argument);
  [[nodiscard]] TypeEntry read_type(const PyTypeObject* type, const TypeHead& head);
  [[nodiscard]] bool describe(std::vector<SampledFrame>& frames);

  std::array<std::byte, 8192> window_;  ///< a copy of the memory at window_from_
  std::uintptr_t window_from_ = 0;
  std::size_t window_size_ = 0;
  std::vector<RawFrame> raw_;  ///< innermost first
  std::vector<CodeHead> heads_;
  std::vector<const CodeName*> named_;
  std::vector<Argument> arguments_;
  std::vector<MemoryBlock> blocks_;
  std::unordered_map<const void*, CodeEntry> codes_;
  std::unordered_map<const void*, TypeEntry> types_;
#endif
  std::uint64_t next_id_ = 1;
  std::uint64_t round_of_checks_ = 1;
};

}  // namespace headroom::native
