#include "call.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include <fmt/format.h>

#include "call_stack.hpp"
#include "process.hpp"
#include "python.hpp"

namespace headroom::native {

namespace {

using perf::CallKind;
using perf::CallStatus;

PyObject* current_variable = nullptr;
PyTypeObject* call_type = nullptr;

/// Exceptions by the status that they mean, in the order in which they are tried.
struct ErrorClasses {
  const char* key;
  CallStatus status;
  PyObject* classes;
};
std::array<ErrorClasses, 3> error_classes{{{"user_error", CallStatus::kUserError, nullptr},
                                           {"warning", CallStatus::kWarning, nullptr},
                                           {"concurrency", CallStatus::kConcurrency, nullptr}}};

OpenCall* open_of(PyObject* object) {
  auto* const open = reinterpret_cast<CallObject*>(object)->open;
  return open != nullptr && open->generation == fork_generation() ? open : nullptr;
}

/// 12 digits that are random for each process, 8 that count: unique over machines, in order within a process.
std::string next_id() {
  static std::uint64_t prefix = 0;
  static std::uint32_t owner = ~0U;
  static std::uint32_t counter = 0;
  if (owner != fork_generation()) {
    owner = fork_generation();
    std::random_device random;
    prefix = (std::uint64_t{random()} << 16 ^ random()) & 0xffffffffffffULL;
  }
  const auto number = ++counter;
  std::string id(20, '0');
  static constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < 12; ++i) id[i] = kDigits[prefix >> (44 - 4 * i) & 15];
  for (std::size_t i = 0; i < 8; ++i) id[12 + i] = kDigits[number >> (28 - 4 * i) & 15];
  return id;
}

std::uint64_t random_number() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return generator();
}

/// Under gevent many calls share a thread, so its CPU clock belongs to none of them.
std::optional<std::int64_t> cpu_clock() {
  if (recorder()->settings().coroutine) return std::nullopt;
  return base::thread_cpu_ns();
}

/// A descriptor of the process's memory that stays open. The one of a parent tells of the parent.
int memory_descriptor() {
  static int descriptor = -1;  // both guarded by the interpreter's lock
  static std::uint32_t owner = 0;
  if (descriptor >= 0 && owner == fork_generation()) return descriptor;
  if (descriptor >= 0) ::close(descriptor);
  owner = fork_generation();
  descriptor = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  return descriptor;
}

/// Resident memory of the process.
std::int64_t resident_bytes() {
  static const std::int64_t page = sysconf(_SC_PAGESIZE);
  std::array<char, 64> text{};
  const ssize_t size = pread(memory_descriptor(), text.data(), text.size(), 0);
  if (size <= 0) return -1;
  const char* const begin = text.data();
  const char* const end = begin + size;
  const char* const blank = std::find(begin, end, ' ');
  std::int64_t pages = 0;
  if (blank == end || std::from_chars(blank + 1, end, pages).ec != std::errc{}) return -1;
  return pages * page;
}

void remember_memory(OpenCall& open) {
  if (open.call.memory_wanted()) open.call.set_memory(resident_bytes());
}

void show(OpenCall& open) {
  if (open.slot != nullptr) perf::publish(*open.slot, open.call.summary(), pthread_self());
}

/// Starts a profiler that a rule wants; one that can't be started is told as an error of the recorder.
template <typename Profiler>
void start_profiler(std::unique_ptr<Profiler>& profiler, bool wanted) {
  if (!wanted || profiler) return;
  auto started = Profiler::start();
  if (started) {
    profiler = std::move(*started);
  } else {
    recorder()->error(started.error().message());
  }
}

void start_profilers(OpenCall& open) {
  const bool recording = open.call.recording();
  start_profiler(open.sampled, recording && open.call.decision().sample);
  start_profiler(open.exact, recording && open.call.decision().profile);
}

void stop_profilers(OpenCall& open) {
  if (open.exact) open.call.keep_profile(open.exact->stop());
  if (open.sampled) open.call.keep_profile(open.sampled->finish());
}

