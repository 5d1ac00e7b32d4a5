#include "call_stack.hpp"

#include <time.h>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "checked_memory.hpp"
#include "interpreter_layout.hpp"
#include "python.hpp"
#include "stack_reader.hpp"

namespace headroom::native {

namespace {

using base::ErrorCode;
using base::fail;

std::atomic<PyInterpreterState*> the_interpreter{nullptr};
std::array<std::atomic<PyObject*>, perf::Scoreboard::kSlots> greenlets{};  ///< borrowed; read with checks

/// Where a greenlet that is switched out keeps its innermost frame. Since greenlet 2.0 that is in an object
/// which the word behind its own three points to; before it was in the greenlet.
struct FrameField {
  static constexpr std::size_t kInside = 4 * sizeof(void*);
  std::atomic<bool> is_known{false};
  bool is_apart = false;
  std::size_t offset = 0;
};
FrameField frame_field;

constexpr std::size_t kWords = 32;
using Words = std::array<const void*, kWords>;

constexpr int kAttempts = 100;
constexpr std::size_t kMostThreads = 10'000;

void pause_a_little() {
  const timespec span{0, 500'000};
  nanosleep(&span, nullptr);
}

/// Offset of the first word that holds `wanted`; from what can be read of 256 bytes.
std::optional<std::size_t> find_word(const void* from, const void* wanted) {
  for (std::size_t i = 0; i < kWords; ++i) {
    const auto* const place = static_cast<const char*>(from) + i * sizeof(void*);
    const auto word = read_object<const void*>(place);
    if (!word) break;
    if (*word == wanted) return i * sizeof(void*);
  }
  return std::nullopt;
}

/// `frame` is the one that the greenlet, which is switched out, says it is in.
void learn_frame_field(PyObject* greenlet, PyObject* frame) {
  const auto size = static_cast<std::size_t>(Py_TYPE(greenlet)->tp_basicsize);
  const auto direct = find_word(greenlet, frame);
  if (direct && *direct < size) {
    frame_field.offset = *direct;
  } else {
    const auto apart =
        read_object<const void*>(reinterpret_cast<const char*>(greenlet) + FrameField::kInside);
    const auto offset = apart ? find_word(*apart, frame) : std::nullopt;
    if (!offset) return;
    frame_field.is_apart = true;
    frame_field.offset = *offset;
  }
  frame_field.is_known.store(true, std::memory_order_release);
}

/// From the parent of the greenlet that runs, which is gevent's hub: it waits.
void learn_from_parent_of(PyObject* greenlet) {
  const Ref parent(PyObject_GetAttrString(greenlet, "parent"));
  const Ref frame(parent && parent.get() != Py_None ? PyObject_GetAttrString(parent.get(), "gr_frame")
                                                    : nullptr);
  if (frame && PyFrame_Check(frame.get())) learn_frame_field(parent.get(), frame.get());
  PyErr_Clear();
}

PyObject* get_current_function() {
  const Ref module(PyImport_ImportModule("greenlet"));
  PyObject* const function = module ? PyObject_GetAttrString(module.get(), "getcurrent") : nullptr;
  PyErr_Clear();
  return function;
}

#if HEADROOM_KNOWS_FRAMES

struct ThreadPlace {
  const PyThreadState* state = nullptr;
  std::uint64_t id = 0;
};

bool runs_python(const PyThreadState& state) {
  const auto innermost = read_object<_PyCFrame>(state.cframe);
  return innermost && innermost->current_frame != nullptr;
}

/// Of several states of one thread the one in which it runs. The list may change meanwhile.
std::optional<ThreadPlace> find_thread(PyInterpreterState* interpreter, std::uint64_t thread) {
  std::optional<ThreadPlace> found;
  const PyThreadState* at = PyInterpreterState_ThreadHead(interpreter);
  for (std::size_t i = 0; at != nullptr && i < kMostThreads; ++i) {
    const auto state = read_object<PyThreadState>(at);
    if (!state || state->interp != interpreter) break;
    if (state->thread_id == thread) {
      found = ThreadPlace{at, state->id};
      if (runs_python(*state)) break;
    }
    at = state->next;
  }
  return found;
}

std::string function_of(const SampledFrame& frame) {
  return frame.model == nullptr ? frame.code->qualified_name : frame.model->name + ":" + frame.code->name;
}

perf::CallStack to_stack(const std::vector<SampledFrame>& frames, perf::CallStack::Origin origin) {
  perf::CallStack stack;
  stack.origin = origin;
  stack.frames.reserve(frames.size());
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame)
    stack.frames.push_back({function_of(*frame), frame->code->file, frame->line});
  return stack;
}

/// The frame of a greenlet that is switched out; null while it runs; nullopt when it can't be told.
std::optional<const void*> frame_of_greenlet(PyObject* greenlet) {
  const char* from = reinterpret_cast<const char*>(greenlet);
  if (frame_field.is_apart) {
    const auto apart = read_object<const char*>(from + FrameField::kInside);
    if (!apart || *apart == nullptr) return std::nullopt;
    from = *apart;
  }
  return read_object<const void*>(from + frame_field.offset);
}

/// The frame below an object of Python's type `frame`.
const InterpreterFrame* below(const void* frame) {
  const auto object = read_object<_frame>(frame);
  return object && object->ob_base.ob_type == &PyFrame_Type ? object->f_frame : nullptr;
}

class CallStackReader {
 public:
  CallStackReader(PyInterpreterState* interpreter, const perf::StackTarget& target)
      : interpreter_(interpreter), target_(target), greenlet_(greenlets[target.slot].load()) {}

