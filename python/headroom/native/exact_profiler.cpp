#include "exact_profiler.hpp"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "call_tree.hpp"
#include "frame_names.hpp"
#include "greenlet_watch.hpp"
#include "interpreter_layout.hpp"
#include "python.hpp"

namespace headroom::native {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

/// The tree as a Python object, because the thread state owns a reference to what its profile function works
/// on: so the tree outlives a profiler that is dropped on another thread. Null once it was stopped.
struct TreeObject {
  PyObject_HEAD CallTree* tree;
  PyObject* outer;  ///< strong; the tree of a call around this one, which goes on growing, or null
};

CallTree*& tree_of(PyObject* object) {
  return reinterpret_cast<TreeObject*>(object)->tree;
}

PyObject*& outer_of(PyObject* object) {
  return reinterpret_cast<TreeObject*>(object)->outer;
}

void deallocate(PyObject* self) {
  delete std::exchange(tree_of(self), nullptr);
  Py_CLEAR(outer_of(self));
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

PyTypeObject* tree_type() {
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)}, {0, nullptr}};
  static PyType_Spec spec = {"headroom._native.CallTree", sizeof(TreeObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  static auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return type;
}

void add_event(CallTree& tree, PyFrameObject* frame, int what, PyObject* argument) {
  switch (what) {
    case PyTrace_CALL: {
      PyCodeObject* code = code_of(frame);
      tree.enter(code, model_of(frame, code));
      break;
    }
    case PyTrace_RETURN:
      tree.leave(code_of(frame));
      break;
    case PyTrace_C_CALL:
      if (PyCFunction_Check(argument)) tree.enter(reinterpret_cast<PyCFunctionObject*>(argument));
      break;
    case PyTrace_C_RETURN:
    case PyTrace_C_EXCEPTION:
      if (PyCFunction_Check(argument)) tree.leave(reinterpret_cast<PyCFunctionObject*>(argument)->m_ml);
      break;
    default:
      break;
  }
}

int on_event(PyObject* self, PyFrameObject* frame, int what, PyObject* argument);

/// Makes the innermost tree around `object` that still grows the one of this thread, if there is any.
void give_back(PyObject* object) {
  PyObject* outer = outer_of(object);
  while (outer != nullptr && tree_of(outer) == nullptr) outer = outer_of(outer);
  const Ref held = Ref::borrow(outer);  // the interpreter drops the old object before it takes the new one
  PyEval_SetProfile(outer == nullptr ? nullptr : on_event, outer);
}

/// The profile function. It can't fail, and runs no Python code.
int on_event(PyObject* self, PyFrameObject* frame, int what, PyObject* argument) {
  if (tree_of(self) == nullptr) {  // stopped on another thread: this one takes the function away
    give_back(self);
    return 0;
  }
  for (PyObject* each = self; each != nullptr; each = outer_of(each)) {
    if (CallTree* tree = tree_of(each)) add_event(*tree, frame, what, argument);
  }
  return 0;
}

/// Whether the thread is free for a profile function, but for one of ours; else who has it.
Result<void> check_free(const PyThreadState* thread) {
  if (thread->c_profilefunc == nullptr || thread->c_profilefunc == on_event) return {};
  const char* owner = thread->c_profileobj == nullptr ? "C code" : Py_TYPE(thread->c_profileobj)->tp_name;
  return fail(ErrorCode::kConflict,
              fmt::format("this thread has a profile function of its own ({}); it is left alone", owner));
}

PyObject* new_tree(std::uint32_t node_limit) {
  PyTypeObject* type = tree_type();
  PyObject* object = type == nullptr ? nullptr : type->tp_alloc(type, 0);
  if (object == nullptr) {
    PyErr_Clear();
    return nullptr;
  }
  try {
    tree_of(object) = new CallTree(node_limit);
  } catch (const std::bad_alloc&) {
    Py_CLEAR(object);
  }
  return object;
}

bool is_installed(const PyObject* tree) {
  const PyThreadState* thread = PyThreadState_Get();
  return thread->c_profilefunc == on_event && thread->c_profileobj == tree;
}

}  // namespace

Result<std::unique_ptr<ExactProfiler>> ExactProfiler::start(std::uint32_t node_limit) {
  if (!kKnowsFrames) return fail(ErrorCode::kUnsupported, std::string(kUnknownFrames));
  if (auto free = check_free(PyThreadState_Get()); !free) return fail(std::move(free).error());
  PyObject* tree = new_tree(node_limit);
  if (tree == nullptr) return fail(ErrorCode::kOverloaded, "no memory for a profile");
  const PyThreadState* thread = PyThreadState_Get();
  if (thread->c_profilefunc == on_event) outer_of(tree) = Py_NewRef(thread->c_profileobj);
  std::unique_ptr<ExactProfiler> profiler(new ExactProfiler(tree));
  profiler->watch_ = follow_greenlet(on_event, tree);
  PyEval_SetProfile(on_event, tree);
  if (!is_installed(tree)) return fail(ErrorCode::kDenied, "an audit hook forbids to set a profile function");
  return profiler;
}

ExactProfiler::~ExactProfiler() {
  static_cast<void>(stop());
  Py_DECREF(tree_);
}

perf::Profile ExactProfiler::stop() {
  const ErrorAside aside;
  if (is_installed(tree_)) give_back(tree_);
  forget_greenlet(std::exchange(watch_, nullptr), tree_);
  const std::unique_ptr<CallTree> tree(std::exchange(tree_of(tree_), nullptr));
  if (tree == nullptr) return perf::ProfileBuilder(perf::Profile::Kind::kExact).take();
  return tree->finish();
}

}  // namespace headroom::native
