// Cursors that record. `cursor_class(base)` makes a Python class over the application's cursor class whose
// methods are C functions: they read the clock, call the base's method, and tell the current call. A
// statement stays open on its cursor until the next one, because fetching is part of it (SQLite does its work
// there). A cursor that is its own iterator fetches in `__next__`; psycopg 3's is none, there `__iter__` is a
// generator, whose steps are timed from outside.
//
// Cost: a statement of a call that is not recorded costs two clock readings and some additions; a recorded
// one also a look-up of its text. Nothing is parsed, copied or formatted here, but for statements that a rule
// asks for.

#include "cursor.hpp"

#include <structmember.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "backtrace.hpp"
#include "call.hpp"
#include "parameters.hpp"
#include "process.hpp"
#include "python.hpp"

namespace headroom::native {

namespace {

enum class Dialect : std::uint8_t { kPostgresql, kSqlite };

enum Method : std::size_t {
  kExecute,
  kExecuteMany,
  kCallProc,
  kCopyFrom,
  kCopyTo,
  kCopyExpert,
  kCopy,
  kFetchOne,
  kFetchMany,
  kFetchAll,
  kNext,
  kIter,
  kMethods,
};
constexpr std::array<const char*, kMethods> kNames{"execute",   "executemany", "callproc", "copy_from",
                                                   "copy_to",   "copy_expert", "copy",     "fetchone",
                                                   "fetchmany", "fetchall",    "__next__", "__iter__"};

/// What is known of one class made by cursor_class. Never freed: classes live as long as the process.
struct CursorClass {
  PyTypeObject* type = nullptr;
  PyTypeObject* base = nullptr;
  Dialect dialect = Dialect::kPostgresql;
  Py_ssize_t state_offset = 0;
  std::array<PyObject*, kMethods> methods{};  ///< the base's, unbound; null where it has none
};

std::vector<std::unique_ptr<CursorClass>>& classes() {
  static auto& all = *new std::vector<std::unique_ptr<CursorClass>>;  // guarded by the interpreter's lock
  return all;
}

CursorClass& class_of(PyTypeObject* defining) {
  for (auto& one : classes()) {
    if (one->type == defining) return *one;
  }
  return *classes().front();  // can't be: methods are only made for the classes in the list
}

/// The statement that a cursor ran last, and the call that it belongs to.
struct StateObject {
  PyObject_HEAD PyObject* call;
  PyObject* parameters;  ///< kept while a fetch may still make the statement a slow one; else null
  perf::StatementRun run;
  bool count_rows;  ///< the driver did not tell the number, so fetched rows are counted
};

PyTypeObject* state_type = nullptr;
PyObject* name_rowcount = nullptr;
PyObject* name_query = nullptr;
PyObject* name_connection = nullptr;
PyObject* name_in_transaction = nullptr;
PyObject* name_isolation_level = nullptr;
PyObject* name_execute = nullptr;
PyObject* name_get_backend_pid = nullptr;

StateObject* state_of(const CursorClass& cls, PyObject* cursor) {
  PyObject** const place = reinterpret_cast<PyObject**>(reinterpret_cast<char*>(cursor) + cls.state_offset);
  if (*place == nullptr) {
    auto* const fresh = PyObject_New(StateObject, state_type);
    if (fresh == nullptr) {
      PyErr_Clear();
      return nullptr;
    }
    fresh->call = fresh->parameters = nullptr;
    fresh->run = {};
    fresh->count_rows = false;
    *place = reinterpret_cast<PyObject*>(fresh);
  }
  return Py_TYPE(*place) == state_type ? reinterpret_cast<StateObject*>(*place) : nullptr;
}

void state_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_CLEAR(reinterpret_cast<StateObject*>(self)->call);
  Py_CLEAR(reinterpret_cast<StateObject*>(self)->parameters);
  type->tp_free(self);
  Py_DECREF(type);
}

/// The arguments of a fast call, as they came.
struct Arguments {
  PyObject* const* values;
  Py_ssize_t number;  ///< positional ones
  PyObject* keywords;

