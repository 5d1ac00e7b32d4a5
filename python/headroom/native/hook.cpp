// Functions of the application that only have to be timed, or noticed, are replaced by a Hook: a callable
// that binds like a function, costs no Python frame, and looks like what it stands for.

#include "hook.hpp"

#include <structmember.h>

#include <cstddef>
#include <cstring>

#include "call.hpp"
#include "process.hpp"
#include "python.hpp"

namespace headroom::native {

namespace {

enum class HookKind : std::uint8_t { kConnection, kCommit, kRollback };

struct HookObject {
  PyObject_HEAD PyObject* function;
  HookKind kind;
  vectorcallfunc vectorcall;
};

PyTypeObject* hook_type = nullptr;

void before(HookKind kind, std::int64_t now_ns) noexcept {
  const CurrentCall call;
  const OpenCall* const open = call.get();
  if (open == nullptr) return;
  if (kind == HookKind::kConnection) open->doing(perf::Activity::kConnection, now_ns);
  if (kind == HookKind::kCommit) open->doing(perf::Activity::kCommit, now_ns);
}

void after(HookKind kind, std::int64_t begin_ns) noexcept {
  const CurrentCall call;
  OpenCall* const open = call.get();
  if (open == nullptr) return;
  const auto now = base::monotonic_ns();
  open->doing(perf::Activity::kCode, now);
  const base::Nanoseconds time{now - begin_ns};
  if (kind == HookKind::kConnection) open->call.waited_for_connection(time);
  if (kind == HookKind::kCommit) open->call.committed(time);
}

/// The exception in whose handling the application rolls back is what ended the attempt.
void rolling_back() {
  const CurrentCall call;
  if (call.get() == nullptr) return;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_GetExcInfo(&type, &value, &traceback);
  const Ref type_reference(type);
  const Ref value_reference(value);
  const Ref traceback_reference(traceback);
  if (value == nullptr || value == Py_None) return;
  guarded([&] {
    std::string text = describe_error(value);
    if (OpenCall* const open = call.get()) open->call.attempt_failed(std::move(text), base::monotonic_ns());
  });
}

PyObject* hook_call(PyObject* object, PyObject* const* arguments, std::size_t number, PyObject* keywords) {
  auto* const self = reinterpret_cast<HookObject*>(object);
  if (recorder() == nullptr) return PyObject_Vectorcall(self->function, arguments, number, keywords);
  if (self->kind == HookKind::kRollback) {
    rolling_back();
    return PyObject_Vectorcall(self->function, arguments, number, keywords);
  }
  const auto begin = base::monotonic_ns();
  before(self->kind, begin);
  PyObject* const result = PyObject_Vectorcall(self->function, arguments, number, keywords);
  after(self->kind, begin);
  return result;
}

PyObject* hook_bind(PyObject* self, PyObject* instance, PyObject*) {
  if (instance == nullptr || instance == Py_None) return Py_NewRef(self);
  return PyMethod_New(self, instance);
}

PyObject* hook_attribute(PyObject* self, PyObject* name) {
  PyObject* const own = PyObject_GenericGetAttr(self, name);
  if (own != nullptr || PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return own;
  PyErr_Clear();
  return PyObject_GetAttr(reinterpret_cast<HookObject*>(self)->function, name);
}

void hook_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_CLEAR(reinterpret_cast<HookObject*>(self)->function);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef hook_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(HookObject, function), READONLY, nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(HookObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot hook_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(hook_dealloc)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_descr_get, reinterpret_cast<void*>(hook_bind)},
    {Py_tp_getattro, reinterpret_cast<void*>(hook_attribute)},
    {Py_tp_members, hook_members},
    {0, nullptr},
};

PyType_Spec hook_spec = {"headroom._native.Hook", sizeof(HookObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
                             Py_TPFLAGS_DISALLOW_INSTANTIATION,
                         hook_slots};

PyObject* hook(PyObject*, PyObject* const* arguments, Py_ssize_t number) {
  if (number != 2 || PyCallable_Check(arguments[0]) == 0)
    return PyErr_Format(PyExc_TypeError, "hook(function, kind)");
  const auto kind = text_of(arguments[1]);
  HookKind found{};
  if (kind == "connection") {
    found = HookKind::kConnection;
  } else if (kind == "commit") {
    found = HookKind::kCommit;
  } else if (kind == "rollback") {
    found = HookKind::kRollback;
  } else {
    return PyErr_Format(PyExc_ValueError, "hook: %R is none of connection, commit, rollback", arguments[1]);
  }
  auto* const self = PyObject_New(HookObject, hook_type);
  if (self == nullptr) return nullptr;
  self->function = Py_NewRef(arguments[0]);
  self->kind = found;
  self->vectorcall = hook_call;
  return reinterpret_cast<PyObject*>(self);
}

// CacheCounters: `self.hit += 1` of the application's cache is a read and a write here; the growth is
// counted.

struct CountersObject {
  PyObject_HEAD std::int64_t hit;
  std::int64_t miss;
};

template <std::int64_t CountersObject::*Member>
PyObject* get_counter(PyObject* self, void*) {
  return PyLong_FromLongLong(reinterpret_cast<CountersObject*>(self)->*Member);
}

template <std::int64_t CountersObject::*Member, void (perf::ActiveCall::*Count)(std::uint32_t)>
int set_counter(PyObject* self, PyObject* value, void*) {
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "a cache's counters can't be deleted");
    return -1;
  }
  const long long number = PyLong_AsLongLong(value);
  if (number == -1 && PyErr_Occurred() != nullptr) return -1;
  auto& counter = reinterpret_cast<CountersObject*>(self)->*Member;
  const long long growth = number - std::exchange(counter, number);
  if (growth <= 0 || recorder() == nullptr) return 0;
  const CurrentCall call;
  if (OpenCall* const open = call.get()) (open->call.*Count)(static_cast<std::uint32_t>(growth));
  return 0;
}

PyObject* cache_cleared(PyObject*, PyObject*) {
  const CurrentCall call;
  if (OpenCall* const open = call.get()) open->call.cache_cleared();
  Py_RETURN_NONE;
}

PyGetSetDef counter_attributes[] = {
    {"hit", get_counter<&CountersObject::hit>,
     set_counter<&CountersObject::hit, &perf::ActiveCall::cache_hit>, nullptr, nullptr},
    {"miss", get_counter<&CountersObject::miss>,
     set_counter<&CountersObject::miss, &perf::ActiveCall::cache_missed>, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef counter_methods[] = {
    {"cache_cleared", cache_cleared, METH_NOARGS, "Counts a clear in the current call."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot counter_slots[] = {
    {Py_tp_getset, counter_attributes},
    {Py_tp_methods, counter_methods},
    {Py_tp_doc, const_cast<char*>("Counts hits and misses of a cache, and those of the current call.")},
    {0, nullptr},
};

PyType_Spec counter_spec = {"headroom._native.CacheCounters", sizeof(CountersObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, counter_slots};

PyMethodDef functions[] = {
    {"hook", method(hook), METH_FASTCALL, "A function that tells the current call about a call of another."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_hooks(PyObject* module) {
  hook_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&hook_spec));
  const Ref counters(PyType_FromSpec(&counter_spec));
  return hook_type != nullptr && counters &&
         PyModule_AddObjectRef(module, "CacheCounters", counters.get()) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace headroom::native