  /// A thread that runs may change its stack at any moment, so it is looked at again and again.
  perf::StackAnswer read() {
    if (greenlet_ != nullptr && !frame_field.is_known.load(std::memory_order_acquire)) {
      return fail(ErrorCode::kUnsupported,
                  "the stacks of greenlets can't be read here: this release of greenlet is unknown");
    }
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (attempt > 0) pause_a_little();
      const auto stack = greenlet_ == nullptr ? read_thread() : read_greenlet();
      if (stack) return *stack;
    }
    if (thread_gone_) return fail(ErrorCode::kNotFound, "the thread of the call has ended");
    return fail(ErrorCode::kUnavailable,
                fmt::format("the stack changed whenever it was read, or is deeper than {} frames; try again",
                            StackReader::kMostFrames));
  }

 private:
  std::optional<perf::CallStack> read_thread() {
    const auto thread = find_thread(interpreter_, target_.thread);
    thread_gone_ = !thread;
    if (!thread || reader_.read(thread->state, thread->id, frames_) != ReadStack::kDone) return std::nullopt;
    if (frames_.empty()) return std::nullopt;
    return to_stack(frames_, perf::CallStack::Origin::kThread);
  }

  /// It may be switched while it is read: what it was before has to hold afterwards.
  std::optional<perf::CallStack> read_greenlet() {
    const auto frame = frame_of_greenlet(greenlet_);
    if (!frame) return std::nullopt;
    auto stack = *frame == nullptr ? read_thread() : read_waiting(*frame);
    return frame_of_greenlet(greenlet_) == frame ? stack : std::nullopt;
  }

  std::optional<perf::CallStack> read_waiting(const void* frame) {
    if (reader_.read_from(below(frame), frames_) != ReadStack::kDone) return std::nullopt;
    if (frames_.empty()) return std::nullopt;
    return to_stack(frames_, perf::CallStack::Origin::kGreenlet);
  }

  PyInterpreterState* interpreter_;
  perf::StackTarget target_;
  PyObject* greenlet_;
  StackReader reader_;
  std::vector<SampledFrame> frames_;
  bool thread_gone_ = false;
};

#endif

}  // namespace

void allow_call_stacks() {
  if (the_interpreter.exchange(PyInterpreterState_Get()) != nullptr) return;
  // Where there is no room for it, checked reads answer for an interpreter that is gone.
  Py_AtExit([] { the_interpreter = nullptr; });
}

void note_greenlet(std::size_t slot) {
  static PyObject* const get_current = get_current_function();
  const Ref greenlet(get_current != nullptr ? PyObject_CallNoArgs(get_current) : nullptr);
  if (!greenlet) PyErr_Clear();
  greenlets[slot] = greenlet.get();
  if (greenlet && !frame_field.is_known.load(std::memory_order_relaxed)) learn_from_parent_of(greenlet.get());
}

perf::StackAnswer take_call_stack(const perf::StackTarget& target) {
#if HEADROOM_KNOWS_FRAMES
  static const bool readable = check_memory_readable().has_value();
  if (!readable) {
    return fail(ErrorCode::kUnsupported, "stacks can't be read here: the system forbids process_vm_readv");
  }
  PyInterpreterState* const interpreter = the_interpreter;
  if (interpreter == nullptr || target.slot >= greenlets.size())
    return fail(ErrorCode::kUnavailable, "the interpreter of the process ends");
  return CallStackReader(interpreter, target).read();
#else
  (void)target;
  return fail(ErrorCode::kUnsupported,
              "stacks of running calls need CPython 3.11, and the process has " PY_VERSION);
#endif
}

}  // namespace headroom::native
