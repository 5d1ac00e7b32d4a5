#include "backtrace.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "python.hpp"

namespace headroom::native {

namespace {

constexpr int kFrames = 25;
constexpr std::size_t kLines = 16'384;

/// An instruction. Not a line: telling the line means to decode the code's table of lines from its beginning,
/// which took most of the time of a backtrace.
struct Place {
  PyCodeObject* code;
  int instruction;
  bool operator==(const Place&) const = default;
};

struct PlaceHash {
  std::size_t operator()(const Place& place) const {
    return std::hash<const void*>()(place.code) * 31 + static_cast<std::size_t>(place.instruction);
  }
};

struct Line {
  std::shared_ptr<const std::string> text;
  bool our_own = false;  ///< of this package
};

/// What of this package may stand between the server and a statement.
constexpr std::array<std::string_view, 4> kOwnFiles{"/headroom/adapters/", "/headroom/dbapi.py",
                                                    "/headroom/django.py", "/headroom/wsgi.py"};

bool is_our_own(std::string_view file) {
  return std::ranges::any_of(kOwnFiles, [&](std::string_view own) { return file.find(own) != file.npos; });
}

/// Keeps a reference to each code object, so that its address stands for it as long as the entry lives.
class Lines {
 public:
  const Line& get(PyFrameObject* frame, PyCodeObject* code) {
    const Place place{code, PyFrame_GetLasti(frame)};
    if (const auto found = lines_.find(place); found != lines_.end()) return found->second;
    if (lines_.size() >= kLines) clear();
    Py_INCREF(code);
    return lines_.emplace(place, make(code, PyFrame_GetLineNumber(frame))).first->second;
  }

 private:
  static Line make(PyCodeObject* code, int line) {
    const std::string_view file = text_of(code->co_filename);
    auto text = fmt::format("{}:{} {}", file, line, text_of(code->co_qualname));
    return {std::make_shared<const std::string>(std::move(text)), is_our_own(file)};
  }

  void clear() {
    auto old = std::exchange(lines_, {});
    for (auto& [place, line] : old) Py_DECREF(place.code);
  }

  std::unordered_map<Place, Line, PlaceHash> lines_;
};

}  // namespace

perf::Backtrace capture_backtrace() {
  static auto& lines = *new Lines;  // guarded by the interpreter's lock, never destroyed
  perf::Backtrace backtrace;
  backtrace.reserve(kFrames);
  // Beyond our outermost frame are the threads and sockets of the server, the same in every backtrace.
  std::optional<std::size_t> inside;
  PyFrameObject* frame = PyThreadState_GetFrame(PyThreadState_Get());
  for (int i = 0; frame != nullptr && i < kFrames; ++i) {
    const Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
    const Line& line = lines.get(frame, reinterpret_cast<PyCodeObject*>(code.get()));
    if (line.our_own)
      inside = backtrace.size();
    else
      backtrace.push_back(line.text);
    PyFrameObject* const outer = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = outer;
  }
  Py_XDECREF(frame);
  if (inside && *inside > 0) backtrace.resize(*inside);
  std::ranges::reverse(backtrace);
  return backtrace;
}

}  // namespace headroom::native