  [[nodiscard]] PyObject* at(Py_ssize_t index) const { return index < number ? values[index] : nullptr; }
  /// Positional, or else by any of the names.
  [[nodiscard]] PyObject* get(Py_ssize_t index, std::initializer_list<std::string_view> names) const {
    if (PyObject* const positional = at(index)) return positional;
    if (keywords == nullptr) return nullptr;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keywords); ++i) {
      if (std::ranges::find(names, text_of(PyTuple_GET_ITEM(keywords, i))) != names.end())
        return values[number + i];
    }
    return nullptr;
  }
};

/// Calls the base's method with the cursor put in front of the arguments.
PyObject* call_base(PyObject* function, PyObject* cursor, const Arguments& arguments) {
  const auto all = static_cast<std::size_t>(
      arguments.number + (arguments.keywords != nullptr ? PyTuple_GET_SIZE(arguments.keywords) : 0));
  std::array<PyObject*, 8> few{};
  std::vector<PyObject*> many;
  PyObject** values = few.data();
  if (all + 1 > few.size()) {
    many.resize(all + 1);
    values = many.data();
  }
  values[0] = cursor;
  std::copy_n(arguments.values, all, values + 1);
  return PyObject_Vectorcall(function, values, static_cast<std::size_t>(arguments.number) + 1,
                             arguments.keywords);
}

/// The text of a statement; `holder` keeps it alive. psycopg's Composed and SQL objects are asked for theirs.
std::string_view statement_text(PyObject* statement, PyObject* cursor, Ref& holder) {
  if (statement == nullptr) return {};
  if (PyUnicode_Check(statement) || PyBytes_Check(statement)) return text_of(statement);
  holder = Ref(PyObject_CallMethod(statement, "as_string", "O", cursor));
  PyErr_Clear();
  return text_of(holder.get());
}

/// What stands for the text where the method takes none.
std::string made_up_text(Method method, const Arguments& arguments) {
  const auto table = text_of(arguments.get(1, {"table"}));
  switch (method) {
    case kCallProc:
      return fmt::format("SELECT * FROM {}()", text_of(arguments.at(0)));
    case kCopyFrom:
      return fmt::format("COPY \"{}\" FROM STDIN", table);
    case kCopyTo:
      return fmt::format("COPY \"{}\" TO STDOUT", table);
    default:
      return {};
  }
}

std::int64_t rows_of(PyObject* cursor) {
  const Ref count(PyObject_GetAttr(cursor, name_rowcount));
  const long long rows = count && PyLong_Check(count.get()) ? PyLong_AsLongLong(count.get()) : -1;
  PyErr_Clear();
  return rows;
}

/// The text that the driver sent last, where it tells (psycopg2's `query`).
std::string sent_text(PyObject* cursor) {
  constexpr std::size_t kLongest = 64U << 10;
  const Ref query(PyObject_GetAttr(cursor, name_query));
  PyErr_Clear();
  return query ? std::string(text_of(query.get()).substr(0, kLongest)) : std::string();
}

/// sqlite3 opens a transaction by itself before these, and waits there for the write lock.
bool begins_transaction(std::string_view text) {
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return false;
  static constexpr std::array<std::string_view, 4> kWords{"INSERT", "UPDATE", "DELETE", "REPLACE"};
  return std::ranges::any_of(kWords, [&](std::string_view word) {
    const auto head = text.substr(start, word.size());
    return std::ranges::equal(head, word, [](char a, char b) { return (a & ~0x20) == b; });
  });
}

/// Whether sqlite3 would get as far as opening a transaction: it prepares the statement first, which changes
/// nothing. What it refuses, the cursor's own method is to refuse.
bool can_be_prepared(PyObject* connection, PyObject* statement) {
  if (PyCallable_Check(connection) == 0) return true;
  const Ref prepared(PyObject_CallOneArg(connection, statement));
  PyErr_Clear();
  return static_cast<bool>(prepared);
}

