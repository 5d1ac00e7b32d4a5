#pragma once

// The Python type `Call`: a perf::ActiveCall with the interpreter's clock, scoreboard slot and profilers
// around it. The current call stands in a context variable, which both threads and greenlets keep apart.

#include <Python.h>

#include <cstdint>
#include <memory>
#include <string>

#include "exact_profiler.hpp"
#include "perf/active_call.hpp"
#include "perf/scoreboard.hpp"
#include "python.hpp"
#include "sampling_profiler.hpp"

namespace headroom::native {

/// What a Call object owns while it is open.
struct OpenCall {
  explicit OpenCall(perf::ActiveCall active) : call(std::move(active)) {}
  /// Frees the slot, unless it is the parent's of a fork.
  ~OpenCall();
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

  perf::ActiveCall call;
  perf::Scoreboard::Slot* slot = nullptr;
  std::uint32_t generation = 0;
  std::unique_ptr<ExactProfiler> exact;
  std::unique_ptr<SamplingProfiler> sampled;
  Ref connection;            ///< a weak reference to the one that a statement went through last, or null
  std::int32_t backend = 0;  ///< its process in the server; 0 when it has none or does not tell

  /// Shows on the scoreboard what the call is doing.
  void doing(perf::Activity activity, std::int64_t now_ns) const {
    if (slot != nullptr) perf::publish_activity(*slot, activity, now_ns);
  }
};

struct CallObject {
  PyObject_HEAD OpenCall* open;  ///< null once closed
  PyObject* parent;              ///< the call around this one, or null
  std::int64_t bytes_in;
  std::int64_t bytes_out;
};

/// Holds a reference to the current call for the length of a scope.
class CurrentCall {
 public:
  CurrentCall();
  ~CurrentCall() { Py_XDECREF(object_); }
  CurrentCall(const CurrentCall&) = delete;
  CurrentCall& operator=(const CurrentCall&) = delete;

  /// Null when no call is open, or when it belongs to the parent of a fork. Ask again after running Python
  /// code.
  [[nodiscard]] OpenCall* get() const;
  [[nodiscard]] PyObject* object() const { return object_; }

 private:
  PyObject* object_ = nullptr;
};

/// Adds Call, begin, current and set_error_classes to the module. Returns false with a Python error set.
[[nodiscard]] bool add_call_type(PyObject* module);

/// "module.Class: text", cut at 4 KiB. The exception may be anything; a broken __str__ gives the class alone.
[[nodiscard]] std::string describe_error(PyObject* error);

}  // namespace headroom::native