CallStatus status_of(PyObject* error) {
  for (const auto& one : error_classes) {
    if (one.classes == nullptr) continue;
    // Not PyErr_GivenExceptionMatches: an adapter may tell errors apart by __instancecheck__.
    const int matches = PyObject_IsInstance(error, one.classes);
    if (matches < 0) PyErr_Clear();
    if (matches > 0) return one.status;
  }
  return CallStatus::kException;
}

void make_current(PyObject* call) {
  Ref token(PyContextVar_Set(current_variable, call != nullptr ? call : Py_None));
  if (!token) PyErr_Clear();
}

/// Ends the record; the object stays as an empty shell.
void close_call(CallObject* self, int http_status) {
  OpenCall* const raw = std::exchange(self->open, nullptr);
  if (raw == nullptr) return;
  std::unique_ptr<OpenCall> open(raw);
  if (open->generation != fork_generation()) return;  // the parent's to record, not ours
  guarded([&] {
    auto* const own = recorder();
    open->call.set_bytes_in(static_cast<std::uint64_t>(std::max<std::int64_t>(self->bytes_in, 0)));
    open->call.set_bytes_out(static_cast<std::uint64_t>(std::max<std::int64_t>(self->bytes_out, 0)));
    perf::ActiveCall::End end;
    end.cpu_ns = cpu_clock();
    end.now_ns = base::monotonic_ns();
    end.http_status = http_status;
    if (open->call.recording()) end.memory = resident_bytes();
    const bool failed_login = open->call.summary().kind == CallKind::kLogin && !open->call.verified();
    end.keep_failed_login = failed_login && own->allow_failed_login(end.now_ns);
    end.database_exists = !end.keep_failed_login || own->knows_database(open->call.summary().database);
    stop_profilers(*open);
    auto finished = open->call.end(end);
    own->count(open->call.summary(), open->call.verified());
    if (finished) own->submit(std::move(*finished));
  });
}

/// Makes the parent current again, if this call still is.
void leave(PyObject* self) {
  PyObject* value = nullptr;
  if (PyContextVar_Get(current_variable, nullptr, &value) < 0) {
    PyErr_Clear();
    return;
  }
  const Ref current(value);
  if (current.get() == self) make_current(reinterpret_cast<CallObject*>(self)->parent);
}

PyObject* begin(PyObject*, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"kind", "method", "database", nullptr};
  const char* kind_name = nullptr;
  const char* method_name = "";
  const char* database = "";
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "s|ss:begin", const_cast<char**>(names), &kind_name,
                                  &method_name, &database) == 0) {
    return nullptr;
  }
  const auto kind = perf::call_kind(kind_name);
  if (!kind) return PyErr_Format(PyExc_ValueError, "begin: '%s' is no kind of call", kind_name);
  auto* const self = PyObject_New(CallObject, call_type);
  if (self == nullptr) return nullptr;
  self->open = nullptr;
  self->parent = nullptr;
  self->bytes_in = self->bytes_out = 0;
  auto* const own = recorder();
  if (own == nullptr) return reinterpret_cast<PyObject*>(self);
  guarded([&] {
    perf::ActiveCall::Begin start;
    start.kind = *kind;
    start.method = method_name;
    start.database = database;
    start.id = next_id();
    start.utc = base::utc_now();
    start.thread = pthread_self();
    start.dice = random_number();
    start.cpu_ns = cpu_clock();
    start.now_ns = base::monotonic_ns();
    perf::CallLimits limits;
    // Redaction and the escapes of JSON shorten a body, so more is kept than will be stored; but a call with
    // both of its bodies always fits into the buffer.
    const auto& settings = own->settings();
    limits.body = std::min(std::max(limits.body, 4 * settings.body_limit), settings.buffer_limit / 4);
    auto open = std::make_unique<OpenCall>(perf::ActiveCall(std::move(start), limits));
    open->generation = fork_generation();
    if (own->scoreboard() != nullptr) open->slot = own->scoreboard()->open();
    if (settings.coroutine && open->slot != nullptr) note_greenlet(own->scoreboard()->index_of(*open->slot));
    show(*open);
    const CurrentCall around;
    if (OpenCall* const parent = around.get()) {
      open->call.run_inside(parent->call);
      self->parent = Py_NewRef(around.object());
    }
    self->open = open.release();
    make_current(reinterpret_cast<PyObject*>(self));
  });
  return reinterpret_cast<PyObject*>(self);
}

