#pragma once

#include <Python.h>

namespace headroom::native {

/// Adds hook() and CacheCounters to the module. Returns false with a Python error set.
[[nodiscard]] bool add_hooks(PyObject* module);

}  // namespace headroom::native
