#include "stack_reader.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace headroom::native {

#if HEADROOM_KNOWS_FRAMES

namespace {

constexpr std::size_t kMostNames = 4096;
constexpr std::uintptr_t kPage = 4096;
constexpr Py_ssize_t kLongestText = 4096;
constexpr Py_ssize_t kLongestTable = 1 << 20;

void append_utf8(std::string& out, std::uint32_t c) {
  if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = '?';
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  if (c >= 0x10000) {
    out += static_cast<char>(0xf0U | (c >> 18U));
    out += static_cast<char>(0x80U | ((c >> 12U) & 0x3fU));
  } else if (c >= 0x800) {
    out += static_cast<char>(0xe0U | (c >> 12U));
  }
  if (c >= 0x800) {
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3fU));
  } else {
    out += static_cast<char>(0xc0U | (c >> 6U));
  }
  out += static_cast<char>(0x80U | (c & 0x3fU));
}

std::uint32_t character(const std::byte* from, unsigned kind) {
  std::uint32_t value = 0;
  std::memcpy(&value, from, kind);  // little endian, as everything else here
  return value;
}

/// A str by checked reads; nullopt when it is none, or longer than a name can be.
std::optional<std::string> read_text(const PyObject* text) {
  const auto head = read_object<PyASCIIObject>(text);
  if (!head || head->ob_base.ob_type != &PyUnicode_Type || head->state.compact == 0) return std::nullopt;
  const unsigned kind = head->state.kind;
  if (head->length < 0 || head->length > kLongestText || (kind != 1 && kind != 2 && kind != 4))
    return std::nullopt;
  const std::size_t offset = head->state.ascii != 0 ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject);
  std::vector<std::byte> data(static_cast<std::size_t>(head->length) * kind);
  if (!data.empty() && !read_memory(reinterpret_cast<const char*>(text) + offset, data.data(), data.size())) {
    return std::nullopt;
  }
  std::string out;
  for (std::size_t i = 0; i < data.size(); i += kind) append_utf8(out, character(&data[i], kind));
  return out;
}

std::vector<LineRange> read_lines(const PyObject* table, std::uint32_t first_line) {
  const auto head = read_object<PyVarObject>(table);
  if (!head || head->ob_base.ob_type != &PyBytes_Type) return {};
  if (head->ob_size <= 0 || head->ob_size > kLongestTable) return {};
  std::vector<unsigned char> bytes(static_cast<std::size_t>(head->ob_size));
  const char* from = reinterpret_cast<const char*>(table) + offsetof(PyBytesObject, ob_sval);
  if (!read_memory(from, bytes.data(), bytes.size())) return {};
  return decode_location_table(bytes, first_line);
}

bool read_takes_self(const PyCodeObject& code) {
  if (code.co_argcount < 1) return false;
  const auto names = read_object<PyTupleObject>(code.co_localsplusnames);
  if (!names || names->ob_base.ob_base.ob_type != &PyTuple_Type || names->ob_base.ob_size < 1) return false;
  const auto first = read_text(names->ob_item[0]);
  return first == "self" || first == "cls";
}

/// All that has to be equal before a name that is kept for an address is believed.
bool same_code(const PyCodeObject& a, const PyCodeObject& b) {
  return a.ob_base.ob_size == b.ob_base.ob_size && a.co_firstlineno == b.co_firstlineno &&
         a.co_consts == b.co_consts && a.co_names == b.co_names && a.co_filename == b.co_filename &&
         a.co_name == b.co_name && a.co_qualname == b.co_qualname && a.co_linetable == b.co_linetable &&
         a.co_localsplusnames == b.co_localsplusnames;
}

bool same_type(const PyTypeObject& a, const PyTypeObject& b) {
  constexpr unsigned long kStable = Py_TPFLAGS_HEAPTYPE | Py_TPFLAGS_TYPE_SUBCLASS;
  return a.ob_base.ob_base.ob_type == b.ob_base.ob_base.ob_type && a.tp_name == b.tp_name &&
         a.tp_basicsize == b.tp_basicsize && (a.tp_flags & kStable) == (b.tp_flags & kStable);
}

