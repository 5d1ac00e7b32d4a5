#pragma once

// The only file that knows how a CPython release lays out its frames.
//
// Both profilers look into frames: the exact one for the first argument of a method, the sampling one for
// everything, from a thread that does not hold the GIL. These structures are private to CPython and differ
// between 3.10, 3.11 and 3.12, so what was not checked against a release's headers is refused rather than
// guessed. A native module is built for one minor release and can't be loaded by another: the decision falls
// here, when it is compiled.
//
// Source: CPython 3.11 Include/cpython/{pystate,code,object,unicodeobject}.h,
// Include/internal/pycore_frame.h.

#include <Python.h>

#include <string_view>

#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030c0000
#define HEADROOM_KNOWS_FRAMES 1
extern "C" {
#include <internal/pycore_frame.h>
}
#else
#define HEADROOM_KNOWS_FRAMES 0
#endif

namespace headroom::native {

inline constexpr bool kKnowsFrames = HEADROOM_KNOWS_FRAMES == 1;
inline constexpr std::string_view kUnknownFrames =
    "profiles are off: they need CPython 3.11, and this is " PY_VERSION;

#if HEADROOM_KNOWS_FRAMES

using InterpreterFrame = _PyInterpreterFrame;

/// Borrowed. Cost: one load.
inline PyCodeObject* code_of(PyFrameObject* frame) {
  return reinterpret_cast<_frame*>(frame)->f_frame->f_code;
}

/// The value of the first argument, borrowed; null when the function deleted it. Looks into the cell of an
/// argument that a closure shares.
inline PyObject* first_argument(PyFrameObject* frame) {
  PyObject* value = reinterpret_cast<_frame*>(frame)->f_frame->localsplus[0];
  if (value != nullptr && Py_IS_TYPE(value, &PyCell_Type)) return PyCell_GET(value);
  return value;
}

/// The name of the first argument, borrowed; null for a function without arguments.
inline PyObject* first_argument_name(const PyCodeObject* code) {
  return code->co_argcount > 0 ? PyTuple_GET_ITEM(code->co_localsplusnames, 0) : nullptr;
}

/// "Class.method", borrowed.
inline PyObject* qualified_name(const PyCodeObject* code) {
  return code->co_qualname;
}

/// The innermost frame that runs on the thread; null when it runs no Python.
inline InterpreterFrame* innermost_frame(const PyThreadState* thread) {
  return thread->cframe->current_frame;
}

#else

inline PyCodeObject* code_of(PyFrameObject*) {
  return nullptr;
}
inline PyObject* first_argument(PyFrameObject*) {
  return nullptr;
}
inline PyObject* first_argument_name(const PyCodeObject*) {
  return nullptr;
}
inline PyObject* qualified_name(const PyCodeObject* code) {
  return code->co_name;
}

#endif

}  // namespace headroom::native
