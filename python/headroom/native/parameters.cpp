#include "parameters.hpp"

#include <fmt/format.h>

#include "python.hpp"

namespace headroom::native {

namespace {

constexpr std::size_t kLongest = 1'000;
constexpr std::size_t kMost = 1'000;

std::string quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text.substr(0, kLongest)) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  if (text.size() > kLongest) quoted += "…";
  return quoted + "'";
}

std::string quote_bytes(std::string_view bytes) {
  std::string hex = "x'";
  for (const char c : bytes.substr(0, 64))
    fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(c));
  if (bytes.size() > 64) hex += "…";
  return hex + "'";
}

/// str() of the object; '?' when that fails.
std::string text_form(PyObject* value) {
  const Ref text(PyObject_Str(value));
  if (!text) {
    PyErr_Clear();
    return "?";
  }
  return std::string(text_of(text.get()));
}

std::string literal(PyObject* value, int depth);

/// psycopg2 binds a tuple as a list in brackets.
std::string list_literal(PyObject* values, int depth) {
  const Ref items(PySequence_Fast(values, ""));
  if (!items || depth > 3) {
    PyErr_Clear();
    return "'?'";
  }
  std::string list = "(";
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()) && list.size() < kLongest; ++i) {
    if (i > 0) list += ", ";
    // Held, and the size asked for anew: showing a value may run any code, which may change the list.
    const Ref value = Ref::borrow(PySequence_Fast_GET_ITEM(items.get(), i));
    list += literal(value.get(), depth + 1);
  }
  return list + ")";
}

std::string literal(PyObject* value, int depth) {
  if (value == Py_None) return "NULL";
  if (PyBool_Check(value)) return value == Py_True ? "true" : "false";
  if (PyLong_Check(value) || PyFloat_Check(value)) return text_form(value).substr(0, kLongest);
  if (PyUnicode_Check(value)) return quote(text_of(value));
  if (PyBytes_Check(value)) return quote_bytes(text_of(value));
  if (PyTuple_Check(value) || PyList_Check(value)) return list_literal(value, depth);
  return quote(text_form(value));
}

bool name_character(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The names in `%(name)s` and `:name`, in order of appearance.
std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i + 1 < text.size() && names.size() < kMost; ++i) {
    const bool percent = text[i] == '%' && text[i + 1] == '(';
    const bool colon = text[i] == ':' && name_character(text[i + 1]) && (i == 0 || text[i - 1] != ':');
    if (!percent && !colon) continue;
    const std::size_t from = i + (percent ? 2 : 1);
    std::size_t to = from;
    while (to < text.size() && (percent ? text[to] != ')' : name_character(text[to]))) ++to;
    names.emplace_back(text.substr(from, to - from));
    i = to;
  }
  return names;
}

}  // namespace

std::vector<std::string> render_parameters(std::string_view text, PyObject* parameters) {
  std::vector<std::string> literals;
  if (parameters == nullptr || parameters == Py_None) return literals;
  if (PyDict_Check(parameters)) {
    for (const auto& name : names_in(text)) {
      PyObject* const value = PyDict_GetItemString(parameters, name.c_str());
      literals.push_back(value != nullptr ? literal(value, 0) : "?");
    }
    return literals;
  }
  const Ref items(PySequence_Fast(parameters, ""));
  if (!items) {
    PyErr_Clear();
    return literals;
  }
  const Py_ssize_t number = std::min<Py_ssize_t>(PySequence_Fast_GET_SIZE(items.get()), kMost);
  for (Py_ssize_t i = 0; i < number && i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
    const Ref value = Ref::borrow(PySequence_Fast_GET_ITEM(items.get(), i));
    literals.push_back(literal(value.get(), 0));
  }
  return literals;
}

}  // namespace headroom::native
