#pragma once

// Small owners for the C API.

#include <Python.h>

#include <string>
#include <string_view>
#include <utility>

namespace headroom::native {

/// Owns one reference.
class Ref {
 public:
  Ref() = default;
  /// Takes over a new reference (or null).
  explicit Ref(PyObject* owned) : object_(owned) {}
  static Ref borrow(PyObject* borrowed) {
    Py_XINCREF(borrowed);
    return Ref(borrowed);
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  [[nodiscard]] PyObject* get() const { return object_; }
  [[nodiscard]] PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

/// Sets a pending exception aside for the length of a scope and puts it back, whatever happened in between.
class ErrorAside {
 public:
  ErrorAside() { PyErr_Fetch(&type_, &value_, &traceback_); }
  ~ErrorAside() { PyErr_Restore(type_, value_, traceback_); }
  ErrorAside(const ErrorAside&) = delete;
  ErrorAside& operator=(const ErrorAside&) = delete;

 private:
  PyObject* type_ = nullptr;
  PyObject* value_ = nullptr;
  PyObject* traceback_ = nullptr;
};

/// The UTF-8 of a str, or of bytes as they are; empty for anything else (no error is left set).
/// Lifetime: as long as the object.
[[nodiscard]] inline std::string_view text_of(PyObject* object) {
  if (object == nullptr) return {};
  if (PyUnicode_Check(object)) {
    Py_ssize_t size = 0;
    const char* const bytes = PyUnicode_AsUTF8AndSize(object, &size);
    if (bytes == nullptr) {
      PyErr_Clear();  // a lone surrogate
      return {};
    }
    return {bytes, static_cast<std::size_t>(size)};
  }
  if (PyBytes_Check(object))
    return {PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object))};
  return {};
}

[[nodiscard]] inline PyObject* to_str(std::string_view text) {
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

/// PyCFunction with fast calling, as PyMethodDef wants it.
template <typename Function>
[[nodiscard]] PyCFunction method(Function* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace headroom::native
