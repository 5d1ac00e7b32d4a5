#pragma once

#include <Python.h>

#include "perf/profile.hpp"

namespace headroom::native {

/// Which class a method works for, when that class is a Tryton model, wizard or report: the class itself
/// for a first argument `cls`, the class of the object for `self`. Null for everything else. Borrowed.
/// Tryton's classes are told by what only they have: a metaclass (PoolMeta and its heirs) and a name
/// with a dot, since PoolMeta puts `__name__` ("sale.sale") into the class's own name.
/// Cost: a few loads; a dot is looked for only in classes with a metaclass.
/// Threads: GIL.
[[nodiscard]] PyTypeObject* model_of(PyFrameObject* frame, const PyCodeObject* code);

/// "sale.sale:read" for a method of a model, else the qualified name; the line is that of the
/// definition.
/// Threads: GIL.
[[nodiscard]] perf::Frame frame_of(PyCodeObject* code, PyTypeObject* model);

/// "<built-in builtins.len>" or "<method 'append' of 'list' objects>", as pstats shows C functions.
/// Threads: GIL; runs no Python code.
[[nodiscard]] perf::Frame frame_of_builtin(const PyCFunctionObject* function);

}  // namespace headroom::native