PyObject* current(PyObject*, PyObject*) {
  const CurrentCall call;
  return Py_NewRef(call.get() != nullptr ? call.object() : Py_None);
}

PyObject* set_error_classes(PyObject*, PyObject* classes) {
  if (PyDict_Check(classes) == 0) return PyErr_Format(PyExc_TypeError, "set_error_classes: give a dict");
  for (auto& one : error_classes) {
    PyObject* const value = PyDict_GetItemString(classes, one.key);
    if (value != nullptr && PyTuple_Check(value) == 0) {
      return PyErr_Format(PyExc_TypeError, "set_error_classes: '%s' is no tuple of classes", one.key);
    }
    Py_XSETREF(one.classes, Py_XNewRef(value));
  }
  Py_RETURN_NONE;
}

void dealloc(PyObject* object) {
  auto* const self = reinterpret_cast<CallObject*>(object);
  PyTypeObject* const type = Py_TYPE(object);
  {
    const ErrorAside aside;
    close_call(self, 0);
    Py_CLEAR(self->parent);
  }
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* call_close(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"http_status", nullptr};
  int http_status = 0;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "|i:close", const_cast<char**>(names), &http_status) ==
      0) {
    return nullptr;
  }
  auto* const call = reinterpret_cast<CallObject*>(self);
  if (call->open != nullptr) leave(self);
  close_call(call, http_status);
  Py_RETURN_NONE;
}

PyObject* call_describe(PyObject* self, PyObject* const* arguments, Py_ssize_t number) {
  if (number != 3) return PyErr_Format(PyExc_TypeError, "describe(kind, method, database)");
  const auto kind = perf::call_kind(text_of(arguments[0]));
  if (!kind) return PyErr_Format(PyExc_ValueError, "describe: %R is no kind of call", arguments[0]);
  guarded([&] {
    if (OpenCall* const open = open_of(self)) {
      open->call.describe(*kind, text_of(arguments[1]), text_of(arguments[2]));
      show(*open);
    }
  });
  Py_RETURN_NONE;
}

/// Nothing for what is no number, or one that no user has.
std::optional<std::int64_t> number_of(PyObject* object) {
  if (PyLong_Check(object) == 0) return std::nullopt;
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  PyErr_Clear();
  return overflow == 0 ? std::optional<std::int64_t>(number) : std::nullopt;
}

PyObject* call_claim(PyObject* self, PyObject* const* arguments, Py_ssize_t number) {
  if (number != 3) return PyErr_Format(PyExc_TypeError, "claim(user_id, login, session)");
  const auto user_id = number_of(arguments[0]);
  guarded([&] {
    if (OpenCall* const open = open_of(self)) {
      const auto rules = recorder()->rules();
      open->call.claim(*rules, user_id, text_of(arguments[1]), text_of(arguments[2]), base::utc_now());
      remember_memory(*open);
    }
  });
  Py_RETURN_NONE;
}

PyObject* call_verify(PyObject* self, PyObject* const* arguments, Py_ssize_t number) {
  if (number != 2 || (PyLong_Check(arguments[0]) == 0 && arguments[0] != Py_None)) {
    return PyErr_Format(PyExc_TypeError, "verify(user_id: int or None, login)");
  }
  const auto user_id = number_of(arguments[0]);
  guarded([&] {
    if (OpenCall* const open = open_of(self)) {
      const auto rules = recorder()->rules();
      open->call.verify(*rules, user_id, text_of(arguments[1]), base::utc_now());
      remember_memory(*open);
      show(*open);
      start_profilers(*open);
    }
  });
  Py_RETURN_NONE;
}