/// Does what sqlite3 would do next, so that the wait can be told from the statement. Returns false when it
/// failed, with the same error that the statement would have raised. The cursor itself stays as it is.
bool begin_sqlite(PyObject* cursor, PyObject* statement) {
  const Ref connection(PyObject_GetAttr(cursor, name_connection));
  const Ref open(connection ? PyObject_GetAttr(connection.get(), name_in_transaction) : nullptr);
  const Ref level(open.get() == Py_False ? PyObject_GetAttr(connection.get(), name_isolation_level)
                                         : nullptr);
  PyErr_Clear();
  if (!level || PyUnicode_Check(level.get()) == 0 || !can_be_prepared(connection.get(), statement))
    return true;
  const Ref begin(PyUnicode_FromFormat("BEGIN %U", level.get()));
  const auto before = base::monotonic_ns();
  {
    const CurrentCall call;
    if (const OpenCall* const own = call.get()) own->doing(perf::Activity::kLock, before);
  }
  const Ref done(begin ? PyObject_CallMethodOneArg(connection.get(), name_execute, begin.get()) : nullptr);
  const CurrentCall call;
  const auto after = base::monotonic_ns();
  if (OpenCall* const own = call.get()) {
    own->doing(perf::Activity::kCode, after);
    own->call.waited_for_lock(base::Nanoseconds{after - before});
  }
  return static_cast<bool>(done);
}

/// The server's process for a connection, as libpq has known it since it connected; 0 when the driver does
/// not tell. psycopg2 has a method, psycopg 3 only `info`.
std::int32_t ask_backend(PyObject* connection) {
  Ref answer(PyObject_CallMethodNoArgs(connection, name_get_backend_pid));
  if (!answer && PyErr_ExceptionMatches(PyExc_AttributeError) != 0) {
    PyErr_Clear();
    const Ref info(PyObject_GetAttrString(connection, "info"));
    if (info) answer = Ref(PyObject_GetAttrString(info.get(), "backend_pid"));
  }
  const long process = answer && PyLong_Check(answer.get()) ? PyLong_AsLong(answer.get()) : 0;
  PyErr_Clear();
  return process > 0 && process <= std::numeric_limits<std::int32_t>::max()
             ? static_cast<std::int32_t>(process)
             : 0;
}

/// Who a statement of the cursor is sent to. A connection is asked once in a call, and not kept alive.
std::int32_t backend_of(const CurrentCall& call, PyObject* cursor) {
  const Ref connection(PyObject_GetAttr(cursor, name_connection));
  OpenCall* open = call.get();
  if (!connection || open == nullptr) {
    PyErr_Clear();
    return 0;
  }
  if (open->connection && PyWeakref_GET_OBJECT(open->connection.get()) == connection.get())
    return open->backend;
  const std::int32_t backend = ask_backend(connection.get());
  Ref weak(PyWeakref_NewRef(connection.get(), nullptr));
  PyErr_Clear();
  open = call.get();  // the driver may have run any code
  if (open == nullptr) return 0;
  open->connection = std::move(weak);
  open->backend = backend;
  return backend;
}

/// Shows on the scoreboard that a statement is sent, and by which connection.
void show_statement(const CurrentCall& call, const CursorClass& cls, PyObject* cursor, std::string_view text,
                    std::int64_t now_ns) {
  const OpenCall* own = call.get();
  if (own == nullptr || own->slot == nullptr) return;
  const std::int32_t backend = cls.dialect == Dialect::kPostgresql ? backend_of(call, cursor) : 0;
  own = call.get();
  if (own != nullptr) perf::publish_statement(*own->slot, text, now_ns, backend);
}

/// Hands in what the call wants to keep of a statement, beyond its times.
void keep(OpenCall& open, StateObject& state, const perf::Wanted& wanted, PyObject* cursor,
          std::string_view text, PyObject* parameters) {
  if (wanted.backtrace) open.call.keep_backtrace(state.run, capture_backtrace());
  if (wanted.parameters) open.call.keep_parameters(state.run, render_parameters(text, parameters));
  if (!wanted.slow) return;
  std::string bound = sent_text(cursor);
  std::vector<std::string> literals;
  if (bound.empty()) literals = render_parameters(text, parameters);
  open.call.keep_slow(state.run, std::move(bound), std::move(literals), capture_backtrace());
}

