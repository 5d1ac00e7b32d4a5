#pragma once

#include <Python.h>

namespace headroom::native {

/// Adds cursor_class() to the module. Returns false with a Python error set.
[[nodiscard]] bool add_cursor_class(PyObject* module);

}  // namespace headroom::native
