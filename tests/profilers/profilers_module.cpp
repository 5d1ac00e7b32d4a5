// The two profilers as a Python module of their own, for tests and benchmarks:
//   Exact([node_limit]), Sampling([period_ns]) start in the constructor; .stop() gives a dict
//   set_empty() and set_none() set a profile function that does nothing, the floor of what an exact profile
//   costs stack() is the own stack by checked reads, from this thread; pack(dict) is the packed size

#include <Python.h>

#include <memory>
#include <string>
#include <vector>

#include "exact_profiler.hpp"
#include "perf/profile_text.hpp"
#include "sampling_profiler.hpp"

namespace {

using headroom::native::ExactProfiler;
using headroom::native::SamplingProfiler;
using headroom::perf::Profile;

PyObject* list_of_frames(const Profile& profile) {
  PyObject* list = PyList_New(0);
  for (const auto& frame : profile.frames) {
    PyObject* item = Py_BuildValue("(ssI)", frame.function.c_str(), frame.file.c_str(), frame.line);
    PyList_Append(list, item);
    Py_DECREF(item);
  }
  return list;
}

PyObject* list_of_nodes(const Profile& profile) {
  PyObject* list = PyList_New(0);
  for (const auto& node : profile.nodes) {
    PyObject* item =
        Py_BuildValue("(IIKLL)", node.parent, node.frame, static_cast<unsigned long long>(node.calls),
                      static_cast<long long>(node.wall.count()), static_cast<long long>(node.cpu.count()));
    PyList_Append(list, item);
    Py_DECREF(item);
  }
  return list;
}

PyObject* dictionary(const Profile& profile) {
  return Py_BuildValue("{sNsNsKsKsKsnssss}", "frames", list_of_frames(profile), "nodes",
                       list_of_nodes(profile), "samples", static_cast<unsigned long long>(profile.samples),
                       "missed", static_cast<unsigned long long>(profile.missed), "dropped",
                       static_cast<unsigned long long>(profile.dropped_nodes), "packed",
                       static_cast<Py_ssize_t>(headroom::perf::pack_profile(profile).size()), "text",
                       headroom::perf::pstats_text(profile).c_str(), "collapsed",
                       headroom::perf::collapsed(profile).c_str());
}

struct Object {
  PyObject_HEAD ExactProfiler* exact;
  SamplingProfiler* sampling;
};

Object& object_of(PyObject* self) {
  return *reinterpret_cast<Object*>(self);
}

PyObject* raise(const headroom::base::Error& error) {
  PyErr_SetString(PyExc_RuntimeError, (std::string(name(error.code())) + ": " + error.message()).c_str());
  return nullptr;
}

PyObject* new_exact(PyTypeObject* type, PyObject* arguments, PyObject*) {
  unsigned limit = headroom::perf::ProfileBuilder::kNodeLimit;
  if (PyArg_ParseTuple(arguments, "|I", &limit) == 0) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  auto started = ExactProfiler::start(limit);
  if (!started) {
    Py_DECREF(self);
    return raise(started.error());
  }
  object_of(self).exact = started->release();
  return self;
}

PyObject* new_sampling(PyTypeObject* type, PyObject* arguments, PyObject*) {
  long long period = SamplingProfiler::kPeriod.count();
  if (PyArg_ParseTuple(arguments, "|L", &period) == 0) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  auto started = SamplingProfiler::start(headroom::base::Nanoseconds(period));
  if (!started) {
    Py_DECREF(self);
    return raise(started.error());
  }
  object_of(self).sampling = started->release();
  return self;
}

PyObject* stop(PyObject* self, PyObject*) {
  Object& object = object_of(self);
  return dictionary(object.exact != nullptr ? object.exact->stop() : object.sampling->finish());
}

PyObject* discard(PyObject* self, PyObject*) {
  Object& object = object_of(self);
  if (object.exact != nullptr) static_cast<void>(object.exact->stop());
  if (object.sampling != nullptr) static_cast<void>(object.sampling->finish());
  Py_RETURN_NONE;
}

void deallocate(PyObject* self) {
  delete object_of(self).exact;
  delete object_of(self).sampling;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

int nothing(PyObject*, PyFrameObject*, int, PyObject*) {
  return 0;
}

PyObject* set_empty(PyObject*, PyObject*) {
  PyEval_SetProfile(&nothing, Py_None);
  Py_RETURN_NONE;
}

PyObject* set_none(PyObject*, PyObject*) {
  PyEval_SetProfile(nullptr, nullptr);
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {{"stop", &stop, METH_NOARGS, "ends the profile: a dict"},
                         {"discard", &discard, METH_NOARGS, "ends the profile"},
                         {nullptr, nullptr, 0, nullptr}};
PyMethodDef functions[] = {
    {"set_empty", &set_empty, METH_NOARGS, "sets a profile function that does nothing"},
    {"set_none", &set_none, METH_NOARGS, "removes the profile function"},
    {nullptr, nullptr, 0, nullptr}};

int add_type(PyObject* module, const char* name, newfunc create) {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(create)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec = {name, sizeof(Object), 0, Py_TPFLAGS_DEFAULT, slots};
  PyObject* type = PyType_FromSpec(&spec);
  return type == nullptr ? -1 : PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type));
}

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "headroom_profilers", nullptr, -1, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_headroom_profilers();
PyMODINIT_FUNC PyInit_headroom_profilers() {
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  if (add_type(module, "headroom_profilers.Exact", &new_exact) != 0) return nullptr;
  if (add_type(module, "headroom_profilers.Sampling", &new_sampling) != 0) return nullptr;
  return module;
}
