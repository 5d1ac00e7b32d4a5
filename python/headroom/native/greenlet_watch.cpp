#include "greenlet_watch.hpp"

#include <algorithm>
#include <new>
#include <vector>

namespace headroom::native {

namespace {

struct Followed {
  PyObject* greenlet;  ///< strong
  PyObject* object;    ///< strong
};

/// One per thread, installed as its greenlet trace function.
struct WatchObject {
  PyObject_HEAD PyObject* previous;  ///< strong; the trace function that was there before, or null
  Py_tracefunc function;
  std::vector<Followed>* followed;
};

/// The one that was followed last: its profile stands within the others.
PyObject* followed_object(const WatchObject& watch, const PyObject* greenlet) {
  for (auto each = watch.followed->rbegin(); each != watch.followed->rend(); ++each) {
    if (each->greenlet == greenlet) return each->object;
  }
  return nullptr;
}

void select_profile(const WatchObject& watch, const PyObject* greenlet) {
  const PyThreadState* thread = PyThreadState_Get();
  const bool is_ours = thread->c_profilefunc == watch.function;
  if (thread->c_profilefunc != nullptr && !is_ours) return;
  PyObject* wanted = followed_object(watch, greenlet);
  if (wanted == (is_ours ? thread->c_profileobj : nullptr)) return;
  PyEval_SetProfile(wanted == nullptr ? nullptr : watch.function, wanted);
}

/// trace(event, (origin, target)): the switch has happened, `target` runs.
PyObject* on_switch(PyObject* self, PyObject* arguments, PyObject* keywords) {
  const auto& watch = *reinterpret_cast<WatchObject*>(self);
  PyObject* greenlets = PyTuple_Size(arguments) == 2 ? PyTuple_GET_ITEM(arguments, 1) : nullptr;
  if (greenlets != nullptr && PyTuple_Check(greenlets) && PyTuple_GET_SIZE(greenlets) == 2) {
    select_profile(watch, PyTuple_GET_ITEM(greenlets, 1));
  }
  if (watch.previous != nullptr) return PyObject_Call(watch.previous, arguments, keywords);
  Py_RETURN_NONE;
}

void deallocate(PyObject* self) {
  auto* watch = reinterpret_cast<WatchObject*>(self);
  for (const Followed& each : *watch->followed) {
    Py_DECREF(each.greenlet);
    Py_DECREF(each.object);
  }
  delete watch->followed;
  Py_XDECREF(watch->previous);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

PyTypeObject* watch_type() {
  static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(&on_switch)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)},
                                {0, nullptr}};
  static PyType_Spec spec = {"headroom._native.GreenletWatch", sizeof(WatchObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  static auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return type;
}

/// The greenlet module if the process has loaded it: new reference or null, no error.
PyObject* greenlet_module() {
  PyObject* name = PyUnicode_FromString("greenlet");
  PyObject* module = name == nullptr ? nullptr : PyImport_GetModule(name);
  Py_XDECREF(name);
  if (module == nullptr) PyErr_Clear();
  return module;
}

WatchObject* new_watch(PyObject* previous, Py_tracefunc function) {
  PyTypeObject* type = watch_type();
  auto* watch = type == nullptr ? nullptr : reinterpret_cast<WatchObject*>(type->tp_alloc(type, 0));
  if (watch == nullptr) return nullptr;
  watch->followed = new (std::nothrow) std::vector<Followed>();
  watch->function = function;
  watch->previous = previous == Py_None ? nullptr : previous;
  Py_XINCREF(watch->previous);
  return watch;
}

/// The watch of this thread, installed when it is not there: new reference or null with a Python error.
WatchObject* watch_of_thread(PyObject* module, Py_tracefunc function) {
  PyObject* trace = PyObject_CallMethod(module, "gettrace", nullptr);
  if (trace == nullptr) return nullptr;
  if (Py_IS_TYPE(trace, watch_type())) return reinterpret_cast<WatchObject*>(trace);
  WatchObject* watch = new_watch(trace, function);
  Py_DECREF(trace);
  if (watch == nullptr) return nullptr;
  PyObject* old = PyObject_CallMethod(module, "settrace", "O", watch);
  if (old == nullptr) {
    Py_DECREF(reinterpret_cast<PyObject*>(watch));
    return nullptr;
  }
  Py_DECREF(old);
  return watch;
}

/// Puts the trace function back that was there before, if ours is the one of this thread.
void uninstall(PyObject* module, WatchObject* watch) {
  PyObject* trace = PyObject_CallMethod(module, "gettrace", nullptr);
  if (trace == reinterpret_cast<PyObject*>(watch)) {
    PyObject* previous = watch->previous == nullptr ? Py_None : watch->previous;
    Py_XDECREF(PyObject_CallMethod(module, "settrace", "O", previous));
  }
  Py_XDECREF(trace);
}

}  // namespace

PyObject* follow_greenlet(Py_tracefunc function, PyObject* object) {
  PyObject* module = greenlet_module();
  if (module == nullptr) return nullptr;
  PyObject* greenlet = PyObject_CallMethod(module, "getcurrent", nullptr);
  WatchObject* watch = greenlet == nullptr ? nullptr : watch_of_thread(module, function);
  Py_DECREF(module);
  if (watch == nullptr) {
    Py_XDECREF(greenlet);
    PyErr_Clear();
    return nullptr;
  }
  Py_INCREF(object);
  watch->followed->push_back({greenlet, object});
  return reinterpret_cast<PyObject*>(watch);
}

void forget_greenlet(PyObject* watch, PyObject* object) {
  if (watch == nullptr) return;
  auto* self = reinterpret_cast<WatchObject*>(watch);
  auto& followed = *self->followed;
  const auto found = std::find_if(followed.begin(), followed.end(),
                                  [&](const Followed& each) { return each.object == object; });
  if (found != followed.end()) {
    const Followed gone = *found;
    followed.erase(found);
    Py_DECREF(gone.greenlet);
    Py_DECREF(gone.object);
  }
  if (followed.empty()) {
    if (PyObject* module = greenlet_module()) {
      uninstall(module, self);
      Py_DECREF(module);
    }
    PyErr_Clear();
  }
  Py_DECREF(watch);
}

}  // namespace headroom::native
