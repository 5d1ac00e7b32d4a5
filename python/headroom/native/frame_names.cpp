#include "frame_names.hpp"

#include <cstring>
#include <string>

#include "interpreter_layout.hpp"
#include "python.hpp"

namespace headroom::native {

namespace {

std::string name_of(PyObject* text) {
  const std::string_view name = text_of(text);
  return name.empty() ? "?" : std::string(name);
}

/// Identifiers in code objects are interned, so comparing pointers is comparing names.
struct ArgumentNames {
  PyObject* self = PyUnicode_InternFromString("self");
  PyObject* cls = PyUnicode_InternFromString("cls");
};

const ArgumentNames& argument_names() {
  static const ArgumentNames names;
  return names;
}

bool has_metaclass_and_dot(const PyTypeObject* type) {
  if (Py_IS_TYPE(type, &PyType_Type)) return false;
  if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) return false;
  return std::strchr(type->tp_name, '.') != nullptr;
}

std::string type_name(const PyTypeObject* type) {
  const char* dot = std::strrchr(type->tp_name, '.');
  return dot == nullptr ? type->tp_name : dot + 1;
}

}  // namespace

PyTypeObject* model_of(PyFrameObject* frame, const PyCodeObject* code) {
  static const ArgumentNames& names = argument_names();
  PyObject* name = first_argument_name(code);
  if (name == nullptr || (name != names.self && name != names.cls)) return nullptr;
  PyObject* value = first_argument(frame);
  if (value == nullptr) return nullptr;
  PyTypeObject* type = PyType_Check(value) ? reinterpret_cast<PyTypeObject*>(value) : Py_TYPE(value);
  return has_metaclass_and_dot(type) ? type : nullptr;
}

perf::Frame frame_of(PyCodeObject* code, PyTypeObject* model) {
  perf::Frame frame;
  frame.function = model == nullptr ? name_of(qualified_name(code))
                                    : std::string(model->tp_name) + ":" + name_of(code->co_name);
  frame.file = name_of(code->co_filename);
  frame.line = code->co_firstlineno > 0 ? static_cast<std::uint32_t>(code->co_firstlineno) : 0;
  return frame;
}

perf::Frame frame_of_builtin(const PyCFunctionObject* function) {
  const std::string name = function->m_ml->ml_name;
  PyObject* owner = function->m_self;
  if (owner != nullptr && PyType_Check(owner)) {
    return {"<method '" + name + "' of type '" + type_name(reinterpret_cast<PyTypeObject*>(owner)) + "'>",
            "~", 0};
  }
  if (owner != nullptr && !PyModule_Check(owner)) {
    return {"<method '" + name + "' of '" + type_name(Py_TYPE(owner)) + "' objects>", "~", 0};
  }
  PyObject* module = function->m_module;
  if (module != nullptr && PyUnicode_Check(module))
    return {"<built-in " + name_of(module) + "." + name + ">", "~", 0};
  return {"<built-in " + name + ">", "~", 0};
}

}  // namespace headroom::native