struct Execution {
  const CursorClass& cls;
  PyObject* cursor;
  std::string_view text;
  PyObject* parameters;
  std::int64_t begin_ns;
};

/// After the base's method: tells the call. `state` may be null when memory is short.
void tell(const Execution& execution, StateObject* state, const CurrentCall& current, std::int64_t end_ns) {
  guarded([&] {
    OpenCall* const open = current.get();
    if (open == nullptr || state == nullptr) return;
    open->doing(perf::Activity::kCode, end_ns);
    const std::int64_t rows = rows_of(execution.cursor);
    state->count_rows = rows < 0;
    Py_XSETREF(state->call, Py_NewRef(current.object()));
    const bool may_get_slow = open->call.recording() && open->call.decision().query;
    Py_XSETREF(state->parameters, Py_XNewRef(may_get_slow ? execution.parameters : nullptr));
    std::shared_ptr<perf::StatementText> text;
    if (open->call.recording()) text = recorder()->texts().intern(execution.text);
    const auto wanted = open->call.executed(state->run, std::move(text), execution.begin_ns, end_ns, rows);
    keep(*open, *state, wanted, execution.cursor, execution.text, execution.parameters);
  });
}

PyObject* run(Method method, PyObject* cursor, PyTypeObject* defining, const Arguments& arguments) {
  const CursorClass& cls = class_of(defining);
  const CurrentCall current;
  if (current.get() == nullptr) {
    // A statement outside of calls ends the one before, so that its fetches are not counted for it.
    if (StateObject* const state = state_of(cls, cursor)) Py_CLEAR(state->call);
    return call_base(cls.methods[method], cursor, arguments);
  }
  Ref holder;
  std::string made_up;
  const bool has_text =
      method == kExecute || method == kExecuteMany || method == kCopyExpert || method == kCopy;
  PyObject* const statement = arguments.get(0, {"query", "sql", "statement"});
  std::string_view text = has_text ? statement_text(statement, cursor, holder) : std::string_view();
  if (!has_text) text = made_up = made_up_text(method, arguments);
  if (cls.dialect == Dialect::kSqlite && begins_transaction(text) && !begin_sqlite(cursor, statement))
    return nullptr;

  const auto begin = base::monotonic_ns();
  show_statement(current, cls, cursor, text, begin);
  PyObject* const result = call_base(cls.methods[method], cursor, arguments);
  const auto end = base::monotonic_ns();
  const ErrorAside aside;
  PyObject* const parameters =
      method == kExecute ? arguments.get(1, {"args", "vars", "params", "parameters"}) : nullptr;
  tell({cls, cursor, text, parameters, begin}, state_of(cls, cursor), current, end);
  return result;
}

/// The next row; StopIteration is set when there is none, as __next__ has to. The slot of a base that is
/// written in Python would look `__next__` up in the cursor's own class, and find ours.
PyObject* base_next(const CursorClass& cls, PyObject* cursor) {
  if (!Py_IS_TYPE(cls.methods[kNext], &PyWrapperDescr_Type))
    return PyObject_CallOneArg(cls.methods[kNext], cursor);
  PyObject* const row = cls.base->tp_iternext(cursor);
  if (row == nullptr && PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_StopIteration);
  return row;
}

/// How many rows a fetch gave.
std::int64_t rows_in(Method method, PyObject* result) {
  if (result == nullptr) return 0;
  if (method == kNext || method == kIter) return 1;
  if (method == kFetchOne) return result != Py_None ? 1 : 0;
  const Py_ssize_t size = PyObject_Size(result);
  PyErr_Clear();
  return std::max<Py_ssize_t>(size, 0);
}