/// The code unit that a frame executes: -1 before its first; nullopt when it lies outside the code.
std::optional<std::int64_t> unit_of(const InterpreterFrame& frame, const PyCodeObject& code) {
  const auto start = reinterpret_cast<std::intptr_t>(frame.f_code) +
                     static_cast<std::intptr_t>(offsetof(PyCodeObject, co_code_adaptive));
  const std::intptr_t distance = reinterpret_cast<std::intptr_t>(frame.prev_instr) - start;
  constexpr std::intptr_t kUnit = sizeof(_Py_CODEUNIT);
  if (distance % kUnit != 0 || distance < -kUnit || distance >= code.ob_base.ob_size * kUnit)
    return std::nullopt;
  return distance / kUnit;
}

}  // namespace

std::vector<FramePlace> StackReader::own_stack() {
  std::vector<FramePlace> places;
  const InterpreterFrame* frame = innermost_frame(PyThreadState_Get());
  for (; frame != nullptr && places.size() < kMostFrames; frame = frame->previous) {
    places.push_back({frame, frame->f_code});
  }
  std::reverse(places.begin(), places.end());
  return places;
}

ReadStack StackReader::read(const PyThreadState* thread, std::uint64_t thread_id,
                            std::vector<SampledFrame>& frames) {
  frames.clear();
  if (codes_.size() > kMostNames || types_.size() > kMostNames) forget();
  const auto state = read_object<PyThreadState>(thread);
  if (!state || state->id != thread_id) return ReadStack::kThreadGone;
  const auto innermost = read_object<_PyCFrame>(state->cframe);
  if (!innermost) return ReadStack::kTorn;
  const bool good = read_chain(innermost->current_frame) && name_codes() && find_arguments() &&
                    read_argument_types() && describe(frames);
  return good ? ReadStack::kDone : ReadStack::kTorn;
}

bool StackReader::read_chain(const void* innermost) {
  raw_.clear();
  window_size_ = 0;
  for (const void* address = innermost; address != nullptr;) {
    if (raw_.size() == kMostFrames) return false;
    RawFrame& raw = raw_.emplace_back();
    raw.address = address;
    if (!read_frame(address, raw.frame)) return false;
    address = raw.frame.previous;
  }
  return true;
}

/// Frames of one thread lie side by side, the outer ones lower: what is read is the whole page up to the
/// frame's end.
bool StackReader::read_frame(const void* address, InterpreterFrame& frame) {
  const auto from = reinterpret_cast<std::uintptr_t>(address);
  if (from < kPage || from % alignof(InterpreterFrame) != 0) return false;
  const bool inside =
      window_size_ != 0 && from >= window_from_ && from + sizeof frame <= window_from_ + window_size_;
  if (!inside) {
    const std::uintptr_t before = from % kPage;
    window_from_ = from - before;
    window_size_ = before + sizeof frame;
    if (!read_memory(static_cast<const std::byte*>(address) - before, window_.data(), window_size_)) {
      window_size_ = 0;
      return false;
    }
  }
  std::memcpy(&frame, &window_[from - window_from_], sizeof frame);
  return true;
}

bool StackReader::name_codes() {
  heads_.resize(raw_.size());
  named_.clear();
  blocks_.clear();
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    blocks_.push_back({raw_[i].frame.f_code, heads_[i].bytes.data(), sizeof heads_[i].bytes});
  }
  if (!read_memory(blocks_)) return false;
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const CodeName* name = name_code(raw_[i].frame.f_code, heads_[i]);
    if (name == nullptr) return false;
    named_.push_back(name);
  }
  return true;
}

const CodeName* StackReader::name_code(const PyCodeObject* code, const CodeHead& head) {
  const PyCodeObject& fields = head.get();
  if (fields.ob_base.ob_base.ob_type != &PyCode_Type) return nullptr;
  const auto known = codes_.find(code);
  if (known != codes_.end() && same_code(known->second.head.get(), fields)) return &known->second.name;
  auto name = read_text(fields.co_name);
  auto qualified = read_text(fields.co_qualname);
  auto file = read_text(fields.co_filename);
  if (!name || !qualified || !file) return nullptr;
  CodeEntry& entry = codes_[code];
  entry.head = head;
  entry.name = {.id = next_id_++,
                .name = std::move(*name),
                .qualified_name = std::move(*qualified),
                .file = std::move(*file),
                .first_line = static_cast<std::uint32_t>(std::max(fields.co_firstlineno, 0)),
                .takes_self = read_takes_self(fields),
                .lines = {}};
  entry.name.lines = read_lines(fields.co_linetable, entry.name.first_line);
  return &entry.name;
}