PyObject* call_login_needed(PyObject* self, PyObject*) {
  bool needed = false;
  guarded([&] {
    if (open_of(self) == nullptr) return;
    for (const auto& rule : *recorder()->rules()) {
      for (const auto& user : rule.users) needed = needed || !user.id;
    }
    needed = needed || open_of(self)->call.recording();
  });
  return PyBool_FromLong(needed ? 1 : 0);
}

PyObject* call_attempt(PyObject* self, PyObject*) {
  guarded([&] {
    if (OpenCall* const open = open_of(self)) open->call.attempt(base::monotonic_ns());
  });
  Py_RETURN_NONE;
}

PyObject* call_fail(PyObject* self, PyObject* error) {
  guarded([&] {
    if (open_of(self) == nullptr) return;
    const CallStatus status = status_of(error);
    std::string text = describe_error(error);
    if (OpenCall* const open = open_of(self)) open->call.failed(status, std::move(text));
  });
  Py_RETURN_NONE;
}

template <void (perf::ActiveCall::*Keep)(std::string_view)>
PyObject* call_with_text(PyObject* self, PyObject* text) {
  guarded([&] {
    if (OpenCall* const open = open_of(self)) (open->call.*Keep)(text_of(text));
  });
  Py_RETURN_NONE;
}

template <void (perf::ActiveCall::*Keep)(std::string_view, std::uint64_t)>
PyObject* call_with_body(PyObject* self, PyObject* const* arguments, Py_ssize_t number) {
  const bool fits = number == 1 || (number == 2 && PyLong_Check(arguments[1]) != 0);
  if (!fits) return PyErr_Format(PyExc_TypeError, "give a body, and its size if it is only the beginning");
  const long long size = number == 2 ? PyLong_AsLongLong(arguments[1]) : 0;
  PyErr_Clear();
  guarded([&] {
    if (OpenCall* const open = open_of(self)) {
      (open->call.*Keep)(text_of(arguments[0]), static_cast<std::uint64_t>(std::max(size, 0LL)));
    }
  });
  Py_RETURN_NONE;
}

PyObject* call_enter(PyObject* self, PyObject*) {
  return Py_NewRef(self);
}

PyObject* call_exit(PyObject* self, PyObject* const* arguments, Py_ssize_t number) {
  if (number == 3 && arguments[1] != Py_None) Ref(call_fail(self, arguments[1]));
  if (reinterpret_cast<CallObject*>(self)->open != nullptr) leave(self);
  close_call(reinterpret_cast<CallObject*>(self), 0);
  Py_RETURN_NONE;
}

PyObject* get_recording(PyObject* self, void*) {
  const OpenCall* const open = open_of(self);
  return PyBool_FromLong(open != nullptr && open->call.recording() ? 1 : 0);
}

PyObject* get_wants_io(PyObject* self, void*) {
  const OpenCall* const open = open_of(self);
  return PyBool_FromLong(open != nullptr && open->call.recording() && open->call.decision().io ? 1 : 0);
}

PyObject* get_id(PyObject* self, void*) {
  const OpenCall* const open = open_of(self);
  return to_str(open != nullptr ? std::string_view(open->call.summary().id) : std::string_view());
}

PyObject* get_nothing(PyObject*, void*) {
  return PyUnicode_FromString("");
}

int set_address(PyObject* self, PyObject* value, void*) {
  guarded([&] {
    if (OpenCall* const open = open_of(self)) open->call.set_address(text_of(value).substr(0, 64));
  });
  return 0;
}

template <std::int64_t CallObject::*Member>
PyObject* get_bytes(PyObject* self, void*) {
  return PyLong_FromLongLong(reinterpret_cast<CallObject*>(self)->*Member);
}

template <std::int64_t CallObject::*Member>
int set_bytes(PyObject* self, PyObject* value, void*) {
  const long long number = value != nullptr && PyLong_Check(value) ? PyLong_AsLongLong(value) : 0;
  PyErr_Clear();
  reinterpret_cast<CallObject*>(self)->*Member = number;
  return 0;
}

