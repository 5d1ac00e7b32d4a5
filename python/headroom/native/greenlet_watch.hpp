#pragma once

// Keeps profile functions with their greenlets.
//
// A profile function belongs to a thread, a call under gevent to a greenlet. greenlet.settrace tells every
// switch of a thread, after it happened: then the watch takes the profile function away from a greenlet that
// is not profiled and gives it back to one that is. The other greenlets run at full speed meanwhile, and
// asking per event which greenlet runs would cost more than the event. A trace function of somebody else
// keeps being called.

#include <Python.h>

namespace headroom::native {

/// Follows the current greenlet: whenever it runs, `function` with `object` is the profile function of
/// the thread. Returns a new reference for `forget_greenlet`, or null when the process has not loaded
/// greenlet, or it refused.
/// Threads: GIL.
[[nodiscard]] PyObject* follow_greenlet(Py_tracefunc function, PyObject* object);

/// Ends what `follow_greenlet` began for `object` and drops the reference; null is ignored. Any thread
/// with the GIL.
void forget_greenlet(PyObject* watch, PyObject* object);

}  // namespace headroom::native