/// Calls `base_fetch()`, and tells the statement that the cursor ran last how long it took.
template <typename Fetch>
PyObject* timed_fetch(const CursorClass& cls, Method method, PyObject* cursor, Fetch base_fetch) {
  StateObject* const state = state_of(cls, cursor);
  const CurrentCall current;
  OpenCall* const open = current.get();
  if (open == nullptr || state == nullptr || state->call != current.object()) {
    return base_fetch();
  }
  const auto begin = base::monotonic_ns();
  if (cls.dialect == Dialect::kSqlite) open->doing(perf::Activity::kFetch, begin);
  PyObject* const result = base_fetch();
  const auto end = base::monotonic_ns();
  const ErrorAside aside;
  if (current.get() != open) return result;  // closed meanwhile
  guarded([&] {
    if (cls.dialect == Dialect::kSqlite) open->doing(perf::Activity::kCode, end);
    const std::int64_t rows = state->count_rows ? rows_in(method, result) : 0;
    const auto wanted = open->call.fetched(state->run, base::Nanoseconds{end - begin}, rows);
    if (wanted.slow) keep(*open, *state, wanted, cursor, open->call.text(state->run), state->parameters);
  });
  return result;
}

PyObject* fetch(Method method, PyObject* cursor, PyTypeObject* defining, const Arguments& arguments) {
  const CursorClass& cls = class_of(defining);
  return timed_fetch(cls, method, cursor, [&] {
    return method == kNext ? base_next(cls, cursor) : call_base(cls.methods[method], cursor, arguments);
  });
}

/// What `__iter__` of a cursor gave that is no iterator itself, and the cursor.
struct RowsObject {
  PyObject_HEAD PyObject* cursor;
  PyObject* rows;
  const CursorClass* cls;
};

PyTypeObject* rows_type = nullptr;

/// Null without an error is the end, as for every `tp_iternext`.
PyObject* rows_next(PyObject* self) {
  const auto& own = *reinterpret_cast<RowsObject*>(self);
  return timed_fetch(*own.cls, kIter, own.cursor, [&] { return Py_TYPE(own.rows)->tp_iternext(own.rows); });
}

int rows_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<RowsObject*>(self)->cursor);
  Py_VISIT(reinterpret_cast<RowsObject*>(self)->rows);
  return 0;
}

int rows_clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<RowsObject*>(self)->cursor);
  Py_CLEAR(reinterpret_cast<RowsObject*>(self)->rows);
  return 0;
}

void rows_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  rows_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* iterate(PyObject* cursor, PyTypeObject* defining, const Arguments& arguments) {
  const CursorClass& cls = class_of(defining);
  Ref rows(call_base(cls.methods[kIter], cursor, arguments));
  if (!rows || PyIter_Check(rows.get()) == 0) return rows.release();
  auto* const made = PyObject_GC_New(RowsObject, rows_type);
  if (made == nullptr) return nullptr;
  made->cursor = Py_NewRef(cursor);
  made->rows = rows.release();
  made->cls = &cls;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(made));
  return reinterpret_cast<PyObject*>(made);
}

template <Method M>
PyObject* method_entry(PyObject* self, PyTypeObject* defining, PyObject* const* values, Py_ssize_t number,
                       PyObject* keywords) {
  const Arguments arguments{values, number, keywords};
  if constexpr (M < kFetchOne) {
    return run(M, self, defining, arguments);
  } else if constexpr (M == kIter) {
    return iterate(self, defining, arguments);
  } else {
    return fetch(M, self, defining, arguments);
  }
}

template <std::size_t... M>
std::array<PyMethodDef, kMethods> make_definitions(std::index_sequence<M...>) {
  return {PyMethodDef{kNames[M], method(method_entry<static_cast<Method>(M)>),
                      METH_METHOD | METH_FASTCALL | METH_KEYWORDS, nullptr}...};
}