bool StackReader::find_arguments() {
  arguments_.clear();
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const PyObject* value = raw_[i].frame.localsplus[0];
    if (named_[i]->takes_self && value != nullptr) arguments_.push_back({i, value, {}, {}});
  }
  blocks_.clear();
  for (Argument& each : arguments_) blocks_.push_back({each.value, &each.head, sizeof each.head});
  if (!read_memory(blocks_)) return false;
  for (Argument& each : arguments_) {
    if (each.head.ob_type != &PyCell_Type) continue;
    const auto cell = read_object<PyCellObject>(each.value);
    if (!cell || cell->ob_ref == nullptr) return false;
    each.value = cell->ob_ref;
    if (!read_memory(each.value, &each.head, sizeof each.head)) return false;
  }
  return true;
}

/// First the type of every argument; for those that are types themselves (`cls`) then they.
bool StackReader::read_argument_types() {
  blocks_.clear();
  for (Argument& each : arguments_)
    blocks_.push_back({each.head.ob_type, each.type.bytes.data(), sizeof each.type});
  if (!read_memory(blocks_)) return false;
  blocks_.clear();
  for (Argument& each : arguments_) {
    if ((each.type.get().tp_flags & Py_TPFLAGS_TYPE_SUBCLASS) == 0) {
      each.value = reinterpret_cast<const PyObject*>(each.head.ob_type);
      continue;
    }
    blocks_.push_back({each.value, each.type.bytes.data(), sizeof each.type});
  }
  return read_memory(blocks_);
}

const ModelName* StackReader::model_of(const Argument& argument) {
  const auto* type = reinterpret_cast<const PyTypeObject*>(argument.value);
  const PyTypeObject& head = argument.type.get();
  const PyTypeObject* metaclass = head.ob_base.ob_base.ob_type;
  if (metaclass == &PyType_Type || (head.tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) return nullptr;
  const auto known = types_.find(type);
  if (known != types_.end() && same_type(known->second.head.get(), head)) {
    return known->second.name.id == 0 ? nullptr : &known->second.name;
  }
  TypeEntry& entry = types_[type];
  entry.head = argument.type;
  entry.name = read_model_name(type);
  return entry.name.id == 0 ? nullptr : &entry.name;
}

ModelName StackReader::read_model_name(const PyTypeObject* type) {
  const auto* field = reinterpret_cast<const char*>(type) + offsetof(PyHeapTypeObject, ht_name);
  const PyObject* text = nullptr;
  auto name = read_memory(field, &text, sizeof(void*)) ? read_text(text) : std::nullopt;
  if (!name || name->find('.') == std::string::npos) return {};
  return {next_id_++, std::move(*name)};
}

bool StackReader::describe(std::vector<SampledFrame>& frames) {
  frames.resize(raw_.size());
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const RawFrame& raw = raw_[i];
    const auto unit = unit_of(raw.frame, heads_[i].get());
    if (!unit) return false;
    const std::uint32_t line = line_of(named_[i]->lines, *unit, named_[i]->first_line);
    frames[raw_.size() - 1 - i] = {{raw.address, raw.frame.f_code},
                                   named_[i],
                                   nullptr,
                                   line,
                                   raw.frame.owner == FRAME_OWNED_BY_GENERATOR};
  }
  for (const Argument& each : arguments_) frames[raw_.size() - 1 - each.frame].model = model_of(each);
  return true;
}

void StackReader::forget() {
  codes_.clear();
  types_.clear();
}

#else

std::vector<FramePlace> StackReader::own_stack() {
  return {};
}
ReadStack StackReader::read(const PyThreadState*, std::uint64_t, std::vector<SampledFrame>&) {
  return ReadStack::kThreadGone;
}
void StackReader::forget() {}

#endif

}  // namespace headroom::native