PyMethodDef call_methods[] = {
    {"describe", method(call_describe), METH_FASTCALL, "Names the call once that is known."},
    {"claim", method(call_claim), METH_FASTCALL, "Who the request says it is, unchecked."},
    {"verify", method(call_verify), METH_FASTCALL, "The server authenticated the caller."},
    {"login_needed", call_login_needed, METH_NOARGS, "Whether verify needs a login."},
    {"attempt", call_attempt, METH_NOARGS, "A new run of the transaction begins."},
    {"fail", call_fail, METH_O, "The error that the caller will get."},
    {"request_body", method(call_with_body<&perf::ActiveCall::keep_request>), METH_FASTCALL,
     "Keeps the body of the request."},
    {"response_body", method(call_with_body<&perf::ActiveCall::keep_response>), METH_FASTCALL,
     "Keeps the body of the response."},
    {"session_started", call_with_text<&perf::ActiveCall::session_started>, METH_O,
     "The token that a login gave."},
    {"close", method(call_close), METH_VARARGS | METH_KEYWORDS, "Ends the call."},
    {"__enter__", call_enter, METH_NOARGS, nullptr},
    {"__exit__", method(call_exit), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef call_attributes[] = {
    {"recording", get_recording, nullptr, nullptr, nullptr},
    {"wants_io", get_wants_io, nullptr, nullptr, nullptr},
    {"id", get_id, nullptr, nullptr, nullptr},
    {"address", get_nothing, set_address, nullptr, nullptr},
    {"bytes_in", get_bytes<&CallObject::bytes_in>, set_bytes<&CallObject::bytes_in>, nullptr, nullptr},
    {"bytes_out", get_bytes<&CallObject::bytes_out>, set_bytes<&CallObject::bytes_out>, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot call_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, call_methods},
    {Py_tp_getset, call_attributes},
    {Py_tp_doc, const_cast<char*>("One call in progress.")},
    {0, nullptr},
};

PyType_Spec call_spec = {"headroom._native.Call", sizeof(CallObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, call_slots};

PyMethodDef functions[] = {
    {"begin", method(begin), METH_VARARGS | METH_KEYWORDS, "Opens a call and makes it the current one."},
    {"current", current, METH_NOARGS, "The innermost open call of this thread or greenlet."},
    {"set_error_classes", set_error_classes, METH_O, "Which exceptions mean which status."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

OpenCall::~OpenCall() {
  if (slot != nullptr && generation == fork_generation()) recorder()->scoreboard()->close(slot);
}

CurrentCall::CurrentCall() {
  PyObject* value = nullptr;
  if (PyContextVar_Get(current_variable, nullptr, &value) < 0) {
    PyErr_Clear();
    return;
  }
  if (Py_TYPE(value) == call_type) {
    object_ = value;
  } else {
    Py_DECREF(value);
  }
}

OpenCall* CurrentCall::get() const {
  return object_ != nullptr ? open_of(object_) : nullptr;
}

std::string describe_error(PyObject* error) {
  constexpr std::size_t kLongest = 4096;
  const ErrorAside aside;
  const std::string_view type = Py_TYPE(error)->tp_name;
  const Ref module(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(error)), "__module__"));
  PyErr_Clear();
  const std::string_view module_name = text_of(module.get());
  const bool qualified = type.find('.') != std::string_view::npos || module_name == "builtins";
  std::string text =
      qualified || module_name.empty() ? std::string(type) : fmt::format("{}.{}", module_name, type);
  const Ref message(PyObject_Str(error));
  PyErr_Clear();
  if (const auto detail = text_of(message.get()); !detail.empty())
    text.append(": ").append(detail.substr(0, kLongest));
  return text;
}

bool add_call_type(PyObject* module) {
  current_variable = PyContextVar_New("headroom.call", Py_None);
  if (current_variable == nullptr) return false;
  call_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&call_spec));
  if (call_type == nullptr) return false;
  return PyModule_AddObjectRef(module, "Call", reinterpret_cast<PyObject*>(call_type)) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace headroom::native