/// The class, with no methods of ours yet and a slot for the state.
PyTypeObject* make_class(PyTypeObject* base) {
  const char* const name =
      std::strrchr(base->tp_name, '.') != nullptr ? std::strrchr(base->tp_name, '.') + 1 : base->tp_name;
  const Ref space(Py_BuildValue("{s:(s),s:s,s:s}", "__slots__", "_headroom_state", "__module__", "headroom",
                                "__doc__", "A cursor that Headroom records."));
  if (!space) return nullptr;
  return reinterpret_cast<PyTypeObject*>(
      PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(O)O", name, base, space.get()));
}

bool find_state(CursorClass& cls) {
  const Ref member(PyObject_GetAttrString(reinterpret_cast<PyObject*>(cls.type), "_headroom_state"));
  if (!member || !Py_IS_TYPE(member.get(), &PyMemberDescr_Type)) return false;
  cls.state_offset = reinterpret_cast<PyMemberDescrObject*>(member.get())->d_member->offset;
  return true;
}

bool add_methods(CursorClass& cls) {
  static auto definitions = make_definitions(std::make_index_sequence<kMethods>());
  for (std::size_t i = 0; i < kMethods; ++i) {
    if (i == kIter && cls.methods[kNext] != nullptr) continue;  // it gives itself
    Ref original(PyObject_GetAttrString(reinterpret_cast<PyObject*>(cls.base), kNames[i]));
    if (!original) {
      PyErr_Clear();
      continue;
    }
    cls.methods[i] = original.release();
    const Ref descriptor(PyDescr_NewMethod(cls.type, &definitions[i]));
    if (!descriptor ||
        PyObject_SetAttrString(reinterpret_cast<PyObject*>(cls.type), kNames[i], descriptor.get()) < 0) {
      return false;
    }
  }
  return cls.methods[kExecute] != nullptr;
}

PyObject* cursor_class(PyObject*, PyObject* const* arguments, Py_ssize_t number) {
  if (number != 2 || PyType_Check(arguments[0]) == 0)
    return PyErr_Format(PyExc_TypeError, "cursor_class(base, dialect)");
  const auto dialect = text_of(arguments[1]);
  if (dialect != "postgresql" && dialect != "sqlite") {
    return PyErr_Format(PyExc_ValueError, "cursor_class: %R is neither postgresql nor sqlite", arguments[1]);
  }
  auto* const base = reinterpret_cast<PyTypeObject*>(arguments[0]);
  for (auto& one : classes()) {
    if (one->base == base || one->type == base) return Py_NewRef(reinterpret_cast<PyObject*>(one->type));
  }
  auto cls = std::make_unique<CursorClass>();
  cls->base = base;
  cls->dialect = dialect == "sqlite" ? Dialect::kSqlite : Dialect::kPostgresql;
  cls->type = make_class(base);
  if (cls->type == nullptr || !find_state(*cls) || !add_methods(*cls)) {
    if (PyErr_Occurred() == nullptr)
      PyErr_Format(PyExc_TypeError, "cursor_class: %R is no cursor class", base);
    return nullptr;
  }
  Py_INCREF(base);
  auto* const type = reinterpret_cast<PyObject*>(cls->type);
  classes().push_back(std::move(cls));
  return Py_NewRef(type);
}

PyType_Slot state_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(state_dealloc)},
    {0, nullptr},
};

PyType_Spec state_spec = {"headroom._native.CursorState", sizeof(StateObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, state_slots};

PyType_Slot rows_slots[] = {
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(rows_next)},
    {Py_tp_traverse, reinterpret_cast<void*>(rows_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(rows_clear)},
    {Py_tp_dealloc, reinterpret_cast<void*>(rows_dealloc)},
    {0, nullptr},
};

PyType_Spec rows_spec = {"headroom._native.CursorRows", sizeof(RowsObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                         rows_slots};

PyMethodDef functions[] = {
    {"cursor_class", method(cursor_class), METH_FASTCALL, "A subclass of a cursor class that records."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_cursor_class(PyObject* module) {
  name_rowcount = PyUnicode_InternFromString("rowcount");
  name_query = PyUnicode_InternFromString("query");
  name_connection = PyUnicode_InternFromString("connection");
  name_in_transaction = PyUnicode_InternFromString("in_transaction");
  name_isolation_level = PyUnicode_InternFromString("isolation_level");
  name_execute = PyUnicode_InternFromString("execute");
  name_get_backend_pid = PyUnicode_InternFromString("get_backend_pid");
  state_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&state_spec));
  rows_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&rows_spec));
  return state_type != nullptr && rows_type != nullptr && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace headroom::native
