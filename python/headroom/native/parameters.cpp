#include "parameters.hpp"

#include <fmt/format.h>

#include "python.hpp"
#include "sql/token.hpp"

namespace headroom::native {

namespace {

constexpr std::size_t kLongest = 1'000;
constexpr std::size_t kMost = 1'000;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// What is kept of a long text. It is redacted later, and no search would find a secret that the cut went
/// through: so the word at the cut goes, as far as a secret may be long.
std::string_view beginning_of(std::string_view text) {
  constexpr std::size_t kLongestSecret = 512;
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > kLongest - kLongestSecret && !is_blank(text[end - 1])) --end;
  return text.substr(0, end);
}

std::string quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : beginning_of(text)) {
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

/// The names in `%(name)s` and `:name`, in order of appearance.
std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> names;
  for (const sql::Token& token : sql::tokenize(text)) {
    if (token.kind != sql::TokenKind::kPlaceholder || names.size() >= kMost) continue;
    const bool percent = token.text.starts_with("%(");
    names.emplace_back(percent ? token.text.substr(2, token.text.find(')') - 2) : token.text.substr(1));
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
