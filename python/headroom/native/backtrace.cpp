#include "backtrace.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "python.hpp"

namespace headroom::native {

namespace {

constexpr int kFrames = 25;
constexpr std::size_t kLines = 16'384;

struct Place {
  PyCodeObject* code;
  int line;
  bool operator==(const Place&) const = default;
};

struct PlaceHash {
  std::size_t operator()(const Place& place) const {
    return std::hash<const void*>()(place.code) * 31 + static_cast<std::size_t>(place.line);
  }
};

using Line = std::shared_ptr<const std::string>;

/// Keeps a reference to each code object, so that its address stands for it as long as the entry lives.
class Lines {
 public:
  const Line& get(PyCodeObject* code, int line) {
    const Place place{code, line};
    if (const auto found = lines_.find(place); found != lines_.end()) return found->second;
    if (lines_.size() >= kLines) clear();
    Py_INCREF(code);
    return lines_.emplace(place, std::make_shared<const std::string>(format(code, line))).first->second;
  }

 private:
  static std::string format(PyCodeObject* code, int line) {
    return fmt::format("{}:{} {}", text_of(code->co_filename), line, text_of(code->co_qualname));
  }

  void clear() {
    auto old = std::exchange(lines_, {});
    for (auto& [place, line] : old) Py_DECREF(place.code);
  }

  std::unordered_map<Place, Line, PlaceHash> lines_;
};

bool our_own(const std::string& line) {
  return line.find("/headroom/adapters/") != std::string::npos;
}

}  // namespace

perf::Backtrace capture_backtrace() {
  static auto& lines = *new Lines;  // guarded by the interpreter's lock, never destroyed
  perf::Backtrace backtrace;
  // Beyond our outermost frame are the threads and sockets of the server, the same in every backtrace.
  std::optional<std::size_t> inside;
  PyFrameObject* frame = PyThreadState_GetFrame(PyThreadState_Get());
  for (int i = 0; frame != nullptr && i < kFrames; ++i) {
    const Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
    const Line& line = lines.get(reinterpret_cast<PyCodeObject*>(code.get()), PyFrame_GetLineNumber(frame));
    if (our_own(*line))
      inside = backtrace.size();
    else
      backtrace.push_back(line);
    PyFrameObject* const outer = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = outer;
  }
  Py_XDECREF(frame);
  if (inside) backtrace.resize(*inside);
  std::ranges::reverse(backtrace);
  return backtrace;
}

}  // namespace headroom::native
