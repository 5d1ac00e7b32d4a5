#pragma once

#include <Python.h>

#include <memory>

#include "base/result.hpp"
#include "perf/profile.hpp"

namespace headroom::native {

class CallTree;

/// Times every Python and C function that one call runs, and keeps the whole call tree.
///
/// It follows the thread that started it, or under greenlet (gevent, TRYTOND_COROUTINE) only the
/// greenlet that started it: while another one runs, the clock runs on for the function that gave up
/// control, as it does for any wait. Functions that were running when it started belong to the root.
/// Each resumption of a generator is a call.
///
/// A call within a call (a task that runs inside of the request that queued it) has a profile of its own, and
/// stands in the one around it as well.
///
/// Errors of `start`: conflict when the thread has a profile function of somebody else (it is left alone);
/// unsupported on a CPython whose frames are unknown.
/// Guarantees: no profile function of anybody else is ever replaced or removed; at most `node_limit`
/// nodes, what is beyond is counted and its time goes to the caller.
/// Threads: every method needs the GIL. `stop` on another thread or greenlet than `start` is safe: the
/// profile function takes itself away at the next event.
/// Lifetime: the destructor stops, and drops what was measured. Code objects, and classes of models,
/// live until then.
/// Cost: one reading of the time stamp counter and one or two cache lines per event; 64 bytes per node.
class ExactProfiler final {
 public:
  [[nodiscard]] static base::Result<std::unique_ptr<ExactProfiler>> start(
      std::uint32_t node_limit = perf::ProfileBuilder::kNodeLimit);

  ExactProfiler(const ExactProfiler&) = delete;
  ExactProfiler& operator=(const ExactProfiler&) = delete;
  ~ExactProfiler();

  /// Ends the profile and resolves names. A second call gives an empty profile.
  /// Cost: about 0.3 us per node and 1 us per function.
  [[nodiscard]] perf::Profile stop();

 private:
  explicit ExactProfiler(PyObject* tree) : tree_(tree) {}

  PyObject* tree_;             ///< strong; a TreeObject, which the thread state refers to as well
  PyObject* watch_ = nullptr;  ///< strong; tells greenlet switches, null without greenlet
};

}  // namespace headroom::native
